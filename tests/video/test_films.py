"""Films as they come: odd pixels, covers, clocks that start late or anew, cut files; with PyAV and without."""

from __future__ import annotations

import struct
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from video_files import square, write_av, write_cv

from mien.errors import DataError
from mien.video import length, mp4, read_frames, reader
from mien.video.frames import Decoded, Numbering, sampler

av = pytest.importorskip("av")

PICTURES = [square(i) for i in range(60)]


@pytest.fixture(params=["PyAV", "OpenCV"])
def with_av(request, monkeypatch):
    there = request.param == "PyAV"
    monkeypatch.setattr(reader, "_has_av", lambda: there)
    return there


def write(path, tracks, *, start=0.0, aspect=None, sound=0.0, covers=(), container=None):
    """A file with a picture track for each list of pictures, 25 a second; ``covers`` are the flagged ones' places."""
    with av.open(str(path), "w", format=container) as out:
        streams = []
        if sound:
            audio = out.add_stream("aac", rate=16000, layout="mono")
        for i, pictures in enumerate(tracks):
            stream = out.add_stream("mjpeg" if len(pictures) == 1 else "mpeg4", rate=25)
            stream.height, stream.width = pictures[0].shape[:2]
            stream.pix_fmt = "yuvj420p" if len(pictures) == 1 else "yuv420p"
            if aspect:
                stream.codec_context.sample_aspect_ratio = aspect
            if i in covers:
                stream.disposition = av.stream.Disposition.attached_pic
            streams.append(stream)
        if sound:
            quiet = av.AudioFrame.from_ndarray(np.zeros((1, round(16000 * sound)), np.float32), "fltp", "mono")
            quiet.rate, quiet.pts, quiet.time_base = 16000, 0, Fraction(1, 16000)
            out.mux(audio.encode(quiet))
            out.mux(audio.encode())
        for stream, pictures in zip(streams, tracks, strict=True):
            for k, picture in enumerate(pictures):
                frame = av.VideoFrame.from_ndarray(picture, format="bgr24")
                frame.pts, frame.time_base = round(25 * start) + k, Fraction(1, 25)
                out.mux(stream.encode(frame))
            out.mux(stream.encode())
    return path


def good(found):
    return [f for f in found if not f.error]


def rises(found):
    return all(a.time < b.time for a, b in pairwise(found))


@pytest.mark.parametrize(("name", "aspect", "wide"), [
    ("a.mp4", (2, 1), 320), ("a.mkv", (4, 3), 213), ("a.mp4", (1, 2), 80), ("a.avi", (16, 11), 233),
    ("a.mp4", (1, 1), 160),
])  # fmt: skip
def test_pixels_that_are_not_square_are_made_so(tmp_path, with_av, name, aspect, wide):
    path = write(tmp_path / name, [PICTURES[:5]], aspect=Fraction(*aspect))
    found = list(read_frames(path))
    assert [f.pixels.shape for f in found] == [(120, wide, 3)] * 5
    bright = np.flatnonzero(found[0].pixels[50].mean(axis=1) > 100)
    assert len(bright) == pytest.approx(40 * wide / 160, abs=5)


def test_pixels_of_a_turned_film_are_made_square_before_it_is_turned(tmp_path, with_av):
    path = write(tmp_path / "a.mp4", [PICTURES[:5]], aspect=Fraction(2, 1))
    data = bytearray(path.read_bytes())
    at = data.index(b"tkhd") + 4 + 40
    data[at : at + 36] = b"".join(
        (v % 2**32).to_bytes(4, "big") for v in (0, 1 << 16, 0, -1 << 16, 0, 0, 0, 0, 1 << 30)
    )
    path.write_bytes(data)
    assert next(iter(read_frames(path))).pixels.shape == (320, 120, 3)


@pytest.mark.parametrize("name", ["a.mp4", "a.mov"])
def test_a_cover_before_the_film_is_passed_over(tmp_path, with_av, name):
    path = write(tmp_path / name, [[np.full((90, 90, 3), 200, np.uint8)], PICTURES[:30]])
    found = list(read_frames(path))
    assert [f.pixels.shape for f in found] == [(120, 160, 3)] * 30
    assert rises(found)


@pytest.mark.parametrize("name", ["a.mkv", "a.avi"])
def test_a_cover_before_the_film_is_passed_over_or_told(tmp_path, with_av, name):
    path = write(tmp_path / name, [[np.full((90, 90, 3), 200, np.uint8)], PICTURES[:30]])
    found = list(read_frames(path))
    if with_av:
        assert [f.pixels.shape for f in found] == [(120, 160, 3)] * 30
    else:  # OpenCV cannot choose
        assert len(good(found)) == 1
        assert "perhaps a cover; with PyAV" in found[-1].error


