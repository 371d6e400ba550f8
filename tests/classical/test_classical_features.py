"""classical, features: against one face at a time and slow loops, determinism, processes, what is refused."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from scipy import sparse
from skimage.feature import haar_like_feature, haar_like_feature_coord, hog, local_binary_pattern
from skimage.transform import integral_image
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from mien.classical import BagOfWords, Haar, Hog, InverseFrequency, Lbp, progress, report_progress, sift
from mien.classical.haar import _TYPES
from mien.data.synthetic.generate import generate
from mien.errors import ConfigError

FACES = generate(14, seed=3, identities=5).images
SMALL = {
    "hog": Hog(cells=4),
    "lbp": Lbp(cells=3),
    "haar": Haar(features=60, side=8),
    "words": BagOfWords(40, (12, 16), stride=6, levels=(1, 2), sample=1500),
}


def dense(features):
    return features.toarray() if sparse.issparse(features) else features


@pytest.fixture(params=SMALL, ids=str)
def features(request):
    return clone(SMALL[request.param])


def test_hog_is_that_of_each_face():
    found = Hog(cells=6, block=3, orientations=7).fit_transform(FACES)
    alone = [hog(f, 7, (8, 8), (3, 3), block_norm="L2-Hys") for f in FACES]
    assert found.dtype == np.float32
    assert found.shape == (14, 4 * 4 * 9 * 7)
    np.testing.assert_allclose(found, alone, atol=1e-6)


def test_hog_leaves_out_the_pixels_that_are_no_whole_cell():
    faces = FACES[:, :47, :46]
    alone = [hog(f[:45, :45], 9, (9, 9), (2, 2)) for f in faces]
    np.testing.assert_allclose(Hog(cells=5).fit_transform(faces), alone, atol=1e-6)


def test_lbp_counts_the_patterns_of_each_cell():
    found = Lbp(cells=5, radii=(1, 2.5)).fit_transform(FACES).reshape(14, 2, 5, 5, 59)
    edges = [0, 10, 20, 29, 39, 48]  # where the share of the side passes a fifth
    for i in (0, 7):
        for r, radius in enumerate((1, 2.5)):
            codes = local_binary_pattern(FACES[i], 8, radius, "nri_uniform").astype(int)
            for a in range(5):
                for b in range(5):
                    cell = codes[edges[a] : edges[a + 1], edges[b] : edges[b + 1]].ravel()
                    shares = np.bincount(cell, minlength=59) / len(cell)
                    np.testing.assert_allclose(found[i, r, a, b] ** 2, shares, atol=1e-6)


@pytest.mark.parametrize("count", [50, 2056])
def test_haar_is_scikit_images(count):
    haar = Haar(features=count, side=8, seed=4)
    found = haar.fit_transform(FACES)
    for face, ours in zip(FACES, found, strict=True):
        small = cv2.resize(face.astype(float), (8, 8), interpolation=cv2.INTER_AREA)
        sums = integral_image((small - small.mean()) / small.std())
        coordinates, kinds = haar_like_feature_coord(8, 8)
        theirs = haar_like_feature(sums, 0, 0, 8, 8, feature_type=kinds, feature_coord=coordinates)
        by_rectangles = {tuple(np.ravel(c)): v for c, v in zip(coordinates, theirs, strict=True)}
        drawn = [tuple(r[r[:, 0] >= 0].ravel()) for r in haar.rectangles_]
        assert len(set(drawn)) == count
        np.testing.assert_allclose(ours, [by_rectangles[d] for d in drawn], atol=1e-4)


def test_haar_spreads_its_choice_over_the_types():
    rectangles = Haar(features=100, side=8).fit(FACES).rectangles_
    kinds = {tuple(np.ravel(c)): k for c, k in zip(*haar_like_feature_coord(8, 8), strict=True)}
    drawn = [kinds[tuple(r[r[:, 0] >= 0].ravel())] for r in rectangles]
    assert {k: drawn.count(k) for k in _TYPES} == dict.fromkeys(_TYPES, 20)


def bag_by_hand(face, bag, weight):
    """One face, one patch at a time, distances written out."""
    size, counted = 48, {}
    for patch in bag.patches:
        for y in np.arange((size - 1) % bag.stride / 2, size, bag.stride):
            for x in np.arange((size - 1) % bag.stride / 2, size, bag.stride):
                key = cv2.KeyPoint(float(x), float(y), patch / 6, 0.0)
                found = cv2.SIFT.create(nOctaveLayers=1, sigma=bag.blur).compute(face, [key])[1][0].astype(float)
                if not found.any():
                    continue
                place = np.sqrt(found / found.sum()) if bag.roots else found / 512
                word = ((bag.vocabulary_ - place) ** 2).sum(1).argmin()
                before = 0
                for level in bag.levels:
                    cell = before + int(y * level / size) * level + int(x * level / size)
                    counted[cell * bag.words + word] = counted.get(cell * bag.words + word, 0) + 1
                    before += level**2
    row = np.zeros(bag.words * sum(level**2 for level in bag.levels))
    for at, often in counted.items():
        row[at] = 1 if weight == "presence" else np.sqrt(often)
    return row / np.linalg.norm(row)


@pytest.mark.parametrize(("weight", "roots"), [("presence", False), ("presence", True), ("sqrt", False)])
def test_bag_of_words_is_that_of_a_slow_loop(weight, roots):
    bag = clone(SMALL["words"]).set_params(weight=weight, roots=roots, levels=(1, 3))
    found = bag.fit_transform(FACES)
    assert isinstance(found, sparse.csr_matrix)
    assert found.dtype == np.float32
    assert found.indices.dtype == np.int32
    assert found.has_sorted_indices
    assert found.shape == (14, 40 * 10)
    for i in (0, 9):
        np.testing.assert_allclose(found[[i]].toarray()[0], bag_by_hand(FACES[i], bag, weight), atol=1e-6)


def test_sift_sees_its_patch_and_no_further():
    where = np.array([[24, 24, 8], [24, 24, 24]], np.float32)
    faces = np.stack([FACES[0]] * 3)
    faces[1, 24, 36:40] ^= 128  # in the large patch only
    faces[2, 20:28, 24] ^= 128  # in both
    found = sift.describe(faces, where, 0.8)
    changed = (found[1:] != found[:1]).any(2)
    assert changed.tolist() == [[False, True], [True, True]]
    assert np.linalg.norm(found[0, 0].astype(float)) == pytest.approx(512, rel=0.02)


def test_opencvs_threads_are_left_as_they_were():
    before = cv2.getNumThreads()
    sift.describe(FACES[:1], sift.points((48, 48), (12,), 8), 0.8)
    assert cv2.getNumThreads() == before


def test_points_lie_centred_on_the_face():
    rows, columns, patches = sift.points((48, 30), (12, 16), 4).T
    assert set(patches) == {12, 16}
    assert (rows.min() + rows.max(), columns.min() + columns.max()) == (47, 29)
    assert set(np.diff(np.unique(rows))) == {4}


def test_a_face_of_one_grey_gives_finite_numbers_and_no_words(features):
    found = dense(features.fit(FACES).transform(np.full((2, 48, 48), 200, np.uint8)))
    assert np.isfinite(found).all()
    if not isinstance(features, Lbp):
        assert not found.any()
    mixed = np.concatenate([FACES, np.zeros((3, 48, 48), np.uint8)])
    assert np.isfinite(dense(clone(features).fit_transform(mixed))).all()


def test_equal_seeds_give_equal_features_and_blocks_change_nothing(features, monkeypatch):
    whole = dense(features.fit_transform(FACES))
    monkeypatch.setattr(progress, "BLOCK", 5)
    np.testing.assert_array_equal(dense(clone(features).fit_transform(FACES)), whole)
    if "seed" in features.get_params():
        assert (dense(clone(features).set_params(seed=1).fit_transform(FACES)) != whole).any()


def test_two_processes_give_what_one_gives(monkeypatch):
    monkeypatch.setattr(progress, "BLOCK", 6)
    both = [dense(clone(SMALL["words"]).set_params(n_jobs=n).fit_transform(FACES)) for n in (1, 2)]
    np.testing.assert_array_equal(*both)


def test_progress_is_heard_inside_the_block_only_and_nothing_is_printed(monkeypatch, capsys):
    monkeypatch.setattr(progress, "BLOCK", 6)
    heard = []
    with report_progress(lambda *step: heard.append(step)):
        SMALL["words"].fit_transform(FACES)
    faces = [("sample", 0, 14), ("sample", 6, 14), ("sample", 12, 14), ("sample", 14, 14)]
    assert heard[:4] == faces
    assert heard[4:6] == [("vocabulary", 0, 40), ("vocabulary", 40, 40)]
    assert heard[6:] == [("words", done, total) for _, done, total in faces]
    SMALL["words"].transform(FACES)
    assert len(heard) == 10
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("faces", "message"),
    [
        (FACES.astype(np.float32) / 255, r"X must be grey faces, uint8 \(N, H, W\).*float32"),
        (FACES[0], r"X must be grey faces.*\(48, 48\)"),
        (FACES[:0], "at least one face"),
    ],
)
def test_faces_that_are_none_are_refused(features, faces, message):
    with pytest.raises(ConfigError, match=message):
        features.fit(faces)


def test_faces_of_another_size_than_at_fit_are_refused(features):
    with pytest.raises(ConfigError, match="48 x 48 pixels, as at fit, got 40 x 48"):
        features.fit(FACES).transform(FACES[:, 4:44])


def test_transform_before_fit_is_refused(features):
    with pytest.raises(NotFittedError):
        features.transform(FACES)


@pytest.mark.parametrize(
    ("features", "message"),
    [
        (Hog(cells=17), "at most 16 cells"),
        (Hog(cells=4, block=5), "block must be at most cells = 4, got 5"),
        (Hog(cells=2.5), "cells must be a whole number from 1 upwards, got 2.5"),
        (Hog(orientations=True), "orientations must be a whole number from 1 to 180, got True"),
        (Lbp(cells=49), "cells must be at most the 48 pixels"),
        (Lbp(radii=()), "radii must hold at least one"),
        (Lbp(radii=(0.5,)), "radii must be a number from 1 to 24, got 0.5"),
        (Haar(features=3000, side=8), "features must be at most the 2056 that a face of side 8 has"),
        (Haar(side=33), "side must be a whole number from 4 to 32"),
        (Haar(seed=-1), "seed"),
        (BagOfWords(patches=(12, 64)), "patches must be a number from 4 to 48, got 64"),
        (BagOfWords(levels=()), "levels must hold at least one"),
        (BagOfWords(levels=(0,)), "levels must be a whole number from 1"),
        (BagOfWords(stride=0), "stride"),
        (BagOfWords(weight="counts"), "weight must be presence or sqrt, got 'counts'"),
        (BagOfWords(blur=0.1), "blur must be a number from 0.5 upwards"),
        (BagOfWords(words=4000, sample=100), "words must be at most the 1.. patches sampled"),
    ],
)
def test_settings_outside_their_rules_are_refused(features, message):
    with pytest.raises(ConfigError, match=message):
        features.fit(FACES)


@pytest.mark.parametrize(
    ("features", "message"),
    [
        (Hog(), "got 8 cells on faces of 20 x 30: choose at most 6 cells, or larger faces"),
        (Lbp(cells=21), "got 21 on faces of 20 x 30: choose fewer cells, or larger faces"),
        (Haar(), "side must be at most the face's own 20 pixels, got 24"),
        (BagOfWords(patches=(12, 24)), "patches must be a number from 4 to 20, got 24"),
    ],
)
def test_faces_too_small_for_the_settings_are_refused(features, message):
    with pytest.raises(ConfigError, match=message):
        features.fit(FACES[:, :20, :30])


def test_faces_all_of_one_grey_have_no_words():
    with pytest.raises(ConfigError, match="words must be at most the 0 patches"):
        SMALL["words"].fit(np.full((3, 48, 48), 9, np.uint8))


def test_rare_words_count_more():
    bags = sparse.csr_matrix(np.array([[1, 1, 0, 0], [1, 0, 1, 0], [1, 0, 1, 0]], np.float32))
    made = InverseFrequency().fit(bags)
    np.testing.assert_allclose(made.factors_, [0, np.log(3), np.log(1.5), 0], atol=1e-6)
    new = sparse.csr_matrix(np.array([[2, 1, 1, 5], [3, 0, 0, 0]], np.float32))
    found = made.transform(new).toarray()
    wanted = np.array([0, np.log(3), np.log(1.5), 0]) / np.hypot(np.log(3), np.log(1.5))
    np.testing.assert_allclose(found, [wanted, [0, 0, 0, 0]], atol=1e-6)  # what all have tells nothing
    assert new.toarray()[0, 3] == 5  # the input is left alone
    with pytest.raises(ConfigError, match="X must have 4 features"):
        made.transform(bags[:, :2])
