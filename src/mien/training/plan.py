"""What a run with several processes would do, found out without training: steps, each rank's batch, faces and memory.

Memory is counted, not guessed: the sizes of weights and of what an optimizer keeps, and what one forward pass of a
rank's batch leaves for the backward pass. Leaves out: the libraries' own memory, and fragmentation.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from mien.data import FaceDataset
from mien.errors import ConfigError
from mien.models import outputs
from mien.stored import Images, StoredImages
from mien.training.ahead import BUFFER
from mien.training.devices import autocast, lent
from mien.training.preparation import make_network, prepare
from mien.training.ranks import Ranks
from mien.training.recipe import Recipe

__all__ = ["Plan", "plan"]

_KEPT = {"adam": 2, "adamw": 2, "sgd": 1}  # numbers an optimizer keeps for each weight


@dataclass(frozen=True)
class Plan:
    """A run of ``ranks`` processes; bytes are those of one rank.

    steps, epochs  steps of an epoch, whatever the number of ranks, and epochs
    batch          the whole one, and ``batch_a_rank`` each rank's share of it
    faces          to learn; ``faces_a_rank`` of an epoch goes through each rank. Every rank holds all in memory, unless
                   they are stored
    weights        bytes of weights, gradients, optimizer and moving average
    activations    bytes that a forward pass keeps for the backward pass
    data           bytes of the faces and their targets
    """

    ranks: int
    steps: int
    epochs: int
    batch: int
    batch_a_rank: tuple[int, ...]
    faces: int
    faces_a_rank: tuple[int, ...]
    weights: int
    activations: int
    data: int

    def __str__(self) -> str:
        """Lines for people."""
        total = self.weights + self.activations + self.data
        return "\n".join(
            (
                f"{self.ranks} processes; {self.steps:,} steps an epoch, {self.epochs} epochs",
                f"batch {self.batch:,}: {_listed(self.batch_a_rank)} a rank",
                f"faces {self.faces:,}: {_listed(self.faces_a_rank)} a rank in an epoch",
                f"memory a rank {_megabytes(total)}: weights, gradients, optimizer {_megabytes(self.weights)}, "
                f"activations {_megabytes(self.activations)}, faces {_megabytes(self.data)}; "
                "besides what Python and torch take",
            )
        )


def plan(recipe: Recipe, train: FaceDataset, val: FaceDataset, ranks: int, *, taught: bool = False) -> Plan:
    """What ``mien.training.train`` would do with ``ranks`` processes; ConfigError as there, and for too many ranks."""
    ready = prepare(recipe, train, val, taught=taught)
    recipe, faces = ready.recipe, ready.train
    batch = min(recipe.batch_size, len(faces))
    shares = [Ranks(r, ranks).rows(batch) for r in range(ranks)]
    sizes = [share.stop - share.start for share in shares]
    if ranks > 1 and min(sizes) < 2:
        raise ConfigError(f"batches of {batch} faces are too few for {ranks} processes, which need 2 each: start fewer")
    with lent(torch.device("cpu")) as generator:
        generator.manual_seed(recipe.seed)
        network = make_network(recipe, faces)
        own = sum(p.nbytes for p in network.parameters())
        kept = _kept_for_backward(network, max(sizes), (recipe.channels, recipe.size, recipe.size))
    steps = max(1, len(faces) // recipe.batch_size)
    weights = own * (2 + _KEPT[recipe.optimizer.name] + (recipe.ema > 0))
    data = sum(_held(d.images) + 4 * len(d) * len(d.names) for d in (faces, ready.val))
    through = tuple(n * steps for n in sizes)
    return Plan(ranks, steps, recipe.epochs, batch, tuple(sizes), len(faces), through, weights, kept, data)


def _held(images: Images) -> int:
    """Bytes of the faces in memory, which of stored ones are those that were read ahead."""
    return min(images.nbytes, BUFFER) if isinstance(images, StoredImages) else images.nbytes


def _kept_for_backward(network: torch.nn.Module, n: int, shape: tuple[int, ...]) -> int:
    """Bytes that a forward pass of ``n`` faces keeps, each tensor once, weights left out."""
    seen = {p.untyped_storage().data_ptr() for p in network.parameters()}
    found: dict[int, int] = {}

    def keep(x: Tensor) -> Tensor:
        storage = x.untyped_storage()
        if storage.data_ptr() not in seen:
            found[storage.data_ptr()] = storage.nbytes()
        return x

    network.train()
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda x: x), autocast(torch.device("cpu")):
        kept = outputs(network, torch.zeros(n, *shape)).logits  # held until all is counted
    del kept
    return sum(found.values())


def _listed(sizes: tuple[int, ...]) -> str:
    low, high = min(sizes), max(sizes)
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


def _megabytes(n: int) -> str:
    return f"{n / 1e6:,.1f} MB"
