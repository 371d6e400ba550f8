"""Corrupted versions of a batch of faces, to see what a model still gets right: nine kinds, each in five severities.

After Hendrycks & Dietterich 2019, "Benchmarking Neural Network Robustness to Common Corruptions and Perturbations",
arXiv 1903.12261, section 3. Deviations: nine kinds instead of fifteen, those that say something about small grey faces
(no weather, zoom or elastic warp); ``eyes``, ``mouth`` and ``rotation`` are ours; the severities are our own, chosen by
eye on 48-pixel faces and given as shares of the side, so that they look alike at every size (below 24 pixels two of
them may coincide); the severities of one kind share their random draws, so that they differ in severity alone.
Leaves out: training on them (``mien.training``) and scoring (``scoring``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from mien.errors import ConfigError

__all__ = [
    "CORRUPTIONS",
    "MODERATE",
    "SEVERITIES",
    "blur",
    "brightness",
    "contrast",
    "corrupt",
    "corrupt_moderately",
    "eyes",
    "jpeg",
    "low_resolution",
    "mouth",
    "noise",
    "rotation",
]

Images = NDArray[np.uint8]

#: kind -> its amount at severities 1..5, in the unit that the function of that name states.
SEVERITIES: dict[str, tuple[float, float, float, float, float]] = {
    "blur": (0.012, 0.02, 0.03, 0.042, 0.06),  # 48 pixels: sigma of 0.6, 1.0, 1.4, 2.0, 2.9 pixels
    "noise": (0.03, 0.06, 0.1, 0.15, 0.22),
    "brightness": (0.1, 0.2, 0.3, 0.4, 0.5),
    "contrast": (0.7, 0.5, 0.35, 0.22, 0.12),
    "rotation": (6, 12, 20, 30, 45),
    "eyes": (0.08, 0.14, 0.2, 0.26, 0.32),  # 48 pixels: 4, 7, 10, 13, 15 rows
    "mouth": (0.1, 0.17, 0.24, 0.31, 0.38),  # 48 pixels: 5, 9, 11, 15, 19 rows
    "jpeg": (40, 25, 15, 10, 5),
    "low_resolution": (0.67, 0.5, 0.4, 0.3, 0.22),  # 48 pixels: 32, 24, 19, 14, 11 pixels
}

#: Severities that count as moderate, of every kind: what prediction sets make a promise about.
MODERATE = (1, 2, 3)

# Where eyes and mouth lie in an aligned face of FER2013, as shares of the side: the middle row of the band, and the
# columns from..to.
_EYES = 0.36, 0.06, 0.94
_MOUTH = 0.78, 0.2, 0.8
_DARK = 24  # grey value of the bar over the eyes: dark glasses, not a hole


def blur(images: Images, sigma: float, rng: Generator) -> Images:
    """Gaussian blur; ``sigma`` as a share of the side."""
    pixels = sigma * images.shape[1]
    return _stack(cv2.GaussianBlur(x, (0, 0), pixels, borderType=cv2.BORDER_REFLECT_101) for x in images)


def noise(images: Images, sigma: float, rng: Generator) -> Images:
    """Gaussian noise, drawn anew for each pixel; ``sigma`` as a share of the range 0..255."""
    return _stack(_grey(x + 255 * sigma * rng.standard_normal(x.shape, dtype=np.float32)) for x in images)


def brightness(images: Images, offset: float, rng: Generator) -> Images:
    """Darker and brighter by turns, the first one darker; ``offset`` as a share of the range, what leaves it clips."""
    signs = np.where(np.arange(len(images)) % 2, 1, -1)
    return _stack(_grey(x + np.float32(255 * offset * s)) for x, s in zip(images, signs, strict=True))


def contrast(images: Images, factor: float, rng: Generator) -> Images:
    """Distances from each image's mean times ``factor``, below 1."""
    return _stack(_grey((x - x.mean(dtype=np.float32)) * np.float32(factor) + x.mean()) for x in images)


def rotation(images: Images, degrees: float, rng: Generator) -> Images:
    """Turned around the middle by ``degrees``, either way at random, bilinear; what comes in is reflected."""
    side = images.shape[1]
    middle = (side - 1) / 2
    turns = [cv2.getRotationMatrix2D((middle, middle), s * degrees, 1) for s in rng.choice([-1, 1], len(images))]
    border = {"flags": cv2.INTER_LINEAR, "borderMode": cv2.BORDER_REFLECT_101}
    return _stack(cv2.warpAffine(x, m, (side, side), **border) for x, m in zip(images, turns, strict=True))


