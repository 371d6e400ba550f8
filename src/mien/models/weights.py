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
from mien.models.heads import answering
from mien.models.layers import fuse
from mien.models.registry import create_model
from mien.spec import SPEC_KEY, ModelSpec

__all__ = [
    "load_model",
    "load_network",
    "published_weights",
    "read_spec",
    "read_tensors",
    "save_model",
    "write_tensors",
]

_PUBLISHED = Path(__file__).parent.parent / "weights"


def save_model(path: Path, model: nn.Module, spec: ModelSpec) -> None:
    """Write a deployed (fused) model, whose head has the rows of all heads of its spec."""
    write_tensors(
        path, {k: v.detach().cpu().contiguous() for k, v in model.state_dict().items()}, {SPEC_KEY: spec.to_json()}
    )


def load_model(path: str | Path, head: str | None = None) -> tuple[nn.Module, ModelSpec]:
    """A network that gives the logits of one answer, fused and in eval mode, and its spec.

    path  as for :func:`load_network`
    head  the head that answers, see ``ModelSpec.heads``; None for the default answer
    """
    network, spec = load_network(path)
    return answering(network, spec, head), spec if head is None else spec.of_head(head)


def load_network(path: str | Path) -> tuple[nn.Module, ModelSpec]:
    """The network in a file of :func:`save_model`, fused and in eval mode, with all heads side by side, and its spec.

    path  the file; it may also hold the network in the form that trains, not folded, and in half precision
    """
    metadata, tensors = read_tensors(Path(path))
    spec = ModelSpec.from_json(metadata.get(SPEC_KEY), str(path))
    options = dict(spec.model)
    name = options.pop("name", "")
    classes = sum(len(h.labels) for h in spec.heads) or len(spec.labels)
    model = create_model(name, num_classes=classes, in_chans=spec.channels, **options)
    if tensors.keys() != model.state_dict().keys():
        model = fuse(model)
    try:
        model.load_state_dict(tensors, strict=True)
    except RuntimeError as error:
        raise ModelError(f"{path}: the weights do not fit {name!r}: {error}") from error
    return fuse(model), spec


def read_spec(path: str | Path) -> ModelSpec:
    """The spec in a file of :func:`save_model`."""
    return ModelSpec.from_json(read_tensors(Path(path))[0].get(SPEC_KEY), str(path))


def published_weights() -> dict[str, Path]:
    """Name -> float weights that came with mien, for training to start from."""
    return {file.stem: file for file in sorted(_PUBLISHED.glob("*.safetensors"))}


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
