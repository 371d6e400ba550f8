"""Calibrate a model on held-out faces: its spec gets a temperature and a threshold for each number of test-time views.

Leaves out: the arithmetic (``calibration``), and which faces are near-duplicates of Training (``mien.data.audit``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.data import FaceDataset
from mien.errors import ConfigError
from mien.evaluation.calibration import MIN_ROWS, calibrate
from mien.evaluation.model import Loaded
from mien.models.inference import view_logits

__all__ = ["VIEWS", "calibrated"]

#: Numbers of test-time views that are calibrated where nothing else is asked for.
VIEWS = (1, 2, 10)


def calibrated(
    model: Loaded,
    faces: FaceDataset,
    *,
    labels: NDArray[np.int64] | None = None,
    clean: NDArray[np.bool_] | None = None,
    views: Sequence[int] = VIEWS,
) -> Loaded:
    """``model`` with temperature and prediction-set threshold fitted on held-out ``faces``, for each number of views.

    faces   of the model's size, and with its labels in its order unless ``labels`` are given
    labels  int ``(N,)`` in the model's classes, -1 for a row to leave out; those of ``faces`` where None
    clean   bool ``(N,)``, True for a face without a near-duplicate in Training: only these are counted, since a network
            is surer of faces that it has learnt. None where Training is not known; the spec then says ``rows: all``.
    views   numbers of test-time views, 1..10, with 1 among them; each has figures of its own, since a mean over views
            is less sure than one view

    The figures of one view stand in ``spec.calibration``, those of more under its key ``views``, by number. With fewer
    than ``MIN_ROWS`` faces that count, ``model`` is given back as it is. Raises ConfigError where an argument breaks
    its rule.
    """
    y = faces.labels if labels is None else labels
    if 1 not in views or not all(1 <= v <= 10 for v in views):
        raise ConfigError(f"views must be numbers in 1..10 with 1 among them, got {list(views)}")
    for name, given in (("labels", y), ("clean", clean)):
        if given is not None and given.shape != (len(faces),):
            raise ConfigError(f"{name} must have one entry for each of {len(faces)} faces, got {given.shape}")
    if y is None:
        return model
    counted = (y >= 0) if clean is None else (y >= 0) & clean
    if counted.sum() < MIN_ROWS:
        return model
    spec = model.spec
    z = view_logits(model.forward, faces.images[counted], mean=spec.mean, std=spec.std, views=max(views))
    found = {v: calibrate(z[:v], y[counted]).to_dict() for v in sorted(set(views))}
    one: dict[str, Any] = {
        **found.pop(1),
        "split": "+".join(faces.splits) or "validation",
        "fingerprint": faces.fingerprint,
        "rows": "all" if clean is None else "clean",
        "views": {str(v): figures for v, figures in found.items()},
    }
    return replace(model, spec=replace(spec, temperature=one["temperature"], calibration=one))
