"""The one way from a photo and a face to a network's input: crop, grey, normalise.

Training, evaluation, export and prediction share it. Leaves out: finding faces (``mien.runtime``) and what a network
wants (``mien.spec``).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from mien.errors import ModelError
from mien.spec import ModelSpec

__all__ = [
    "CONTRAST",
    "Normalisation",
    "channels_first",
    "channels_last",
    "crop_face",
    "crop_matrix",
    "extent",
    "grey_of",
    "log_softmax",
    "normalise",
    "preprocess",
    "raise_contrast",
    "shown",
    "softmax",
    "to_crop",
    "to_photo",
]


class Contrast(NamedTuple):
    """Standard deviations of a crop's grey values: below ``flat`` it is drawn apart to the ``usual`` one."""

    flat: float
    usual: float


#: See :func:`raise_contrast`.
CONTRAST = Contrast(24.0, 44.0)


class Normalisation(Protocol):
    """How the values of the training images lay on the 0..1 scale, as a :class:`ModelSpec` has it.

    mean  of them all, or of each channel
    std   their standard deviation, alike
    """

    @property
    def mean(self) -> Any: ...
    @property
    def std(self) -> Any: ...


def normalise(images: Any, spec: Normalisation) -> Any:
    """Values 0..255 (numpy or torch) -> network input, ``(x / 255 - mean) / std``: grey of any shape, or colours
    ``(..., C, H, W)``.
    """
    mean, std = (_by_channel(images, value) for value in (spec.mean, spec.std))
    return (images - 255.0 * mean) / (255.0 * std)


def _by_channel(images: Any, value: Any) -> Any:
    """``value`` itself, or its numbers, one a channel, in the kind, and on the device, that ``images`` are."""
    if not isinstance(value, tuple):
        return value
    own = np.array(value, np.float32)[:, None, None]
    return own if isinstance(images, np.ndarray) else images.new_tensor(own)


def channels_first(faces: NDArray[Any]) -> NDArray[Any]:
    """Faces ``(N, H, W)`` or ``(N, H, W, 3)`` as networks take them, ``(N, C, H, W)``; a view."""
    return faces[:, None] if faces.ndim == 3 else faces.transpose(0, 3, 1, 2)


def channels_last(images: NDArray[Any]) -> NDArray[Any]:
    """The way back from :func:`channels_first`."""
    return images[:, 0] if images.shape[1] == 1 else images.transpose(0, 2, 3, 1)


