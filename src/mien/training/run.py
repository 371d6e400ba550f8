"""The one way to train: faces and a recipe in, a calibrated, evaluated model out. ``mien train``, the README, the demo
and ``mien compare`` all call :func:`train`; with a folder it also leaves there

    OUT/model.safetensors   the deployed weights of all heads, calibrated on the validation part, with their spec
    OUT/evaluation.json     the validation report of these weights

and, while it lasts, what ``mien.training.folder`` lists. Leaves out: showing progress (``cli``) and the loop itself
(``mien.training.loop``).
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from mien.data import FaceDataset
from mien.errors import ConfigError
from mien.files import check_writable, write_text
from mien.models import fuse
from mien.reporting import plots
from mien.training.devices import lent
from mien.training.distillation import SoftTargets, soft_targets
from mien.training.finishing import check_new_head, finished
from mien.training.folder import RunFolder, claimed
from mien.training.loop import Batch, Epoch, Stopped, fit
from mien.training.preparation import Prepared, check_teachers, make_network, prepare
from mien.training.ranks import Ranks, joined, synchronised
from mien.training.recipe import Distill, Recipe, load_recipe
from mien.training.starting import Start, as_it_starts, averaged, begin, open_start
from mien.training.timing import epochs_within, shortened
from mien.training.trained import TrainedModel, make_spec

__all__ = ["train"]

_log = logging.getLogger(__name__)


def train(
    recipe: Recipe | str,
    train: FaceDataset,
    val: FaceDataset,
    *,
    out: str | Path | None = None,
    teacher: str | Sequence[str] = (),
    init: str | Path | None = None,
    freeze: str | None = None,
    add_head: str | None = None,
    budget: float | None = None,
    name: str | None = None,
    device: str = "auto",
    size: int | None = None,
    resume: bool = False,
    tensorboard: bool = False,
    sync_bn: bool = False,
    on_batch: Callable[[Batch], bool | None] | None = None,
    on_epoch: Callable[[Epoch], None] | None = None,
) -> TrainedModel:
    """Train as ``recipe`` says, calibrate on ``val`` and evaluate there.

    recipe    a recipe, or the name of one that comes with mien, or of a TOML file
    train, val  faces of any size with the same class names; ``mien.data.train_val`` makes both of one data set. Those
                of a packed folder stay on the disk and are read ahead
    out       folder for the weights and for what ``resume`` needs; None: nothing is written
    teacher   models to follow too: folders of runs, files, names of shipped models, .npz files of predictions
    init      weights to start from: a published name such as ``mien-small``, a run's folder or its file; instead of the
              recipe's. Their network is trained, whatever the recipe names; the trunk learns at the recipe's
              ``trunk_lr_factor``; a head goes on for the classes that it knew
    freeze    with ``init``: "trunk" trains the heads alone, "none" everything; instead of the recipe's
    add_head  with ``init`` and a frozen trunk: name of a new head, beside which the old ones stay in the file
    budget    seconds that training may take: as many of the recipe's epochs as fit, chosen before the first step
    name      of the model, in its card and every table; else that of ``out`` for one that starts from weights, and
              the recipe's for one that does not
    device    auto, cpu, cuda, cuda:1 ... or mps
    size      side in pixels that faces are resized to, instead of the recipe's
    resume    continue the run in ``out``, or begin it where there is none yet; without it a folder that holds a run is
              refused. On the CPU, with as many threads, the result is the same bit for bit as without a break
    sync_bn   with several processes: batch norm over the whole batch, not over each one's share
    on_batch, on_epoch  called after each, see ``loop.fit``

    Processes that torchrun started train together: each step's batch is shared out, the first one writes, and all get
    the model. How many they are may change with ``resume``. MienError names one that died.

    What it must change to train at all (sizes, heads without anything to learn, teachers that are not there) is logged
    as a warning, once. Raises ConfigError before the first step where recipe and data do not fit each other, and
    :class:`mien.training.loop.Stopped`, after saving, where ``on_batch`` asked for a stop.
    """
    recipe = load_recipe(recipe) if isinstance(recipe, str) else recipe
    if name is not None and (not name.strip() or not name.isprintable()):
        raise ConfigError(f"name must be one line of text, got {name!r}")
    if add_head is not None and not (init or recipe.init):
        raise ConfigError(f"the new head {add_head!r} stands beside those of weights to start from: give --init, too")
    recipe = recipe.override(init=None if init is None else str(init), freeze=freeze or ("trunk" if add_head else None))
    start = open_start(recipe.init) if recipe.init else None
    recipe = as_it_starts(recipe, start, size) if start else recipe.override(size=size)
    teachers = [teacher] if isinstance(teacher, str) else [str(t) for t in teacher]
    folder_path = None if out is None else Path(out)
    called = name or (folder_path.resolve().name if start and folder_path else "")
    with joined() as ranks, _claimed(folder_path, ranks, resume=resume):
        ready = prepare(recipe, train, val, taught=bool(teachers))
        if start:
            if add_head is not None:
                check_new_head(add_head, start, ready)
            for note in check_teachers([start.learnt], train, val, "the network to start from"):
                _log.warning(note)
        fitting = ranks.shared(lambda: _in_time(ready.recipe, ready.train, budget, folder_path, device))
        ready = replace(ready, recipe=fitting)
        network = _fresh(ready, start)
        began = fuse(network) if start and ready.recipe.init_share else None
        if sync_bn and ranks.count > 1:
            network = synchronised(network)
        if folder_path and ranks.first:
            check_writable(folder_path, need_bytes=10_000_000 + 10 * sum(p.nbytes for p in network.parameters()))
        for note in ready.notes:
            _log.warning(note)
        taught = _taught(ready, train, val, teachers, device, ranks)
        callbacks = (on_batch, on_epoch)
        deployed, history = _fitted(network, ready, taught, start, folder_path, device, tensorboard, callbacks, ranks)
        if began is not None:
            deployed = averaged(began, deployed, ready.recipe.init_share)
        spec = make_spec(ready.recipe, train, val, teachers=taught.names if taught else (), start=start, name=called)
        model = ranks.shared(
            lambda: finished(deployed, history, ready, spec, val.fingerprint, start=start, add_head=add_head)
        )
        if folder_path and ranks.first:
            _write(model, folder_path)
        return model


@contextmanager
def _claimed(out: Path | None, ranks: Ranks, *, resume: bool) -> Iterator[None]:
    """The folder, held by the first rank for all; an error of it is everybody's."""
    with ExitStack() as held:
        ranks.shared(lambda: held.enter_context(claimed(out, resume=resume)))
        yield


