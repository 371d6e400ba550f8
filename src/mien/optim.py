"""Optimizer, learning-rate schedule and weight average, as a recipe names them.

Leaves out: the loop (``engine``).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from mien.recipe import Recipe

__all__ = ["Average", "make_optimizer", "schedule"]


def make_optimizer(model: nn.Module, recipe: Recipe) -> tuple[torch.optim.Optimizer, list[float]]:
    """The optimizer and the peak learning rate of each of its parameter groups.

    Weight decay reaches matrices and kernels only; ``model.slow_parameters()`` learn at ``lr * slow``.
    """
    o = recipe.optimizer
    slow = {id(p) for p in getattr(model, "slow_parameters", list)()}
    groups, rates = [], []
    for is_slow in (False, True):
        for decays in (True, False):
            own = [p for p in model.parameters() if (id(p) in slow) is is_slow and (p.ndim > 1) is decays]
            if own:
                groups.append({"params": own, "weight_decay": o.l2 if decays else 0.0})
                rates.append(o.lr * (o.slow if is_slow else 1.0))
    fused = all(p.device.type in ("cpu", "cuda") for p in model.parameters())  # one pass over each weight
    if o.name == "sgd":
        return torch.optim.SGD(groups, lr=o.lr, momentum=0.9, nesterov=True, fused=fused), rates
    kind = torch.optim.Adam if o.name == "adam" else torch.optim.AdamW
    return kind(groups, lr=o.lr, fused=fused), rates


def schedule(epoch: float, recipe: Recipe) -> float:
    """Factor on the learning rate after ``epoch`` (fractional) epochs, 0..1."""
    o = recipe.optimizer
    if epoch < o.warmup:
        return (epoch + 0.01) / (o.warmup + 0.01)
    done = min((epoch - o.warmup) / max(recipe.epochs - o.warmup, 1e-9), 1)
    if o.schedule == "cosine":
        return 0.5 * (1 + math.cos(math.pi * done))
    return 1 - done if o.schedule == "linear" else 1.0


class Average:
    """Exponential moving average of a model's weights and statistics.

    While it is young the decay is (1 + t) / (10 + t), so that the first, random weights are soon forgotten.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.tensors = {k: v.detach().clone() for k, v in model.state_dict().items()}

    @torch.no_grad()
    def update(self, model: nn.Module, step: int) -> None:
        """Move towards the model's present weights; ``step`` counts from 0."""
        decay = min(self.decay, (1 + step) / (10 + step))
        new = model.state_dict()
        floats = [k for k, v in new.items() if v.is_floating_point()]
        torch._foreach_lerp_([self.tensors[k] for k in floats], [new[k] for k in floats], 1 - decay)
        for k in new.keys() - set(floats):
            self.tensors[k].copy_(new[k])

    def load(self, tensors: dict[str, Tensor]) -> None:
        """Take over saved values."""
        for k, v in tensors.items():
            self.tensors[k].copy_(v)
