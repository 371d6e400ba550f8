"""The figures of an epoch's end: what the deployed network does on the validation part, shared out over ranks.

Leaves out: calibration and reports, which come once, at the end (``mien.evaluation``).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mien.models import outputs
from mien.models.inference import faces_at_once
from mien.training.ranks import Ranks
from mien.training.tensors import LearningSet

__all__ = ["spread", "validated"]


def validated(model: nn.Module, data: LearningSet, ranks: Ranks) -> dict[str, float]:
    """``val_loss``, ``val_accuracy``, ``theta_spread``, and ``val_second_accuracy`` with a second head."""
    out = _outputs(model, data, ranks)
    logits, target = out["logits"], data.target[:, data.columns["logits"]]
    figures = {
        "val_loss": float(F.cross_entropy(logits, target)),
        "val_accuracy": float((logits.argmax(1) == target.argmax(1)).float().mean()),
        "theta_spread": spread(out.get("theta")),
    }
    if "second" in data.columns:
        votes = data.target[:, data.columns["second"]]
        known = votes.any(1)
        agree = out["second"].argmax(1) == votes.argmax(1)
        figures["val_second_accuracy"] = float(agree[known].float().mean())
    return figures


@torch.no_grad()
def _outputs(model: nn.Module, data: LearningSet, ranks: Ranks) -> dict[str, Tensor]:
    """The model's logits, second and theta for all faces, as far as it has them, in full precision."""
    n = len(data)
    rows = torch.arange(n)[ranks.rows(n) if n >= ranks.count else slice(n)]
    parts = [
        outputs(model, data.normal(images.float()))
        for images in data.pixels(torch.split(rows, faces_at_once(data.side)))
    ]
    found = {key: [getattr(part, key) for part in parts] for key in ("logits", "second", "theta")}
    shares = {key: torch.cat(every).float() for key, every in found.items() if every[0] is not None}
    return {key: ranks.whole(share, n) if len(share) < n else share for key, share in shares.items()}


def spread(theta: Tensor | None) -> float:
    """How much theta ``(N, 2, 3)`` differs from face to face: the mean of its six standard deviations.

    0 means that the transformer is dead: it does the same for every face.
    """
    return 0.0 if theta is None or len(theta) < 2 else float(theta.float().std(0).mean())
