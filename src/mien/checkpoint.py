"""Weights and run states on disk: safetensors with JSON in the metadata. Strict, and nothing executable.

Leaves out: ONNX (``export``) and what a run's folder holds (``runs``).
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from mien.engine import State
from mien.errors import ModelError
from mien.files import replace_file
from mien.models import create_model, fold
from mien.spec import SPEC_KEY, ModelSpec

__all__ = ["load_model", "load_state", "save_model", "save_state"]

_STATE_KEY = "mien-state"


def save_model(path: Path, model: nn.Module, spec: ModelSpec) -> None:
    """Write a deployed (folded) model with its spec."""
    _write(path, {k: v.detach().cpu().contiguous() for k, v in model.state_dict().items()}, {SPEC_KEY: spec.to_json()})


def load_model(path: str | Path) -> tuple[nn.Module, ModelSpec]:
    """Read a model written by :func:`save_model`: the folded network in eval mode, and its spec."""
    metadata, tensors = _read(Path(path))
    spec = ModelSpec.from_json(metadata.get(SPEC_KEY), str(path))
    options = dict(spec.model)
    name = options.pop("name", "")
    model = fold(create_model(name, num_classes=len(spec.labels), in_chans=spec.channels, **options))
    try:
        model.load_state_dict(tensors, strict=True)
    except RuntimeError as error:
        raise ModelError(f"{path}: the weights do not fit {name!r}: {error}") from error
    return model, spec


def save_state(path: Path, state: State, run: dict[str, Any]) -> None:
    """Write a run's state; ``run`` identifies it (recipe, data) and is compared on resume."""
    plain = vars(replace(state, tensors={}))
    _write(path, state.tensors, {_STATE_KEY: json.dumps({"state": plain, "run": run})})


def load_state(path: Path) -> tuple[State, dict[str, Any]]:
    """Undo :func:`save_state`."""
    metadata, tensors = _read(path)
    if _STATE_KEY not in metadata:
        raise ModelError(f"{path}: is no state of a training run; --resume needs the folder of one")
    raw = json.loads(metadata[_STATE_KEY])
    return State(**{**raw["state"], "tensors": tensors}), raw["run"]


def _write(path: Path, tensors: dict[str, Tensor], metadata: dict[str, str]) -> None:
    replace_file(path, lambda p: p.write_bytes(save(tensors, metadata)))


def _read(path: Path) -> tuple[dict[str, str], dict[str, Tensor]]:
    if not path.is_file():
        raise ModelError(f"{path}: no such file; give a model.safetensors that mien train wrote")
    try:
        with safe_open(path, framework="pt") as f:
            # copies: what safetensors gives may be a view of the file, which the next save replaces
            return f.metadata() or {}, {k: f.get_tensor(k).clone() for k in f.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise ModelError(f"{path}: is no safetensors file, or cut short ({error}); train or copy it again") from error
