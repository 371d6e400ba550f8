"""Video files and streams through OpenCV, which is always there.

It passes over broken frames in silence, so that only their number is known, at the end and where the file counts its
frames; and it takes the first picture stream, a cover too: of an MP4 the cover is hidden from it, of another file the
one frame comes with a word about PyAV.
Leaves out: numbers, sampling and what a short file lacks (``frames``, ``opened``).
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.errors import DataError
from mien.images import MAX_PIXELS
from mien.video.frames import Decoded
from mien.video.mp4 import Hidden, Track, read_tracks
from mien.video.opened import (
    COVER,
    LIVE,
    PATIENCE,
    BrokeOff,
    Promise,
    cut_short,
    is_address,
    is_avi,
    mp4_promise,
    scheme_of,
    square,
)

__all__ = ["CvFile"]

_CLOCK = 10_000  # "frames a second" above this are the ticks of a clock: of a cover, or of a camera's stream
_NO_STAMP = -(2.0**63)  # a file that has none, of whose frames OpenCV knows the time all the same
_TRIES = 9  # failures in a row after which there is no further frame
_MORE = "with PyAV more can be: pip install av"


class CvFile:
    """A file or address that OpenCV reads; see :class:`~mien.video.opened.Opened`. DataError where it holds no film."""

    note = ""

    def __init__(self, path: str) -> None:
        self._path, self._sent = path, is_address(path)
        tracks = () if self._sent else read_tracks(path)
        films = [t for t in tracks if t.kind == "vide"]
        moving = [t for t in films if t.frames != 1]
        sound = any(t.kind == "soun" for t in tracks)
        if sound and not moving:
            raise DataError(COVER if films else "there is no picture in this file, only sound or data", path)
        covers = films[: films.index(moving[0])] if moving else []
        self._track = moving[0] if moving else None
        self._blind, self._lone = not tracks, False  # whether a single frame may be a cover, and there was one only
        self._covered = bool(covers)
        self._capture = self._open(covers)
        try:
            self._check()
        except DataError:
            self.close()
            raise

    def _open(self, covers: list[Track]) -> Any:
        if self._sent:
            wait = round(1000 * PATIENCE)
            limits = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, wait, cv2.CAP_PROP_READ_TIMEOUT_MSEC, wait]
            capture = cv2.VideoCapture(self._path, cv2.CAP_FFMPEG, limits)
        elif covers:
            try:
                capture = cv2.VideoCapture(Hidden(self._path, covers), cv2.CAP_FFMPEG, [])  # type: ignore[call-overload]
            except (cv2.error, TypeError) as error:  # OpenCV 4 takes names only
                raise DataError(f"OpenCV sees the cover of this film only; {_MORE}", self._path) from error
        else:
            capture = cv2.VideoCapture(self._path)
        if not capture.isOpened():
            capture.release()
            raise DataError(f"not a video that OpenCV can read; {_MORE}", self._path)
        return capture

    def _check(self) -> None:
        get = self._capture.get
        width, height = int(get(cv2.CAP_PROP_FRAME_WIDTH)), int(get(cv2.CAP_PROP_FRAME_HEIGHT))
        if width * height > MAX_PIXELS:
            raise DataError(
                f"{width} x {height} pixels are over the limit of {MAX_PIXELS:,}; make it smaller", self._path
            )
        told = get(cv2.CAP_PROP_FPS)
        self._ticks = told >= _CLOCK
        self.rate = told if 0 < told < _CLOCK else 25.0
        self._count = max(0, int(get(cv2.CAP_PROP_FRAME_COUNT)))
        self.live = self._sent and (self._count == 0 or scheme_of(self._path) in LIVE)
        self._start, self._stamp = 0.0, float("nan")
        numerator, denominator = get(cv2.CAP_PROP_SAR_NUM), get(cv2.CAP_PROP_SAR_DEN)
        self._aspect = numerator / denominator if numerator > 0 and denominator > 0 else 1.0
        turned = get(cv2.CAP_PROP_ORIENTATION_AUTO) and round(get(cv2.CAP_PROP_ORIENTATION_META)) % 180 == 90
        self._turned = bool(turned)

    def decode(self) -> Iterator[Decoded]:
        """All frames that OpenCV gives."""
        began = asked = time.monotonic()
        number, failed, timeless = 0, 0, False
        while failed == 0 or (failed < _TRIES and number < self._count):
            asked = time.monotonic()
            if not self._capture.grab():
                failed += 1
                continue
            for _ in range(failed):
                yield Decoded(None, error="is broken")
            number, failed = number + failed, 0
            at = time.monotonic() - began if self.live else self._time()
            if number == 0:
                self._start = max(0.0, self._first())
                if self._ticks and not self._sent:
                    yield from self._maybe_cover(at)
                    number = 2
                    continue
            if number == 1:
                timeless = not at or at <= 0
            yield Decoded(None if timeless else at, self._pixels)
            number += 1
        if self.live:
            waited = time.monotonic() - asked
            if waited > 0.9 * PATIENCE or scheme_of(self._path) in LIVE:
                raise BrokeOff(f"nothing came for {waited:.0f} s" if waited > 1 else "the sender ended it")
        self._lone = self._blind and number == 1

    def _time(self) -> float | None:
        """Seconds of the frame; None where it has no time: OpenCV says 0 then, and the last one's stamp again."""
        before, at = self._stamp, self._capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
        self._stamp = self._capture.get(getattr(cv2, "CAP_PROP_PTS", cv2.CAP_PROP_POS_MSEC))
        return None if at == 0 and self._stamp == before > _NO_STAMP else at

    def _maybe_cover(self, at: float | None) -> Iterator[Decoded]:
        """The first frame, where the rate is a clock's: a cover has no second one."""
        first = self._pixels()
        if not self._capture.grab():
            raise DataError(COVER, self._path)
        yield Decoded(at, lambda: first)
        yield Decoded(self._capture.get(cv2.CAP_PROP_POS_MSEC) / 1000, self._pixels)

    def promise(self) -> Promise:
        """Length and frames by the file's header; of an MP4 those that its edit list shows."""
        if self._lone:
            return Promise(doubt=f"OpenCV sees one picture in this file, perhaps a cover; {_MORE}")
        track = self._track
        if track is not None and track.frames:
            return mp4_promise(track)
        seconds = self._count / self.rate if self._count else None
        short = None if self._sent else cut_short(self._path)
        cut = bool(short)
        if short is False and not is_avi(self._path):
            return Promise()  # the file is whole, and the length that it states may be that of a longer sound
        if self._start:  # the count is a guess from the length, which may include the time before
            return Promise(seconds, 0, self._start, cut=cut)
        return Promise(seconds, self._count, least=int(cut), cut=cut)

    def close(self) -> None:
        """Close the file."""
        if self._covered:  # OpenCV 5 would end a Python stream without holding the interpreter's lock: a crash
            self._capture = None
        else:
            self._capture.release()

    def _first(self) -> float:
        """Where the picture begins on the container's clock; OpenCV 4.11 and later say it, in frames."""
        told = getattr(cv2, "CAP_PROP_PTS", None)
        return 0.0 if told is None else float(self._capture.get(told)) / self.rate

    def _pixels(self) -> NDArray[np.uint8] | None:
        good, picture = self._capture.retrieve()
        if not good:
            return None
        pixels = np.asarray(picture, np.uint8)
        if not self._turned:
            return square(pixels, self._aspect)
        upright = square(np.ascontiguousarray(np.rot90(pixels)), self._aspect)
        return np.ascontiguousarray(np.rot90(upright, -1))
