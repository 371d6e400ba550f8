"""Prediction sets: the classes that a face may show, by a threshold that calibration found.

Leaves out: finding the threshold (``mien.evaluation.calibration``).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mien.errors import ConfigError

__all__ = ["prediction_set"]


def prediction_set(probabilities: ArrayLike, threshold: float) -> NDArray[np.int64]:
    """The classes of probabilities ``(K,)`` that reach ``threshold``, the most probable first, which is always there.

    Indices int64 ``(k,)``, ``1 <= k <= K``; of equals the first class comes first. Raises ConfigError for other shapes.
    """
    p = np.asarray(probabilities, np.float64)
    if p.ndim != 1 or not p.size:
        raise ConfigError(f"probabilities must have shape (K,) with K >= 1, got {p.shape}; give one face at a time")
    order = np.argsort(-p, kind="stable")
    return order[: max(1, int((p >= threshold).sum()))].astype(np.int64)
