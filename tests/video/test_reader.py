"""Reading frames: their times, sampling, and what happens to files that are broken, cut short or no video."""

from __future__ import annotations

from itertools import pairwise

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from video_files import square, write_av, write_cv

from mien.errors import ConfigError, DataError
from mien.video import Frame, length, read_frames
from mien.video import reader as frames
from mien.video.camera import other_cameras
from mien.video.frames import sampler

PICTURES = [square(i) for i in range(36)]


@pytest.fixture
def without_av(monkeypatch):
    monkeypatch.setattr(frames, "_has_av", lambda: False)


def av_file(folder, name="a.mp4", **given):
    pytest.importorskip("av")
    return write_av(folder / name, PICTURES, **given)


def test_every_frame_with_its_number_time_and_pixels(tmp_path):
    found = list(read_frames(av_file(tmp_path)))
    assert [f.number for f in found] == list(range(36))
    assert [f.time for f in found] == pytest.approx([i / 30 for i in range(36)], abs=1e-4)
    assert all(np.abs(f.pixels.astype(int) - p).mean() < 8 for f, p in zip(found, PICTURES, strict=True))
    assert not any(f.error for f in found)
    assert length(tmp_path / "a.mp4") == pytest.approx(1.2, abs=0.01)


@pytest.mark.parametrize("name", ["v.mp4", "v.mkv"])
def test_times_of_a_variable_frame_rate_come_from_the_container(tmp_path, name):
    times = np.cumsum([0.0, 0.05, 0.4, 0.02, 0.033, 1.5, 0.1, 0.1]).tolist()
    pytest.importorskip("av")
    path = write_av(tmp_path / name, PICTURES[:8], times)
    assert [f.time for f in read_frames(path)] == pytest.approx(times, abs=0.002)


def test_without_pyav_opencv_reads_with_the_same_times(tmp_path, without_av):
    path = write_cv(tmp_path / "a.avi", PICTURES[:20], rate=20)
    found = list(read_frames(path))
    assert [f.time for f in found] == pytest.approx([i / 20 for i in range(20)], abs=1e-3)
    assert [f.number for f in found] == list(range(20))
    assert length(path) == pytest.approx(1.0)


def test_both_readers_agree_on_a_variable_frame_rate(tmp_path, monkeypatch):
    pytest.importorskip("av")
    path = write_av(tmp_path / "v.mp4", PICTURES[:6], [0.0, 0.1, 0.5, 0.6, 1.4, 1.5])
    ours = list(read_frames(path))
    monkeypatch.setattr(frames, "_has_av", lambda: False)
    theirs = [f for f in read_frames(path) if not f.error]
    assert [f.time for f in theirs] == pytest.approx([f.time for f in ours], abs=0.005)
    assert all(np.abs(a.pixels.astype(int) - b.pixels).mean() < 4 for a, b in zip(ours, theirs, strict=True))


def packets(path):
    import av

    with av.open(str(path)) as container:
        return [(p.pos, p.size) for p in container.demux(video=0) if p.size]


@pytest.mark.parametrize("with_av", [True, False])
def test_a_frame_lasts_until_the_next_one_that_is_looked_at_or_to_the_end(tmp_path, monkeypatch, with_av):
    if with_av:
        pytest.importorskip("av")
    monkeypatch.setattr(frames, "_has_av", lambda: with_av)
    path = write_cv(tmp_path / "clip.avi", [square(i) for i in range(9)], rate=20)
    assert [f.duration for f in read_frames(path)] == pytest.approx([0.05] * 9)
    assert [f.duration for f in read_frames(path, every=4)] == pytest.approx([0.2, 0.2, 0.05])
    assert [f.duration for f in read_frames(path, every=5)] == pytest.approx([0.25, 0.2])
    pixels = [(t, square(0)) for t in (0.0, 0.1, 0.4)]
    assert [f.duration for f in read_frames(pixels)] == pytest.approx([0.1, 0.3, 0.04])


def test_a_broken_packet_is_named_and_the_others_are_read(tmp_path):
    path = av_file(tmp_path)
    pos, size = packets(path)[15]
    data = bytearray(path.read_bytes())
    data[pos : pos + size] = bytes(size)
    path.write_bytes(data)
    found = list(read_frames(path))
    bad = [f for f in found if f.error]
    assert len(bad) == 1
    assert "is broken" in bad[0].error
    assert bad[0].pixels is None
    assert sum(f.pixels is not None for f in found) == 35
    assert len({f.number for f in found}) == len(found)


