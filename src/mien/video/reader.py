"""Frames of a video file, a stream or a camera, one at a time, with the times that the container gives them.

PyAV reads files and streams where it is installed (extra ``video``), OpenCV where it is not, and OpenCV reads cameras.
A frame that cannot be decoded, and an end before the time that the container promises, come as frames with ``error``:
the others go on. A picture that the file says to turn (a phone held upright) is turned.
Leaves out: sound; what is in a frame.
"""

from __future__ import annotations

import importlib.util
import os
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.errors import ConfigError, DataError
from mien.images import MAX_PIXELS

__all__ = ["Frame", "Source", "check_source", "length", "read_frames", "sampler"]


@dataclass(frozen=True, eq=False)
class Frame:
    """One frame of a video.

    number  its place in the video, from 0, whatever was sampled
    time    seconds from the start by the container's clock; for a camera, seconds since its first frame
    pixels  uint8 ``(H, W, 3)`` BGR; None for a frame that cannot be read
    error   why it cannot be read, "" for one that was
    missing frames that an ``error`` stands for; a guess from the rate where the container does not count its frames
    """

    number: int
    time: float
    pixels: NDArray[np.uint8] | None = None
    error: str = ""
    missing: int = 0


#: A path or address, the number of a camera, or frames of your own.
Source = str | os.PathLike[str] | int | Iterable[Frame]

Wanted = Callable[[int, float], bool]


def read_frames(source: Source, *, fps: float | None = None, every: int | None = None) -> Iterator[Frame]:
    """The frames of ``source`` in order, in constant memory; see :func:`sampler` for ``fps`` and ``every``.

    DataError for a file or camera that is not there or holds no video; what breaks later is a frame with ``error``.
    """
    check_source(source)
    wanted = sampler(fps, every)
    if isinstance(source, bool | int):
        return _read_camera(int(source), wanted)
    if isinstance(source, str | os.PathLike):
        read = _read_av if _has_av() else _read_cv
        return read(os.fspath(source), wanted)
    return (f for f in source if f.error or wanted(f.number, f.time))


def sampler(fps: float | None = None, every: int | None = None) -> Wanted:
    """Which frames are looked at, asked once a frame, in order.

    fps    at most so many a second, by the frames' times: the first one at or after each tick
    every  each N-th frame; the two exclude each other, and without either all are taken
    """
    if fps is not None and every is not None:
        raise ConfigError("fps and every exclude each other: choose one")
    if fps is not None and not 0 < fps < float("inf"):
        raise ConfigError(f"fps must be greater than 0, got {fps}")
    if every is not None and every < 1:
        raise ConfigError(f"every must be 1 or more, got {every}")
    due: float | None = None

    def by_time(number: int, time: float) -> bool:
        nonlocal due
        assert fps is not None
        if due is not None and due - 1.5 / fps < time < due - 1e-6:
            return False
        start = due if due is not None and time >= due else time  # a clock that was set back starts anew
        due = start + (int((time - start) * fps + 1e-6) + 1) / fps
        return True

    if fps is not None:
        return by_time
    return lambda number, time: number % (every or 1) == 0


def check_source(source: Source) -> None:
    """DataError for a path that names no file; ConfigError for what can be no source at all."""
    if isinstance(source, str | os.PathLike):
        if "://" not in os.fspath(source) and not Path(source).is_file():
            why = "a folder, a video file is needed" if Path(source).is_dir() else "no such file"
            raise DataError(why, os.fspath(source))
    elif isinstance(source, int):
        if source < 0:
            raise ConfigError(f"a camera's number must be 0 or more, got {source}")
    elif not isinstance(source, Iterable):
        kind = type(source).__name__
        raise ConfigError(f"source must be a path, a camera's number or an iterable of Frame, got {kind}")


def length(source: Source) -> float | None:
    """Seconds that the container promises; None where it does not say (a camera, a live stream)."""
    if not isinstance(source, str | os.PathLike):
        return None
    check_source(source)
    if _has_av():
        container, stream = _open_av(os.fspath(source))
        with container:
            return _promised(container, stream)[0]
    capture = _open_cv(os.fspath(source))
    rate, count = capture.get(cv2.CAP_PROP_FPS), capture.get(cv2.CAP_PROP_FRAME_COUNT)
    capture.release()
    return count / rate if rate > 0 and count > 0 else None


def _has_av() -> bool:
    return importlib.util.find_spec("av") is not None


def _open_av(path: str) -> tuple[Any, Any]:
    import av

    try:
        container = av.open(path)
    except (av.FFmpegError, OSError, ValueError) as error:
        raise DataError(f"not a video that can be read ({_reason(error)})", path) from error
    if not container.streams.video:
        container.close()
        raise DataError("there is no picture in this file, only sound or data", path)
    stream = container.streams.video[0]
    width, height = stream.codec_context.width, stream.codec_context.height
    if width * height > MAX_PIXELS:
        container.close()
        raise DataError(f"{width} x {height} pixels are over the limit of {MAX_PIXELS:,}; make it smaller", path)
    stream.codec_context.thread_count = 1  # decoding has a thread of its own already; more would need more memory
    return container, stream


