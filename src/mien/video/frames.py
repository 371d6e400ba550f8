"""Frames with their numbers and times: which are looked at, clocks that go back, and frames of your own.

Leaves out: where pictures come from (``reader``).
"""

from __future__ import annotations

import math
import numbers
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.errors import ConfigError

__all__ = ["OWN_RATE", "Decoded", "Frame", "Numbering", "Source", "Wanted", "lasting", "own_frames", "sampler"]


@dataclass(frozen=True, eq=False)
class Frame:
    """One frame of a video.

    number  its place in the video, from 0, whatever was sampled
    time    seconds from the start by the container's clock; for a camera, since its first frame; never goes back
    pixels  uint8 ``(H, W, 3)`` BGR, upright and in square pixels; None for a frame that cannot be read
    error   why it cannot be read, "" for one that was
    missing frames that an ``error`` stands for; a guess from the rate where the container does not count its frames
    note    what is to be told though nothing is lost, such as that the clock was set back
    duration  seconds until the next frame that is looked at, or to the film's end; None where nobody knows yet, as of
              a camera
    clock   what ``time.monotonic()`` showed when it came, of a camera or a live stream; None for a file
    """

    number: int
    time: float
    pixels: NDArray[np.uint8] | None = None
    error: str = ""
    missing: int = 0
    note: str = ""
    duration: float | None = None
    clock: float | None = None


#: Pixels uint8 ``(H, W, 3)`` BGR or ``(H, W)`` grey, as OpenCV has them.
Pixels = NDArray[np.uint8]

#: A path or address, the number of a camera, or frames of your own: :class:`Frame`, pixels, or (seconds, pixels).
Source = str | os.PathLike[str] | int | Iterable[Frame | Pixels | tuple[float, Pixels]]

#: Frames a second of your own pixels without times.
OWN_RATE = 25.0
#: A step of the clock is told of where it has more seconds than this, and behind so many frames.
_LEAP, _FEW = 10.0, 10

Wanted = Callable[[int, float], bool]


@dataclass(frozen=True, eq=False)
class Decoded:
    """What a file or camera gives for one frame.

    time     seconds from the source's start, None where it does not say
    picture  makes the pixels, which costs time; may give None
    error    why there are none, "" where there are
    shown    seconds for which it is shown, 0 where the source does not say
    """

    time: float | None
    picture: Callable[[], Pixels | None] = lambda: None
    error: str = ""
    shown: float = 0.0


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


class Numbering:
    """Turns what is decoded into frames: numbers them, keeps their times from going back, and samples.

    rate    frames a second, for those without a time
    number  of the next frame, from 0
    now     time of the last one
    shown   seconds for which that is shown
    """

    def __init__(self, wanted: Wanted, rate: float) -> None:
        self.rate, self.number, self.now, self.shown = rate, 0, 0.0, 1 / rate
        self._wanted = wanted
        self._begun, self._shift = False, 0.0
        self._pause: float | None = None
        self._longest, self._leapt = 1 / rate, False  # seconds from a frame to the next
        self._note = ""

    @property
    def end(self) -> float:
        """Seconds at which the last frame ends."""
        return self.now + 1 / self.rate if self._begun else 0.0

    def pause(self, seconds: float) -> None:
        """The source was away for so long, and its clock starts anew."""
        self._pause = seconds

    def note(self, words: str) -> None:
        """Give the next frame a note."""
        self._note = "; ".join(filter(None, (self._note, words)))

    def __call__(self, decoded: Decoded) -> Frame | None:
        """The next frame, None for one that is not looked at."""
        number, time = self.step(decoded.time)
        self.shown = decoded.shown if decoded.shown > 0 else 1 / self.rate
        if decoded.error:
            return self.lost(f"frame {number} at {time:.2f} s {decoded.error}", number)
        if not self._wanted(number, time):
            return None
        pixels = decoded.picture()
        if pixels is None:
            return self.lost(f"frame {number} at {time:.2f} s is broken", number)
        note, self._note = self._note, ""
        return Frame(number, time, pixels, note=note)

    def step(self, time: float | None) -> tuple[int, float]:
        """Go on by one frame: its number, and its time where that does not go back."""
        number, self.now = self.number, self._rising(time)
        self.number = number + 1
        return number, self.now

    def lost(self, why: str, number: int | None = None, missing: int = 1) -> Frame:
        """A frame that cannot be read: the one of that number, or the next."""
        time, (note, self._note) = self.now, (self._note, "")
        if number is None:
            number, time = self.number, self.end
            self.number += 1
        return Frame(number, time, error=why, missing=missing, note=note)

    def _rising(self, time: float | None) -> float:
        """``time``, or the next one where it is unknown or goes back; a large step back is where files were joined."""
        step = 1 / self.rate
        if self._pause is not None and time is not None:
            self._shift, self._pause = self.now + max(step, self._pause) - time, None
        if not self._begun:
            self._begun = True
            self._shift -= min(0.0, time or 0.0)  # a clock that starts below 0
            return max(0.0, time or 0.0)
        if time is None:
            return self.now + step
        time += self._shift
        if time >= self.now:
            self._leap(time - self.now)
            return time
        if self.now - time > max(0.25, 3 * step):
            back = f"the clock goes back by {self.now - time:.2f} s at {self.now + step:.2f} s"
            self.note(f"{back}, as where files were joined; times go on from there")
            self._shift += self.now + step - time
            return self.now + step
        return self.now

    def _leap(self, seconds: float) -> None:
        """Tell of the first step that is far longer than all before it: nobody knows what was between."""
        if self.number > _FEW and seconds > max(_LEAP, 20 * self._longest) and not self._leapt:
            self._leapt = True
            where = f"from {self.now:.2f} to {self.now + seconds:.2f} s"
            self.note(f"the clock leaps {where}: nothing was recorded between, or another file was joined there")
        self._longest = max(self._longest, seconds)


