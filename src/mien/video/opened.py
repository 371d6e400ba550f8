"""What an open file gives, whichever library reads it: pictures in square pixels, what it promises, and breaks.

Leaves out: the libraries (``reader_av``, ``reader_cv``).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.images import MAX_PIXELS
from mien.video.frames import Decoded, Frame, Numbering
from mien.video.mp4 import Track
from mien.wording import counted

__all__ = [
    "COVER",
    "LIVE",
    "PATIENCE",
    "BrokeOff",
    "Opened",
    "Promise",
    "cut_short",
    "early_end",
    "is_address",
    "is_avi",
    "mp4_promise",
    "scheme_of",
    "square",
]

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
    least    how many less than ``frames`` are missing for certain; 0 where ``frames`` is a guess
    slack    seconds by which ``seconds`` may be wrong
    cut      whether the file has fewer bytes than its head says
    doubt    why what was read may not be the film at all
    """

    seconds: float | None = None
    frames: int = 0
    start: float = 0.0
    least: int = 0
    slack: float = _SLACK
    cut: bool = False
    doubt: str = ""


def early_end(seen: Numbering, promise: Promise) -> Iterator[Frame]:
    """One frame with ``error`` where a video has less than it promises."""
    whole = None if promise.seconds is None else promise.seconds - max(0.0, promise.start)
    slack = 1.5 / seen.rate if promise.cut else max(promise.slack, 3 / seen.rate)
    left = promise.frames - seen.number
    if promise.doubt:
        yield seen.lost(promise.doubt)
    elif whole is not None and seen.end < whole - slack:
        missing = left if left > 0 else max(1, round((whole - seen.end) * seen.rate))
        about = counted(missing, "frame is", "frames are")
        words = f"the video ends at {seen.end:.2f} s of {whole:.2f} s: about {about} missing"
        yield seen.lost(words, missing=missing)
    elif 0 < promise.least <= left:
        yield seen.lost(f"{left:,} of {promise.frames:,} frames could not be read", missing=left)


def mp4_promise(track: Track) -> Promise:
    """What an MP4's header says of a track that does not come in fragments."""
    frames = 0 if track.trimmed else track.frames
    return Promise(track.shown, frames, least=0 if not frames else 2 if track.rounded else 1)


def cut_short(path: str) -> bool | None:
    """Whether an AVI, Matroska or WebM file has fewer bytes than its head says; None where that says nothing."""
    try:
        with open(path, "rb") as file:
            head = file.read(4096)
        size = Path(path).stat().st_size
    except OSError:
        return None
    if head[:4] == b"RIFF" and len(head) >= 8:
        return int.from_bytes(head[4:8], "little") + 8 > size
    at = head.find(b"\x18\x53\x80\x67") + 4  # Matroska's segment; its length is a number of 1 to 8 bytes
    if not head.startswith(b"\x1a\x45\xdf\xa3") or at < 4 or at + 8 > len(head) or not head[at]:
        return None
    wide = 9 - head[at].bit_length()
    length = int.from_bytes(head[at : at + wide], "big") - (1 << 7 * wide)
    unknown = length == (1 << 7 * wide) - 1  # as of a live recording
    return None if unknown else at + wide + length > size


def is_avi(path: str) -> bool:
    """Whether a file is an AVI, which counts the frames of its picture."""
    try:
        with open(path, "rb") as file:
            return file.read(12)[8:] == b"AVI "
    except OSError:
        return False


def is_address(path: str) -> bool:
    """Whether ``path`` names something that is sent, and not a file."""
    return "://" in path


def scheme_of(address: str) -> str:
    """``rtsp`` of ``rtsp://...``; "" for a path."""
    return address.partition("://")[0].lower() if is_address(address) else ""


def square(pixels: NDArray[np.uint8], aspect: float) -> NDArray[np.uint8]:
    """A picture whose pixels are ``aspect`` times as wide as high, as wide as it is to be shown."""
    height, width = pixels.shape[:2]
    wide = max(1, round(width * aspect))
    if wide == width or not _ASPECTS[0] <= aspect <= _ASPECTS[1] or wide * height > MAX_PIXELS:
        return pixels
    method = cv2.INTER_AREA if wide < width else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(pixels, (wide, height), interpolation=method), np.uint8)
