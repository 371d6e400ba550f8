"""``Predictor.predict_video``: faces followed and smoothed, windows, threads that end, errors that lose nothing."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from onnx_nets import write_net
from video_files import Squares, square, write_cv

from mien import Predictor
from mien.errors import ConfigError, DataError
from mien.images import read_image
from mien.runtime import CenterFace
from mien.runtime.quality import measure
from mien.video import FaceStream, Frame, Tracker, iou, track_faces
from mien.video.search import Searcher
from mien.visualization.video_overlay import mark

ASTRONAUT = Path(__file__).parents[2] / "examples" / "astronaut.jpg"


@pytest.fixture(scope="module")
def net(tmp_path_factory):
    return write_net(tmp_path_factory.mktemp("nets") / "tiny.onnx")


@pytest.fixture
def predictor(net):
    return Predictor(net, Squares(), threads=1)


def stream(count, hidden=(), rate=30.0):
    for i in range(count):
        picture = np.full((120, 160, 3), 30, np.uint8) if i in hidden else square(i)
        yield Frame(i, i / rate, picture)


def settled(before):
    """Whether the threads that were started since have ended."""
    deadline = time.monotonic() + 5
    while threading.active_count() > before and time.monotonic() < deadline:
        time.sleep(0.01)
    return threading.active_count() <= before


def test_each_frame_gives_a_photo_with_time_and_followed_faces(predictor, tmp_path):
    path = write_cv(tmp_path / "a.avi", [square(i) for i in range(20)], rate=20)
    photos = list(predictor.predict_video(path))
    assert [p.time for p in photos] == pytest.approx([i / 20 for i in range(20)], abs=1e-3)
    assert {(p.source, p.width, p.height, p.outcome, len(p)) for p in photos} == {(str(path), 160, 120, "faces", 1)}
    assert {f.track for p in photos for f in p} == {1}
    assert all(f.time == p.time for p in photos for f in p)
    assert photos[3].to_dict()["faces"][0]["track"] == 1


def test_a_hidden_face_is_no_face_and_keeps_its_number_when_it_comes_back(predictor):
    photos = list(predictor.predict_video(stream(40, hidden=range(10, 22))))
    assert [p.outcome for p in photos] == ["faces"] * 10 + ["no face"] * 12 + ["faces"] * 18
    assert {f.track for p in photos for f in p} == {1}


def test_frames_pushed_one_by_one_give_what_a_source_gives(predictor):
    frames = [*stream(12, hidden=(5, 6)), Frame(12, 0.4, error="frame 12 is broken")]
    pushed = FaceStream(predictor)
    for frame, photo in zip(frames, predictor.predict_video(frames), strict=True):
        ours = pushed.push(frame)
        assert ours.frame is frame
        assert ours.photo.to_dict() == photo.to_dict()
        assert len(ours.raw) == len(photo)


def test_without_smoothing_each_frame_is_what_predict_says(predictor):
    pictures = [square(i) for i in range(9)]
    photos = predictor.predict_video([Frame(i, i / 30, p) for i, p in enumerate(pictures)], smooth=0)
    for photo, picture in zip(photos, pictures, strict=True):
        (face,), (alone,) = photo, predictor.predict(picture)
        assert face.probabilities == pytest.approx(alone.probabilities, abs=1e-6)
        assert (face.label, face.prediction_set, face.box) == (alone.label, alone.prediction_set, alone.box)


def test_smoothed_answers_are_calmer_and_the_raw_ones_stay(predictor):
    rng = np.random.default_rng(0)
    noisy = [np.maximum(square(0), rng.integers(0, 90, (120, 160, 3))).astype(np.uint8) for _ in range(40)]
    for picture in noisy:
        picture[30:70, 10:50] = rng.integers(110, 255, (40, 40, 1))
    seen = list(track_faces(predictor, [Frame(i, i / 30, p) for i, p in enumerate(noisy)], smooth=0.5))
    raw = np.array([list(s.raw[0].probabilities.values()) for s in seen])
    smooth = np.array([list(s.photo[0].probabilities.values()) for s in seen])
    assert np.abs(np.diff(smooth[5:], axis=0)).mean() < 0.3 * np.abs(np.diff(raw[5:], axis=0)).mean()
    for s, row in zip(seen, smooth, strict=True):
        face = s.photo[0]
        assert face.label == predictor.spec.labels[int(row.argmax())] == face.prediction_set[0]
        assert face.confidence == pytest.approx(row.max())
        assert s.raw[0].box == face.box


def test_a_face_that_is_not_usable_leaves_the_mean_alone(predictor, monkeypatch):
    calls = []

    def measured(*given):
        calls.append(given)
        return replace(measure(*given), problems=("spoilt",) if len(calls) == 7 else ())

    monkeypatch.setattr("mien.runtime.predictor.measure", measured)
    rng = np.random.default_rng(0)
    frames = [replace(f, pixels=np.where(f.pixels > 99, rng.integers(110, 255, (120, 160, 1)), 30)) for f in stream(12)]
    photos = list(predictor.predict_video([replace(f, pixels=f.pixels.astype(np.uint8)) for f in frames]))
    assert [p.outcome for p in photos] == ["faces"] * 6 + ["unusable"] + ["faces"] * 5
    assert photos[6][0].probabilities == photos[5][0].probabilities
    assert photos[7][0].probabilities != photos[5][0].probabilities


def test_broken_frames_are_photos_with_an_error_and_the_others_go_on(predictor):
    frames = [*stream(5), Frame(5, 5 / 30, error="frame 5 is broken", missing=1), Frame(6, 0.2, square(6))]
    photos = list(predictor.predict_video(frames))
    assert [p.outcome for p in photos] == ["faces"] * 5 + ["unreadable", "faces"]
    assert photos[5].error == "frame 5 is broken"
    assert photos[6][0].track == 1


def test_what_was_read_before_an_error_is_given_first(predictor):
    def failing():
        yield from stream(6)
        raise DataError("the cable was pulled")

    photos, before = predictor.predict_video(failing()), threading.active_count()
    got = []
    with pytest.raises(DataError, match="cable"):
        got.extend(photos)
    assert len(got) == 6
    assert settled(before)


def test_reading_stays_a_few_frames_ahead_and_ends_with_the_generator(predictor):
    read, closed = [], []

    def endless():
        try:
            for frame in stream(10**9):
                read.append(frame.number)
                yield frame
        finally:
            closed.append(True)

    before = threading.active_count()
    photos = predictor.predict_video(endless())
    assert threading.active_count() == before  # nothing runs until somebody asks
    for _ in range(10):
        next(photos)
    time.sleep(0.3)
    assert len(read) < 10 + 20
    photos.close()
    assert settled(before)
    assert closed == [True]


def test_sampled_frames_only_are_searched(net):
    detector = Squares()
    photos = list(Predictor(net, detector, threads=1).predict_video(stream(30), every=10))
    assert [p.time for p in photos] == pytest.approx([0, 1 / 3, 2 / 3])
    assert detector.calls == 3


def test_arguments_are_checked_at_once(predictor, tmp_path):
    with pytest.raises(DataError, match="no such file"):
        predictor.predict_video(tmp_path / "none.mp4")
    for given, words in (({"look": -1}, "look"), ({"smooth": -1}, "smooth"), ({"fps": 1, "every": 1}, "exclude")):
        with pytest.raises(ConfigError, match=words):
            predictor.predict_video(stream(1), **given)


def test_a_live_camera_is_never_behind(predictor, monkeypatch):
    class Camera:
        count = 0

        def isOpened(self):
            return True

        def read(self):
            self.count += 1
            time.sleep(0.002)
            return (True, square(self.count)) if self.count <= 60 else (False, None)

        def release(self):
            pass

    monkeypatch.setattr(cv2, "VideoCapture", lambda number: Camera())
    numbers, errors = [], []
    for seen in track_faces(predictor, 0):
        (errors if seen.photo.error else numbers).append(seen.frame.number)
        time.sleep(0.02)  # slower than the camera
    assert numbers == sorted(set(numbers))
    assert len(numbers) < 40  # some were passed over
    assert len(errors) == 1


@pytest.fixture(scope="module")
def moving():
    """The astronaut's face over grey: nobody for 0.3 s, then it is there and moves."""
    photo = read_image(ASTRONAUT, colour=True)[0:300, 120:420]
    out = []
    for i in range(18):
        picture = np.full((320, 420, 3), 120, np.uint8)
        if i >= 5:
            picture[10:310, 4 * i : 4 * i + 300] = photo
        out.append(Frame(i, i / 15, picture))
    return out


