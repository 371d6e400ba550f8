"""Dense SIFT: the directions of edges around each point of a grid, for patches of several sizes.

Source: Lowe 2004, "Distinctive Image Features from Scale-Invariant Keypoints" (IJCV), for the descriptor (4 x 4 cells
of 8 directions), computed by OpenCV; taken densely, upright, on a fixed grid, as is usual for bags of words. Deviation:
the face is blurred by ``blur`` pixels in all instead of Lowe's 1.6, which on a face of 48 pixels would wipe out
eyelids. A patch may reach beyond the face; what is outside doesn't count.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["DIMENSIONS", "describe", "points"]

#: Length of a descriptor.
DIMENSIONS = 128

_PATCH_PER_SIZE = 6.0  # OpenCV's patch has 4 cells, each 1.5 times the keypoint's size wide


def points(size: tuple[int, int], patches: Sequence[float], stride: int) -> NDArray[np.float32]:
    """Where descriptors are taken on a face of height and width ``size``: float32 ``(P, 3)``, row, column, patch.

    One grid for each of ``patches``, a point every ``stride`` pixels, centred on the face; all in pixels.
    """
    rows, columns = (np.arange((side - 1) % stride / 2, side, stride) for side in size)
    grid = np.stack(np.meshgrid(rows, columns, indexing="ij"), axis=-1).reshape(-1, 2)
    return np.concatenate([np.column_stack([grid, np.full(len(grid), p)]) for p in patches]).astype(np.float32)


def describe(faces: NDArray[np.uint8], where: NDArray[np.float32], blur: float) -> NDArray[np.uint8]:
    """SIFT of each face ``(N, H, W)`` at the points ``(P, 3)``: uint8 ``(N, P, 128)``, of length about 512.

    A patch of one grey gives zeros.
    """
    keypoints = [cv2.KeyPoint(float(x), float(y), float(p) / _PATCH_PER_SIZE, 0.0) for y, x, p in where]
    sift = cv2.SIFT.create(nOctaveLayers=1, sigma=blur)
    out = np.empty((len(faces), len(where), DIMENSIONS), np.uint8)
    with _one_thread():
        for face, row in zip(faces, out, strict=True):
            row[:] = sift.compute(np.ascontiguousarray(face), keypoints)[1]
    return out


@contextmanager
def _one_thread() -> Iterator[None]:
    """Keep OpenCV to one thread: faces are spread over processes already."""
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(before)
