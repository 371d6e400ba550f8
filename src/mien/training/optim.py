"""Optimizer, learning-rate schedule and moving average of the weights, as a recipe names them.

Leaves out: the loop (``mien.training.loop``).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import product
from typing import Any

import torch
from torch import Tensor, nn

from mien.training.recipe import Recipe

__all__ = ["EMA", "HEADS", "load_moments", "make_optimizer", "schedule"]

#: How the names of the heads' parameters begin.
HEADS = ("head.", "second.")


def make_optimizer(model: nn.Module, recipe: Recipe) -> tuple[torch.optim.Optimizer, list[float]]:
    """The optimizer and the peak learning rate of each of its parameter groups.

    Weight decay reaches matrices and kernels only; ``model.transformer_parameters()`` learn at
    ``lr * transformer_lr_factor``, and all but the heads at ``trunk_lr_factor`` of their rate where training starts
    from weights. What is frozen is in no group.
    """
    o = recipe.optimizer
    transformer = {id(p) for p in getattr(model, "transformer_parameters", list)()}
    learning = {name: p for name, p in model.named_parameters() if p.requires_grad}
    on = next(model.parameters()).device
    slow = {name for name in learning if recipe.init and not name.startswith(HEADS)}
    groups: list[dict[str, Any]] = []
    rates: list[float] = []
    for inside, old, decays in product((False, True), (False, True), (True, False)):
        sort = (inside, old, decays)
        own = [p for name, p in learning.items() if (id(p) in transformer, name in slow, p.ndim > 1) == sort]
        if own:
            rates.append(o.lr * (o.transformer_lr_factor if inside else 1.0) * (o.trunk_lr_factor if old else 1.0))
            groups.append({"params": own, "weight_decay": o.weight_decay if decays else 0.0})
            if on.type == "cuda":  # a number would stay what it was when the step became a graph
                groups[-1]["lr"] = torch.tensor(rates[-1], device=on)
    fused = on.type in ("cpu", "cuda")  # one pass over each weight
    if o.name == "sgd":
        return torch.optim.SGD(groups, lr=o.lr, momentum=0.9, nesterov=True, fused=fused), rates
    kind = torch.optim.Adam if o.name == "adam" else torch.optim.AdamW
    return kind(groups, lr=o.lr, fused=fused, capturable=on.type == "cuda"), rates


def load_moments(optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Give ``optimizer`` what it kept for each weight, ``NUMBER.NAME`` -> tensor; its learning rates stay."""
    states: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        number, name = key.split(".", 1)
        states.setdefault(int(number), {})[name] = value
    weights = [p for group in optimizer.param_groups for p in group["params"]]
    for p, entry in zip(weights, (states[i] for i in sorted(states)), strict=True):
        # fused optimizers walk a weight and its moments side by side: both must lie in memory alike
        entry.update({k: torch.empty_like(p).copy_(v) for k, v in entry.items() if v.shape == p.shape})
    optimizer.load_state_dict({"state": states, "param_groups": optimizer.state_dict()["param_groups"]})


def schedule(epoch: float, recipe: Recipe) -> float:
    """Factor on the learning rate after ``epoch`` (fractional) epochs, 0..1."""
    o = recipe.optimizer
    if epoch < o.warmup:
        return (epoch + 0.01) / (o.warmup + 0.01)
    done = min((epoch - o.warmup) / max(recipe.epochs - o.warmup, 1e-9), 1)
    if o.schedule == "cosine":
        return 0.5 * (1 + math.cos(math.pi * done))
    return 1 - done if o.schedule == "linear" else 1.0


class EMA:
    """Exponential moving average of a model's weights and statistics.

    While it is young the decay is (1 + t) / (10 + t), so that the first, random weights are soon forgotten.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        new = model.state_dict()  # of the tensors themselves, which training changes in place
        self.tensors = {k: v.detach().clone() for k, v in new.items()}
        floats = [k for k, v in new.items() if v.is_floating_point()]
        others = list(new.keys() - set(floats))  # counters
        self.floats, self.others = ([[d[k] for k in keys] for d in (self.tensors, new)] for keys in (floats, others))

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Move towards the model's present weights; ``step`` counts from 0."""
        decay = min(self.decay, (1 + step) / (10 + step))
        torch._foreach_lerp_(self.floats[0], self.floats[1], 1 - decay)
        if self.others[0]:
            torch._foreach_copy_(self.others[0], self.others[1])

    def load(self, tensors: dict[str, Tensor]) -> None:
        """Take over saved values."""
        for k, v in tensors.items():
            self.tensors[k].copy_(v)