class Counting(CenterFace):
    """Counts its looks at pictures of each width."""

    def detect(self, image):
        self.__dict__.setdefault("seen", []).append(image.shape[1])
        return super().detect(image)


def test_a_detector_of_another_size_shares_the_opened_network():
    detector = CenterFace(size=320, threads=1)
    other = detector.at_size(128)
    assert (detector.size, other.size, other.threshold) == (320, 128, detector.threshold)
    assert other._session is detector._session


def test_windows_find_the_same_faces_with_fewer_looks_at_the_whole_picture(net, moving):
    detector = Counting(size=320, threads=1)
    predictor = Predictor(net, detector, threads=1)
    whole = list(predictor.predict_video(moving, look=0))
    assert detector.seen == [420] * 18
    detector.seen.clear()
    windows = list(predictor.predict_video(moving, look=0.4))
    assert detector.seen.count(420) <= 8
    first = next(i for i, p in enumerate(whole) if len(p))
    noticed = next(i for i, p in enumerate(windows) if len(p))
    assert moving[noticed].time - moving[first].time <= 0.4
    for a, b in zip(whole[noticed:], windows[noticed:], strict=True):
        assert len(a) == len(b) == 1
        assert iou(a[0].box, b[0].box) > 0.7
        assert b[0].landmarks is not None
        assert np.abs(a[0].landmarks - b[0].landmarks).max() < 12
    assert {f.track for p in windows for f in p} == {1}


