"""Tilted heads: by how much they are tilted, the crop that stands upright, and where it lies in the photo."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx_nets import write_net

from mien import Predictor
from mien.faces import Detection
from mien.preprocessing import crop_face, extent, to_crop, to_photo
from mien.runtime import CenterFace
from mien.runtime.upright import TURNED_FROM, tilt, turned_by_landmarks
from mien.runtime.views import steady
from mien.spec import Crop, ModelSpec

ASTRONAUT = cv2.imread(str(Path(__file__).parents[2] / "examples" / "astronaut.jpg"))
FRONT = np.array([[-30, 0], [30, 0], [0, 33], [-24, 59], [24, 59]], np.float32)
SPEC = ModelSpec("x", ("a", "b"), crop=Crop(1.1, 0.02, -0.05))


def turned(image, degrees, centre=(226, 117)):
    matrix = cv2.getRotationMatrix2D(centre, -degrees, 1)  # OpenCV counts anti-clockwise
    out = cv2.warpAffine(image, matrix, image.shape[1::-1], borderMode=cv2.BORDER_REPLICATE)
    return out, matrix


@settings(max_examples=50, deadline=None)
@given(st.floats(-179, 179), st.floats(0.2, 9), st.floats(-500, 500))
def test_tilt_is_the_turn_of_the_landmarks(degrees, scale, shift):
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    points = scale * FRONT @ np.array([[c, s], [-s, c]], np.float32) + shift
    assert tilt(points.astype(np.float32)) == pytest.approx(degrees, abs=0.5)


@settings(max_examples=50, deadline=None)
@given(st.floats(-180, 180), st.floats(-50, 200), st.floats(5, 300), st.floats(5, 300))
def test_points_go_to_the_crop_and_back(turn, left, width, height):
    box = (left, 30.0, left + width, 30.0 + height)
    points = np.array([[0, 0], [48, 0], [48, 48], [0, 48], [20, 31]], np.float32)
    there = to_photo(points, box, SPEC, turn)
    np.testing.assert_allclose(to_crop(there, box, SPEC, turn), points, atol=0.02)
    side = np.linalg.norm(there[1] - there[0])
    across, down = there[1] - there[0], there[3] - there[0]
    assert np.degrees(np.arctan2(across[1], across[0])) == pytest.approx((turn + 180) % 360 - 180, abs=0.5) or abs(
        turn
    ) == pytest.approx(180, abs=0.5)
    assert across @ down == pytest.approx(0, abs=float(side) ** 2 * 1e-3)


def test_what_processors_sum_in_another_order_gives_the_same_box_and_turn():
    boxes = [(10.1301, 20.4899, 60.7, 80.2499), (10.1297, 20.4903, 60.7004, 80.2502)]
    first, second = (steady(Detection(box, 0.9, turn=turn)) for box, turn in zip(boxes, (30.2, 30.2004), strict=True))
    assert first.box == second.box == (10.25, 20.5, 60.75, 80.25)
    assert first.turn == second.turn == 30.0


def test_the_extent_of_a_turned_face_keeps_its_area():
    assert extent(30, 40, 0) == pytest.approx((30, 40))
    assert extent(30, 40, 90) == extent(30, 40, -90) == pytest.approx((40, 30))
    assert extent(30, 40, 180) == pytest.approx((30, 40))
    assert extent(30, 40, 45) == pytest.approx((1200**0.5, 1200**0.5))


def test_a_crop_of_a_turned_photo_is_the_crop_of_the_photo():
    box = (180.0, 58.0, 271.0, 176.0)
    straight = crop_face(ASTRONAUT, box, SPEC).astype(int)
    for degrees in (-150, -60, 40, 90, 180):
        photo, matrix = turned(ASTRONAUT, degrees)
        x, y = matrix @ (225, 116.5, 1) + 0.5  # the matrix speaks of pixel centres
        wide, high = (v / 2 for v in extent(91, 118, degrees))
        crop = crop_face(photo, (x - wide, y - high, x + wide, y + high), SPEC, degrees).astype(int)
        assert np.abs(crop - straight)[6:-6, 6:-6].mean() < 6  # of 255


@pytest.fixture(scope="module")
def predictor(tmp_path_factory):
    net = write_net(tmp_path_factory.mktemp("nets") / "tiny.onnx")
    return Predictor(net, CenterFace(threads=1, size=320), threads=1)


@pytest.mark.parametrize("degrees", [-135, -90, -50, 50, 90, 150, 180])
def test_a_tilted_face_is_found_cropped_upright_and_said_to_be_turned(predictor, degrees):
    (upright,) = predictor.predict(ASTRONAUT)
    photo, matrix = turned(ASTRONAUT, degrees)
    face = max(predictor.predict(photo), key=lambda f: f.score)
    assert upright.turn == 0
    assert (face.turn - degrees + 180) % 360 - 180 == pytest.approx(0, abs=12)
    moved = upright.landmarks @ matrix[:, :2].T + matrix[:, 2]
    assert np.abs(face.landmarks - moved).max() < 12  # each eye where it is, not the other's place
    top_left = matrix @ (*upright.corners[0], 1)
    assert np.abs(face.corners[0] - top_left).max() < 30  # of a square of 115
    same = np.corrcoef(face.crop.ravel(), upright.crop.ravel())[0, 1]
    assert same > 0.75
    assert face.usable
    assert 0 <= face.box[0] < face.box[2] <= 512
    assert face.to_dict()["turn"] == round(face.turn, 1)


@pytest.mark.parametrize("degrees", [-15, 0, 15])
def test_a_head_that_is_tilted_little_keeps_its_box_and_crop(predictor, degrees):
    photo, _ = turned(ASTRONAUT, degrees)
    (face,) = predictor.predict(photo)
    assert face.turn == 0
    np.testing.assert_array_equal(face.crop, crop_face(photo, face.box, predictor.spec))


class Marked:
    """A detector of the user's own: a box and landmarks that are turned."""

    def __init__(self, degrees):
        c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
        self.points = (FRONT @ np.array([[c, s], [-s, c]], np.float32) + 150).astype(np.float32)

    def detect(self, image):
        return [Detection((100.0, 100.0, 200.0, 210.0), 0.9, self.points)]


def test_another_detector_s_faces_are_turned_by_their_landmarks_as_far_as_these_can_be_trusted(predictor):
    noise = np.random.default_rng(0).integers(0, 256, (300, 300, 3)).astype(np.uint8)

    def face(degrees):
        return Predictor(predictor._classifier.path, Marked(degrees), threads=1).predict(noise)[0]

    assert face(TURNED_FROM - 3).turn == 0
    assert face(50).turn == pytest.approx(50, abs=0.5)
    assert face(50).usable
    assert face(150).turn == 0
    assert not face(150).usable
    assert turned_by_landmarks(Detection((0, 0, 9, 9), 1.0)).turn == 0