def _in_time(recipe: Recipe, train: FaceDataset, budget: float | None, out: Path | None, device: str) -> Recipe:
    """``recipe`` with as many of its epochs as fit into ``budget`` seconds, decided once for a folder."""
    if budget is None:
        return recipe
    plan = None if out is None else out / "plan.json"
    if plan and plan.is_file():
        return shortened(recipe, int(json.loads(plan.read_text(encoding="utf-8"))["epochs"]))
    epochs = min(recipe.epochs, epochs_within(recipe, train, budget, device=device))
    if plan:
        write_text(plan, json.dumps({"epochs": epochs}))
    _log.warning("%d of %d epochs fit into %.0f seconds", epochs, recipe.epochs, budget)
    return shortened(recipe, epochs)


def _fresh(ready: Prepared, start: Start | None) -> nn.Module:
    """The network with the initial weights that the recipe's seed gives, or that it starts from."""
    with lent(torch.device("cpu")) as initial:
        initial.manual_seed(ready.recipe.seed)
        network = make_network(ready.recipe, ready.train)
    if start is None:
        return network
    network, note = begin(network, start, ready.recipe, ready.train)
    _log.warning(note)
    return network


def _taught(
    ready: Prepared, train: FaceDataset, val: FaceDataset, teachers: Sequence[str], device: str, ranks: Ranks
) -> SoftTargets | None:
    """What the network is told beside the labels, by teachers that have not learnt what it is validated on."""
    if not teachers:
        return None
    recipe = ready.recipe
    found = soft_targets(teachers, ready.train, recipe.distill or Distill(), recipe.augment, device=device, ranks=ranks)
    for note in check_teachers(found.teachers, train, val):
        _log.warning(note)
    return found


def _fitted(
    network: nn.Module,
    ready: Prepared,
    taught: SoftTargets | None,
    start: Start | None,
    out: Path | None,
    device: str,
    tensorboard: bool,
    callbacks: tuple[Callable[[Batch], bool | None] | None, Callable[[Epoch], None] | None],
    ranks: Ranks,
) -> tuple[nn.Module, list[Epoch]]:
    """The loop, with its state in ``out``."""
    on_batch, on_epoch = callbacks
    run: dict[str, Any] = {"recipe": ready.recipe.to_dict(), "train": ready.train.fingerprint}
    run |= {"val": ready.val.fingerprint}
    run |= ({"teachers": list(taught.keys)} if taught else {}) | ({"start": start.key} if start else {})
    own = {"tensorboard": tensorboard}
    folder = RunFolder(out, ready.recipe.epochs, run, **own) if out and ranks.first else None

    def both(epoch: Epoch) -> None:
        for told in (folder.on_epoch if folder else None, on_epoch):
            if told:
                told(epoch)

    try:
        return fit(
            network,
            ready.train,
            ready.val,
            ready.recipe,
            teacher=taught.targets if taught else None,
            statistics=(start.spec.mean, start.spec.std) if start else None,
            device=device,
            state=ranks.shared(lambda: folder.state() if folder else None),
            ranks=ranks,
            on_batch=on_batch,
            on_epoch=both,
            on_state=folder.on_state if folder else None,
        )
    except Stopped as stop:
        if folder:
            folder.save(stop.state)
        raise
    finally:
        if folder:
            folder.close()


def _write(model: TrainedModel, out: Path) -> None:
    model.save(out / "model.safetensors")
    write_text(out / "evaluation.json", json.dumps(model.report.to_dict(), indent=1))
    plots.curves(model.history, out / "curves.png")
