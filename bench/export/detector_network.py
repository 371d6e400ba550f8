"""CenterFace's graph as a list of steps: read from ONNX, computed in torch, written to ONNX again.

A step is a convolution, with all that belongs to it, or a sum. Batch norms are folded. Leaves out: making it smaller
(``detector_pruning``), training (``detector_training``).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

__all__ = [
    "HEADS",
    "HEAT",
    "OUTPUTS",
    "Step",
    "Steps",
    "computed",
    "convolved",
    "maps_of",
    "steps_of",
    "written",
]

HEADS, HEAT = ("heatmap", "scale", "offset", "landmarks"), "536"  # and the heat map before its sigmoid
OUTPUTS = (HEAT, *HEADS[1:])  # of the last steps
LARGE = 10_000  # numbers of a weight that is stored with eight bits

Floats = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Step:
    """A convolution, or without ``weight`` a sum.

    weight  float32 ``(O, I, h, w)``; upward ``(4 O, I, 1, 1)``: of each output channel its four pixels
    bias    ``(O,)``
    upward  doubles the sides
    """

    inputs: tuple[str, ...]
    output: str
    weight: Any = None
    bias: Any = None
    stride: int = 1
    groups: int = 1
    relu: bool = False
    upward: bool = False


Steps = list[Step]


def steps_of(model: Any) -> Steps:
    """The graph in its order; the last block's projection and the next 1 x 1, with nothing between, as one."""
    from onnx import helper, numpy_helper

    values = {i.name: numpy_helper.to_array(i) for i in model.graph.initializer}
    after = {i: n for n in model.graph.node for i in n.input}
    out = Steps()
    for node in model.graph.node:
        if node.op_type == "Add":
            out.append(Step(tuple(node.input), node.output[0]))
        elif node.op_type == "ConvTranspose":
            norm = after[node.output[0]]
            weight, bias = _folded(values[node.input[1]], *(values[i] for i in norm.input[1:]))
            end = after[norm.output[0]].output[0]
            out.append(Step((node.input[0],), end, weight, bias, relu=True, upward=True))
        elif node.op_type == "Conv":
            told = {a.name: helper.get_attribute_value(a) for a in node.attribute}
            then = after.get(node.output[0])
            relu = then is not None and then.op_type == "Relu"
            end = then.output[0] if then is not None and relu else node.output[0]
            weight, bias = (values[i] for i in node.input[1:])
            stride, groups = int(told.get("strides", (1,))[0]), int(told.get("group", 1))
            out.append(Step((node.input[0],), end, weight, bias, stride, groups, relu))
        elif node.op_type not in ("Relu", "BatchNormalization", "Sigmoid"):
            raise SystemExit(f"{node.op_type} is not expected in CenterFace's graph")
    return _joined(out)


def _folded(weight: Floats, gain: Floats, shift: Floats, mean: Floats, variance: Floats) -> tuple[Floats, Floats]:
    """``(I, O, 2, 2)`` and a batch norm -> ``(4 O, I, 1, 1)`` and ``(O,)``."""
    factor = gain / np.sqrt(variance + 1e-5)
    scaled = (weight * factor[:, None, None]).transpose(1, 2, 3, 0)
    return scaled.reshape(-1, weight.shape[0], 1, 1).astype(np.float32), shift - mean * factor


def _joined(steps: Steps) -> Steps:
    """A convolution without ReLU that only one of 1 x 1 with fewer channels reads, and that one, as one."""
    out = Steps()
    for step in steps:
        before = out[-1] if out else None
        if before is not None and _passes_on(before, step, steps):
            first, second = (w[:, :, 0, 0].astype(np.float64) for w in (before.weight, step.weight))
            bias = np.asarray(second @ before.bias + step.bias, np.float32)
            weight = np.asarray(second @ first, np.float32)[:, :, None, None]
            out[-1] = replace(step, inputs=before.inputs, weight=weight, bias=bias)
        else:
            out.append(step)
    return out


def _passes_on(before: Step, step: Step, steps: Steps) -> bool:
    if before.weight is None or step.weight is None or before.relu or step.groups > 1:
        return False
    alone = [s for s in steps if before.output in s.inputs] == [step]
    return alone and len(before.weight) > len(step.weight) and step.weight.shape[2] == before.weight.shape[2] == 1


