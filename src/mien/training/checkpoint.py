"""The state of a run on disk: safetensors with JSON in the metadata. Strict, and nothing executable.

Leaves out: deployed weights (``mien.models.weights``) and what a run's folder holds (``mien.training.run``).
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from mien.errors import ModelError
from mien.models.weights import read_tensors, write_tensors
from mien.training.loop import State

__all__ = ["load_state", "save_state"]

_STATE_KEY = "mien-state"


def save_state(path: Path, state: State, run: dict[str, Any]) -> None:
    """Write a run's state; ``run`` identifies it (recipe, data) and is compared on resume."""
    plain = vars(replace(state, tensors={}))
    write_tensors(path, state.tensors, {_STATE_KEY: json.dumps({"state": plain, "run": run})})


def load_state(path: Path) -> tuple[State, dict[str, Any]]:
    """Undo :func:`save_state`."""
    metadata, tensors = read_tensors(path)
    if _STATE_KEY not in metadata:
        raise ModelError(f"{path}: is no state of a training run; --resume needs the folder of one")
    raw = json.loads(metadata[_STATE_KEY])
    return State(**{**raw["state"], "tensors": tensors}), raw["run"]