def _read_av(path: str, wanted: Wanted) -> Iterator[Frame]:
    import av

    container, stream = _open_av(path)
    zero = (container.start_time or 0) / 1e6
    rate = float(stream.average_rate or 0) or 25.0
    number, now = 0, 0.0
    with container:
        packets = container.demux(stream)
        while True:
            try:
                packet = next(packets)
            except StopIteration:
                break
            except (av.FFmpegError, OSError) as error:  # a stream that breaks off
                yield Frame(number, now, error=f"the stream broke off at {now:.2f} s ({_reason(error)})", missing=1)
                return
            try:
                frames = packet.decode()
            except (av.FFmpegError, ValueError) as error:
                at = now if packet.pts is None else float(packet.pts * packet.time_base) - zero
                yield Frame(number, at, error=f"frame {number} at {at:.2f} s is broken ({_reason(error)})", missing=1)
                number += 1
                continue
            for frame in frames:
                now = number / rate if frame.time is None else float(frame.time) - zero
                if frame.is_corrupt:
                    yield Frame(number, now, error=f"frame {number} at {now:.2f} s is damaged", missing=1)
                elif wanted(number, now):
                    yield Frame(number, now, _pixels(frame))
                number += 1
        promised, slack = _promised(container, stream)
        yield from _early_end(number, now + 1 / rate, promised, slack, stream.frames, rate)


def _pixels(frame: Any) -> NDArray[np.uint8]:
    """A frame of PyAV as it is to be looked at: BGR, turned by the angle that the file states, counter-clockwise."""
    pixels = np.asarray(frame.to_ndarray(format="bgr24"), np.uint8)
    turns = round(frame.rotation / 90) % 4
    return np.ascontiguousarray(np.rot90(pixels, turns)) if turns else pixels


def _promised(container: Any, stream: Any) -> tuple[float | None, float]:
    """Seconds that the container promises for the picture, and by how much that may be wrong."""
    if stream.duration is not None:
        return float(stream.duration * stream.time_base), 0.5
    hours, _, rest = stream.metadata.get("DURATION", "").partition(":")  # Matroska: 00:01:02.345000000
    minutes, _, seconds = rest.partition(":")
    try:
        return 3600 * int(hours) + 60 * int(minutes) + float(seconds), 0.5
    except ValueError:
        whole = None if container.duration is None else container.duration / 1e6
        return whole, 2.0 if container.streams.audio else 0.5  # that is the longer of sound and picture


def _early_end(
    number: int, end: float, promised: float | None, slack: float, count: int, rate: float
) -> Iterator[Frame]:
    """One frame with ``error`` where the video ends before its time."""
    if promised is None or end >= promised - max(slack, 3 / rate):
        return
    missing = count - number if count > number else max(1, round((promised - end) * rate))
    why = f"the video ends at {end:.2f} s of {promised:.2f} s: about {missing:,} frames are missing"
    yield Frame(number, end, error=why, missing=missing)


def _open_cv(path: str) -> Any:
    capture = cv2.VideoCapture(path)
    if not capture.isOpened():
        capture.release()
        raise DataError("not a video that OpenCV can read; with PyAV more can be: pip install 'mien[video]'", path)
    return capture


def _read_cv(path: str, wanted: Wanted) -> Iterator[Frame]:
    """Without PyAV. OpenCV passes over broken frames in silence, so that only their number is known, at the end."""
    capture = _open_cv(path)
    rate = capture.get(cv2.CAP_PROP_FPS) or 25.0
    count = max(0, int(capture.get(cv2.CAP_PROP_FRAME_COUNT)))
    number, end = 0, 0.0
    try:
        while capture.grab():
            now = capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
            now = now if now > 0 or number == 0 else number / rate
            if wanted(number, now):
                good, pixels = capture.retrieve()
                if good:
                    yield Frame(number, now, np.asarray(pixels, np.uint8))
                else:
                    yield Frame(number, now, error=f"frame {number} at {now:.2f} s is broken", missing=1)
            number, end = number + 1, now + 1 / rate
    finally:
        capture.release()
    yield from _early_end(number, end, count / rate if count else None, 0.5, count, rate)


def _read_camera(number: int, wanted: Wanted) -> Iterator[Frame]:
    """A camera, until it stops; its time is the clock."""
    capture = cv2.VideoCapture(number)
    try:
        if not capture.isOpened():
            raise DataError(
                "this camera is not there, or another program holds it; Linux lists them with `ls /dev/video*`",
                f"camera {number}",
            )
        at, start = 0, 0.0
        while True:
            good, pixels = capture.read()
            now = time.monotonic()
            start = start or now
            if not good:
                yield Frame(at, now - start, error=f"camera {number} stopped after {at:,} frames", missing=1)
                return
            if wanted(at, now - start):
                yield Frame(at, now - start, np.asarray(pixels, np.uint8))
            at += 1
    finally:
        capture.release()


def _reason(error: BaseException) -> str:
    """The short part of FFmpeg's message."""
    return str(getattr(error, "strerror", None) or error)
