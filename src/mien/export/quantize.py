"""An exported ONNX file -> the same network with int8 weights and activations: a quarter of the size, often faster.

Static quantization by onnxruntime (Jacob et al. 2017, arXiv 1712.05877, section 2): a scale for each output channel of
a convolution, and one for each activation, taken from faces of the training data. Only convolutions and the sums of
residual blocks are quantized; transformer grid, attention and head stay float32, and what comes before the first int8
number is rounded so that all processors have the same (``steady``). Leaves out: whether it is worth it, which
``mien evaluate`` and a benchmark on the machine at hand must say.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.errors import ConfigError, DataError, ModelError, need
from mien.export.onnx import embed_spec
from mien.export.steady import steady
from mien.files import replace_file
from mien.preprocessing import channels_first, normalise
from mien.runtime import Classifier
from mien.stored import Images

__all__ = ["quantize_onnx"]

_FACES, _BATCH = 512, 32


def quantize_onnx(source: Path, target: Path, faces: Images, *, seed: int = 0) -> None:
    """Write the int8 version of the float32 ONNX file ``source`` to ``target``; its spec says ``precision`` int8.

    faces  uint8 ``(N, S, S)``, or ``(N, S, S, 3)`` RGB, of the training data, N >= 32; at most 512 of them, drawn at
           random, set the scales
    """
    spec = Classifier(source, threads=1).spec  # first: it imports onnxruntime as mien wants it
    onnx, quantization = need("onnx", "train"), need("onnxruntime.quantization", "train")
    shape = need("onnxruntime.quantization.shape_inference", "train")
    if spec.precision != "float32":
        raise ModelError(f"{source}: is {spec.precision} already; quantize the float32 export")
    if faces.dtype != np.uint8 or faces.shape[1:] != spec.shape:
        raise DataError(f"faces must be uint8 (N, {', '.join(map(str, spec.shape))}), got {faces.dtype} {faces.shape}")
    if len(faces) < _BATCH:
        raise ConfigError(f"faces must be at least {_BATCH} to set the scales, got {len(faces)}")
    chosen = np.random.default_rng(seed).permutation(len(faces))[:_FACES]
    drawn = channels_first(np.asarray(faces[np.sort(chosen)])).astype(np.float32)
    batches = np.ascontiguousarray(normalise(drawn, spec), np.float32)
    logging.getLogger().disabled, before = True, logging.getLogger().disabled  # advice about preprocessing, done below
    try:
        with tempfile.TemporaryDirectory() as folder:
            prepared, made = Path(folder) / "prepared.onnx", Path(folder) / "made.onnx"
            shape.quant_pre_process(str(source), str(prepared), skip_symbolic_shape=True)
            quantization.quantize_static(
                str(prepared),
                str(made),
                _Reader(batches),
                quant_format=quantization.QuantFormat.QDQ,
                per_channel=True,
                activation_type=quantization.QuantType.QUInt8,
                weight_type=quantization.QuantType.QInt8,
                op_types_to_quantize=["Conv", "Add"],
                nodes_to_exclude=_small(onnx.load(str(prepared))),
            )
            proto = onnx.load(str(made))
    finally:
        logging.getLogger().disabled = before
    steady(proto, spec)
    embed_spec(proto, replace(spec, precision="int8"))
    onnx.checker.check_model(proto)
    replace_file(target, lambda p: p.write_bytes(proto.SerializeToString()))


class _Reader:
    """Hands the quantizer its batches, once."""

    def __init__(self, faces: NDArray[np.float32]) -> None:
        self.batches: Iterator[NDArray[np.float32]] = iter(np.split(faces, range(_BATCH, len(faces), _BATCH)))

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:
        """The next feed, ``None`` at the end."""
        batch = next(self.batches, None)
        return None if batch is None else {"faces": batch}


def _small(proto: Any) -> list[str]:
    """Nodes to leave in float32: the localizer and grid, whose errors move the whole picture, and what is cheap."""
    needed, nodes = set(), {o: n for n in proto.graph.node for o in n.output}
    todo = [i for n in proto.graph.node if n.op_type == "GridSample" for i in n.input[1:]]
    while todo:  # everything that the grid depends on
        node = nodes.get(todo.pop())
        if node is not None and node.name not in needed:
            needed.add(node.name)
            todo += node.input
    weights = {i.name: list(i.dims) for i in proto.graph.initializer}
    thin = [n.name for n in proto.graph.node if n.op_type == "Conv" and 1 in weights.get(n.input[1], [1])[:2]]
    return sorted(needed | set(thin))