def grey_of(crop: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A face in grey: ``(S, S)`` as it is, ``(S, S, 3)`` RGB as its luma."""
    return crop if crop.ndim == 2 else np.asarray(cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY), np.uint8)


def shown(crop: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A face as OpenCV draws and writes it: ``(S, S)`` grey as it is, ``(S, S, 3)`` RGB as BGR."""
    return crop if crop.ndim == 2 else np.ascontiguousarray(crop[..., ::-1])


def softmax(logits: ArrayLike, temperature: float = 1.0) -> NDArray[np.float64]:
    """Logits ``(..., K)`` divided by ``temperature`` -> probabilities, float64, whose rows sum to 1."""
    scaled = np.asarray(logits, np.float64) / temperature
    powers = np.exp(scaled - scaled.max(axis=-1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True), np.float64)


def log_softmax(logits: ArrayLike) -> NDArray[np.float64]:
    """Logits ``(..., K)`` -> log probabilities, float64; also where a probability is too small for a float."""
    z = np.asarray(logits, np.float64)
    z = z - z.max(axis=-1, keepdims=True)
    return np.asarray(z - np.log(np.exp(z).sum(axis=-1, keepdims=True)))


def crop_face(image: NDArray[np.uint8], box: Sequence[float], spec: ModelSpec, turn: float = 0.0) -> NDArray[np.uint8]:
    """Cut the square that the network wants around a detector's box, uint8 ``(size, size)`` grey, or for a network of
    three channels ``(size, size, 3)`` RGB.

    image  uint8 ``(H, W)`` grey or ``(H, W, 3)`` BGR, as OpenCV reads it
    box    left, top, right, bottom in pixels; parts outside the image are filled by repeating the edge
    turn   degrees clockwise by which the head is tilted in the picture; it stands upright in the crop
    """
    matrix = crop_matrix(box, spec, turn)
    shrink = 1.0 / float(np.hypot(*matrix[0, :2])) / 2
    sigma = 0.5 * shrink if shrink > 1 else 0.0
    left, top, right, bottom = _reached(matrix, spec.size, 3 * sigma + 3, image.shape[:2])
    part = image[top:bottom, left:right]  # first, so that a face costs what it is large, not what the photo is
    values = _in_channels(part, spec.channels)
    if sigma:  # warpAffine samples four pixels only: smooth before, so that fine structure does not alias
        values = cv2.GaussianBlur(values, (0, 0), sigma)
    matrix[:, 2] += matrix[:, :2] @ (left, top)
    side, edge = (spec.size, spec.size), cv2.BORDER_REPLICATE
    out: NDArray[np.uint8] = cv2.warpAffine(values, matrix, side, flags=cv2.INTER_LINEAR, borderMode=edge)
    return out


def _in_channels(photo: NDArray[np.uint8], channels: int) -> Any:
    """Grey or BGR pixels as grey for one channel, as RGB for three."""
    if channels == 1:
        return photo if photo.ndim == 2 else cv2.cvtColor(photo, cv2.COLOR_BGR2GRAY)
    return cv2.cvtColor(photo, cv2.COLOR_GRAY2RGB if photo.ndim == 2 else cv2.COLOR_BGR2RGB)


def _reached(
    matrix: NDArray[np.float64], size: int, margin: float, shape: tuple[int, ...]
) -> tuple[int, int, int, int]:
    """Left, top, right, bottom of the part of a photo that a crop is made of, with what a blur reaches around it.

    Of a crop outside the photo it is the nearest edge, which fills it.
    """
    corners = np.array([[0, 0], [size, 0], [0, size], [size, size]]) - 0.5
    back = cv2.invertAffineTransform(matrix)
    points = corners @ back[:, :2].T + back[:, 2]
    last = np.array(shape[1::-1]) - 1
    low = np.maximum(np.floor(np.clip(points.min(axis=0), 0, last) - margin), 0).astype(int)
    high = np.minimum(np.ceil(np.clip(points.max(axis=0), 0, last) + margin), last).astype(int) + 1
    return int(low[0]), int(low[1]), int(high[0]), int(high[1])


def raise_contrast(crop: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A crop uint8 ``(S, S)``, or ``(S, S, 3)``, of hardly any contrast, drawn apart around its mean grey; any other as
    it is.

    The networks have seen few faces whose grey values have a standard deviation below 24, and answer poorly on them;
    at 44, FER2013's usual one, they answer as on others (``bench/runtime/tilt.py`` has the figures).
    """
    grey = grey_of(crop)
    mean, spread = float(grey.mean()), float(grey.std())
    if not 0 < spread < CONTRAST.flat:
        return crop
    return np.asarray(np.clip(np.round((crop - mean) * (CONTRAST.usual / spread) + mean), 0, 255), np.uint8)


def crop_matrix(box: Sequence[float], spec: ModelSpec, turn: float = 0.0) -> NDArray[np.float64]:
    """Affine ``(2, 3)`` that maps photo pixels to pixels of the network's square, see :func:`crop_face`.

    A turned head's box is read as :func:`extent` describes it.
    """
    left, top, right, bottom = box
    if not (right > left and bottom > top):
        raise ModelError(f"box must have left < right and top < bottom, got {tuple(box)}")
    cos, sin = float(np.cos(np.radians(turn))), float(np.sin(np.radians(turn)))
    width, height = extent(right - left, bottom - top, turn)
    dx, dy = spec.crop.dx * width, spec.crop.dy * height
    cx = (left + right) / 2 + cos * dx - sin * dy
    cy = (top + bottom) / 2 + sin * dx + cos * dy
    k = spec.size / (spec.crop.scale * float(np.sqrt(width * height)))
    linear = k * np.array([[cos, sin], [-sin, cos]])
    # pixel centres: photo x sits at x + 0.5 of the continuous plane
    shift = spec.size / 2 - 0.5 - linear @ np.array([cx - 0.5, cy - 0.5])
    return np.concatenate([linear, shift[:, None]], axis=1)


def extent(width: float, height: float, turn: float) -> tuple[float, float]:
    """Width and height of the box that stands for a face of ``width`` x ``height`` which is turned by ``turn`` degrees.

    Its area is the face's at every turn; its sides are the face's own at 0, the same at 45 and exchanged at 90 degrees.
    """
    side, lean = float(np.sqrt(width * height)), float(np.cos(np.radians(2 * turn)) / 2)
    return side * (width / height) ** lean, side * (height / width) ** lean


def to_crop(points: ArrayLike, box: Sequence[float], spec: ModelSpec, turn: float = 0.0) -> NDArray[np.float32]:
    """Points ``(n, 2)`` of the photo -> the crop, 0..size from edge to edge, float32; ``to_photo`` is the way back."""
    matrix = crop_matrix(box, spec, turn)  # it speaks of pixel centres
    return np.asarray((np.asarray(points) - 0.5) @ matrix[:, :2].T + matrix[:, 2] + 0.5, np.float32)


def to_photo(points: ArrayLike, box: Sequence[float], spec: ModelSpec, turn: float = 0.0) -> NDArray[np.float32]:
    """Points ``(n, 2)`` of the crop, 0..size from edge to edge -> pixels of the photo, float32, edge to edge."""
    back = cv2.invertAffineTransform(crop_matrix(box, spec, turn))
    return np.asarray((np.asarray(points) - 0.5) @ back[:, :2].T + back[:, 2] + 0.5, np.float32)


def preprocess(
    image: NDArray[np.uint8], box: Sequence[float], spec: ModelSpec, turn: float = 0.0
) -> NDArray[np.float32]:
    """A photo and a face's box -> network input, float32 ``(1, channels, size, size)``."""
    face = raise_contrast(crop_face(image, box, spec, turn)).astype(np.float32)
    out: NDArray[np.float32] = normalise(channels_first(face[None]), spec).astype(np.float32)
    return out