def convolved(step: Step, x: Tensor, weight: Tensor | None = None, bias: Tensor | None = None) -> Tensor:
    """What a step's weights make of its input, before ReLU and before pixels are put in place."""
    w, b = (torch.tensor(v) if g is None else g for v, g in ((step.weight, weight), (step.bias, bias)))
    b = b.repeat_interleave(4) if step.upward else b
    return F.conv2d(x, w, b, step.stride, w.shape[2] // 2, groups=step.groups)


def computed(step: Step, inputs: Sequence[Tensor], *learnt: Tensor) -> Tensor:
    """What a step makes of its inputs; ``learnt`` are a weight and a bias in place of its own."""
    if step.weight is None:
        return inputs[0] + inputs[1]
    out = convolved(step, inputs[0], *learnt)
    out = F.pixel_shuffle(out, 2) if step.upward else out
    return F.relu(out) if step.relu else out


def maps_of(
    steps: Steps,
    image: Tensor,
    keep: Collection[str] = (),
    learnt: Mapping[str, tuple[Tensor, Tensor]] | None = None,
    apart: bool = False,
) -> dict[str, Tensor]:
    """The outputs and what is named in ``keep``, for ``(n, 3, H, W)`` RGB, 0..255.

    apart  no gradient goes back through what is kept
    """
    last = {name: i for i, step in enumerate(steps) for name in step.inputs}
    kept = {"image": image}
    for i, step in enumerate(steps):
        own = learnt[step.output] if learnt and step.weight is not None else ()
        inputs = [kept[name].detach() if apart and name in keep else kept[name] for name in step.inputs]
        kept[step.output] = computed(step, inputs, *own)
        for name in set(step.inputs):
            if last[name] == i and name not in keep:
                del kept[name]
    return kept


def written(steps: Steps, told: str) -> Any:
    """The ONNX model with CenterFace's inputs and outputs; the heads are one convolution.

    Weights are made floats when the file is opened, and so are sums. Until then the largest have eight bits and a scale
    a channel, others 16: nine tenths are in convolutions that lose nothing by eight; the first and the last lose much.
    """
    import onnx
    from onnx import TensorProto, helper

    made = _Graph()
    for step in steps:
        if step.output not in OUTPUTS:
            made.add(step)
    made.heads([step for step in steps if step.output in OUTPUTS])
    shape: list[int | str] = ["n", 3, "height", "width"]
    graph = helper.make_graph(
        made.nodes,
        "centerface-small",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, shape)],
        [
            helper.make_tensor_value_info(n, TensorProto.FLOAT, ["n", c, "rows", "columns"])
            for n, c in zip(HEADS, (1, 2, 2, 10), strict=True)
        ],
        made.values,
    )
    imports = [helper.make_opsetid("", 17)]
    model = helper.make_model(graph, opset_imports=imports, producer_name="mien bench.export", doc_string=told)
    model.ir_version = 8
    onnx.checker.check_model(model, full_check=True)
    return model


class _Graph:
    """Nodes and values of the model that is being made."""

    def __init__(self) -> None:
        self.nodes, self.values = list[Any](), list[Any]()

    def node(self, kind: str, inputs: Sequence[str], outputs: Sequence[str], **attributes: Any) -> None:
        from onnx import helper

        self.nodes.append(helper.make_node(kind, inputs, outputs, name=f"{kind}_{outputs[0]}", **attributes))

    def value(self, name: str, array: NDArray[Any]) -> str:
        from onnx import numpy_helper

        self.values.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def add(self, step: Step) -> None:
        """Write one operation, and its ReLU."""
        if step.weight is None:
            self.node("Add", step.inputs, [step.output])
            return
        name = f"{step.output}_sum" if step.relu else step.output
        side = step.weight.shape[2]
        if step.upward:
            weight = step.weight.reshape(-1, 2, 2, step.weight.shape[1]).transpose(3, 0, 1, 2)
            form: dict[str, Any] = {"kernel_shape": [2, 2], "strides": [2, 2]}
            self.convolution("ConvTranspose", step.inputs[0], name, weight, step.bias, **form)
        else:
            form = {
                "kernel_shape": [side] * 2,
                "pads": [side // 2] * 4,
                "strides": [step.stride] * 2,
                "group": step.groups,
            }
            self.convolution("Conv", step.inputs[0], name, step.weight, step.bias, **form)
        if step.relu:
            self.node("Relu", [name], [step.output])

    def heads(self, steps: Steps) -> None:
        """One convolution, whose channels are split; the heat map's becomes a score."""
        weight, bias = (np.concatenate([getattr(step, part) for step in steps]) for part in ("weight", "bias"))
        self.convolution("Conv", steps[0].inputs[0], "heads", weight, bias, kernel_shape=[1, 1])
        counts = self.value("channels", np.array([len(step.bias) for step in steps]))
        self.node("Split", ["heads", counts], [step.output for step in steps], axis=1)
        self.node("Sigmoid", [HEAT], [HEADS[0]])

    def convolution(self, kind: str, source: str, name: str, weight: Floats, bias: Floats, **form: Any) -> None:
        """A convolution; weights in eight bits have a scale for each of their first channels."""
        from onnx import TensorProto

        stored, floats = f"{name}_stored", f"{name}_weight"
        if weight.size < LARGE:
            self.node("Cast", [self.value(stored, weight.astype(np.float16))], [floats], to=TensorProto.FLOAT)
        else:
            scale = np.maximum(np.abs(weight).max(axis=(1, 2, 3), keepdims=True) / 127, 1e-12).astype(np.float32)
            whole = np.round(weight / scale).astype(np.int8)
            self.node("Cast", [self.value(stored, whole)], [f"{name}_whole"], to=TensorProto.FLOAT)
            self.node("Mul", [f"{name}_whole", self.value(f"{name}_scale", scale)], [floats])
        self.node(kind, [source, floats, self.value(f"{name}_bias", bias)], [name], **form)
