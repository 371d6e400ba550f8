"""A trained model -> ONNX with its spec in the metadata; the result is compared with torch before it is kept.

The graph takes ``faces`` float32 ``(N, C, S, S)``, normalised, any N, and gives ``logits (N, K)``, divided by the
spec's temperature already, and, for networks with a transformer, ``theta (N, 2, 3)``. Leaves out: running it
(``runtime``).
"""

from __future__ import annotations

import logging
import math
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from mien.errors import ConfigError, ModelError, need
from mien.files import replace_file
from mien.models import fuse, outputs
from mien.models.heads import answering, classifier, head_layers, side_by_side
from mien.runtime.session import load_onnxruntime
from mien.spec import SPEC_KEY, Head, ModelSpec

__all__ = ["check_onnx_name", "embed_spec", "export_onnx", "write_spec"]


class _Deployed(nn.Module):
    """The fused model with the outputs that the runtime wants: the answer's logits, divided by its temperature, and
    those of each head by its own, all by one linear layer, which costs nothing later.

    divided  False: the logits of a model with one answer are left as they are
    """

    def __init__(self, model: nn.Module, spec: ModelSpec, *, divided: bool = True) -> None:
        super().__init__()
        self.model = fuse(model).cpu()
        self.heads, self.temperature = spec.heads, spec.temperature if divided else 1.0
        self.names: list[str] = ["logits"]
        self.widths = [len(spec.labels), *(len(h.labels) for h in spec.heads)]
        if spec.heads:
            answer = (classifier(answering(self.model, spec)), spec.temperature)
            own = zip(head_layers(self.model, spec).values(), (h.temperature for h in spec.heads), strict=True)
            self.model.head = side_by_side([_divided(*pair) for pair in (answer, *own)])
            self.temperature = 1.0
        elif isinstance(getattr(self.model, "head", None), nn.Linear):
            _divided(classifier(self.model), self.temperature)
            self.temperature = 1.0

    def forward(self, faces: Tensor) -> tuple[Tensor, ...]:
        out = outputs(self.model, faces)
        logits = out.logits / self.temperature if self.temperature != 1 else out.logits
        heads: dict[str, Tensor] = {}
        if self.heads:
            logits, *others = torch.split(logits, self.widths, 1)
            heads = {h.output: part for h, part in zip(self.heads, others, strict=True)}
        found = {"logits": logits, "theta": out.theta, "attention": out.attention, **heads}
        given = {name: value for name, value in found.items() if value is not None}
        self.names = list(given)
        return tuple(given.values())


def _divided(layer: nn.Linear, temperature: float) -> nn.Linear:
    for p in layer.parameters():
        p.data /= temperature
    return layer


def check_onnx_name(path: Path) -> None:
    """ConfigError unless ``path`` ends in ``.onnx``, by which ``mien predict`` knows an exported model."""
    if path.suffix != ".onnx":
        raise ConfigError(f"the exported file's name must end in .onnx, got {path}; try {path.with_suffix('.onnx')}")


def export_onnx(model: nn.Module, spec: ModelSpec, path: Path, *, tolerance: float = 1e-4) -> float:
    """Write ``model`` to ``path``; returns the largest difference from torch over batches of 1, 2 and 5 random faces.

    model  where the spec has several heads, the one whose head has the rows of all of them (``models.weights
           .load_network``): the file then gives the answer and each head

    Temperatures become part of the graph: the spec in the file has temperature 1, and its ``calibration`` remembers
    the value. The difference is on the scale of the model's own logits, before the division, where it has one answer.

    Raises :class:`ModelError`, and writes nothing, where the difference exceeds ``tolerance``.
    """
    check_onnx_name(path)
    onnx = need("onnx", "train")
    need("onnxscript", "train")
    deployed = _Deployed(model, spec).eval()
    example = torch.randn(2, spec.channels, spec.size, spec.size, generator=torch.Generator().manual_seed(0))
    deployed(example)  # tells the names of its outputs
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecations inside the exporter
        program = torch.onnx.export(
            deployed,
            (example,),
            dynamo=True,
            opset_version=18,
            input_names=["faces"],
            output_names=deployed.names,
            dynamic_shapes=({0: torch.export.Dim("faces", min=1)},),
            verbose=False,
        )
    assert program is not None
    proto = program.model_proto
    _strip(proto)
    embed_spec(proto, _folded(spec))
    onnx.checker.check_model(proto)
    data = proto.SerializeToString()
    worst = _difference(deployed if spec.heads else _Deployed(model, spec, divided=False).eval(), data, spec)
    if not math.isfinite(worst):
        raise ModelError(
            f"{path}: an output is not finite for ordinary faces, so that nothing can be compared; nothing was "
            "written: train the model again, at a lower learning rate"
        )
    if worst > tolerance:
        raise ModelError(f"{path}: ONNX and torch differ by {worst:.2g}, more than {tolerance:g}; nothing was written")
    replace_file(path, lambda p: p.write_bytes(data))
    return worst


def write_spec(path: Path, spec: ModelSpec) -> None:
    """Replace the spec in an exported file, for scores that were measured on the file itself; the graph stays."""
    proto = need("onnx", "train").load(str(path))
    embed_spec(proto, spec)
    replace_file(path, lambda p: p.write_bytes(proto.SerializeToString()))


def embed_spec(proto: Any, spec: ModelSpec) -> None:
    """Make ``spec`` the only metadata of an ONNX model in memory."""
    del proto.metadata_props[:]
    entry = proto.metadata_props.add()
    entry.key, entry.value = SPEC_KEY, spec.to_json()


def _folded(spec: ModelSpec) -> ModelSpec:
    heads = tuple(replace(h, temperature=1.0, calibration=_remembered(h)) for h in spec.heads)
    return replace(spec, temperature=1.0, calibration=_remembered(spec), heads=heads)


def _remembered(head: ModelSpec | Head) -> dict[str, Any]:
    """The calibration, which says what the graph divides by."""
    own = {} if head.temperature == 1 else {"temperature": head.temperature}
    return {**head.calibration, **own}


def _strip(proto: Any) -> None:
    """Drop what the exporter leaves for debugging: stack traces and local paths."""
    proto.doc_string = proto.graph.doc_string = ""
    for item in (*proto.graph.node, *proto.graph.value_info, *proto.graph.input, *proto.graph.output):
        item.doc_string = ""
        del item.metadata_props[:]
    del proto.graph.metadata_props[:]


@torch.no_grad()
def _difference(expecting: _Deployed, data: bytes, spec: ModelSpec) -> float:
    session = load_onnxruntime().InferenceSession(data, providers=["CPUExecutionProvider"])
    generator, worst = torch.Generator().manual_seed(1), np.float32(0)
    for n in (1, 2, 5):
        x = torch.randn(n, spec.channels, spec.size, spec.size, generator=generator)
        expected, got = expecting(x), session.run(None, {"faces": x.numpy()})
        for name, own, theirs in zip(expecting.names, expected, got, strict=True):
            factor = spec.temperature if name == "logits" and not spec.heads else 1.0
            with np.errstate(invalid="ignore"):  # infinite on both sides
                apart = np.abs(own.numpy() - factor * theirs).max()
            worst = np.maximum(worst, apart)  # unlike max, it keeps a NaN
    return float(worst)
