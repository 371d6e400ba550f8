"""A quantized network that says the same wherever it runs.

Convolutions in int8 add whole numbers, which every processor and every browser does alike. What is computed in floats
before them is not: sums in another order differ by one part in ten million, a number falls to the other side of a
quantization step, and an undecided face moves by up to 3 per cent. Three places make nearly all of it, and all are
rounded here to powers of two, far below what the network can tell: the transformer's theta, which moves every sample;
the first convolution, whose numbers then have so few bits that their sums are exact in any order; and the gates of
squeeze and excitation, which have so few steps that hardly a face lies between two (docs/log.md has the figures).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.errors import need
from mien.spec import ModelSpec

__all__ = ["steady"]

_THETA_BITS = 12  # 2^-12 of half a crop is a hundredth of a pixel
_INPUT_BITS = 9  # an eighth of a grey value, where the standard deviation is a quarter of black to white
_EXACT_BITS = 24  # of a float32's significand
_GATE_BITS = 6  # more steps are crossed more often, and each moves as much behind them


def steady(proto: Any, spec: ModelSpec) -> None:
    """Round theta, the first convolution and the gates of a quantized network, in place."""
    onnx = need("onnx", "train")
    makers = {o: n for n in proto.graph.node for o in n.output}
    if "theta" in makers:
        _round(onnx, proto.graph, "theta", _THETA_BITS)
    given = {output.name for output in proto.graph.output}
    for gate in [n.output[0] for n in proto.graph.node if n.op_type == "Sigmoid"]:
        if gate not in given:
            _round(onnx, proto.graph, gate, _GATE_BITS)
    floats = {w.name: w for w in proto.graph.initializer if w.data_type == onnx.TensorProto.FLOAT}
    for node in proto.graph.node:
        source = makers.get(node.input[0]) if node.input else None
        first = node.op_type == "Conv" and node.input[1] in floats
        if first and _quantized(proto.graph, node) and (source is None or source.op_type == "GridSample"):
            _exact(onnx, proto, node, floats, _reach(spec))
            break


def _reach(spec: ModelSpec) -> float:
    """The largest number that a normalised pixel can be."""
    mean, std = np.asarray(spec.mean), np.asarray(spec.std)
    return float(np.max(np.maximum(mean, 1 - mean) / std))


def _quantized(graph: Any, conv: Any) -> bool:
    """Whether nothing but a quantizer sees what a convolution gives, a ReLU between them or not."""
    name = conv.output[0]
    after = [n for n in graph.node if name in n.input]
    if len(after) == 1 and after[0].op_type == "Relu":
        after = [n for n in graph.node if after[0].output[0] in n.input]
    return len(after) == 1 and after[0].op_type == "QuantizeLinear"


def _exact(onnx: Any, proto: Any, conv: Any, floats: dict[str, Any], reach: float) -> None:
    """Give a convolution's input, weights and biases so few bits that every sum of theirs is exact."""
    weight = onnx.numpy_helper.to_array(floats[conv.input[1]]).astype(np.float64)
    bias = onnx.numpy_helper.to_array(floats[conv.input[2]]).astype(np.float64) if len(conv.input) > 2 else None
    most = reach * np.abs(weight).sum((1, 2, 3)).max() + (0.0 if bias is None else np.abs(bias).max())
    bits = _EXACT_BITS - _INPUT_BITS - int(np.ceil(np.log2(most))) - 1  # one for what rounding adds
    _put(onnx, floats[conv.input[1]], _stepped(weight, bits))
    if bias is not None:
        _put(onnx, floats[conv.input[2]], _stepped(bias, bits + _INPUT_BITS))
    name, at = conv.input[0], list(proto.graph.node).index(conv)
    conv.input[0] = f"{name}.rounded"
    _insert(onnx, proto.graph, at, name, _INPUT_BITS, conv.input[0])


def _stepped(values: NDArray[np.float64], bits: int) -> NDArray[np.float32]:
    return (np.round(values * 2.0**bits) / 2.0**bits).astype(np.float32)


def _put(onnx: Any, initializer: Any, values: NDArray[np.float32]) -> None:
    initializer.CopyFrom(onnx.numpy_helper.from_array(values, initializer.name))


def _round(onnx: Any, graph: Any, name: str, bits: int) -> None:
    """Round what is called ``name`` for all who use it."""
    at = next(i for i, node in enumerate(graph.node) if name in node.output)
    outputs = graph.node[at].output
    outputs[list(outputs).index(name)] = f"{name}.unrounded"
    _insert(onnx, graph, at + 1, f"{name}.unrounded", bits, name)


def _insert(onnx: Any, graph: Any, at: int, name: str, bits: int, to: str) -> None:
    """Add three nodes before node ``at`` that round ``name`` to multiples of 2 ** -bits, called ``to``."""
    for part, value in (("up", 2.0**bits), ("down", 2.0**-bits)):
        graph.initializer.append(onnx.numpy_helper.from_array(np.array(value, np.float32), f"{name}.{part}"))
    scaled, whole, make = f"{name}.scaled", f"{name}.whole", onnx.helper.make_node
    made = [
        make("Mul", [name, f"{name}.up"], [scaled], name=scaled),
        make("Round", [scaled], [whole], name=whole),
        make("Mul", [whole, f"{name}.down"], [to], name=f"{name}.steady"),
    ]
    nodes = list(graph.node)
    del graph.node[:]
    graph.node.extend([*nodes[:at], *made, *nodes[at:]])
