"""Calibrate a model on held-out faces: its logits are scaled and shifted by class, and its spec gets a temperature and
a threshold for each number of test-time views.

Leaves out: the arithmetic (``calibration``), and which faces are near-duplicates of Training (``mien.data.audit``).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mien.data import FaceDataset
from mien.errors import ConfigError
from mien.evaluation.calibration import MIN_ROWS, calibrate
from mien.evaluation.class_scaling import Scaling
from mien.evaluation.corruptions import corrupt_moderately
from mien.evaluation.model import Loaded
from mien.models.heads import classifier, scaled, with_head
from mien.models.inference import view_logits
from mien.stored import Images

__all__ = ["VIEWS", "HeldOut", "calibrated", "held_out"]

#: Numbers of test-time views that are calibrated where nothing else is asked for.
VIEWS = (1, 2, 10)

_SCALED_FROM = 1000  # faces; from fewer, a scale and shift for each class would flatter the score on these same faces


class HeldOut(NamedTuple):
    """What a network says of faces that it has not learnt: logits float64 ``(views, N, K)``.

    corrupted  the same of these faces moderately corrupted; None for faces in colour, for which there is no way
    """

    plain: NDArray[np.float64]
    corrupted: NDArray[np.float64] | None

    def each(self, change: Callable[[NDArray[np.float64]], NDArray[np.float64]]) -> HeldOut:
        """``change`` of both."""
        return HeldOut(change(self.plain), None if self.corrupted is None else change(self.corrupted))


def held_out(model: Loaded, images: Images, views: int) -> HeldOut:
    """What ``model`` says of faces, uint8 ``(N, S, S)`` or ``(N, S, S, 3)``."""
    spec = model.spec
    parts = [np.asarray(images)] + ([corrupt_moderately(np.asarray(images))] if images.ndim == 3 else [])
    said = [view_logits(model.forward, part, mean=spec.mean, std=spec.std, views=views) for part in parts]
    return HeldOut(said[0], said[1] if len(said) > 1 else None)


def calibrated(
    model: Loaded,
    faces: FaceDataset,
    *,
    labels: NDArray[np.int64] | None = None,
    clean: NDArray[np.bool_] | None = None,
    views: Sequence[int] = VIEWS,
    said: HeldOut | None = None,
    balance: float = 0.0,
) -> Loaded:
    """``model`` with temperature and prediction-set threshold fitted on held-out ``faces``, for each number of views.

    faces   of the model's size, and with its labels in its order unless ``labels`` are given
    labels  int ``(N,)`` in the model's classes, -1 for a row to leave out; those of ``faces`` where None
    clean   bool ``(N,)``, True for a face without a near-duplicate in Training: only these are counted, since a network
            is surer of faces that it has learnt. None where Training is not known; the spec then says ``rows: all``.
    views   numbers of test-time views, 1..10, with 1 among them; each has figures of its own, since a mean over views
            is less sure than one view
    said    what ``model`` says of the faces that count, in their order; None asks it
    balance how far rare classes are preferred where logits are shifted by class, see ``class_scaling``; 0 not at all

    Where at least 1,000 faces count, the logits are scaled and shifted by class, see ``class_scaling``. The threshold
    keeps what is promised of faces as they are and of moderately corrupted ones. The figures of one view stand in
    ``spec.calibration``, those of more under its key ``views``, by number. With fewer than ``MIN_ROWS`` faces that
    count, ``model`` is given back as it is. Raises ConfigError where an argument breaks its rule.
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
    z, q = said or held_out(model, faces.images[counted], max(views))
    many = bool(counted.sum() >= _SCALED_FROM)
    every = {
        v: calibrate(z[:v], y[counted], corrupted=None if q is None else q[:v], scaled=many, balance=balance)
        for v in sorted(set(views))
    }
    scaling, found = Scaling(every[1].scale, every[1].shift), {v: c.to_dict() for v, c in every.items()}
    one: dict[str, Any] = {
        **found.pop(1),
        "split": "+".join(faces.splits) or "validation",
        "fingerprint": faces.fingerprint,
        "rows": "all" if clean is None else "clean",
        "views": {str(v): figures for v, figures in found.items()},
    }
    forward = _scaled(model.forward, scaling)
    return replace(model, forward=forward, spec=replace(model.spec, temperature=one["temperature"], calibration=one))


def _scaled(forward: Callable[[Tensor], Tensor], scaling: Scaling) -> Callable[[Tensor], Tensor]:
    """A network with what scales its logits in its last layer; another function, with that done to what it gives."""
    if not scaling.scale:
        return forward
    if isinstance(forward, nn.Module):
        return with_head(forward, scaled(classifier(forward), scaling.scale, scaling.shift))
    scale, shift = (torch.tensor(v) for v in (scaling.scale, scaling.shift))
    return lambda x: forward(x) * scale + shift
