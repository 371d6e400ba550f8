"""Weights on disk: safetensors with their spec as JSON in the metadata. Strict, and nothing executable.

Leaves out: ONNX (``mien.export``) and the state of a run (``mien.training.checkpoint``).
"""

from __future__ import annotations

from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from mien.errors import ModelError
from mien.files import replace_file
from mien.models.layers import fuse
from mien.models.registry import create_model
from mien.spec import SPEC_KEY, ModelSpec

__all__ = ["load_model", "read_tensors", "save_model", "write_tensors"]


def save_model(path: Path, model: nn.Module, spec: ModelSpec) -> None:
    """Write a deployed (fused) model with its spec."""
    write_tensors(
        path, {k: v.detach().cpu().contiguous() for k, v in model.state_dict().items()}, {SPEC_KEY: spec.to_json()}
    )


def load_model(path: str | Path) -> tuple[nn.Module, ModelSpec]:
    """Read a model written by :func:`save_model`: the fused network in eval mode, and its spec."""
    metadata, tensors = read_tensors(Path(path))
    spec = ModelSpec.from_json(metadata.get(SPEC_KEY), str(path))
    options = dict(spec.model)
    name = options.pop("name", "")
    model = fuse(create_model(name, num_classes=len(spec.labels), in_chans=spec.channels, **options))
    try:
        model.load_state_dict(tensors, strict=True)
    except RuntimeError as error:
        raise ModelError(f"{path}: the weights do not fit {name!r}: {error}") from error
    return model, spec


def write_tensors(path: Path, tensors: dict[str, Tensor], metadata: dict[str, str]) -> None:
    replace_file(path, lambda p: p.write_bytes(save(tensors, metadata)))


def read_tensors(path: Path) -> tuple[dict[str, str], dict[str, Tensor]]:
    if not path.is_file():
        raise ModelError(f"{path}: no such file; give a model.safetensors that mien train wrote")
    try:
        with safe_open(path, framework="pt") as f:
            # copies: what safetensors gives may be a view of the file, which the next save replaces
            return f.metadata() or {}, {k: f.get_tensor(k).clone() for k in f.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise ModelError(f"{path}: is no safetensors file, or cut short ({error}); train or copy it again") from error
