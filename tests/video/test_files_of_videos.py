"""Files that a video leaves: tables that grow, marked videos, and the timeline."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from video_files import square

from mien.errors import ConfigError, MissingExtra, OutputError
from mien.video import Segment, Timeline, VideoWriter, read_frames, timeline, writer


def test_a_video_keeps_pictures_and_times_and_is_made_even(tmp_path):
    av = pytest.importorskip("av")
    pictures = [np.ascontiguousarray(square(i)[:119, :159]) for i in range(12)]
    times = [0.0, 0.1, 0.15, 0.9, 1.0, 1.4, 2.0, 2.1, 2.2, 2.3, 2.4, 3.0]
    with VideoWriter(tmp_path / "v.mp4") as out:
        for picture, time in zip(pictures, times, strict=True):
            out.write(picture, time)
        assert not (tmp_path / "v.mp4").exists()
    found = list(read_frames(tmp_path / "v.mp4"))
    assert [f.time for f in found] == pytest.approx(times, abs=1e-3)
    assert found[0].pixels.shape == (118, 158, 3)
    assert all(np.abs(f.pixels.astype(int) - p[:118, :158]).mean() < 8 for f, p in zip(found, pictures, strict=True))
    assert [p.name for p in tmp_path.iterdir()] == ["v.mp4"]
    with av.open(str(tmp_path / "v.mp4")) as container:
        assert container.streams.video[0].codec_context.name == "h264"


def test_a_video_is_whole_after_an_interrupt_and_takes_other_sizes_and_times(tmp_path):
    pytest.importorskip("av")

    def stopped():
        with VideoWriter(tmp_path / "v.mp4") as out:
            for i in range(5):
                out.write(square(i), 1.0)  # a clock that stands still
            out.write(cv2.resize(square(5), (320, 240)), 1.1)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stopped()
    found = list(read_frames(tmp_path / "v.mp4"))
    assert len(found) == 6
    assert {f.pixels.shape for f in found} == {(120, 160, 3)}


def test_a_writer_without_pictures_leaves_nothing_and_says_what_it_cannot_do(tmp_path, monkeypatch):
    pytest.importorskip("av")
    with VideoWriter(tmp_path / "v.mp4"):
        pass
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ConfigError, match=r"\.mp4"):
        VideoWriter(tmp_path / "v.avi")
    with pytest.raises(OutputError, match="cannot be written"), VideoWriter(tmp_path / "none" / "v.mp4") as out:
        out.write(square(0), 0)

    def missing(module, extra):
        raise MissingExtra(f"pip install 'mien[{extra}]'")

    monkeypatch.setattr(writer, "need", missing)
    with pytest.raises(MissingExtra, match=r"mien\[video\]"):
        VideoWriter(tmp_path / "v.mp4")


def drawn(tmp_path, tracks, frames=60):
    lines = Timeline()
    for track in tracks:
        for i in range(frames + track):
            lines.add(track, i / 10, {"happy": 0.7, "sad": 0.3})
        lines.add_segment(Segment(track, "happy", 0.0, frames / 10, 0.7, frames))
    return lines, lines.draw(tmp_path / "t.png", "clip.mp4", 20.0)


def test_a_timeline_shows_a_band_in_the_labels_colour(tmp_path):
    pytest.importorskip("matplotlib")
    _, done = drawn(tmp_path, [1, 2])
    assert done
    picture = cv2.imread(str(tmp_path / "t.png"))
    happy = np.abs(picture.astype(int) - np.array([0x20, 0xA8, 0xE9])).sum(axis=2) < 6
    assert happy.any(axis=1).sum() > 20  # two bands, not only lines
    assert happy[:, : picture.shape[1] // 2].sum() > 10 * happy[:, picture.shape[1] // 2 :].sum()  # 6 s of 20 s


def test_a_timeline_is_bounded_in_points_and_tracks(tmp_path, monkeypatch):
    pytest.importorskip("matplotlib")
    monkeypatch.setattr(timeline, "_POINTS", 50)
    monkeypatch.setattr(timeline, "_TRACKS", 10)
    lines, done = drawn(tmp_path, range(1, 31), frames=200)
    assert done
    assert len(lines._curves) <= 10
    assert all(25 <= len(c.times) <= 50 for c in lines._curves.values())
    assert cv2.imread(str(tmp_path / "t.png")).shape[0] < 2000


def test_a_timeline_of_nobody_is_no_file(tmp_path):
    assert not Timeline().draw(tmp_path / "t.png")
    assert list(tmp_path.iterdir()) == []
