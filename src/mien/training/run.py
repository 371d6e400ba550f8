"""The one way to train: faces and a recipe in, a calibrated, evaluated model out. ``mien train``, the README, the demo
and ``mien compare`` all call :func:`train`; with a folder it also leaves there

    OUT/model.safetensors   the deployed weights, calibrated on the validation part, with their spec
    OUT/second.safetensors  the same trunk with the second head, where there is one
    OUT/evaluation.json     the validation report of these weights

and, while it lasts, what ``mien.training.folder`` lists. Leaves out: showing progress (``cli``) and the loop itself
(``mien.training.loop``).
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from mien.data import FaceDataset
from mien.data.duplicates import near_duplicates
from mien.evaluation.calibrated import calibrated
from mien.evaluation.model import Loaded
from mien.evaluation.scoring import scored
from mien.files import check_writable, write_text
from mien.models import split_heads
from mien.reporting import plots
from mien.spec import ModelSpec
from mien.training.devices import lent
from mien.training.distillation import SoftTargets, soft_targets
from mien.training.folder import RunFolder, claimed
from mien.training.loop import Batch, Epoch, Stopped, fit
from mien.training.preparation import Prepared, check_teachers, make_network, prepare
from mien.training.recipe import Distill, Recipe, load_recipe
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
    device: str = "auto",
    size: int | None = None,
    resume: bool = False,
    tensorboard: bool = False,
    on_batch: Callable[[Batch], bool | None] | None = None,
    on_epoch: Callable[[Epoch], None] | None = None,
) -> TrainedModel:
    """Train as ``recipe`` says, calibrate on ``val`` and evaluate there.

    recipe    a recipe, or the name of one that comes with mien, or of a TOML file
    train, val  faces of any size with the same class names; ``mien.data.train_val`` makes both of one data set
    out       folder for the weights and for what ``resume`` needs; None: nothing is written
    teacher   models to follow too: folders of runs, files, names of shipped models, .npz files of predictions
    device    auto, cpu, cuda, cuda:1 ... or mps
    size      side in pixels that faces are resized to, instead of the recipe's
    resume    continue the run in ``out``, or begin it where there is none yet; without it a folder that holds a run is
              refused. On the CPU, with as many threads, the result is the same bit for bit as without a break
    on_batch, on_epoch  called after each, see ``loop.fit``

    What it must change to train at all (sizes, heads without anything to learn, teachers that are not there) is logged
    as a warning, once. Raises ConfigError before the first step where recipe and data do not fit each other, and
    :class:`mien.training.loop.Stopped`, after saving, where ``on_batch`` asked for a stop.
    """
    recipe = (load_recipe(recipe) if isinstance(recipe, str) else recipe).override(size=size)
    teachers = [teacher] if isinstance(teacher, str) else [str(t) for t in teacher]
    folder_path = None if out is None else Path(out)
    with claimed(folder_path, resume=resume):
        ready = prepare(recipe, train, val, taught=bool(teachers))
        network = _fresh(ready)
        if folder_path:
            check_writable(folder_path, need_bytes=10_000_000 + 10 * sum(p.nbytes for p in network.parameters()))
        for note in ready.notes:
            _log.warning(note)
        taught = _taught(ready, train, val, teachers, device)
        deployed, history = _fitted(network, ready, taught, folder_path, device, tensorboard, (on_batch, on_epoch))
        model = _finished(deployed, history, ready, train, val, taught)
        if folder_path:
            _write(model, folder_path)
        return model


def _fresh(ready: Prepared) -> nn.Module:
    """The network with the initial weights that the recipe's seed gives."""
    with lent(torch.device("cpu")) as initial:
        initial.manual_seed(ready.recipe.seed)
        return make_network(ready.recipe, ready.train)


def _taught(
    ready: Prepared, train: FaceDataset, val: FaceDataset, teachers: Sequence[str], device: str
) -> SoftTargets | None:
    """What the network is told beside the labels, by teachers that have not learnt what it is validated on."""
    if not teachers:
        return None
    recipe = ready.recipe
    found = soft_targets(teachers, ready.train, recipe.distill or Distill(), recipe.augment, device=device)
    for note in check_teachers(found.teachers, train, val):
        _log.warning(note)
    return found


def _fitted(
    network: nn.Module,
    ready: Prepared,
    taught: SoftTargets | None,
    out: Path | None,
    device: str,
    tensorboard: bool,
    callbacks: tuple[Callable[[Batch], bool | None] | None, Callable[[Epoch], None] | None],
) -> tuple[nn.Module, list[Epoch]]:
    """The loop, with its state in ``out``."""
    on_batch, on_epoch = callbacks
    parts = {"recipe": ready.recipe.to_dict(), "train": ready.train.fingerprint, "val": ready.val.fingerprint}
    run = {**parts, **({"teachers": list(taught.keys)} if taught else {})}
    folder = RunFolder(out, ready.recipe.epochs, run, tensorboard=tensorboard) if out else None

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
            device=device,
            state=folder.state() if folder else None,
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


def _finished(
    deployed: nn.Module,
    history: list[Epoch],
    ready: Prepared,
    train: FaceDataset,
    val: FaceDataset,
    taught: SoftTargets | None,
) -> TrainedModel:
    """Calibrate and evaluate each head, where it has been trained."""
    clean = ~near_duplicates(ready.val.images, ready.train.images)
    spec = make_spec(ready.recipe, train, val, teachers=taught.names if taught else ())
    first, other = split_heads(deployed)
    second = None
    if other is not None:
        own = replace(spec, name=f"{spec.name}-ferplus", labels=train.second_names)
        second = _judged(other, own, _by_second(ready.val), clean, val.fingerprint, history)
    return replace(_judged(first, spec, ready.val, clean, val.fingerprint, history), second=second)


def _judged(
    network: nn.Module,
    spec: ModelSpec,
    faces: FaceDataset,
    clean: NDArray[np.bool_],
    fingerprint: str,
    history: list[Epoch],
) -> TrainedModel:
    """``network`` calibrated on the labelled ones of ``faces`` and scored there, with the score in its spec."""
    known = np.ones(len(faces), bool) if faces.labels is None else faces.labels >= 0
    faces, clean = faces.take(known), clean[known]
    model = calibrated(Loaded(network, replace(spec, scores={}), ""), faces, clean=clean)
    if model.spec.calibration:
        model.spec.calibration["fingerprint"] = fingerprint
    report = scored(model, faces, clean=clean).report
    model.spec.scores[report.split or "validation"] = report.to_dict()
    return TrainedModel(network.cpu(), model.spec, history, report)


def _by_second(faces: FaceDataset) -> FaceDataset:
    """``faces`` labelled by the class with the largest share in the second labelling, -1 for a row without."""
    assert faces.second is not None
    labels = np.where(faces.second.any(1), faces.second.argmax(1), -1)
    return replace(faces, names=faces.second_names, labels=labels, votes=None, second=None, second_names=())


def _write(model: TrainedModel, out: Path) -> None:
    model.save(out / "model.safetensors")
    if model.second:
        model.second.save(out / "second.safetensors")
    write_text(out / "evaluation.json", json.dumps(model.report.to_dict(), indent=1))
    plots.curves(model.history, out / "curves.png")
