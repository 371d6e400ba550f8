"""What an open file gives, whichever library reads it: pictures in square pixels, what it promises, and breaks.

Leaves out: the libraries (``reader_av``, ``reader_cv``).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.images import MAX_PIXELS
from mien.video.frames import Decoded, Frame, Numbering

__all__ = ["COVER", "LIVE", "PATIENCE", "BrokeOff", "Opened", "Promise", "early_end", "is_address", "square"]

#: Seconds for which a sender may be silent.
PATIENCE = 10.0

#: Schemes of senders that do not wait for whoever reads.
LIVE = ("rtsp", "rtsps", "rtmp", "rtmps", "rtp", "udp", "srt", "mms")

#: Why a file of sound with a cover is no video.
COVER = "there is no film in this file, only sound and a cover picture"

_SLACK = 0.5  # seconds by which a container may be wrong about its length
_ASPECTS = (0.1, 10.0)  # of a pixel; what lies outside is a mistake


class BrokeOff(Exception):
    """A source ended in the middle; says why."""


class Opened(Protocol):
    """A file or stream that is open.

    live     it does not wait for whoever reads
    rate     frames a second, about
    note     what is to be told about the choice of the picture
    """

    live: bool
    rate: float
    note: str

    def decode(self) -> Iterator[Decoded]:
        """All frames in order; BrokeOff where they end too soon for a reason that is known."""

    def promise(self) -> Promise:
        """How long it should have been; asked after the last frame."""

    def close(self) -> None:
        """Let it go."""


@dataclass(frozen=True)
class Promise:
    """What a container says about its picture.

    seconds  its length; None where it does not say
    frames   how many are to be seen; 0 where it does not count them, or counts others too
    start    seconds on the container's own clock at which the picture begins; some count their length from 0
    exact    whether one frame less than ``frames`` is one that is missing
    slack    seconds by which ``seconds`` may be wrong
    doubt    why what was read may not be the film at all
    """

    seconds: float | None = None
    frames: int = 0
    start: float = 0.0
    exact: bool = False
    slack: float = _SLACK
    doubt: str = ""


def early_end(seen: Numbering, promise: Promise) -> Iterator[Frame]:
    """One frame with ``error`` where a video has less than it promises."""
    short = promise.seconds is not None and seen.end + max(0.0, promise.start) < promise.seconds - max(
        promise.slack, 3 / seen.rate
    )
    left = promise.frames - seen.number
    if promise.doubt:
        yield seen.lost(promise.doubt)
    elif promise.exact and not short and left > 0:
        yield seen.lost(f"{left:,} of {promise.frames:,} frames could not be read", missing=left)
    elif short and promise.seconds is not None:
        missing = left if left > 0 else max(1, round((promise.seconds - seen.end) * seen.rate))
        words = f"the video ends at {seen.end:.2f} s of {promise.seconds:.2f} s: about {missing:,} frames are missing"
        yield seen.lost(words, missing=missing)


def is_address(path: str) -> bool:
    """Whether ``path`` names something that is sent, and not a file."""
    return "://" in path


def square(pixels: NDArray[np.uint8], aspect: float) -> NDArray[np.uint8]:
    """A picture whose pixels are ``aspect`` times as wide as high, as wide as it is to be shown."""
    height, width = pixels.shape[:2]
    wide = max(1, round(width * aspect))
    if wide == width or not _ASPECTS[0] <= aspect <= _ASPECTS[1] or wide * height > MAX_PIXELS:
        return pixels
    method = cv2.INTER_AREA if wide < width else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(pixels, (wide, height), interpolation=method), np.uint8)
