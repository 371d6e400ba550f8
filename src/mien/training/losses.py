"""What a network is told of a batch: losses of its heads, of teachers and of an adversary, weighed as a recipe says.

Leaves out: the steps (``mien.training.loop``) and where targets come from (``mien.training.tensors``).
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from mien.errors import ConfigError
from mien.models import Output
from mien.training.recipe import Distill, Recipe

__all__ = ["loss_of"]

Columns = Mapping[str, slice]


def loss_of(out: Output, target: Tensor, columns: Columns, r: Recipe, weight: Tensor | None) -> Tensor:
    """Cross-entropy of the labels, for auxiliary classifiers too, and of the second head's votes; with a teacher,
    partly its distributions; with an adversary, that it tells people apart and that the network gives it no clue.

    target   all soft targets of the batch side by side, as ``LearningSet`` has them; ``columns`` says which are which
    weight   of each class of the labels, ``(K,)``; None for all alike
    """
    total = torch.zeros((), device=target.device)
    heads = [
        ("logits", out.logits, 1.0, "teacher.logits"),
        ("second", out.second, r.votes_weight, "teacher.second"),
        *(("logits", logits, r.aux_weight, "") for logits in out.auxiliary),
    ]
    for column, logits, share, taught in heads:
        if column in columns:
            if logits is None:
                raise ConfigError(f"{r.model} has no {column} head to learn from the votes: set votes_weight to 0")
            own = weight if column == "logits" else None
            total = total + share * _head(logits.float(), target, columns, column, taught, r, own)
    if "identity" in columns:
        who, guess = target[:, columns["identity"]], out.identity
        if guess is None or out.hidden is None or guess.shape != who.shape:
            raise ConfigError(f"adversary above 0 needs a network with identities={who.shape[1]}, got another")
        total = total + F.cross_entropy(guess.float(), who)
        total = total - r.adversary * F.log_softmax(out.hidden.float(), 1).mean()  # against equal shares
    return total


def _head(
    logits: Tensor, target: Tensor, columns: Columns, column: str, taught: str, r: Recipe, weight: Tensor | None
) -> Tensor:
    """The loss of one head, whose targets are ``column``, and ``taught`` where it follows a teacher."""
    distill, smoothing = r.distill or Distill(), r.smoothing if column == "logits" else 0.0
    loss = F.cross_entropy(logits, target[:, columns[column]], weight=weight, label_smoothing=smoothing)
    if taught in columns:
        t, soft = distill.temperature, target[:, columns[taught]]
        follow = F.kl_div(F.log_softmax(logits / t, 1), soft, reduction="batchmean") * t * t
        loss = (1 - distill.weight) * loss + distill.weight * follow
    return loss