def test_a_file_cut_short_gives_what_is_there_and_says_what_is_missing(tmp_path):
    pictures = [square(i) for i in range(90)]
    pytest.importorskip("av")
    path = write_av(tmp_path / "f.mp4", pictures, options={"movflags": "faststart"})
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    found = list(read_frames(path))
    good = [f for f in found if not f.error]
    assert 10 < len(good) < 80
    assert "frames are missing" in found[-1].error
    assert len(good) + sum(f.missing for f in found) == 90


def test_a_cut_matroska_file_is_noticed_by_its_time(tmp_path):
    pytest.importorskip("av")
    path = write_av(tmp_path / "f.mkv", [square(i) for i in range(90)])
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    found = list(read_frames(path))
    assert "frames are missing" in found[-1].error
    assert abs(sum(not f.error for f in found) + sum(f.missing for f in found) - 90) <= 2


def test_without_pyav_missing_frames_are_counted_at_the_end(tmp_path, without_av):
    pytest.importorskip("av")
    path = write_av(tmp_path / "f.mp4", [square(i) for i in range(90)], options={"movflags": "faststart"})
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    found = list(read_frames(path))
    assert "frames are missing" in found[-1].error
    assert sum(not f.error for f in found) + sum(f.missing for f in found) == 90


def test_a_stream_of_another_start_begins_at_zero(tmp_path):
    pytest.importorskip("av")
    path = write_av(tmp_path / "late.ts", PICTURES, codec="mpeg4")  # MPEG-TS begins at 1.4 s by its own clock
    assert next(iter(read_frames(path))).time == pytest.approx(0.0, abs=0.05)


@pytest.mark.parametrize("content", [b"", b"not a video", b"\x00\x00\x00\x20ftypisom" + bytes(50)])
@pytest.mark.parametrize("av_there", [True, False])
def test_what_is_no_video_is_a_clear_error(tmp_path, content, av_there, monkeypatch):
    if av_there:
        pytest.importorskip("av")
    else:
        monkeypatch.setattr(frames, "_has_av", lambda: False)
    (tmp_path / "x.mp4").write_bytes(content)
    with pytest.raises(DataError, match=r"x\.mp4: not a video"):
        list(read_frames(tmp_path / "x.mp4"))


def test_sound_alone_is_no_video(tmp_path):
    av = pytest.importorskip("av")
    with av.open(str(tmp_path / "s.wav"), "w") as out:
        stream = out.add_stream("pcm_s16le", rate=8000, layout="mono")
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), format="s16", layout="mono")
        sound.rate = 8000
        out.mux(stream.encode(sound))
        out.mux(stream.encode())
    with pytest.raises(DataError, match="no picture"):
        list(read_frames(tmp_path / "s.wav"))


def test_a_missing_file_and_a_folder_are_named_at_once(tmp_path):
    with pytest.raises(DataError, match="no such file"):
        read_frames(tmp_path / "none.mp4")
    with pytest.raises(DataError, match="a folder"):
        read_frames(tmp_path)
    with pytest.raises(ConfigError, match="source must be"):
        read_frames(1.5)
    with pytest.raises(ConfigError, match="0 or more"):
        read_frames(-1)


class Camera:
    """Stands for ``cv2.VideoCapture`` of a camera that gives some pictures and then none."""

    def __init__(self, pictures):
        self.pictures, self.released = list(pictures), False

    def isOpened(self):
        return bool(self.pictures)

    def read(self):
        return (True, self.pictures.pop(0)) if len(self.pictures) > 1 else (False, None)

    def release(self):
        self.released = True


def test_a_camera_that_is_not_there_is_a_clear_error(monkeypatch):
    monkeypatch.setattr(cv2, "VideoCapture", lambda number: Camera([]))
    with pytest.raises(DataError, match="camera 7: this camera is not there"):
        list(read_frames(7))