def eyes(images: Images, height: float, rng: Generator) -> Images:
    """A dark bar over the eyes of an aligned face, ``height`` as a share of the side (ours)."""
    return _cover(images, *_EYES, height, np.full(len(images), _DARK))


def mouth(images: Images, height: float, rng: Generator) -> Images:
    """A patch of the image's mean grey over the mouth of an aligned face, ``height`` as a share of the side (ours)."""
    return _cover(images, *_MOUTH, height, images.mean((1, 2)).round())


def jpeg(images: Images, quality: float, rng: Generator) -> Images:
    """Written as JPEG of ``quality`` 1..100 and read again. Its blocks are 8 pixels at every size."""
    flags = [cv2.IMWRITE_JPEG_QUALITY, int(quality)]
    files = (cv2.imencode(".jpg", x, flags)[1] for x in images)
    return _stack(cv2.imdecode(file, cv2.IMREAD_GRAYSCALE) for file in files)


def low_resolution(images: Images, share: float, rng: Generator) -> Images:
    """Shrunk to ``share`` of the side by area and enlarged again, linear."""
    side = images.shape[1]
    small = max(1, round(share * side))
    shrunk = (cv2.resize(x, (small, small), interpolation=cv2.INTER_AREA) for x in images)
    return _stack(cv2.resize(x, (side, side), interpolation=cv2.INTER_LINEAR) for x in shrunk)


#: kind -> function of images uint8 ``(N, S, S)``, amount and generator; gives new images of the same shape.
CORRUPTIONS: dict[str, Callable[[Images, float, Generator], Images]] = {
    "blur": blur,
    "noise": noise,
    "brightness": brightness,
    "contrast": contrast,
    "rotation": rotation,
    "eyes": eyes,
    "mouth": mouth,
    "jpeg": jpeg,
    "low_resolution": low_resolution,
}


def corrupt(images: Images, kind: str, severity: int, seed: int = 0) -> Images:
    """Corrupt grey faces uint8 ``(N, S, S)``, N >= 1: new images of the same shape, the originals are left alone.

    kind      one of ``CORRUPTIONS``
    severity  1 (slight) .. 5 (severe), see ``SEVERITIES``
    seed      0 or more; with equal arguments image ``i`` depends on itself and ``i`` alone

    Raises ConfigError where an argument breaks its rule.
    """
    if kind not in CORRUPTIONS:
        raise ConfigError(f"kind must be one of {', '.join(CORRUPTIONS)}, got {kind!r}")
    if isinstance(severity, bool) or severity not in (1, 2, 3, 4, 5):
        raise ConfigError(f"severity must be a whole number in 1..5, got {severity!r}")
    if seed < 0:
        raise ConfigError(f"seed must be 0 or more, got {seed}")
    if images.dtype != np.uint8 or images.ndim != 3 or images.shape[1] != images.shape[2] or 0 in images.shape:
        raise ConfigError(f"images must be uint8 (N, S, S), N and S 1 or more, got {images.dtype} {images.shape}")
    rng = np.random.default_rng([seed, *kind.encode()])
    return CORRUPTIONS[kind](images, SEVERITIES[kind][int(severity) - 1], rng)


def corrupt_moderately(images: Images, seed: int = 0) -> Images:
    """Each face uint8 ``(N, S, S)`` corrupted once, by chance in one of all kinds and ``MODERATE`` severities, which
    get equally many faces, give or take one. See :func:`corrupt`.
    """
    ways = [(kind, severity) for kind in CORRUPTIONS for severity in MODERATE]
    which, out = np.random.default_rng(seed).permutation(np.arange(len(images)) % len(ways)), images.copy()
    for i, (kind, severity) in enumerate(ways):
        if (which == i).any():
            out[which == i] = corrupt(images[which == i], kind, severity, seed)
    return out


def _cover(
    images: Images, middle: float, left: float, right: float, height: float, grey: NDArray[np.float64]
) -> Images:
    """Fill the band of ``height`` around the row ``middle``, columns ``left..right``, all as shares of the side."""
    side = images.shape[1]
    top, bottom, first, last = (round(side * v) for v in (middle - height / 2, middle + height / 2, left, right))
    out = images.copy()
    out[:, top:bottom, first:last] = grey[:, None, None]
    return out


def _grey(x: NDArray[np.float32]) -> Images:
    """Rounded and clipped to 0..255."""
    return np.clip(np.rint(x), 0, 255).astype(np.uint8)


def _stack(images: Iterable[Any]) -> Images:
    return np.stack(list(images))
