"""Tiny videos, detectors that cost nothing, and a predictor over them, for the tests of everything around video."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np

from mien.faces import Detection

SIDE = 40  # of the bright square that Squares takes for a face


def square(i: int, size: tuple[int, int] = (120, 160), step: float = 2.0) -> np.ndarray:
    """A dark picture with a textured bright square that moves to the right."""
    picture = np.full((*size, 3), 30, np.uint8)
    x = 10 + round(i * step) % (size[1] - SIDE - 20)
    picture[30 : 30 + SIDE, x : x + SIDE] = np.random.default_rng(1).integers(150, 255, (SIDE, SIDE, 1), np.uint8)
    return picture


def write_av(path: Path, pictures, times=None, *, gop: int = 12, options=None, codec: str = "libx264") -> Path:
    """A video with PyAV at 30 frames a second, or with a time for each picture."""
    import av

    with av.open(str(path), "w", options=options or {}) as out:
        stream = out.add_stream(codec, rate=30)
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        stream.gop_size = gop
        if times is not None:
            stream.codec_context.time_base = Fraction(1, 1000)
        for i, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(picture, format="bgr24")
            if times is not None:
                frame.pts, frame.time_base = round(times[i] * 1000), Fraction(1, 1000)
            out.mux(stream.encode(frame))
        out.mux(stream.encode())
    return path


def write_cv(path: Path, pictures, rate: float = 20.0) -> Path:
    """A Motion JPEG .avi, which OpenCV writes and reads everywhere."""
    height, width = pictures[0].shape[:2]
    out = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), rate, (width, height))
    assert out.isOpened()
    for picture in pictures:
        out.write(picture)
    out.release()
    return path


class Squares:
    """Finds bright squares; counts its calls."""

    def __init__(self) -> None:
        self.calls = 0

    def detect(self, image: np.ndarray) -> list[Detection]:
        self.calls += 1
        mask = (image.mean(axis=2) > 100).astype(np.uint8)
        _, _, stats, _ = cv2.connectedComponentsWithStats(mask)
        boxes = [(x, y, x + w, y + h) for x, y, w, h, area in stats[1:].tolist() if area > 300]
        return [Detection(tuple(map(float, box)), 0.9) for box in sorted(boxes)]
