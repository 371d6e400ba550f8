"""A camera, through OpenCV, until it stops; its time is the clock.

Leaves out: numbers and sampling (``frames``).
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import cv2
import numpy as np

from mien.errors import DataError
from mien.video.frames import Decoded, Frame, Numbering, Wanted

__all__ = ["read_camera"]


def read_camera(number: int, wanted: Wanted) -> Iterator[Frame]:
    """The frames of a camera; the last one has ``error``. It is let go when the iterator is closed."""
    capture = cv2.VideoCapture(number)
    numbering, start = Numbering(wanted, 30.0), None
    try:
        if not capture.isOpened():
            raise DataError(
                "this camera is not there, or another program holds it; Linux lists them with `ls /dev/video*`",
                f"camera {number}",
            )
        while True:
            good, pixels = capture.read()
            now = time.monotonic()
            start = now if start is None else start
            if not good:
                numbering.now = now - start
                yield numbering.lost(f"camera {number} stopped after {numbering.number:,} frames")
                return
            frame = numbering(Decoded(now - start, lambda p=pixels: _bytes(p)))  # type: ignore[misc]
            if frame is not None:
                yield replace(frame, clock=now)
    finally:
        capture.release()


def _bytes(pixels: Any) -> Any:
    return np.asarray(pixels, np.uint8)
