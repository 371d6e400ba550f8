"""Frames of a video file, a stream or a camera, one at a time, with the times that the container gives them.

PyAV reads files and streams where it is installed (extra ``video``), OpenCV where it is not, and OpenCV reads cameras.
A frame that cannot be decoded, and an end before the time that the container promises, come as frames with ``error``:
the others go on. Pictures are upright and in square pixels. A live stream that breaks off is asked for again.
Leaves out: sound; what is in a frame.
"""

from __future__ import annotations

import importlib.util
import os
import time
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from mien.errors import ConfigError, DataError
from mien.video.camera import read_camera
from mien.video.frames import Frame, Numbering, Source, Wanted, lasting, own_frames, sampler
from mien.video.mp4 import joined_files
from mien.video.opened import LIVE, BrokeOff, Opened, early_end, is_address, scheme_of
from mien.video.reader_av import AvFile
from mien.video.reader_cv import CvFile

__all__ = ["RETRY", "FrameReader", "check_source", "length", "read_frames"]

#: Seconds for which a live stream that broke off is asked for again.
RETRY = 30.0


class FrameReader(Iterator[Frame]):
    """The frames of a source in order, in constant memory; see :func:`read_frames`.

    live  whether the source does not wait for whoever reads; of an address it is known when it is open
    """

    def __init__(self, source: Source, fps: float | None = None, every: int | None = None) -> None:
        check_source(source)
        self.live = isinstance(source, int)
        wanted = sampler(fps, every)
        if isinstance(source, int):
            self._frames = read_camera(int(source), wanted)
        elif isinstance(source, str | os.PathLike):
            self._frames = self._read(os.fspath(source), wanted)
        else:
            self._frames = own_frames(source, wanted)

    def __next__(self) -> Frame:
        return next(self._frames)

    def close(self) -> None:
        """Let the file or camera go."""
        close = getattr(self._frames, "close", None)
        if close is not None:
            close()

    def _read(self, path: str, wanted: Wanted) -> Iterator[Frame]:
        opened = _open(path)
        self.live = opened.live
        numbering = Numbering(wanted, opened.rate)
        numbering.note(opened.note)
        if (files := joined_files(path)) > 1:
            numbering.note(
                f"{files} MP4 files lie one behind the other in this one, and decoders may read only the first: give "
                "each alone, or join them with ffmpeg's concat"
            )
        with closing(self._decode(path, opened, numbering)) as frames:
            if self.live:  # the newest frame is wanted now
                yield from (replace(frame, clock=time.monotonic()) for frame in frames)
            else:
                yield from lasting(frames, numbering)

    def _decode(self, path: str, opened: Opened | None, numbering: Numbering) -> Generator[Frame, None, None]:
        silent = time.monotonic()  # since when nothing came
        while opened is not None:
            began, first, start = time.monotonic(), numbering.number, numbering.now
            with closing(opened):
                try:
                    for decoded in opened.decode():
                        frame = numbering(decoded)
                        if frame is not None:
                            yield frame
                    yield from early_end(numbering, opened.promise())
                    return
                except BrokeOff as broken:
                    why = f"the stream broke off at {numbering.now:.2f} s ({broken})"
            now = time.monotonic()
            again = self.live and (scheme_of(path) in LIVE or now - began > (numbering.now - start) / 2)
            if numbering.number > first:
                silent = now
                yield numbering.lost(f"{why}; asking for it again" if again else why)
            opened = _again(path, silent + RETRY) if again else None  # what came faster than it was is a file
            numbering.pause(time.monotonic() - silent)
        if again:
            yield numbering.lost(f"the stream did not come back within {RETRY:.0f} s")


def read_frames(source: Source, *, fps: float | None = None, every: int | None = None) -> FrameReader:
    """The frames of ``source``; see :func:`~mien.video.frames.sampler` for ``fps`` and ``every``.

    DataError for a file or camera that is not there or holds no video; what breaks later is a frame with ``error``.
    """
    return FrameReader(source, fps, every)


def check_source(source: Source) -> None:
    """DataError for a path that names no file; ConfigError for what can be no source at all."""
    if isinstance(source, str | os.PathLike):
        path = os.fspath(source)
        if not is_address(path) and not Path(path).is_file():
            why = "a folder, a video file is needed" if Path(path).is_dir() else "no such file"
            if path.startswith("/dev/video"):
                why = f"a camera is given by its number: {path.removeprefix('/dev/video') or '0'}"
            raise DataError(why, path)
    elif isinstance(source, int):
        if isinstance(source, bool) or source < 0:
            raise ConfigError(f"a camera's number must be 0 or more, got {source}")
    elif not isinstance(source, Iterable) or isinstance(source, bytes):
        kind = type(source).__name__
        raise ConfigError(f"source must be a path, a camera's number or frames (Frame or pixels), got {kind}")


def length(source: Source) -> float | None:
    """Seconds that a file promises; None where it does not say, and for what is sent or a camera."""
    if not isinstance(source, str | os.PathLike) or is_address(os.fspath(source)):
        return None
    check_source(source)
    with closing(_open(os.fspath(source))) as opened:
        return opened.promise().seconds


def _open(path: str) -> Opened:
    return AvFile(path) if _has_av() else CvFile(path)


def _has_av() -> bool:
    return importlib.util.find_spec("av") is not None


def _again(path: str, end: float) -> Opened | None:
    """Open a live stream that broke off; None where it does not come back until the monotonic clock shows ``end``."""
    wait = 0.5
    while time.monotonic() + wait <= end:
        time.sleep(wait)
        try:
            return _open(path)
        except DataError:
            wait = min(2 * wait, 8.0)
    return None
