"""A training run in a folder: what ``mien train`` does, as one function.

    OUT/history.json        the figures of every epoch
    OUT/curves.png          loss and accuracy, training and validation
    OUT/state.safetensors   all that --resume needs, written at epochs' ends, unless that took up a tenth of the time,
                            and once a minute
    OUT/model.safetensors   the deployed weights, calibrated on the validation part, with their spec, at the end
    OUT/second.safetensors  the same trunk with the second head, where there is one
    OUT/evaluation.json     the validation report of these weights

Leaves out: showing progress (``cli``) and the loop itself (``engine``).
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from mien.data import FaceDataset
from mien.errors import ConfigError, need
from mien.evaluation.calibration import MIN_ROWS, calibrate
from mien.evaluation.metrics import Report
from mien.evaluation.scoring import Loaded, evaluate, versions
from mien.files import check_writable, write_text
from mien.models import create_model, split_heads
from mien.models.inference import predict
from mien.models.weights import save_model
from mien.reporting import plots
from mien.spec import ModelSpec
from mien.training.checkpoint import load_state, save_state
from mien.training.distillation import Teacher
from mien.training.loop import Batch, Epoch, State, Stopped, fit
from mien.training.recipe import Recipe

__all__ = ["Result", "epochs_within", "make_network", "make_spec", "step_seconds", "train_run"]

_STATE_SECONDS = 60.0
_STATE_SHARE = 10  # times as long as writing the state takes, none is written at an epoch's end
_CURVES_SECONDS = 30.0
_WARM_UP, _TIMED = 3, 12  # steps of the trial that decides how many epochs fit
_SHARE = 0.85  # of the time goes to training steps, the rest to validation and start


@dataclass(frozen=True)
class Result:
    """A finished run: the deployed model with its spec, the epochs, and the validation report."""

    model: Loaded
    history: list[Epoch]
    report: Report


def train_run(
    recipe: Recipe,
    train: FaceDataset,
    val: FaceDataset,
    out: Path,
    *,
    teacher: Teacher | None = None,
    device: str = "auto",
    resume: bool = False,
    tensorboard: bool = False,
    on_batch: Callable[[Batch], bool | None] | None = None,
    on_epoch: Callable[[Epoch], None] | None = None,
) -> Result:
    """Train as ``recipe`` says and leave everything in ``out``; arguments as for ``engine.fit``.

    teacher  whose distributions the network follows too, see ``teachers.ask``
    resume  continue the run in ``out``, or begin it where there is none yet; without it a folder that holds a run is
            refused. On the CPU, with the same number of threads, the result is the same bit for bit as without a break.

    Raises :class:`mien.training.loop.Stopped`, after saving, where ``on_batch`` asked for a stop.
    """
    torch.manual_seed(recipe.seed)
    model = make_network(recipe, train)
    check_writable(out, need_bytes=10_000_000 + 10 * sum(p.nbytes for p in model.parameters()))
    folder = _Folder(out, recipe, train, val, teacher, tensorboard)
    try:
        deployed, history = fit(
            model,
            train,
            val,
            recipe,
            teacher=teacher.answers if teacher else None,
            device=device,
            state=folder.open(resume),
            on_batch=on_batch,
            on_epoch=lambda e: _both(folder.on_epoch, on_epoch, e),
            on_state=folder.on_state,
        )
    except Stopped as stop:
        folder.save(stop.state)
        raise
    first, other = split_heads(deployed)
    plain = Loaded(first, make_spec(recipe, train, teacher), str(out / "model.safetensors"))
    loaded = _calibrated(plain, val, val.labels)
    report = evaluate(loaded, val, train=train)
    loaded.spec.scores[report.split or "validation"] = report.to_dict()
    save_model(out / "model.safetensors", first.cpu(), loaded.spec)
    if other is not None:
        spec = replace(plain.spec, name=f"{recipe.name}-ferplus", labels=train.second_names, scores={})
        file = out / "second.safetensors"
        calibrated = _calibrated(Loaded(other, spec, str(file)), val, _second_labels(val))
        save_model(file, other.cpu(), calibrated.spec)
    write_text(out / "evaluation.json", json.dumps(report.to_dict(), indent=1))
    plots.curves(history, out / "curves.png")
    return Result(loaded, history, report)


def make_network(recipe: Recipe, train: FaceDataset) -> nn.Module:
    """The untrained network of ``recipe``, with a second head and an adversary as far as ``recipe`` trains them."""
    more: dict[str, int] = {}
    if recipe.votes_weight:
        more["second"] = len(train.second_names)
    if recipe.adversary:
        more["identities"] = 0 if train.subject is None else len(np.unique(train.subject))
    return create_model(recipe.model, num_classes=len(train.names), **recipe.options, **more)


def epochs_within(recipe: Recipe, train: FaceDataset, seconds: float) -> int:
    """How many epochs of ``recipe`` fit into ``seconds``, 1 or more: times some steps of a throwaway network.

    Steps are timed at the images' own size; smaller ones are taken to cost as much less as they have fewer pixels.
    """
    own = train.size[0]
    share = float(np.mean([(recipe.size_at(e, own) / own) ** 2 for e in range(recipe.epochs)]))
    step = share * step_seconds(recipe, train, _WARM_UP, _TIMED)
    return max(1, int(_SHARE * seconds / (step * max(1, len(train) // recipe.batch_size))))


def step_seconds(recipe: Recipe, train: FaceDataset, warm_up: int, timed: int, *, graph: bool = True) -> float:
    """Median time of a training step of a throwaway network at the images' own size, after ``warm_up`` steps."""
    rows = train.take([i % len(train) for i in range((warm_up + timed) * recipe.batch_size)])
    optimizer = replace(recipe.optimizer, warmup=0.0)
    trial = replace(recipe, epochs=1, sizes=(), drop_copies=False, optimizer=optimizer)
    ends: list[float] = []
    fit(
        make_network(trial, rows),
        rows,
        rows.take(slice(0, 1)),
        trial,
        graph=graph,
        on_batch=lambda _: ends.append(time.perf_counter()),
    )
    return float(np.median(np.diff(ends[warm_up - 1 :])))