@pytest.mark.parametrize("flagged", [(0,), ()])
def test_sound_with_a_cover_is_no_film(tmp_path, with_av, flagged):
    path = write(tmp_path / "song.mp4", [[np.full((90, 90, 3), 200, np.uint8)]], sound=1.0, covers=flagged)
    with pytest.raises(DataError, match="only sound"):
        list(read_frames(path))


def test_of_two_films_the_larger_is_read_and_told(tmp_path, monkeypatch):
    small = [p[::2, ::2].copy() for p in PICTURES[:10]]
    path = write(tmp_path / "a.mp4", [small, PICTURES[:10]])
    with av.open(str(path)) as container:
        defaults = [bool(s.disposition & av.stream.Disposition.default) for s in container.streams.video]
    found = list(read_frames(path))
    wanted = (60, 80, 3) if defaults == [True, False] else (120, 160, 3)
    assert found[0].pixels.shape == wanted
    assert "2 films in this file" in found[0].note
    assert not any(f.note for f in found[1:])


@pytest.mark.parametrize("name", ["late.mkv", "late.ts", "late.mp4", "late.webm", "late.flv"])
def test_a_clock_that_starts_late_loses_nothing(tmp_path, with_av, name):
    if name == "late.webm":
        path = write_av(tmp_path / name, PICTURES, [2 + i / 25 for i in range(60)], codec="libvpx")
    else:
        codec = "flv" if name.endswith("flv") else "mpeg4"
        path = write_av(tmp_path / name, PICTURES, [2 + i / 25 for i in range(60)], codec=codec)
    found = list(read_frames(path))
    assert [f.error for f in found if f.error] == []
    assert len(found) == 60
    assert rises(found)
    assert found[0].time in (pytest.approx(0, abs=0.05), pytest.approx(2, abs=0.05))  # an empty edit is shown, too
    assert found[-1].time - found[0].time == pytest.approx(59 / 25, abs=0.01)


def test_streams_joined_byte_to_byte_go_on_and_say_so(tmp_path, with_av):
    one = write(tmp_path / "one.ts", [PICTURES[:40]]).read_bytes()
    (tmp_path / "three.ts").write_bytes(3 * one)
    found = list(read_frames(tmp_path / "three.ts"))
    assert [f.error for f in found if f.error] == []
    assert len(found) == 120
    assert [f.time for f in found] == pytest.approx([i / 25 for i in range(120)], abs=1e-3)
    notes = [f for f in found if f.note]
    assert [f.number for f in notes] == [40, 80]
    assert "joined" in notes[0].note
    sampled = list(read_frames(tmp_path / "three.ts", every=30))
    assert [f.number for f in sampled if f.note] == [60, 90]  # the note waits for a frame that is looked at


def test_of_mp4_files_joined_byte_to_byte_it_is_told_that_only_the_first_is_read(tmp_path, with_av):
    one = write(tmp_path / "one.mp4", [PICTURES[:10]]).read_bytes()
    (tmp_path / "two.mp4").write_bytes(2 * one)
    found = list(read_frames(tmp_path / "two.mp4"))
    assert found[0].note.startswith("2 MP4 files lie one behind the other")
    assert not any(f.note for f in [*found[1:], *read_frames(tmp_path / "one.mp4")])


def test_a_leap_of_the_clock_is_told_once_and_slow_films_have_none():
    steps = [i / 25 for i in range(20)]
    times = [*steps, *(500 + t for t in steps), *(2000 + t for t in steps)]
    found = list(read_frames((t, PICTURES[0]) for t in times))
    assert [f.time for f in found] == times
    assert [(f.number, f.note) for f in found if f.note] == [
        (20, "the clock leaps from 0.76 to 500.00 s: nothing was recorded between, or another file was joined there")
    ]
    assert not any(f.note for f in read_frames((60.0 * i, PICTURES[0]) for i in range(30)))


def test_a_last_frame_without_a_time_is_no_joined_file(tmp_path, with_av):
    path = tmp_path / "a.mpg"
    with av.open(str(path), "w", format="mpeg") as out:
        stream = out.add_stream("mpeg2video", rate=25)
        stream.height, stream.width, stream.pix_fmt = *PICTURES[0].shape[:2], "yuv420p"
        for picture in PICTURES[:30]:
            out.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="bgr24")))
        out.mux(stream.encode())
    found = list(read_frames(path))
    assert [f.note or f.error for f in found if f.note or f.error] == []
    assert [f.time for f in found] == pytest.approx([i / 25 for i in range(30)], abs=1e-3)


