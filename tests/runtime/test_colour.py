"""A network in colour, from a photo to its answer, its explanation and its pictures."""

from __future__ import annotations

import base64
from dataclasses import replace

import cv2
import numpy as np
import pytest
from onnx_nets import write_net

from mien import Predictor
from mien.errors import DataError
from mien.explain.photos import explain_photo
from mien.labels import FER2013
from mien.reporting.card import model_card
from mien.runtime import Classifier
from mien.spec import ModelSpec
from mien.visualization.explanation_figure import draw_explanation
from mien.visualization.face_card import draw_face_card
from mien.web.pictures import _draw

SPEC = ModelSpec(
    "tinted", FER2013.names, size=24, channels=3, mean=(0.5, 0.4, 0.3), std=(0.2, 0.25, 0.3), model={"name": "tinted"}
)


@pytest.fixture(scope="module")
def predictor(tmp_path_factory) -> Predictor:
    return Predictor(write_net(tmp_path_factory.mktemp("nets") / "tinted.onnx", SPEC), "none")


@pytest.fixture(scope="module")
def photo() -> np.ndarray:
    """A smooth picture with more red than blue, BGR."""
    y, x = np.mgrid[0:60, 0:60]
    return np.stack([x, x + y, 100 + x + y / 2], 2).astype(np.uint8)


def test_a_photo_is_cropped_in_rgb_and_answered(predictor, photo):
    (face,) = predictor.predict(photo)
    assert face.crop.shape == (24, 24, 3)
    assert (face.crop[..., 0].astype(int) > face.crop[..., 2]).all()
    assert face.probabilities == pytest.approx(
        dict(zip(SPEC.labels, predictor.predict_crops(face.crop[None])[0].tolist(), strict=True)), abs=1e-6
    )
    assert face.probabilities != pytest.approx(
        dict(zip(SPEC.labels, predictor.predict_crops(face.crop[None, ..., ::-1])[0].tolist(), strict=True)), abs=1e-3
    )
    with pytest.raises(DataError, match=r"uint8 \(N, 24, 24, 3\)"):
        predictor.predict_crops(face.crop[None, ..., 0])
    assert predictor.predict(np.zeros((2, 2, 3), np.uint8)).error == ""


def test_the_picture_is_judged_as_for_a_network_in_grey(predictor, photo, tmp_path):
    grey = Predictor(write_net(tmp_path / "grey.onnx", replace(SPEC, channels=1, mean=0.5, std=0.2)), "none")
    (one,), (other,) = predictor.predict(photo), grey.predict(photo)
    assert one.quality.brightness == pytest.approx(other.quality.brightness, abs=1)
    assert one.quality.contrast == pytest.approx(other.quality.contrast, abs=1)


def test_a_face_in_colour_is_explained_and_drawn(predictor, photo):
    classifier = Classifier(predictor.model_path)
    (found,) = explain_photo(photo, classifier, SPEC, predictor.detector, orders=2)
    assert found.maps["occlusion"].shape == found.view.shape == (24, 24)
    assert draw_explanation(found).shape[2] == 3
    result = predictor.predict(photo)
    assert draw_face_card(1, result[0], SPEC, predictor.predict_crops).shape[2] == 3
    entry = {"faces": [{}]}
    _draw(result, entry, predictor)
    data = base64.b64decode(entry["faces"][0]["crop"].split(",")[1])
    assert (cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)[..., ::-1] == result[0].crop).all()
    assert "24 x 24 pixels, RGB, mean 0.5000, 0.4000, 0.3000" in model_card(SPEC)
