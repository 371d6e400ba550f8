"""CenterFace's graph as a list of steps, and how its numbers are rounded to 8 bits.

Leaves out: what is done before they are rounded (``detector_fitting``), the file (``detector``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "HEADS",
    "HEAT",
    "STEPS",
    "Floats",
    "Range",
    "Step",
    "Steps",
    "best_range",
    "rounded",
    "steps_of",
    "weight_scale",
]

HEADS, HEAT = ("heatmap", "scale", "offset", "landmarks"), "536"  # and the heat map before its sigmoid
STEPS = 63  # of a weight, up and down: 7 bits

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Range:
    """An activation in 8 bits: value = scale * (number - zero)."""

    scale: float
    zero: int


@dataclass(frozen=True, eq=False)
class Step:
    """One operation: ``Conv`` (with or without ReLU), ``Add``, ``DepthToSpace`` or ``SpaceToDepth``.

    learnt  a convolution's weights ``(O, I, h, w)`` and bias ``(O,)``, else nothing
    """

    kind: str
    inputs: tuple[str, ...]
    output: str
    attributes: Mapping[str, Any] = field(default_factory=dict)
    learnt: tuple[Floats, ...] = ()
    relu: bool = False


Steps = list[Step]


def steps_of(model: Any) -> Steps:
    """CenterFace's graph in its order, batch norms folded.

    Two operations are written as others that compute the same in 8 bits in a fraction of the time: an upward
    convolution of 2 x 2 as one of 1 x 1 to four times the channels, which become pixels; the first, of 3 x 3 over
    every second pixel of three channels, as one of 2 x 2 over the twelve channels of blocks.
    """
    from onnx import numpy_helper

    values = {i.name: numpy_helper.to_array(i) for i in model.graph.initializer}
    after = {i: n for n in model.graph.node for i in n.input}
    out = Steps()
    for node in model.graph.node:
        if node.op_type == "Add":
            out.append(Step("Add", tuple(node.input), node.output[0]))
        elif node.op_type == "ConvTranspose":
            out += _upward(node, after, values)
        elif node.op_type == "Conv":
            out += _convolution(node, after, values)
        elif node.op_type not in ("Relu", "BatchNormalization", "Sigmoid"):
            raise SystemExit(f"{node.op_type} is not expected in CenterFace's graph")
    return out


def _convolution(node: Any, after: Mapping[str, Any], values: Mapping[str, Floats]) -> Steps:
    """A convolution with the ReLU after it, where there is one."""
    from onnx import helper

    (source, weight, bias), then = node.input, after.get(node.output[0])
    relu = bool(then is not None and then.op_type == "Relu")
    end = then.output[0] if then is not None and relu else node.output[0]
    if source == "image":
        blocks = Step("SpaceToDepth", ("image",), "blocks", {"blocksize": 2})
        learnt, attributes = (
            (_over_blocks(values[weight]), values[bias]),
            {"kernel_shape": [2, 2], "pads": [1, 1, 0, 0]},
        )
        return [blocks, Step("Conv", ("blocks",), end, attributes, learnt, relu)]
    attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    return [Step("Conv", (source,), end, attributes, (values[weight], values[bias]), relu)]


def _upward(node: Any, after: Mapping[str, Any], values: Mapping[str, Floats]) -> Steps:
    """A convolution that doubles the sides, with the batch norm and the ReLU after it."""
    norm = after[node.output[0]]
    learnt = _folded(values[node.input[1]], *(values[i] for i in norm.input[1:]))
    small, end = f"{node.output[0]}_small", after[norm.output[0]].output[0]
    conv = Step("Conv", (node.input[0],), small, {"kernel_shape": [1, 1]}, learnt, True)
    return [conv, Step("DepthToSpace", (small,), end, {"blocksize": 2, "mode": "DCR"})]


def _folded(weight: Floats, gain: Floats, shift: Floats, mean: Floats, variance: Floats) -> tuple[Floats, Floats]:
    """``(I, O, 2, 2)`` and a batch norm -> ``(4 O, I, 1, 1)`` whose channels are the four pixels in turn, and bias."""
    factor = gain / np.sqrt(variance + 1e-5)
    scaled = (weight * factor[:, None, None]).transpose(2, 3, 1, 0)
    return scaled.reshape(-1, weight.shape[0], 1, 1).astype(np.float32), np.tile(shift - mean * factor, 4)


def _over_blocks(weight: Floats) -> Floats:
    """``(O, I, 3, 3)`` over every second pixel, with a margin of 1 -> ``(O, 4 I, 2, 2)`` over blocks of 2 x 2."""
    wide = np.pad(weight, ((0, 0), (0, 0), (1, 0), (1, 0)))  # 4 x 4, from the block before the middle on
    outputs, inputs = weight.shape[:2]
    split = wide.reshape(outputs, inputs, 2, 2, 2, 2)  # output, input, block y, y in it, block x, x in it
    return np.ascontiguousarray(split.transpose(0, 3, 5, 1, 2, 4)).reshape(outputs, 4 * inputs, 2, 2)


def best_range(values: Floats) -> Range:
    """The range, which holds 0, with the least squared error of rounding and clipping."""
    low, high = min(0.0, float(values.min())), max(1e-6, float(values.max()))
    tried = [Range(float((high - low) * k) / 255, round(-low * 255 / (high - low))) for k in np.linspace(0.25, 1, 31)]
    return min(tried, key=lambda r: float(np.square(rounded(values, r) - values).sum(dtype=np.float64)))


def rounded(values: Floats, r: Range) -> Floats:
    """What is left of values in 8 bits."""
    return np.asarray((np.clip(np.rint(values / r.scale) + r.zero, 0, 255) - r.zero) * r.scale, np.float32)


def weight_scale(weight: Floats) -> Floats:
    """The step of each output channel: its largest weight has the largest number."""
    return np.asarray(np.maximum(np.abs(weight).max(axis=(1, 2, 3)), 1e-8) / STEPS, np.float32)
