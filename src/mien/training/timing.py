"""How long a step takes here, and how many epochs fit into a given time. Leaves out: training itself."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np

from mien.data import FaceDataset
from mien.training.loop import fit
from mien.training.optim import HEADS
from mien.training.preparation import make_network
from mien.training.recipe import Recipe

__all__ = ["epochs_within", "shortened", "step_seconds"]

_WARM_UP, _TIMED = 3, 12  # steps of the trial that decides how many epochs fit
_SHARE = 0.85  # of the time goes to training steps, the rest to validation and start


def shortened(recipe: Recipe, epochs: int) -> Recipe:
    """``recipe`` with so many epochs, and warm-up and averaging to match."""
    warmup = min(recipe.optimizer.warmup, epochs / 5)
    ema = min(recipe.ema, 0.99) if epochs < recipe.epochs else recipe.ema  # no time for a longer memory
    return replace(recipe, epochs=epochs, ema=ema, optimizer=replace(recipe.optimizer, warmup=warmup))


def epochs_within(recipe: Recipe, train: FaceDataset, seconds: float, *, device: str = "auto") -> int:
    """How many epochs of ``recipe`` fit into ``seconds``, 1 or more: times some steps of a throwaway network.

    Steps are timed at the recipe's size; smaller ones are taken to cost as much less as they have fewer pixels.
    """
    own = recipe.size
    share = float(np.mean([(recipe.size_at(e, own) / own) ** 2 for e in range(recipe.epochs)]))
    step = share * step_seconds(recipe, train, _WARM_UP, _TIMED, device=device)
    return max(1, int(_SHARE * seconds / (step * max(1, len(train) // recipe.batch_size))))


def step_seconds(
    recipe: Recipe, train: FaceDataset, warm_up: int, timed: int, *, graph: bool = True, device: str = "auto"
) -> float:
    """Median time of a training step of a throwaway network at the recipe's size, after ``warm_up`` steps."""
    rows = train.take([i % len(train) for i in range((warm_up + timed) * recipe.batch_size)]).resized(recipe.size)
    optimizer = replace(recipe.optimizer, warmup=0.0)
    votes = 0.0 if rows.second is None else recipe.votes_weight
    trial = replace(recipe, epochs=1, sizes=(), deduplicate=False, optimizer=optimizer, votes_weight=votes)
    ends: list[float] = []
    network = make_network(trial, rows)
    for name, p in network.named_parameters():
        p.requires_grad_(recipe.freeze == "none" or name.startswith(HEADS))
    fit(
        network,
        rows,
        rows.take(slice(0, 1)),
        trial,
        device=device,
        graph=graph,
        on_batch=lambda _: ends.append(time.perf_counter()),
    )
    return float(np.median(np.diff(ends[warm_up - 1 :])))
