"""The one way from a photo and a face to a network's input: crop, grey, normalise.

Training, evaluation, export and prediction share it. Leaves out: finding faces (``mien.runtime``) and what a network
wants (``mien.spec``).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.errors import ModelError
from mien.spec import ModelSpec

__all__ = ["crop_face", "crop_matrix", "normalise", "preprocess"]


def normalise(images: Any, spec: ModelSpec) -> Any:
    """Grey values 0..255 (numpy or torch, any shape) -> network input, ``(x / 255 - mean) / std``."""
    return (images - 255.0 * spec.mean) / (255.0 * spec.std)


def crop_face(image: NDArray[np.uint8], box: Sequence[float], spec: ModelSpec) -> NDArray[np.uint8]:
    """Cut the square that the network wants around a detector's box, grey, ``(size, size)`` uint8.

    image  uint8 ``(H, W)`` grey or ``(H, W, 3)`` BGR, as OpenCV reads it
    box    left, top, right, bottom in pixels; parts outside the image are filled by repeating the edge
    """
    matrix = crop_matrix(box, spec)
    grey = image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
    shrink = 1.0 / matrix[0, 0] / 2
    if shrink > 1:  # warpAffine samples four pixels only: smooth first, so that fine structure does not alias
        grey = cv2.GaussianBlur(grey, (0, 0), 0.5 * shrink)
    side = (spec.size, spec.size)
    out: NDArray[np.uint8] = cv2.warpAffine(grey, matrix, side, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return out


def crop_matrix(box: Sequence[float], spec: ModelSpec) -> NDArray[np.float64]:
    """Affine ``(2, 3)`` that maps photo pixels to pixels of the network's square."""
    left, top, right, bottom = box
    width, height = right - left, bottom - top
    if not (width > 0 and height > 0):
        raise ModelError(f"box must have left < right and top < bottom, got {tuple(box)}")
    side = spec.crop.scale * float(np.sqrt(width * height))
    cx = (left + right) / 2 + spec.crop.dx * width
    cy = (top + bottom) / 2 + spec.crop.dy * height
    k = spec.size / side
    # pixel centres: photo x sits at x + 0.5 of the continuous plane
    tx, ty = -k * (cx - side / 2) + 0.5 * k - 0.5, -k * (cy - side / 2) + 0.5 * k - 0.5
    return np.array([[k, 0, tx], [0, k, ty]], dtype=np.float64)


def preprocess(image: NDArray[np.uint8], box: Sequence[float], spec: ModelSpec) -> NDArray[np.float32]:
    """A photo and a face's box -> network input, float32 ``(1, 1, size, size)``."""
    face = crop_face(image, box, spec).astype(np.float32)
    out: NDArray[np.float32] = normalise(face, spec).astype(np.float32)[None, None]
    return out