def test_sound_that_is_longer_than_a_film_makes_nothing_missing(tmp_path, with_av):
    found = list(read_frames(write(tmp_path / "a.mkv", [PICTURES], sound=12)))
    assert [f.error for f in found if f.error] == []
    assert len(found) == 60


def test_a_clock_that_starts_below_zero_is_no_joined_file():
    numbering = Numbering(sampler(), 25)
    found = [numbering(Decoded(t, lambda: PICTURES[0])) for t in (-1.0, -0.96, -0.92)]
    assert [f.time for f in found] == pytest.approx([0, 0.04, 0.08])
    assert not any(f.note for f in found)


def trimmed(path, seconds):
    """Let the edit list of a file show so much of it."""
    data = bytearray(path.read_bytes())
    at = data.index(b"elst")
    clock = struct.unpack_from(">I", data, data.index(b"mvhd") + 16)[0]
    struct.pack_into(">I", data, at + 12, round(seconds * clock))
    path.write_bytes(data)
    return path


def test_a_film_trimmed_by_its_edit_list_is_whole(tmp_path, with_av):
    path = trimmed(write_av(tmp_path / "a.mp4", PICTURES), 1.0)
    (track,) = mp4.read_tracks(path)
    assert track.trimmed
    assert (track.frames, track.stored, track.shown) == (60, pytest.approx(2, abs=0.05), pytest.approx(1, abs=0.01))
    found = list(read_frames(path))
    assert [f.error for f in found if f.error] == []
    assert len(found) in (30, 31)
    assert length(path) == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize("share", [0.6, 0.8])
def test_both_readers_count_what_a_cut_file_lacks_alike(tmp_path, monkeypatch, share):
    whole = {
        "a.avi": write(tmp_path / "a.avi", [PICTURES]),
        "b.avi": write_cv(tmp_path / "b.avi", PICTURES),
        "c.mp4": write_av(tmp_path / "c.mp4", PICTURES, options={"movflags": "faststart"}),
        "d.mkv": write_av(tmp_path / "d.mkv", PICTURES),
        "e.mkv": write_av(tmp_path / "e.mkv", PICTURES, [3 + i / 30 for i in range(60)]),
    }
    for name, path in whole.items():
        path.write_bytes(path.read_bytes()[: round(path.stat().st_size * share)])
        lost = []
        for there in (True, False):
            monkeypatch.setattr(reader, "_has_av", lambda there=there: there)
            found = list(read_frames(path))
            lost.append(sum(f.missing for f in found))
            if name[0] in "abc":  # they count their frames
                assert len(good(found)) + lost[-1] == 60, (name, there)
        assert lost[0] == pytest.approx(lost[1], abs=2), name
        assert lost[0] > 8, name


def test_without_pyav_a_broken_frame_in_the_middle_is_counted(tmp_path, with_av):
    path = write_av(tmp_path / "a.mp4", PICTURES, gop=1)
    with av.open(str(path)) as container:
        pos, size = [(p.pos, p.size) for p in container.demux(video=0) if p.size][20]
    data = bytearray(path.read_bytes())
    data[pos : pos + size] = bytes(size)
    path.write_bytes(data)
    found = list(read_frames(path))
    assert len(good(found)) == 59
    assert sum(f.missing for f in found) == 1


@pytest.mark.parametrize(
    "data", [b"", b"\0\0\0\x08moov", b"\0\0\0\x20ftypisom" + bytes(40), b"\0\0\0\x01moov" + b"\xff" * 8]
)
def test_a_damaged_header_has_no_tracks(tmp_path, data):
    (tmp_path / "x.mp4").write_bytes(data)
    assert mp4.read_tracks(tmp_path / "x.mp4") == ()


def test_any_bytes_in_a_header_are_survived(tmp_path):
    data = write(tmp_path / "a.mp4", [PICTURES[:3]]).read_bytes()
    rng, start = np.random.default_rng(0), data.index(b"moov")
    for _ in range(150):
        spoilt = np.frombuffer(data, np.uint8).copy()
        spoilt[rng.integers(start, len(data), 6)] = rng.integers(0, 256, 6)
        (tmp_path / "x.mp4").write_bytes(spoilt.tobytes())
        for track in mp4.read_tracks(tmp_path / "x.mp4"):
            assert track.shown >= 0