def test_it_says_which_cameras_there_are_instead(tmp_path):
    assert "none is plugged in" in other_cameras(tmp_path)
    for number, name in ((10, "codec"), (2, "HD Webcam")):
        (tmp_path / f"video{number}").mkdir()
        (tmp_path / f"video{number}" / "name").write_text(f"{name}\n")
    assert other_cameras(tmp_path) == "there are 2 (HD Webcam), 10 (codec)"
    assert other_cameras(tmp_path / "no" / "such") == "they are counted from 0"


def test_opencv_is_silent_about_a_camera_that_is_not_there(capfd):
    with pytest.raises(DataError):
        list(read_frames(97))
    assert capfd.readouterr() == ("", "")


def test_a_camera_that_stops_keeps_what_was_seen(monkeypatch):
    camera = Camera(PICTURES[:6])
    monkeypatch.setattr(cv2, "VideoCapture", lambda number: camera)
    found = list(read_frames(0))
    assert [f.number for f in found if not f.error] == [0, 1, 2, 3, 4]
    assert found[0].time == 0
    assert all(a.time <= b.time for a, b in pairwise(found))
    assert found[-1].error == "camera 0 stopped after 5 frames"
    assert camera.released


def test_sampling_by_number_and_by_time(tmp_path):
    path = av_file(tmp_path)
    assert [f.number for f in read_frames(path, every=10)] == [0, 10, 20, 30]
    assert [f.number for f in read_frames(path, fps=10)] == list(range(0, 36, 3))
    assert len(list(read_frames(path, fps=1000))) == 36
    own = [Frame(i, i / 10, PICTURES[0]) for i in range(5)] + [Frame(5, 0.5, error="x")]
    assert [f.number for f in read_frames(own, every=2)] == [0, 2, 4, 5]  # errors are never sampled away


@pytest.mark.parametrize(
    ("given", "words"), [({"fps": 0}, "fps"), ({"fps": float("nan")}, "fps"), ({"every": 0}, "every")]
)
def test_sampling_says_what_it_wants(given, words):
    with pytest.raises(ConfigError, match=words):
        sampler(**given)
    with pytest.raises(ConfigError, match="exclude"):
        sampler(fps=1, every=2)


@given(
    st.lists(st.floats(0.001, 3.0), min_size=1, max_size=60),
    st.floats(0.2, 50),
    st.floats(0, 1e4),
)
def test_a_sampled_rate_is_never_exceeded_and_nothing_due_is_left_out(steps, fps, start):
    times = (start + np.cumsum(steps)).tolist()
    wanted = sampler(fps=fps)
    kept = [t for i, t in enumerate(times) if wanted(i, t)]
    assert kept[0] == times[0]
    ticks = [(t - kept[0]) * fps for t in times]
    assert len(kept) <= ticks[-1] + 1.001
    assert len(kept) >= len({int(t) for t in ticks}) - sum(abs(t - round(t)) < 1e-3 for t in ticks[1:])


def test_a_clock_that_is_set_back_does_not_stop_the_sampling():
    wanted = sampler(fps=10)
    times = [0.0, 0.1, 0.2, 50.0, 0.0, 0.1, 0.2]
    assert [wanted(i, t) for i, t in enumerate(times)] == [True] * 7


@pytest.mark.parametrize("turn", [(0, 1, -1, 0), (-1, 0, 0, -1), (0, -1, 1, 0)])
def test_a_video_of_a_turned_phone_stands_upright(tmp_path, turn, monkeypatch):
    path = av_file(tmp_path)
    data = bytearray(path.read_bytes())
    at = data.index(b"tkhd") + 4 + 40  # version 0: the matrix of the track's header
    a, b, c, d = (v % 2**32 << 16 & 0xFFFFFFFF for v in turn)
    data[at : at + 36] = b"".join(v.to_bytes(4, "big") for v in (a, b, 0, c, d, 0, 0, 0, 1 << 30))
    path.write_bytes(data)
    ours = list(read_frames(path))
    monkeypatch.setattr(frames, "_has_av", lambda: False)
    theirs = list(read_frames(path))  # OpenCV turns them by itself
    assert ours[3].pixels.shape == ((120, 160, 3) if turn[0] else (160, 120, 3))
    assert np.abs(ours[3].pixels.astype(int) - theirs[3].pixels).mean() < 4
