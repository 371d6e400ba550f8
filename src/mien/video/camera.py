"""A camera, through OpenCV, until it stops; its time is the clock.

Leaves out: numbers and sampling (``frames``).
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from mien.errors import DataError
from mien.video.frames import Decoded, Frame, Numbering, Wanted
from mien.wording import counted

__all__ = ["other_cameras", "read_camera"]


def read_camera(number: int, wanted: Wanted) -> Iterator[Frame]:
    """The frames of a camera; the last one has ``error``. It is let go when the iterator is closed."""
    with _quiet():
        capture = cv2.VideoCapture(number)
    numbering, start = Numbering(wanted, 30.0), None
    try:
        if not capture.isOpened():
            raise DataError(
                f"this camera is not there, or another program holds it; {other_cameras()}", f"camera {number}"
            )
        while True:
            good, pixels = capture.read()
            now = time.monotonic()
            start = now if start is None else start
            if not good:
                numbering.now = now - start
                yield numbering.lost(f"camera {number} stopped after {counted(numbering.number, 'frame')}")
                return
            frame = numbering(Decoded(now - start, lambda p=pixels: _bytes(p)))  # type: ignore[misc]
            if frame is not None:
                yield replace(frame, clock=now)
    finally:
        capture.release()


@contextmanager
def _quiet() -> Iterator[None]:
    """OpenCV tells of every driver that it tries in vain; the error that follows says it once."""
    log = getattr(cv2.utils, "logging", cv2)  # where OpenCV 5 has it, and where OpenCV 4 does
    before = log.getLogLevel()
    log.setLogLevel(0)
    try:
        yield
    finally:
        log.setLogLevel(before)


def other_cameras(listed: Path = Path("/sys/class/video4linux")) -> str:
    """Which cameras there are, where the system tells."""
    if not listed.parent.is_dir():
        return "they are counted from 0"
    found = sorted(listed.glob("video*/name"), key=lambda p: int(p.parent.name.removeprefix("video")))
    told = [f"{p.parent.name.removeprefix('video')} ({p.read_text(errors='replace').strip()})" for p in found]
    return f"there are {', '.join(told)}" if told else "none is plugged in (Linux has them as /dev/video*)"


def _bytes(pixels: Any) -> Any:
    return np.asarray(pixels, np.uint8)
