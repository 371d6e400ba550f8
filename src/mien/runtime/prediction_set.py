"""Prediction sets: the classes that a face may show, by a threshold that calibration found or a plain rule.

Leaves out: finding the threshold (``mien.evaluation.calibration``).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mien.errors import ConfigError
from mien.spec import ModelSpec

__all__ = ["PLAIN_SHARE", "possible_labels", "prediction_set"]

#: What the set of a model without calibration reaches together.
PLAIN_SHARE = 0.9


def prediction_set(probabilities: ArrayLike, threshold: float) -> NDArray[np.int64]:
    """The classes of probabilities ``(K,)`` that reach ``threshold``, the most probable first, which is always there.

    Indices int64 ``(k,)``, ``1 <= k <= K``; of equals the first class comes first. Raises ConfigError for other shapes.
    """
    p = np.asarray(probabilities, np.float64)
    if p.ndim != 1 or not p.size:
        raise ConfigError(f"probabilities must have shape (K,) with K >= 1, got {p.shape}; give one face at a time")
    order = np.argsort(-p, kind="stable")
    return order[: max(1, int((p >= threshold).sum()))].astype(np.int64)


def possible_labels(probabilities: NDArray[np.float32], spec: ModelSpec) -> tuple[str, ...]:
    """The labels that a face with probabilities ``(K,)`` may have, see ``Face.prediction_set``."""
    threshold = spec.calibration.get("threshold")
    if threshold is not None:
        chosen = prediction_set(probabilities, threshold)
    else:
        order = prediction_set(probabilities, 0.0)
        together = np.cumsum(probabilities[order], dtype=np.float64)
        chosen = order[: np.searchsorted(together, PLAIN_SHARE - 1e-6) + 1]  # less the rounding of float32
    return tuple(spec.labels[i] for i in chosen)