class Sighted(Squares):
    """Finds squares of 20 pixels and more at its own size; notes the sizes at which it looked at whole pictures."""

    def __init__(self, size=640, seen=None):
        super().__init__()
        self.size, self.seen = size, [] if seen is None else seen

    def at_size(self, size):
        return Sighted(size, self.seen)

    def detect(self, image):
        if image.shape[1] == 640:
            self.seen.append(self.size)
        ratio = self.size / max(image.shape[:2])
        return [d for d in super().detect(image) if (d.box[2] - d.box[0]) * ratio >= 20]


@pytest.mark.parametrize(("side", "within"), [(60, 0.2), (30, 1.0)])
def test_four_looks_of_five_are_at_fewer_pixels_and_small_faces_wait_for_the_fifth(side, within):
    detector, tracker = Sighted(), Tracker()
    search, first = Searcher(detector.detect, detector, tracker), None
    for i in range(60):
        picture = np.full((480, 640, 3), 30, np.uint8)
        picture[100:180, 100:180] = 200  # somebody who is there all the time
        if i >= 1:
            picture[300 : 300 + side, 400 : 400 + side] = 200
        found = search(picture, i / 30)
        tracker.update(i / 30, [d.box for d in found], [d.score for d in found])
        assert any(iou(d.box, (100, 100, 180, 180)) > 0.9 for d in found)
        if first is None and len(found) == 2:
            first = i / 30
    assert len(found) == 2
    assert first == pytest.approx(within, abs=0.001)
    assert detector.seen == [640, *[320] * 4, 640, *[320] * 4]


def test_a_face_that_leaves_its_window_is_looked_for_in_the_whole_picture(net, moving):
    frames = moving[8:12]
    far = np.full((320, 420, 3), 120, np.uint8)
    far[60:210, 270:420] = cv2.resize(read_image(ASTRONAUT, colour=True)[0:300, 120:420], (150, 150))
    frames = [*frames, Frame(12, 12 / 15, far)]
    detector = Counting(size=320, threads=1)
    photos = list(Predictor(net, detector, threads=1).predict_video(frames, look=10))
    assert len(photos[-1]) == 1
    assert detector.seen.count(420) == 2  # the first frame, and the one where it was gone


def test_marks_are_drawn_on_a_copy(predictor):
    picture = square(0)
    (photo,) = predictor.predict_video([Frame(0, 0.0, picture)])
    before = picture.copy()
    marked = mark(picture, photo.faces)
    assert (picture == before).all()
    assert marked.shape == picture.shape
    assert (marked != picture).any(axis=2).sum() > 300


def test_a_head_that_tilts_over_in_a_video_is_followed_and_cropped_upright(net):
    photo, frames = read_image(ASTRONAUT, colour=True)[0:300, 80:380], []
    for i, degrees in enumerate((0, 30, 60, 90, 90, 60, 30, 0)):
        matrix = cv2.getRotationMatrix2D((146, 117), -degrees, 1)  # around the face
        frames.append(Frame(i, i / 5, cv2.warpAffine(photo, matrix, (300, 300), borderMode=cv2.BORDER_REPLICATE)))
    predictor = Predictor(net, CenterFace(size=320, threads=1), threads=1)
    faces = [photo[0] for photo in predictor.predict_video(frames, look=0.3) if len(photo) == 1]
    assert len(faces) == len(frames)
    assert {f.track for f in faces} == {1}
    for face, degrees in zip(faces, (0, 30, 60, 90, 90, 60, 30, 0), strict=True):
        assert abs(face.turn - degrees) < 12 or (degrees == 30 and face.turn == 0)
