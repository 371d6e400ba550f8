"""Corruptions of faces: shape and range, the seed decides, each severity is worse than the one before, known cases."""

from __future__ import annotations

import itertools

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mien.data.synthetic.generate import generate
from mien.errors import ConfigError
from mien.evaluation.corruptions import CORRUPTIONS, MODERATE, SEVERITIES, corrupt, corrupt_moderately

KINDS = list(CORRUPTIONS)
RANDOM = {"noise", "rotation"}
LEVELS = [1, 2, 3, 4, 5]


@pytest.fixture(scope="module")
def faces() -> np.ndarray:
    return generate(28, seed=4).images


def distance(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.abs(a.astype(float) - b).mean())


def test_every_kind_has_five_strengths_that_grow_or_fall() -> None:
    assert list(SEVERITIES) == KINDS
    for values in SEVERITIES.values():
        assert len(values) == 5
        assert list(values) in (sorted(set(values)), sorted(set(values), reverse=True))


@pytest.mark.parametrize("severity", LEVELS)
@pytest.mark.parametrize("kind", KINDS)
def test_new_images_of_the_same_shape_and_the_originals_are_left_alone(kind, severity, faces) -> None:
    before = faces.copy()
    out = corrupt(faces, kind, severity)
    assert (out.shape, out.dtype) == (faces.shape, np.uint8)
    assert not np.shares_memory(out, faces)
    assert (faces == before).all()
    assert all((a != b).any() for a, b in zip(out, faces, strict=True))


@pytest.mark.parametrize("kind", KINDS)
def test_the_seed_decides_and_other_rows_do_not_matter(kind, faces) -> None:
    out = corrupt(faces, kind, 3, seed=1)
    assert (corrupt(faces, kind, 3, seed=1) == out).all()
    assert (corrupt(faces, kind, 3, seed=2) != out).any() == (kind in RANDOM)
    assert (corrupt(faces[:5], kind, 3, seed=1) == out[:5]).all()


@pytest.mark.parametrize("size", [24, 48, 96])
@pytest.mark.parametrize("kind", KINDS)
def test_each_strength_is_further_from_the_clean_faces(kind, size) -> None:
    faces = generate(28, seed=4, size=size).images
    found = [distance(corrupt(faces, kind, s), faces) for s in LEVELS]
    assert found == sorted(set(found))
    assert found[0] > 0


@settings(max_examples=40, deadline=None)
@given(size=st.integers(16, 96), n=st.integers(1, 3), kind=st.sampled_from(KINDS), severity=st.integers(1, 5))
def test_any_size_works(size: int, n: int, kind: str, severity: int) -> None:
    images = np.random.default_rng(size).integers(0, 256, (n, size, size), dtype=np.uint8)
    out = corrupt(images, kind, severity)
    assert (out.shape, out.dtype) == (images.shape, np.uint8)


@settings(max_examples=40, deadline=None)
@given(size=st.integers(16, 96), kind=st.sampled_from(["eyes", "mouth"]), severity=st.integers(1, 5))
def test_occlusion_covers_one_rectangle_of_one_grey_in_its_half(size: int, kind: str, severity: int) -> None:
    images = np.full((2, size, size), 200, np.uint8)
    images[:, ::2] = 90  # mean 145 at most, so that the patch differs from every pixel
    changed = corrupt(images, kind, severity) != images
    assert (changed[0] == changed[1]).all()
    rows, columns = (np.flatnonzero(changed[0].any(axis)) for axis in (1, 0))
    assert changed[0].sum() == len(rows) * len(columns)
    assert (np.ptp(rows), np.ptp(columns)) == (len(rows) - 1, len(columns) - 1)
    assert len(rows) == pytest.approx(SEVERITIES[kind][severity - 1] * size, abs=1)
    assert (rows.max() < 0.56 * size) if kind == "eyes" else (rows.min() > 0.56 * size)
    assert (columns.min() + columns.max() + 1) == pytest.approx(size, abs=1.01)


@pytest.mark.parametrize("kind", ["eyes", "mouth"])
def test_a_stronger_occlusion_covers_all_that_a_weaker_one_does(kind) -> None:
    for size in range(16, 97, 9):
        stripes = np.full((1, size, size), 200, np.uint8)
        stripes[:, ::2] = 90
        covered = [corrupt(stripes, kind, s) != stripes for s in LEVELS]
        assert covered[0].any()
        assert not any((weak & ~strong).any() for weak, strong in itertools.pairwise(covered))


def test_the_mouth_patch_has_the_mean_grey_of_its_image() -> None:
    images = np.stack([np.full((48, 48), v, np.uint8) for v in (40, 220)])
    images[:, 0] = 0
    out = corrupt(images, "mouth", 5)
    assert out[:, 37, 24].tolist() == [round(v * 47 / 48) for v in (40, 220)]


def test_brightness_goes_both_ways_by_turns_and_clips() -> None:
    out = corrupt(np.full((4, 16, 16), 100, np.uint8), "brightness", 4)
    assert out[:, 0, 0].tolist() == [0, 202, 0, 202]


