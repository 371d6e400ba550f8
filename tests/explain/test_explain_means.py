"""One face as a record, and means per class that are the means of single faces."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from mien.errors import ConfigError
from mien.explain import explain_face, mean_maps, occlusion
from mien.runtime.attention_window import laid_back, warped, window

LABELS = ("left", "right", "nobody")
THETA = np.array([[0.8, 0.1, 0.1], [-0.1, 0.8, -0.1]], np.float32)


@dataclass(frozen=True)
class Said:
    probabilities: np.ndarray
    theta: np.ndarray | None = None
    attention: np.ndarray | None = None


def answer(faces):
    """Left or right, by the brighter half; looks at a fixed window, attends where the face is bright."""
    left, right = faces[:, :, :8].mean(axis=(1, 2)), faces[:, :, 8:].mean(axis=(1, 2))
    p = np.stack([left, right, np.full(len(faces), 1.0)], axis=1) + 1
    attention = faces.reshape(-1, 4, 4, 4, 4).mean(axis=(2, 4)) + 1
    return Said(
        p / p.sum(1, keepdims=True),
        np.tile(THETA, (len(faces), 1, 1)),
        attention / attention.sum((1, 2), keepdims=True),
    )


def plain(faces):
    return Said(answer(faces).probabilities)


def faces(n=9, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (n, 16, 16)).astype(np.uint8)


def test_an_explanation_holds_what_its_parts_say():
    crop = faces(1)[0]
    e = explain_face(answer, crop, LABELS, size=4, stride=2)
    said = answer(crop[None])
    assert e.label == LABELS[said.probabilities[0].argmax()]
    np.testing.assert_array_equal(e.window, window(THETA, 16))
    np.testing.assert_array_equal(e.view, warped(crop, THETA))
    np.testing.assert_allclose(e.maps["occlusion"], occlusion(lambda b: answer(b).probabilities, crop, 4, 2))
    np.testing.assert_allclose(e.maps["attention"], laid_back(said.attention[0] * 16, THETA, 16), rtol=1e-6)
    assert e.faithfulness is None


def test_arrays_have_the_documented_keys_and_survive_the_disk(tmp_path):
    e = explain_face(
        answer,
        faces(1)[0],
        LABELS,
        methods=("window", "attention", "occlusion", "gradcam"),
        size=4,
        stride=2,
        gradcam=lambda batch, targets: np.full((len(batch), 2, 2), 3.0, np.float32),
        landmarks=np.zeros((5, 2), np.float32),
        orders=2,
    )
    np.savez(tmp_path / "e.npz", **e.arrays())
    with np.load(tmp_path / "e.npz", allow_pickle=False) as found:
        assert set(found) == {
            *("crop", "labels", "probabilities", "target", "theta", "window", "view", "landmarks"),
            *("attention", "occlusion", "gradcam", "raw_attention", "raw_gradcam", "shares"),
            *(
                f"{kind}_{name}"
                for kind in ("deletion", "insertion")
                for name in ("attention", "occlusion", "gradcam", "centre")
            ),
            *("deletion_random", "insertion_random"),
        }
        assert found["deletion_random"].shape == (2, len(found["shares"]))
        assert tuple(found["labels"]) == LABELS
        assert found["gradcam"].max() == 1
        assert found["raw_gradcam"].max() == 3


def test_only_what_is_asked_for_and_there_is_given():
    crop = faces(1)[0]
    assert set(explain_face(answer, crop, LABELS, methods=["attention"]).maps) == {"attention"}
    bare = explain_face(plain, crop, LABELS, methods=("window", "attention"), orders=3)
    assert bare.maps == {}
    assert (bare.window, bare.view, bare.theta, bare.faithfulness) == (None, None, None, None)
    assert set(bare.arrays()) == {"crop", "labels", "probabilities", "target"}
    with pytest.raises(ConfigError, match=r"methods.*lime"):
        explain_face(answer, crop, LABELS, methods=["lime"])


def test_a_named_class_is_explained_against_the_answer():
    crop = faces(1)[0]
    e = explain_face(answer, crop, LABELS, target=2, size=4, stride=2)
    assert e.label == "nobody"
    np.testing.assert_allclose(e.maps["occlusion"], occlusion(lambda b: answer(b).probabilities, crop, 4, 2, target=2))


def test_means_are_those_of_the_single_faces():
    images, targets = faces(150), np.random.default_rng(1).integers(0, 2, 150)
    steps = []
    means = mean_maps(answer, images, targets, LABELS, size=4, stride=4, on_faces=lambda *now: steps.append(now))
    assert steps == [(64, 150), (128, 150), (150, 150)]
    own = images[targets == 1]
    singles = [explain_face(answer, crop, LABELS, target=1, size=4, stride=4) for crop in own]
    np.testing.assert_allclose(means.face[1], own.mean(0), rtol=1e-5)
    for name in ("occlusion", "attention"):
        expected = np.mean([e.maps[name] for e in singles], axis=0)
        np.testing.assert_allclose(getattr(means, name)[1], expected, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(means.window[1], window(THETA, 16), rtol=1e-5)
    assert means.recall[1] == pytest.approx((answer(own).probabilities.argmax(1) == 1).mean())
    assert means.n.tolist() == [150 - len(own), len(own), 0]


def test_a_class_without_faces_is_nan_and_a_net_without_parts_has_no_maps():
    means = mean_maps(plain, faces(3), np.array([0, 0, 1]), LABELS, occlude=False)
    assert np.isnan(means.face[2]).all()
    assert np.isnan(means.recall[2])
    assert (means.occlusion, means.attention, means.window) == (None, None, None)
    assert set(means.arrays()) == {"labels", "n", "recall", "face"}


@pytest.mark.parametrize("targets", [[0, 1], [0, 1, 3], [0, -1, 1]])
def test_targets_that_do_not_fit_are_named(targets):
    with pytest.raises(ConfigError, match="targets"):
        mean_maps(plain, faces(3), np.array(targets), LABELS)
    with pytest.raises(ConfigError, match="targets"):
        mean_maps(plain, faces(0), np.array([], np.int64), LABELS)
