"""The spec travels whole, and the crop is where it says."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mien.errors import ModelError
from mien.labels import FER2013, FERPLUS, LABEL_SETS, canonical, colour, match, short
from mien.preprocessing import crop_face, crop_matrix, normalise, preprocess
from mien.spec import Crop, ModelSpec

SPEC = ModelSpec(
    "x",
    FER2013.names,
    crop=Crop(1.1, 0.0, -0.02),
    temperature=1.3,
    calibration={"temperature": 1.3, "threshold": 0.08, "n": 3589, "singles_accuracy": None},
    scores={"PublicTest": {"accuracy": 0.5}},
)


def test_round_trip() -> None:
    assert ModelSpec.from_json(SPEC.to_json(), "x.onnx") == SPEC


def test_a_file_from_before_calibration_has_none() -> None:
    old = json.loads(SPEC.to_json())
    del old["calibration"]
    assert ModelSpec.from_json(json.dumps(old), "x.onnx").calibration == {}


@pytest.mark.parametrize("text", ["", "{", "[]", '{"name": "x"}', json.dumps({"name": "x", "labels": [], "new": 1})])
def test_what_is_no_spec_is_named(text: str) -> None:
    with pytest.raises(ModelError, match=r"x\.onnx"):
        ModelSpec.from_json(text, "x.onnx")


def test_normalise_is_the_same_for_every_kind_of_number() -> None:
    spec = ModelSpec("x", ("a",), mean=0.4, std=0.2)
    images = np.arange(256, dtype=np.float32)
    np.testing.assert_allclose(normalise(images, spec), (images / 255 - 0.4) / 0.2, atol=1e-5)
    assert normalise(102.0, spec) == pytest.approx(0)


def test_a_box_of_the_networks_size_is_cut_out_pixel_for_pixel() -> None:
    image = np.random.default_rng(0).integers(0, 256, (100, 120)).astype(np.uint8)
    spec = ModelSpec("x", ("a",), crop=Crop(1.0, 0.0, 0.0))
    np.testing.assert_array_equal(crop_face(image, (30, 20, 78, 68), spec), image[20:68, 30:78])
    assert preprocess(image, (30, 20, 78, 68), spec).shape == (1, 1, 48, 48)


def test_colour_is_bgr_and_large_faces_are_averaged() -> None:
    blue = np.zeros((60, 60, 3), np.uint8)
    blue[..., 0] = 255
    spec = ModelSpec("x", ("a",), crop=Crop())
    assert np.all(crop_face(blue, (0, 0, 60, 60), spec) == cv2.cvtColor(blue, cv2.COLOR_BGR2GRAY)[0, 0])
    stripes = np.zeros((480, 480), np.uint8)
    stripes[:, ::2] = 200
    face = crop_face(stripes, (0, 0, 480, 480), spec)
    assert np.abs(face[4:-4, 4:-4].astype(int) - 100).max() <= 6  # one-pixel stripes: sampling alone would alias


@given(
    st.floats(-500, 500),
    st.floats(-500, 500),
    st.floats(1, 400),
    st.floats(1, 400),
    st.floats(0.5, 2),
    st.floats(-1, 1),
)
def test_the_box_centre_lands_where_the_crop_says(
    left: float, top: float, width: float, height: float, scale: float, shift: float
) -> None:
    spec = ModelSpec("x", ("a",), crop=Crop(scale, shift, 0.0))
    matrix = crop_matrix((left, top, left + width, top + height), spec)
    centre = matrix @ [left + width / 2 + shift * width - 0.5, top + height / 2 - 0.5, 1]
    np.testing.assert_allclose(centre, [23.5, 23.5], atol=1e-6)
    assert matrix[0, 0] == pytest.approx(48 / (scale * (width * height) ** 0.5))


def test_an_empty_box_is_refused() -> None:
    with pytest.raises(ModelError, match="left < right"):
        crop_matrix((10, 10, 10, 20), SPEC)


def test_labels() -> None:
    assert FER2013.names == ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
    assert set(FERPLUS.names) - set(FER2013.names) == {"contempt"}
    assert set(LABEL_SETS) == {"fer2013", "ferplus"}
    assert [canonical(w) for w in ("Joy", " HAPPINESS ", "Af", "no_emotion", "Bored")] == [
        *("happy", "happy", "fear", "neutral", "Bored")
    ]
    assert match(["Anger", "joy", "other"]) == ("angry", "happy", "other")
    assert match(["joy", "happy"]) == ("joy", "happy")  # two words for one expression stay apart
    assert (short("surprise"), short("bored")) == ("sur", "bor")
    colours = [colour(n) for n in FERPLUS.names]
    assert len(set(colours)) == 8
    assert colour("bored").startswith("#")