def test_contrast_keeps_the_mean_and_shrinks_the_spread(faces) -> None:
    for severity, factor in enumerate(SEVERITIES["contrast"], 1):
        out = corrupt(faces, "contrast", severity).astype(float)
        np.testing.assert_allclose(out.mean((1, 2)), faces.mean((1, 2)), atol=0.5)  # grey values are whole
        np.testing.assert_allclose(out.std((1, 2)), factor * faces.std((1, 2)), rtol=0.02)


@pytest.mark.parametrize("severity", LEVELS)
def test_noise_has_its_size_and_no_bias(severity: int) -> None:
    wanted = 255 * SEVERITIES["noise"][severity - 1]
    added = corrupt(np.full((4, 96, 96), 128, np.uint8), "noise", severity) - 128.0
    # points of the normal distribution at one sigma: clipping at the ends of the range leaves them alone
    np.testing.assert_allclose(np.percentile(added, [15.87, 50, 84.13]), [-wanted, 0, wanted], atol=1 + 0.03 * wanted)


@pytest.mark.parametrize("severity", LEVELS)
def test_rotation_turns_by_its_angle_either_way(severity: int) -> None:
    """The darkest spot, right of the middle, lies where the angle says."""
    size, radius = 65, 20
    y, x = np.mgrid[:size, :size]
    spot = 255 - 255 * np.exp(-((x - 32 - radius) ** 2 + (y - 32) ** 2) / 18)
    out = corrupt(np.repeat(spot.astype(np.uint8)[None], 40, 0), "rotation", severity)
    places = np.array([np.unravel_index(o.argmin(), o.shape) for o in out]) - 32
    angles = np.degrees(np.arctan2(places[:, 0], places[:, 1]))
    np.testing.assert_allclose(np.abs(angles), SEVERITIES["rotation"][severity - 1], atol=3)
    assert set(np.sign(angles)) == {-1, 1}


def test_jpeg_is_what_opencv_writes_and_reads(faces) -> None:
    for severity, quality in enumerate(SEVERITIES["jpeg"], 1):
        wanted = [
            cv2.imdecode(cv2.imencode(".jpg", f, [cv2.IMWRITE_JPEG_QUALITY, quality])[1], cv2.IMREAD_UNCHANGED)
            for f in faces
        ]
        assert (corrupt(faces, "jpeg", severity) == np.stack(wanted)).all()


def test_blur_and_low_resolution_of_a_flat_face_change_nothing_and_lose_detail(faces) -> None:
    flat = np.full((2, 48, 48), 77, np.uint8)
    for kind in ("blur", "low_resolution"):
        assert (corrupt(flat, kind, 5) == flat).all()
        detail = [np.abs(np.diff(corrupt(faces, kind, s).astype(float), axis=2)).mean() for s in LEVELS]
        assert detail == sorted(detail, reverse=True)


def test_blur_agrees_with_a_slow_one() -> None:
    """A point of light spreads as the normal density does."""
    image = np.zeros((1, 49, 49), np.uint8)
    image[0, 24, 24] = 255
    sigma = SEVERITIES["blur"][2] * 49
    y, x = np.mgrid[-24:25, -24:25]
    density = np.exp(-(x**2 + y**2) / (2 * sigma**2))
    np.testing.assert_allclose(corrupt(image, "blur", 3)[0], 255 * density / density.sum(), atol=1.5)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"kind": "fog"}, "kind must be one of blur, .*got 'fog'"),
        ({"severity": 0}, r"severity must be a whole number in 1\.\.5, got 0"),
        ({"severity": 6}, "got 6"),
        ({"severity": 2.5}, "got 2.5"),
        ({"severity": True}, "got True"),
        ({"seed": -1}, "seed must be 0 or more, got -1"),
        ({"images": np.zeros((2, 48, 48))}, r"images must be uint8 \(N, S, S\).*float64"),
        ({"images": np.zeros((2, 48, 40), np.uint8)}, r"\(2, 48, 40\)"),
        ({"images": np.zeros((48, 48), np.uint8)}, r"\(48, 48\)"),
        ({"images": np.zeros((0, 48, 48), np.uint8)}, r"\(0, 48, 48\)"),
    ],
)
def test_wrong_arguments_are_named(arguments, words) -> None:
    good = {"images": np.zeros((1, 48, 48), np.uint8), "kind": "blur", "severity": 1, "seed": 0}
    with pytest.raises(ConfigError, match=words):
        corrupt(**{**good, **arguments})


def test_moderate_corruption_is_each_kind_and_severity_for_equally_many_faces() -> None:
    faces = np.random.default_rng(0).integers(0, 256, (54, 24, 24)).astype(np.uint8)
    out = corrupt_moderately(faces)
    every = [corrupt(faces, kind, severity) for kind in CORRUPTIONS for severity in MODERATE]
    assert len(every) == 27
    np.testing.assert_array_equal(out, corrupt_moderately(faces))
    assert (out != corrupt_moderately(faces, 1)).any()
    assert (out != faces).any(axis=(1, 2)).mean() > 0.9
    blurred = [corrupt(faces, "blur", s) for s in MODERATE]  # blur has no chance in it: such faces can be told
    assert sum((out[i] == r[i]).all() for i in range(54) for r in blurred) == 6