def make_spec(recipe: Recipe, train: FaceDataset, teacher: Teacher | None = None) -> ModelSpec:
    """The spec of a model trained by ``recipe`` on ``train``; scores are added by whoever evaluates it."""
    mean, std = train.statistics
    return ModelSpec(
        name=recipe.name,
        labels=train.names,
        size=train.size[0],
        mean=mean,
        std=std,
        model={"name": recipe.model, **recipe.options},
        recipe=recipe.to_dict(),
        data={
            "source": Path(train.source).name,
            "fingerprint": train.fingerprint,
            "n": len(train),
            **({"second labelling": "FER+ votes"} if recipe.votes_weight else {}),
            **({"teachers": _counted(teacher.names)} if teacher else {}),
        },
        versions=versions(),
    )


def _counted(names: Sequence[str]) -> str:
    return ", ".join(f"{n} x {name}" if n > 1 else name for name, n in Counter(names).items())


def _calibrated(model: Loaded, faces: FaceDataset, labels: NDArray[np.int64] | None) -> Loaded:
    """``model`` with temperature and candidates fitted on ``faces`` (label -1: left out); as it is with too few."""
    if labels is None or (labels >= 0).sum() < MIN_ROWS:
        return model
    spec, known = model.spec, labels >= 0
    p = predict(model.forward, faces.images[known], mean=spec.mean, std=spec.std)
    found = calibrate(np.log(p.clip(1e-300)), labels[known])
    source = {"split": "+".join(faces.splits) or "validation", "fingerprint": faces.fingerprint}
    return replace(model, spec=replace(spec, temperature=found.temperature, calibration={**found.to_dict(), **source}))


def _second_labels(faces: FaceDataset) -> NDArray[np.int64] | None:
    """The class with the largest share in the second labelling, -1 for a row without."""
    if faces.second is None:
        return None
    return np.where(faces.second.any(1), faces.second.argmax(1), -1)


def _both(first: Callable[[Epoch], None], second: Callable[[Epoch], None] | None, epoch: Epoch) -> None:
    first(epoch)
    if second:
        second(epoch)


class _Folder:
    """The files of a run while it lasts."""

    def __init__(
        self,
        out: Path,
        recipe: Recipe,
        train: FaceDataset,
        val: FaceDataset,
        teacher: Teacher | None,
        tensorboard: bool,
    ) -> None:
        self.out, self.epochs = out, recipe.epochs
        self.run = {"recipe": recipe.to_dict(), "train": train.fingerprint, "val": val.fingerprint}
        if teacher:
            self.run["teachers"] = list(teacher.keys)
        self.history: list[Epoch] = []
        self.saved = self.drawn = time.monotonic()
        self.rest = 0.0  # seconds for which epochs' ends are not saved
        self.board = need("torch.utils.tensorboard", "tensorboard").SummaryWriter(str(out)) if tensorboard else None

    def open(self, resume: bool) -> State | None:
        """The state to continue from, if any; refuses to overwrite or to mix runs."""
        path = self.out / "state.safetensors"
        if not path.exists():
            return None
        if not resume:
            raise ConfigError(f"{self.out}: holds a training run; continue it with --resume, or choose another folder")
        state, run = load_state(path)
        run["recipe"] = Recipe("", "").to_dict() | run.get("recipe", {})  # a key that is new since had its default
        changed = _differences(run, json.loads(json.dumps(self.run)))
        if changed:
            raise ConfigError(f"{self.out}: was started with other settings, which --resume can't change: {changed}")
        self.history = list(state.history)
        return state

    def on_epoch(self, epoch: Epoch) -> None:
        """Store an epoch's figures."""
        self.history.append(epoch)
        write_text(self.out / "history.json", json.dumps(self.history, indent=1))
        if time.monotonic() - self.drawn > _CURVES_SECONDS:
            plots.curves(self.history, self.out / "curves.png")
            self.drawn = time.monotonic()
        if self.board:
            for key, value in epoch.items():
                self.board.add_scalar(key, value, int(epoch["epoch"]))

    def on_state(self, take: Callable[[], State], epoch_ended: bool) -> None:
        """Store the state at epochs' ends, save where these are short beside the writing, and once a minute."""
        since = time.monotonic() - self.saved
        last = len(self.history) == self.epochs
        if since > _STATE_SECONDS or (epoch_ended and (since >= self.rest or last)):
            self.save(take())

    def save(self, state: State) -> None:
        """Store the state."""
        start = time.monotonic()
        save_state(self.out / "state.safetensors", state, self.run)
        self.saved = time.monotonic()
        self.rest = _STATE_SHARE * (self.saved - start)


def _differences(old: Any, new: Any, prefix: str = "") -> str:
    """Dotted keys whose values differ: ``recipe.epochs 30 -> 40``."""
    if isinstance(old, dict) and isinstance(new, dict):
        parts = [_differences(old.get(k), new.get(k), f"{prefix}.{k}") for k in sorted({*old, *new})]
        return ", ".join(p for p in parts if p)
    return "" if old == new else f"{prefix[1:]} {old} -> {new}"
