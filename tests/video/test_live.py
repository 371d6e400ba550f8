"""Sources that do not wait: cameras that hang, streams that break off and come back, and readers that are slower."""

from __future__ import annotations

import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise

import cv2
import numpy as np
import pytest
from onnx_nets import write_net
from video_files import Squares, square, write_av

from mien import Predictor
from mien.errors import DataError
from mien.video import read_frames, reader, reader_av, track_faces
from mien.video.frames import Decoded
from mien.video.opened import BrokeOff, Promise


@pytest.fixture(scope="module")
def predictor(tmp_path_factory):
    return Predictor(write_net(tmp_path_factory.mktemp("nets") / "tiny.onnx"), Squares(), threads=1)


class HangingCamera:
    """Stands for ``cv2.VideoCapture``: gives five pictures, then hangs until it is told to answer."""

    def __init__(self):
        self.count, self.answer, self.released = 0, threading.Event(), threading.Event()

    def isOpened(self):
        return True

    def read(self):
        self.count += 1
        if self.count > 5:
            self.answer.wait(30)
        return True, square(self.count)

    def release(self):
        self.released.set()


def test_a_camera_that_hangs_neither_blocks_the_end_nor_is_kept(predictor, monkeypatch):
    camera = HangingCamera()
    monkeypatch.setattr(cv2, "VideoCapture", lambda number: camera)
    tracked = track_faces(predictor, 0)
    next(tracked)
    while camera.count <= 5:
        time.sleep(0.01)
    started = time.monotonic()
    tracked.close()
    assert time.monotonic() - started < 3
    assert not camera.released.is_set()  # nobody can take it from a driver that does not answer
    camera.answer.set()
    assert camera.released.wait(10)
    assert camera.count == 6  # not asked again


class Sender:
    """Stands for an open live stream: some pictures, then it breaks off or ends."""

    live, rate, note = True, 25.0, ""

    def __init__(self, count, breaks=True, pause=0.0):
        self.count, self.breaks, self.pause, self.closed = count, breaks, pause, False

    def decode(self):
        for i in range(self.count):
            time.sleep(self.pause)
            yield Decoded(i / 25, lambda i=i: square(i))
        if self.breaks:
            raise BrokeOff("no route to host")

    def promise(self):
        return Promise()

    def close(self):
        self.closed = True


def senders(monkeypatch, *given):
    left = list(given)

    def opened(path):
        one = left.pop(0) if left else DataError("connection refused")
        if isinstance(one, Exception):
            raise one
        return one

    monkeypatch.setattr(reader, "_open", opened)
    monkeypatch.setattr(reader, "RETRY", 2.0)
    return given


def test_a_live_stream_that_breaks_off_is_asked_for_again(monkeypatch):
    first, _, second = senders(monkeypatch, Sender(4), DataError("connection refused"), Sender(3, breaks=False))
    found = list(read_frames("rtsp://camera/1"))
    assert [bool(f.error) for f in found] == [False] * 4 + [True] + [False] * 3
    assert "broke off at 0.12 s (no route to host); asking for it again" in found[4].error
    assert [f.number for f in found] == list(range(8))
    assert all(a.time < b.time for a, b in pairwise(found))
    assert 0.5 < found[5].time - found[3].time < 10  # the time that it was away
    assert found[6].time - found[5].time == pytest.approx(1 / 25)
    assert first.closed
    assert second.closed


def test_a_live_stream_that_stays_away_is_given_up(monkeypatch):
    senders(monkeypatch, Sender(4))
    found = list(read_frames("rtsp://camera/1"))
    assert [f.error.split(" (")[0] for f in found[4:]] == [
        "the stream broke off at 0.12 s",
        "the stream did not come back within 2 s",
    ]


def test_of_a_live_stream_the_newest_frame_wins_and_no_loss_is_passed_over(predictor, monkeypatch):
    senders(monkeypatch, Sender(60, pause=0.002), Sender(60, breaks=False, pause=0.002))
    good, lost = [], []
    for tracked in track_faces(predictor, "rtsp://camera/1"):
        (lost if tracked.photo.error else good).append(tracked.frame)
        time.sleep(0.02)  # slower than the sender
    numbers = [f.number for f in good]
    assert numbers == sorted(set(numbers))
    assert len(numbers) < 90
    assert [f.number for f in lost] == [60]
    assert good[-1].number >= 118


def test_a_file_is_read_whole_however_slow_the_reader(predictor, tmp_path):
    pytest.importorskip("av")
    path = write_av(tmp_path / "a.mp4", [square(i) for i in range(20)])
    numbers = []
    for tracked in track_faces(predictor, path):
        numbers.append(tracked.frame.number)
        time.sleep(0.01)
    assert numbers == list(range(20))


@pytest.fixture
def server(tmp_path):
    """An address that sends a stream without an end, falls silent, and the next time sends it and hangs up."""
    write_av(tmp_path / "a.ts", [square(i) for i in range(40)], codec="mpeg4")
    data, silent, asked = (tmp_path / "a.ts").read_bytes(), threading.Event(), []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_response(200)
            self.send_header("Content-Type", "video/mp2t")
            self.end_headers()
            self.wfile.write(data)
            if len(asked) == 1:
                silent.wait(30)

        def log_message(self, *_):
            pass

    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=httpd.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{httpd.server_port}/live"
    silent.set()
    httpd.shutdown()
    httpd.server_close()


def test_a_sender_that_falls_silent_is_noticed(server, monkeypatch):
    pytest.importorskip("av")
    monkeypatch.setattr(reader_av, "PATIENCE", 1.0)
    found = read_frames(server)
    frames = list(found)
    assert found.live
    lost = [f for f in frames if f.error]
    assert "nothing came for 1 s); asking for it again" in lost[0].error
    assert ["asking" in f.error for f in lost] == [True, False]  # what comes at once and ends is a file: not again
    assert sum(not f.error for f in frames) == pytest.approx(80, abs=3)  # those that a codec holds back are lost
    assert all(a.time <= b.time for a, b in pairwise(frames))


def test_an_address_where_nobody_answers_is_a_clear_error():
    with pytest.raises(DataError, match=r"http://127\.0\.0\.1:9/x"):
        list(read_frames("http://127.0.0.1:9/x"))


def test_pixels_alone_and_with_times_are_frames(predictor):
    pictures = [square(i) for i in range(6)]
    alone = list(predictor.predict_video(pictures))
    assert [p.time for p in alone] == pytest.approx([i / 25 for i in range(6)])
    assert {p.outcome for p in alone} == {"faces"}
    assert [p.time for p in predictor.predict_video(np.stack(pictures))] == pytest.approx([i / 25 for i in range(6)])
    timed = list(predictor.predict_video([(0.5 * i, p) for i, p in enumerate(pictures)], fps=1))
    assert [p.time for p in timed] == [0, 1, 2]
    (grey,) = predictor.predict_video([pictures[0][:, :, 0]])
    assert len(grey) == 1
