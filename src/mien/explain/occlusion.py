"""Occlusion maps over any ``predict(batch) -> probabilities``: cover a square, see how much of the answer is lost.

Works on every network and on the classical methods alike, since it only asks for answers. Leaves out: maps that a
network makes itself (``looking``) or that need its gradients (``gradcam``).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from mien.errors import ConfigError

__all__ = ["BATCH", "Predict", "check_target", "occlusion"]

#: uint8 ``(N, H, W)`` grey, or ``(N, H, W, 3)`` -> probabilities ``(N, K)``.
Predict = Callable[[NDArray[np.uint8]], NDArray[np.floating]]

#: Pictures in one call of ``predict``: bounds memory, and larger batches are no faster.
BATCH = 512


def occlusion(
    predict: Predict, image: NDArray[np.uint8], size: int = 8, stride: int = 4, *, target: int | None = None
) -> NDArray[np.float32]:
    """How much the answer rests on each pixel: heat map float32 ``(H, W)`` (Zeiler and Fergus 2014, section 4.2).

    predict  uint8 ``(N, H, W)`` -> probabilities ``(N, K)``; called with up to 512 covered versions at a time
    image    uint8 ``(H, W)`` grey, or ``(H, W, 3)``, as ``predict`` takes it
    size     side of the square that covers, in pixels, filled with the image's mean; at most the image's shorter side
    stride   steps between positions; the last row and column are always covered
    target   number of the class whose probability is followed; None for the most probable one

    A pixel's value is the drop of that class's probability, averaged over the squares that cover the pixel; below 0
    where covering makes the class more probable.
    """
    height, width = image.shape[:2]
    if not 1 <= size <= min(height, width):
        raise ConfigError(f"size must lie in 1..{min(height, width)} for an image of {image.shape}, got {size}")
    if not 1 <= stride <= size:
        raise ConfigError(f"stride must lie in 1..size ({size}), else pixels are left out; got {stride}")
    corners = [(y, x) for y in _steps(height, size, stride) for x in _steps(width, size, stride)]
    answers = np.concatenate(
        [np.asarray(predict(_covered(image, size, corners, i)), np.float64) for i in range(0, len(corners) + 1, BATCH)]
    )
    best = int(answers[0].argmax()) if target is None else check_target(target, answers.shape[1])
    total, count = np.zeros((height, width)), np.zeros((height, width))
    for drop, (y, x) in zip(answers[0, best] - answers[1:, best], corners, strict=True):
        total[y : y + size, x : x + size] += drop
        count[y : y + size, x : x + size] += 1
    return (total / count).astype(np.float32)


def check_target(target: int, classes: int) -> int:
    """``target`` where it is the number of a class, else ConfigError."""
    if not 0 <= target < classes:
        raise ConfigError(f"target must be the number of a class, 0..{classes - 1}, got {target}")
    return int(target)


def _covered(image: NDArray[np.uint8], size: int, corners: list[tuple[int, int]], start: int) -> NDArray[np.uint8]:
    """Up to ``BATCH`` versions from number ``start``: version 0 is the image itself, version i covers corner i - 1."""
    stop = min(start + BATCH, len(corners) + 1)
    batch = np.repeat(image[None], stop - start, axis=0)
    grey = round(float(image.mean()))
    for covered, version in zip(batch, range(start, stop), strict=True):
        if version:
            y, x = corners[version - 1]
            covered[y : y + size, x : x + size] = grey
    return batch


def _steps(length: int, size: int, stride: int) -> list[int]:
    """Positions 0, stride, ... and the last that fits."""
    return sorted({*range(0, length - size, stride), length - size})
