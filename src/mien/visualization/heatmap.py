"""Heat maps laid over the face they belong to, as small colour pictures.

Leaves out: titles, scales and sheets (``runtime``).
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["COLD", "overlay", "signed_overlay"]

#: Blue, green, red of what speaks against the answer, in a signed map.
COLD = (214, 140, 40)


_MOST = 0.75  # share of colour that the hottest pixel gets


def overlay(image: NDArray[np.uint8], heat: NDArray[np.float32], *, peak: float | None = None) -> NDArray[np.uint8]:
    """Lay a heat map over a grey image: uint8 ``(H, W, 3)`` BGR.

    0 and below get no colour; ``heat`` is resized to the image.

    peak  the value that counts as hottest, so that several pictures share a scale; None for the map's own maximum
    """
    warm = np.clip(_fitted(image, heat), 0, None)
    share = _share(warm, peak)
    colours = cv2.applyColorMap(np.round(share * 255).astype(np.uint8), cv2.COLORMAP_INFERNO).astype(np.float32)
    weight = _MOST * share[..., None]
    return np.asarray(np.round(image[..., None] * (1 - weight) + colours * weight), np.uint8)


def signed_overlay(
    image: NDArray[np.uint8], heat: NDArray[np.float32], *, peak: float | None = None
) -> NDArray[np.uint8]:
    """Like :func:`overlay`, with what is below 0 in blue on the same scale; ``peak`` None: the largest magnitude."""
    fitted = _fitted(image, heat)
    top = float(np.abs(fitted).max()) if peak is None else peak
    warm = overlay(image, fitted, peak=top)
    weight = _MOST * _share(np.clip(-fitted, 0, None), top)[..., None]
    return np.asarray(np.round(warm * (1 - weight) + np.array(COLD, np.float32) * weight), np.uint8)


def _fitted(image: NDArray[np.uint8], heat: NDArray[np.float32]) -> NDArray[np.float32]:
    """``heat`` in the image's size; what a smooth enlargement overshoots is cut off."""
    height, width = image.shape[:2]
    if heat.shape == (height, width):
        return heat.astype(np.float32)
    large = cv2.resize(heat.astype(np.float32), (width, height), interpolation=cv2.INTER_CUBIC)
    return np.asarray(np.clip(large, heat.min(), heat.max()), np.float32)


def _share(warm: NDArray[np.float32], peak: float | None) -> NDArray[np.float32]:
    """Values >= 0 as a share of the peak, 0..1."""
    top = float(warm.max()) if peak is None else peak
    return np.clip(warm / top, 0, 1) if top > 0 else np.zeros_like(warm)
