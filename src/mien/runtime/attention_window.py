"""Where a network looked: its spatial transformer's window, the view through it, and maps laid back onto the face.

theta, float ``(2, 3)``, maps a position in the transformer's output to a position in the crop, both -1..1 from edge to
edge (``align_corners=False``), as ``mien.models.stn`` samples; the tests hold the two side by side. Leaves out: the
network that gives theta, and drawing.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mien.errors import ConfigError

__all__ = ["IDENTITY", "laid_back", "warped", "window"]

#: The theta of a network that looks at the whole crop as it is.
IDENTITY = np.array([[1, 0, 0], [0, 1, 0]], np.float32)


def window(theta: NDArray[np.float32], size: int) -> NDArray[np.float32]:
    """The window's corners in the crop's pixels, 0..size from edge to edge: float32 ``(4, 2)``, x and y.

    Top left, top right, bottom right, bottom left of what the network saw; they may lie outside the crop.
    """
    corners = np.array([[-1, -1, 1], [1, -1, 1], [1, 1, 1], [-1, 1, 1]], np.float64)
    return ((corners @ _theta(theta).T + 1) / 2 * size).astype(np.float32)


def warped(image: NDArray[np.uint8], theta: NDArray[np.float32]) -> NDArray[np.float32]:
    """The view through the window, float32 ``(H, W)``, 0..255: what the layers behind the transformer were given.

    image  uint8 ``(H, W)``, grey; what lies outside is mirrored in, pixels between pixels are bilinear
    """
    height, width = image.shape
    x, y = _positions(height, width)
    across, down = _apply(_theta(theta), x, y)
    return _sampled(image.astype(np.float64), _mirrored(across, width), _mirrored(down, height)).astype(np.float32)


def laid_back(heat: NDArray[np.float32], theta: NDArray[np.float32] | None, size: int) -> NDArray[np.float32]:
    """A map over the transformer's output, laid onto the crop's pixels: float32 ``(size, size)``, 0 outside the window.

    heat   ``(h, w)``, values at the centres of cells that tile the output; between them it is linear
    theta  None for a network without a transformer: the map is only enlarged

    What the network took from the mirror, where its window reaches beyond the crop, has no pixel and is left out.
    """
    matrix = _theta(IDENTITY if theta is None else theta)
    linear = matrix[:, :2]
    if abs(np.linalg.det(linear)) < 1e-6:
        raise ConfigError(f"theta must have an area, its window is a line: {matrix.tolist()}")
    back = np.linalg.inv(linear)
    x, y = _positions(size, size)
    across, down = _apply(np.column_stack([back, -back @ matrix[:, 2]]), x, y)
    inside = (np.abs(across) <= 1) & (np.abs(down) <= 1)
    h, w = heat.shape
    column, row = (((p + 1) * n - 1) / 2 for p, n in ((across, w), (down, h)))
    found = _sampled(heat.astype(np.float64), np.clip(column, 0, w - 1), np.clip(row, 0, h - 1))
    return np.where(inside, found, 0).astype(np.float32)


def _theta(theta: NDArray[np.float32]) -> NDArray[np.float64]:
    matrix = np.asarray(theta, np.float64)
    if matrix.shape != (2, 3) or not np.isfinite(matrix).all():
        raise ConfigError(f"theta must be finite numbers of shape (2, 3), got {matrix.shape}: {matrix.tolist()}")
    return matrix


def _positions(height: int, width: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """x and y of every pixel's centre, -1..1 from edge to edge, each ``(height, width)``."""
    down, across = ((np.arange(n) * 2 + 1) / n - 1 for n in (height, width))
    x, y = np.meshgrid(across, down)
    return x, y


def _apply(
    matrix: NDArray[np.float64], x: NDArray[np.float64], y: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    (a, b, c), (d, e, f) = matrix
    return a * x + b * y + c, d * x + e * y + f


def _mirrored(position: NDArray[np.float64], length: int) -> NDArray[np.float64]:
    """-1..1 and beyond -> a place between pixel 0 and the last, mirrored at the picture's edges as often as needed."""
    at = np.mod(((position + 1) * length - 1) / 2 + 0.5, 2 * length)
    return np.asarray(np.clip(np.minimum(at, 2 * length - at) - 0.5, 0, length - 1), np.float64)


def _sampled(image: NDArray[np.float64], x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    """Bilinear values of ``image (H, W)`` at columns ``x`` and rows ``y``, which lie within it."""
    left, top = np.floor(x).astype(int), np.floor(y).astype(int)
    right, bottom = np.minimum(left + 1, image.shape[1] - 1), np.minimum(top + 1, image.shape[0] - 1)
    u, v = x - left, y - top
    upper = image[top, left] * (1 - u) + image[top, right] * u
    lower = image[bottom, left] * (1 - u) + image[bottom, right] * u
    return np.asarray(upper * (1 - v) + lower * v, np.float64)