def lasting(frames: Iterator[Frame], numbering: Numbering) -> Iterator[Frame]:
    """The frames that ``numbering`` has made, each with its ``duration``, so one behind."""
    last: Frame | None = None
    try:
        for frame in frames:
            if last is not None:
                yield replace(last, duration=max(0.0, frame.time - last.time))
            last = frame
    except Exception:
        if last is not None:
            yield last
        raise
    if last is not None:
        yield replace(last, duration=max(0.0, numbering.now + numbering.shown - last.time))


def own_frames(source: Iterable[Any], wanted: Wanted) -> Iterator[Frame]:
    """Frames of your own, checked; pixels without times are :data:`OWN_RATE` a second.

    ConfigError for what is no frame at all; pixels of a wrong type or shape are a frame with ``error``.
    """
    numbering = Numbering(wanted, OWN_RATE)
    return lasting(_own(source, numbering), numbering)


def _own(source: Iterable[Any], numbering: Numbering) -> Iterator[Frame]:
    for i, item in enumerate(source):
        if isinstance(item, Frame):
            numbering.number = item.number
            numbering.note(item.note)
            if item.error:
                yield replace(item, time=numbering.step(item.time)[1])
                continue
        time, pixels = _parts(i, item)
        found = numbering(Decoded(time, partial(_colour, pixels), _complaint(pixels)))
        if found is not None:
            yield found


def _parts(i: int, item: Any) -> tuple[float | None, Any]:
    """Time and pixels of an item of a source."""
    time: Any
    if isinstance(item, np.ndarray):
        return None, item
    if isinstance(item, Frame):
        time, pixels = item.time, item.pixels
    elif isinstance(item, tuple) and len(item) == 2 and isinstance(item[1], np.ndarray):
        time, pixels = item
    else:
        raise ConfigError(
            f"item {i} of the source is {_kind(item)}; a source gives mien.video.Frame, pixels (uint8 (H, W, 3) BGR), "
            "or pairs (seconds, pixels); a video on the disk is given by its path"
        )
    if not isinstance(time, numbers.Real) or not math.isfinite(float(time)):
        raise ConfigError(f"item {i} of the source: its time must be a number of seconds, got {time!r}")
    return float(time), pixels


def _kind(item: Any) -> str:
    if isinstance(item, tuple):
        return f"a tuple of {', '.join(type(part).__name__ for part in item) or 'nothing'}"
    return f"of type {type(item).__name__}"


def _complaint(pixels: Any) -> str:
    """What is wrong with pixels, "" where nothing is."""
    if pixels is None:
        return "has no pixels"
    if not isinstance(pixels, np.ndarray):
        return f"must have pixels as a numpy array, got {type(pixels).__name__}"
    grey, colour = pixels.ndim == 2, pixels.ndim == 3 and pixels.shape[2] == 3
    if pixels.dtype != np.uint8 or not (grey or colour) or not pixels.size:
        return f"must be uint8 (H, W, 3) or (H, W) and not empty, got {pixels.dtype} {pixels.shape}"
    return ""


def _colour(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    if pixels.ndim == 2:
        pixels = np.asarray(cv2.cvtColor(pixels, cv2.COLOR_GRAY2BGR), np.uint8)
    return np.ascontiguousarray(pixels)
