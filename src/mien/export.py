"""A trained model -> ONNX with its spec in the metadata; the result is compared with torch before it is kept.

The graph takes ``faces`` float32 ``(N, C, S, S)``, normalised, any N, and gives ``logits (N, K)`` and, for networks
with a transformer, ``theta (N, 2, 3)``. Leaves out: running it (``runtime``).
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from mien.errors import ModelError, need
from mien.files import replace_file
from mien.models import fold
from mien.spec import SPEC_KEY, ModelSpec

__all__ = ["export_onnx"]


class _Deployed(nn.Module):
    """The model with the outputs that the runtime wants."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model
        self.with_theta: Callable[[Tensor], tuple[Tensor, Tensor]] | None = None
        if getattr(model, "transformer", "none") != "none":
            self.with_theta = getattr(model, "forward_with_theta", None)
        self.outputs = ["logits"] + ["theta"] * (self.with_theta is not None)

    def forward(self, faces: Tensor) -> tuple[Tensor, ...]:
        return (self.model(faces),) if self.with_theta is None else self.with_theta(faces)


def export_onnx(model: nn.Module, spec: ModelSpec, path: Path, *, tolerance: float = 1e-4) -> float:
    """Write ``model`` to ``path``; returns the largest difference from torch over batches of 1, 2 and 5 random faces.

    Raises :class:`ModelError`, and writes nothing, where the difference exceeds ``tolerance``.
    """
    onnx = need("onnx", "train")
    need("onnxscript", "train")
    deployed = _Deployed(fold(model).cpu()).eval()
    example = torch.randn(2, spec.channels, spec.size, spec.size, generator=torch.Generator().manual_seed(0))
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecations inside the exporter
        program = torch.onnx.export(
            deployed,
            (example,),
            dynamo=True,
            opset_version=18,
            input_names=["faces"],
            output_names=deployed.outputs,
            dynamic_shapes=({0: torch.export.Dim("faces", min=1)},),
            verbose=False,
        )
    assert program is not None
    proto = program.model_proto
    _strip(proto)
    entry = proto.metadata_props.add()
    entry.key, entry.value = SPEC_KEY, spec.to_json()
    onnx.checker.check_model(proto)
    data = proto.SerializeToString()
    worst = _difference(deployed, data, spec)
    if not worst <= tolerance:
        raise ModelError(f"{path}: ONNX and torch differ by {worst:.2g}, more than {tolerance:g}; nothing was written")
    replace_file(path, lambda p: p.write_bytes(data))
    return worst


def _strip(proto: Any) -> None:
    """Drop what the exporter leaves for debugging: stack traces and local paths."""
    del proto.metadata_props[:]
    proto.doc_string = proto.graph.doc_string = ""
    for item in (*proto.graph.node, *proto.graph.value_info, *proto.graph.input, *proto.graph.output):
        item.doc_string = ""
        del item.metadata_props[:]
    del proto.graph.metadata_props[:]


@torch.no_grad()
def _difference(deployed: _Deployed, data: bytes, spec: ModelSpec) -> float:
    ort = need("onnxruntime", "train")
    session = ort.InferenceSession(data, providers=["CPUExecutionProvider"])
    generator, worst = torch.Generator().manual_seed(1), 0.0
    for n in (1, 2, 5):
        x = torch.randn(n, spec.channels, spec.size, spec.size, generator=generator)
        for own, theirs in zip(deployed(x), session.run(None, {"faces": x.numpy()}), strict=True):
            worst = max(worst, float(np.abs(own.numpy() - theirs).max()))
    return worst
