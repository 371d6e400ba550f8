"""The folder of a training run: who may use it, and what lies in it while the run lasts.

    OUT/.lock               held by the process that trains here
    OUT/history.json        the figures of every epoch
    OUT/curves.png          loss and accuracy, training and validation
    OUT/state.safetensors   all that --resume needs, written at epochs' ends, unless that took up a tenth of the time,
                            and once a minute

Leaves out: the trained model, which ``mien.training.run`` writes at the end.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from mien.errors import ConfigError, need
from mien.files import check_writable, write_text
from mien.reporting import plots
from mien.training.checkpoint import load_state, save_state
from mien.training.loop import Epoch, State
from mien.training.recipe import Recipe

__all__ = ["RunFolder", "claimed"]

_STATE_SECONDS = 60.0
_STATE_SHARE = 10  # times as long as writing the state takes, none is written at an epoch's end
_CURVES_SECONDS = 30.0
_FINISHED = ("model.safetensors", "second.safetensors", "evaluation.json")


@contextmanager
def claimed(out: Path | None, *, resume: bool = False) -> Iterator[None]:
    """Hold ``out`` for as long as it lasts, so that no other training writes there; nothing to hold where it is None.

    Raises :class:`ConfigError` where another process holds it, where it holds a run that ``resume`` does not continue,
    and where it holds a finished run whose state is gone, which nothing may overwrite.
    """
    if out is None:
        yield
        return
    new = not out.exists()
    check_writable(out)
    try:
        with FileLock(out / ".lock", timeout=0):
            _check_free(out, resume)
            yield
    except Timeout:
        raise ConfigError(f"{out}: another training is running here; wait for it, or choose another folder") from None
    except BaseException:
        if new and [f.name for f in out.iterdir()] == [".lock"]:  # nothing came of it
            (out / ".lock").unlink()
            out.rmdir()
        raise


def _check_free(out: Path, resume: bool) -> None:
    state = (out / "state.safetensors").exists()
    if not state and any((out / name).exists() for name in _FINISHED):
        raise ConfigError(f"{out}: holds a finished run without the state to continue it; choose another folder")
    if not resume and (state or (out / "history.json").exists()):
        raise ConfigError(f"{out}: holds a training run; continue it with --resume, or choose another folder")


class RunFolder:
    """The files of a run while it lasts; ``run`` is what must be the same when it is continued."""

    def __init__(self, out: Path, epochs: int, run: Mapping[str, Any], *, tensorboard: bool = False) -> None:
        self.out, self.epochs, self.run = out, epochs, dict(run)
        self.history: list[Epoch] = []
        self.saved = self.drawn = time.monotonic()
        self.rest = 0.0  # seconds for which epochs' ends are not saved
        self.board = need("torch.utils.tensorboard", "tensorboard").SummaryWriter(str(out)) if tensorboard else None

    def state(self) -> State | None:
        """The state to continue from, if any; ConfigError where it belongs to a run with other settings."""
        path = self.out / "state.safetensors"
        if not path.exists():
            return None
        state, run = load_state(path)
        now = json.loads(json.dumps(self.run))
        changed = _differences(_today(run, now["recipe"]["size"]), now)
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

    def close(self) -> None:
        """Write what TensorBoard still holds."""
        if self.board:
            self.board.close()


def _today(run: Mapping[str, Any], size: int) -> dict[str, Any]:
    """What an older mien wrote of a run, with today's keys: one that is new since had its default, and ``size`` was the
    faces' own.
    """
    raw = {"size": size, **run.get("recipe", {})}
    if "teachers" not in run:
        raw.pop("distill", None)  # every recipe had one, whether there were teachers or not
    recipe = Recipe.from_dict({"name": "", "model": "", **raw})
    return {**run, "recipe": json.loads(json.dumps(recipe.to_dict()))}


def _differences(old: Any, new: Any, prefix: str = "") -> str:
    """Dotted keys whose values differ: ``recipe.epochs 30 -> 40``."""
    if isinstance(old, dict) and isinstance(new, dict):
        parts = [_differences(old.get(k), new.get(k), f"{prefix}.{k}") for k in sorted({*old, *new})]
        return ", ".join(p for p in parts if p)
    return "" if old == new else f"{prefix[1:]} {old} -> {new}"
