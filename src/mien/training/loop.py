"""The loop: ``fit`` a network to faces as a recipe says.

Receives a network, never a name, and never touches the disk: progress and state go to callbacks. Every random draw of a
step comes from generators seeded by (seed, epoch) or (seed, step), so a run continued from a :class:`State` at any step
ends with the same weights, bit for bit on the CPU. Of several ranks each has a share of every batch, which is the one
that a single process takes, augmented alike. Leaves out: what becomes of it (``mien.training.run``).
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Iterator, Mapping
from collections.abc import Generator as Steps
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from mien.data import FaceDataset
from mien.errors import ConfigError, MienError
from mien.models import fuse, outputs
from mien.spec import Scale
from mien.training import transforms
from mien.training.corruption import corrupt
from mien.training.devices import Graph, autocast, lent, pick_device
from mien.training.losses import loss_of
from mien.training.optim import EMA, load_moments, make_optimizer, schedule
from mien.training.preparation import check_fits
from mien.training.ranks import ALONE, Ranks
from mien.training.recipe import Recipe
from mien.training.tensors import LearningSet
from mien.training.validation import validated

__all__ = ["Batch", "Diverged", "State", "Stopped", "fit"]

Epoch = dict[str, float]

#: Steps after which loss and right answers are read: waiting for a GPU at each would leave it idle in between.
READ_EVERY = {"cuda": 16, "mps": 16}


@dataclass(frozen=True)
class Batch:
    """Where training stands after a step: epoch and step count from 1, loss and accuracy are running means, on a GPU
    as they were read some steps ago.
    """

    epoch: int
    epochs: int
    step: int
    steps: int
    loss: float
    accuracy: float


@dataclass(frozen=True)
class State:
    """All that a run needs to continue: ``tensors`` (weights, optimizer, moving average) and plain numbers.

    step and epoch count what is done; ``sums`` are loss, right answers, images and seconds of the unfinished epoch
    """

    step: int = 0
    epoch: int = 0
    sums: list[float] = field(default_factory=lambda: [0.0] * 4)
    history: list[Epoch] = field(default_factory=list)
    tensors: dict[str, Tensor] = field(default_factory=dict)


class Stopped(MienError):
    """``on_batch`` asked for a stop; ``state`` continues the run."""

    def __init__(self, state: State) -> None:
        super().__init__(f"stopped in epoch {state.epoch + 1} after {state.step} steps")
        self.state = state


class Diverged(MienError):
    """The training loss is no longer finite."""


def fit(
    model: nn.Module,
    train: FaceDataset,
    val: FaceDataset,
    recipe: Recipe,
    *,
    teacher: Mapping[tuple[str, ...], NDArray[np.floating[Any]]] | None = None,
    statistics: tuple[Scale, Scale] | None = None,
    device: str = "auto",
    graph: bool = True,
    state: State | None = None,
    ranks: Ranks = ALONE,
    clock: Callable[[], float] | None = None,
    on_batch: Callable[[Batch], bool | None] | None = None,
    on_epoch: Callable[[Epoch], None] | None = None,
    on_state: Callable[[Callable[[], State], bool], None] | None = None,
) -> tuple[nn.Module, list[Epoch]]:
    """Train ``model`` in place as the recipe says; returns the deployed (averaged, fused, eval) copy and the history.

    train, val  faces of one size with the same class names; those that are stored are read ahead of each step
    statistics  mean and standard deviation, 0..1, that faces are normalised by; None for those of ``train``
    teacher     class names -> soft targets ``(R, N, K)`` for ``train``, shares that sum to 1, R = 1, or as many as
                ``distill.augmented_views``; the names are those of ``train``, of its second labelling, or both; see
                ``distillation.soft_targets``
    device      auto, cpu, cuda, cuda:1 ... or mps
    graph       on CUDA, record a step as a graph, several times as fast for small networks; False for networks whose
                forward chooses by values on the device
    state       continue from here, the same on every rank
    ranks       the processes that train together, see ``ranks.joined``; all call ``fit`` with the same arguments
    clock       gives the share of the time that is over, 0..1: learning rate and sizes follow it in the place of the
                epochs, and with 1 the epoch is the last one, however many there were
    on_batch    called after each step; returning True on any rank raises :class:`Stopped` on all, which holds the state
    on_epoch    called with the epoch's figures: epoch, train_loss, train_accuracy, val_loss, val_accuracy,
                images_per_second (training only), theta_spread, lr, seconds; val_second_accuracy with a second head
    on_state    called after each step with a function that takes the state, and whether an epoch just ended

    Training loss and accuracy are running means over the epoch, on augmented images with dropout; the validation
    figures are those of the deployed model. The device's default generator and cuDNN's search are borrowed, and
    afterwards what they were. Raises :class:`Diverged` when the loss is not finite.
    """
    check_fits(model, train, val)
    where, (mean, std) = pick_device(device), statistics or train.statistics
    own = LearningSet.of(train, recipe, where, mean, std, teacher)
    validation = LearningSet.of(val, replace(recipe, adversary=0.0), where, mean, std, None)  # its people are others
    if teacher and not any(k.startswith("teacher.") for k in own.columns):
        raise ConfigError(
            f"teachers predict {', '.join(' '.join(names) for names in teacher)}, which no head of the network learns: "
            "their classes must be those of the data, or of the second labelling with votes_weight above 0"
        )
    # mixup draws its share on the host; what ranks say to each other is not recorded
    record = graph and where.type == "cuda" and not recipe.augment.mixup and ranks.count == 1
    with lent(where) as dropout:
        trainer = _Trainer(model.to(where), own, recipe, where, dropout, state or State(), record, ranks, clock)
        while trainer.passed() < recipe.epochs:
            with closing(trainer.run_epoch()) as batches:
                for batch in batches:
                    if ranks.any(bool(on_batch and on_batch(batch))):
                        raise Stopped(trainer.state())
                    if on_state and batch.step < batch.steps:
                        on_state(trainer.state, False)
            trainer.close_epoch(validation)
            if on_epoch:
                on_epoch(trainer.history[-1])
            if on_state:
                on_state(trainer.state, True)
        return trainer.deployed(), trainer.history


class _Trainer:
    """One run: model, optimizer, moving average and counters; everything that changes goes through ``state``."""

    def __init__(
        self,
        model: nn.Module,
        train: LearningSet,
        recipe: Recipe,
        device: torch.device,
        dropout: Generator,
        state: State,
        record: bool,
        ranks: Ranks,
        clock: Callable[[], float] | None,
    ) -> None:
        train = train.deduplicated() if recipe.deduplicate else train
        self.model, self.train, self.recipe, self.device, self.dropout = model, train, recipe, device, dropout
        self.ranks, self.forward, self.clock = ranks, model, clock
        self.optimizer, self.rates = make_optimizer(model, recipe)
        self.frozen = [m for m in model.modules() if _all_frozen(list(m.parameters(recurse=False)))]
        self.ema = EMA(model, recipe.ema) if recipe.ema else None
        # a short last batch is left out; the next epoch's order is another
        self.size = min(recipe.batch_size, len(train))
        self.steps = len(train) // self.size
        counts = train.target[:, train.columns["logits"]].sum(0).clamp_min(1)
        weight = (counts.sum() / (len(counts) * counts)) ** recipe.class_weighting
        self.weight = weight if recipe.class_weighting else None
        self.step, self.epoch = state.step, state.epoch
        self.sums, self.history = list(state.sums), list(state.history)
        self.unread: list[Tensor] = []  # mean loss and right answers of the last steps
        self.read_every = READ_EVERY.get(device.type, 1)
        self.record, self.graphs = record, dict[int, Graph]()
        if state.tensors:
            self._load(state.tensors)
        if ranks.count > 1:
            if self.size < 2 * ranks.count:
                raise ConfigError(
                    f"batches of {self.size} faces are too few for {ranks.count} processes, which need 2 each: start "
                    "fewer, or set --batch-size"
                )
            self.forward = DistributedDataParallel(model, device_ids=[device] if device.type == "cuda" else None)

    def passed(self) -> float:
        """How many of the recipe's epochs are over, by steps or by the clock."""
        return self.recipe.epochs * min(self.clock(), 1.0) if self.clock else self.step / self.steps

    def run_epoch(self) -> Steps[Batch]:
        """The steps of the present epoch that are still to do."""
        order = torch.randperm(len(self.train), generator=_generator(self.recipe.seed, 1, self.epoch))
        self.model.train()
        for frozen in self.frozen:
            frozen.eval()
        done = self.step - self.epoch * self.steps
        batches = [order[k * self.size : (k + 1) * self.size] for k in range(done, self.steps)]
        with closing(self.train.ahead([b[self.ranks.rows(len(b))] for b in batches])) as pixels:
            for k, index in enumerate(batches, done + 1):
                yield self._batch(k, index, pixels)

    def _batch(self, k: int, index: Tensor, pixels: Iterator[Tensor | None]) -> Batch:
        """Learn the ``k``-th step of the epoch, from 1."""
        start = time.perf_counter()
        self.unread.append(self._step(index.to(self.device), next(pixels)))  # of all ranks together
        self.step += 1
        if len(self.unread) >= self.read_every or k == self.steps:
            self._read()
        self.sums[3] += time.perf_counter() - start
        n = max(self.sums[2], 1)
        return Batch(self.epoch + 1, self.recipe.epochs, k, self.steps, self.sums[0] / n, self.sums[1] / n)

    def _read(self) -> None:
        """Add what the last steps gave to the sums of the epoch."""
        done = torch.stack(self.unread).tolist() if self.unread else []
        first, self.unread = self.step - self.epoch * self.steps - len(done), []
        for k, (loss, right) in enumerate(done, first + 1):
            if not math.isfinite(loss):
                raise Diverged(f"the training loss became {loss} in epoch {self.epoch + 1}, step {k}; lower --lr")
            self.sums = [a + b for a, b in zip(self.sums, (loss * self.size, right, self.size, 0.0), strict=True)]

    def _step(self, index: Tensor, pixels: Tensor | None) -> Tensor:
        """One batch, of which each rank learns its share: mean loss and number of right answers, on the device."""
        g = _generator(self.recipe.seed, 2, self.step)
        self.dropout.manual_seed(int(torch.randint(2**62, (1,), generator=g)) + self.ranks.rank)
        for group, rate in zip(self.optimizer.param_groups, self.rates, strict=True):
            lr = rate * schedule(self.passed(), self.recipe)
            if isinstance(group["lr"], Tensor):
                group["lr"].fill_(lr)
            else:
                group["lr"] = lr
        size = self.recipe.size_at(int(self.passed()), self.train.side)
        if self.record:
            if size not in self.graphs:
                # all draws come from the default generator, the one that a graph knows
                self.graphs = {size: Graph(lambda index, *pixels: self._learn(index, size, self.dropout, *pixels))}
            done = self.graphs[size](index, *(() if pixels is None else (pixels,)))
        elif self.ranks.count == 1:
            done = self._learn(index, size, g, pixels)
        else:
            rows = self.ranks.rows(len(index))
            done = self._learn(index[rows], size, transforms.Share(g, len(index), rows), pixels)
        if self.ema:
            self.ema.update(self.step)
        return done.clone() if self.record else done  # a graph overwrites it

    def _learn(self, index: Tensor, size: int, g: Generator | transforms.Share, pixels: Tensor | None = None) -> Tensor:
        """Learn from the faces at ``index``, at ``size`` pixels; gives mean loss and number of right answers."""
        r = self.recipe
        images, target, source = self.train.batch(index, g, pixels)
        x = transforms.augment(images, r.augment, source, size)
        if r.degrade:
            x = corrupt(x, r.degrade, g)
        x, target = transforms.mixup(x, target, g if isinstance(g, Generator) else g.generator, r.augment.mixup)
        with autocast(self.device):
            out = outputs(self.forward, self.train.normal(x))
        loss = loss_of(out, target, self.train.columns, r, self.weight)
        mean = loss.detach()
        if isinstance(g, transforms.Share):  # gradients become the mean over ranks, which then is that over all faces
            loss = loss * (len(index) * self.ranks.count / g.n)
            mean = loss.detach() / self.ranks.count
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        if r.optimizer.clip:
            nn.utils.clip_grad_norm_(self.model.parameters(), r.optimizer.clip)
        self.optimizer.step()
        right = out.logits.argmax(1) == target[:, self.train.columns["logits"]].argmax(1)
        return self.ranks.total(torch.stack((mean, right.sum().to(mean.dtype))))

    def close_epoch(self, validation: LearningSet) -> None:
        """Add the finished epoch's figures to the history and begin the next."""
        loss, right, n, seconds = self.sums
        deployed = self.deployed()
        self.ranks.alike(deployed.state_dict().values())  # statistics of batch norm are each rank's own
        figures: Epoch = {
            "epoch": self.epoch + 1,
            "train_loss": loss / n,
            "train_accuracy": right / n,
            **validated(deployed, validation, self.ranks),
            "images_per_second": n / seconds,
            "lr": self.recipe.optimizer.lr * schedule(self.passed() - 1 / self.steps, self.recipe),
            "seconds": seconds,
        }
        self.history.append(figures)
        self.epoch, self.sums = self.epoch + 1, [0.0] * 4

    def deployed(self) -> nn.Module:
        """A fused copy of the averaged model, in eval mode."""
        if self.ema is None:
            return fuse(self.model)
        averaged = copy.deepcopy(self.model)
        averaged.load_state_dict(self.ema.tensors)
        return fuse(averaged)

    def state(self) -> State:
        """A copy of everything that changes."""
        self._read()
        tensors = {f"model.{k}": v for k, v in self.model.state_dict().items()}
        if self.ema:
            tensors |= {f"ema.{k}": v for k, v in self.ema.tensors.items()}
        for number, entry in self.optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{number}.{k}": torch.as_tensor(v) for k, v in entry.items() if v is not None}
        copies = {k: v.detach().cpu().clone().contiguous() for k, v in tensors.items()}
        return State(self.step, self.epoch, list(self.sums), list(self.history), copies)

    def _load(self, tensors: Mapping[str, Tensor]) -> None:
        self.model.load_state_dict(_under("model.", tensors))
        if self.ema:
            self.ema.load(_under("ema.", tensors) or _under("average.", tensors))  # as it was called before
        load_moments(self.optimizer, _under("optimizer.", tensors))


def _all_frozen(parameters: list[nn.Parameter]) -> bool:
    """Whether there are some and none learns: batch norm of such a layer keeps its statistics, too."""
    return bool(parameters) and not any(p.requires_grad for p in parameters)


def _under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {k[len(prefix) :]: v for k, v in tensors.items() if k.startswith(prefix)}


def _generator(*numbers: int) -> Generator:
    seed = int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0])
    return torch.Generator().manual_seed(seed & (2**63 - 1))
