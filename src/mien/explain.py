"""Which parts of a face decided: occlusion maps over any ``predict(batch) -> probabilities``, and their overlay.

Works on every network and on the classical methods alike, since it only asks for answers. Leaves out: attention maps
that a net computes itself (``models``).
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.errors import ConfigError

__all__ = ["occlusion", "overlay"]


def occlusion(
    predict: Callable[[NDArray[np.uint8]], NDArray[np.floating]],
    image: NDArray[np.uint8],
    size: int = 8,
    stride: int = 4,
) -> NDArray[np.float32]:
    """How much the answer rests on each pixel: heat map float32 ``(H, W)`` (Zeiler and Fergus 2014, section 4.2).

    predict  uint8 ``(N, H, W)`` -> probabilities ``(N, K)``; it is called once, with every covered version
    image    uint8 ``(H, W)``, grey
    size     side of the square that covers, in pixels, filled with the image's mean; at most the image's shorter side
    stride   steps between positions; the last row and column are always covered

    A pixel's value is the drop of the most probable class's probability, averaged over the squares that cover the
    pixel; below 0 where covering makes the answer surer.
    """
    height, width = image.shape
    if not 1 <= size <= min(height, width):
        raise ConfigError(f"size must lie in 1..{min(height, width)} for an image of {image.shape}, got {size}")
    if not 1 <= stride <= size:
        raise ConfigError(f"stride must lie in 1..size ({size}), else pixels are left out; got {stride}")
    corners = [(y, x) for y in _steps(height, size, stride) for x in _steps(width, size, stride)]
    batch = np.repeat(image[None], len(corners) + 1, axis=0)
    for covered, (y, x) in zip(batch[1:], corners, strict=True):
        covered[y : y + size, x : x + size] = round(float(image.mean()))
    answers = np.asarray(predict(batch), np.float64)
    drops = answers[0].max() - answers[1:, answers[0].argmax()]
    total, count = np.zeros((height, width)), np.zeros((height, width))
    for drop, (y, x) in zip(drops, corners, strict=True):
        total[y : y + size, x : x + size] += drop
        count[y : y + size, x : x + size] += 1
    return (total / count).astype(np.float32)


def overlay(image: NDArray[np.uint8], heat: NDArray[np.float32], alpha: float = 0.75) -> NDArray[np.uint8]:
    """Lay a heat map over a grey image: uint8 ``(H, W, 3)`` BGR.

    The hottest pixel gets the share ``alpha`` of colour, 0 and below get none; ``heat`` is resized to the image.
    """
    if not 0 <= alpha <= 1:
        raise ConfigError(f"alpha must lie in 0..1, got {alpha}")
    height, width = image.shape[:2]
    warm = np.clip(heat, 0, None).astype(np.float32)
    if warm.shape != (height, width):
        warm = np.clip(cv2.resize(warm, (width, height), interpolation=cv2.INTER_CUBIC), 0, None)
    peak = float(warm.max())
    share = warm / peak if peak > 0 else warm
    colours = cv2.applyColorMap(np.round(share * 255).astype(np.uint8), cv2.COLORMAP_INFERNO).astype(np.float32)
    weight = alpha * share[..., None]
    return np.asarray(np.round(image[..., None] * (1 - weight) + colours * weight), np.uint8)


def _steps(length: int, size: int, stride: int) -> list[int]:
    """Positions 0, stride, ... and the last that fits."""
    return sorted({*range(0, length - size, stride), length - size})
