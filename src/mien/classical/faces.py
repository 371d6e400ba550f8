"""What goes into the classical methods, checked: grey faces of one size, a label for each.

Leaves out: reading files (``mien.data``) and what is computed from the faces.
"""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.errors import ConfigError

__all__ = ["check_faces", "check_labels", "check_number", "mirrored"]


def check_faces(faces: Any, size: tuple[int, int] | None = None) -> NDArray[np.uint8]:
    """The faces as they are, uint8 ``(N, H, W)`` with N >= 1; of height and width ``size`` where that is given.

    Raises :class:`ConfigError` for anything else.
    """
    images = np.asarray(faces)
    if images.dtype != np.uint8 or images.ndim != 3:
        raise ConfigError(
            f"X must be grey faces, uint8 (N, H, W) from 0 to 255, got {images.dtype} {images.shape}: "
            "give the images of a data set, or convert with (x * 255).round().astype('uint8')"
        )
    if not images.size:
        raise ConfigError(f"X must hold at least one face, got shape {images.shape}: give faces to work on")
    if size is not None and images.shape[1:] != size:
        raise ConfigError(
            f"X must hold faces of {size[0]} x {size[1]} pixels, as at fit, got {images.shape[1]} x {images.shape[2]}: "
            "resize them, or fit anew"
        )
    return images


def check_labels(labels: Any, faces: int) -> NDArray[Any]:
    """One class number (>= 0) or name for each of the ``faces``, of at least two classes; anything else is an error."""
    if labels is None:
        raise ConfigError("y is missing: the classifier learns from a class number or name for each face, give them")
    y = np.asarray(labels)
    if y.ndim != 1 or len(y) != faces:
        raise ConfigError(f"y must hold one label for each of the {faces} faces, got shape {y.shape}: give as many")
    missing = _missing(y)
    if missing.any():
        raise ConfigError(
            f"y must label every face, but {int(missing.sum())} of {faces} have none (below 0, not finite, or empty), "
            f"the first at row {int(missing.argmax())}: leave out the faces without a label"
        )
    if len(np.unique(y)) < 2:
        raise ConfigError(f"y must hold at least two classes, got only {y[0]!r}: give faces of another class too")
    return y


def check_number(name: str, value: Any, low: float, high: float = np.inf, *, whole: bool = True) -> None:
    """Raise :class:`ConfigError` unless ``value`` is a number from ``low`` to ``high``; a whole one where ``whole``."""
    kind = Integral if whole else Real
    fine = isinstance(value, kind) and not isinstance(value, bool) and bool(low <= value <= high)  # type: ignore[operator]
    if not fine:
        top = f" to {high:g}" if np.isfinite(high) else " upwards"
        raise ConfigError(f"{name} must be a {'whole ' if whole else ''}number from {low:g}{top}, got {value!r}")


def mirrored(faces: NDArray[np.uint8], labels: NDArray[Any]) -> tuple[NDArray[np.uint8], NDArray[Any]]:
    """The faces, then their mirror images: twice as many rows, row ``i + N`` the mirror of row ``i``."""
    return np.concatenate([faces, faces[:, :, ::-1]]), np.concatenate([labels, labels])


def _missing(y: NDArray[Any]) -> NDArray[np.bool_]:
    if y.dtype.kind in "iufb":
        found: NDArray[np.bool_] = ~np.isfinite(y) | (y < 0)
        return found
    return np.array([v is None or v == "" or v != v for v in y.tolist()])
