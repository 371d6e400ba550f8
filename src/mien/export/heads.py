"""Several heads in one ONNX file: add a linear head to an exported network, and make the mean of two its answer.

What a browser and Python would otherwise both write stands in the graph: each head's output is divided by its
temperature, and ``logits`` is the default answer, whose softmax is taken. Leaves out: choosing the weight
(``evaluation.heads``).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.errors import ModelError, need

__all__ = ["add_linear_head", "join_heads", "read_linear_head"]


def read_linear_head(proto: Any) -> tuple[NDArray[np.float32], NDArray[np.float32], str]:
    """Weights ``(K, D)``, bias ``(K,)`` and the name of the features ``(N, D)`` of the head that makes ``logits``.

    Raises ModelError where the graph does not end in one linear layer.
    """
    numpy_helper = need("onnx.numpy_helper", "train")
    made = {name: node for node in proto.graph.node for name in node.output}
    values = {i.name: i for i in proto.graph.initializer}
    last = made.get("logits")
    if last is None or last.op_type != "Gemm" or not {*last.input[1:]} <= set(values) or len(last.input) != 3:
        raise ModelError("the network must end in one linear layer, whose output is logits, for heads to be added")
    weight, bias = (numpy_helper.to_array(values[name]) for name in last.input[1:])
    turned = any(a.name == "transB" and a.i == 1 for a in last.attribute)
    return (weight if turned else weight.T).copy(), bias.copy(), last.input[0]


def add_linear_head(
    proto: Any, output: str, features: str, weight: NDArray[np.floating[Any]], bias: NDArray[np.floating[Any]]
) -> None:
    """Give the graph one more output ``(N, K)``: ``features @ weight.T + bias``."""
    onnx = need("onnx", "train")
    for name, value in ((f"{output}.weight", weight), (f"{output}.bias", bias)):
        proto.graph.initializer.append(onnx.numpy_helper.from_array(value.astype(np.float32), name))
    inputs = [features, f"{output}.weight", f"{output}.bias"]
    proto.graph.node.append(onnx.helper.make_node("Gemm", inputs, [output], name=f"head_{output}", transB=1))
    _add_output(proto, output, len(bias))


def join_heads(
    proto: Any, first: str, second: str, columns: Sequence[int], *, weight: float, temperature: float
) -> None:
    """Make ``logits`` the mean of two heads: ``(weight * log p1 + (1 - weight) * log p2[columns]) / temperature``.

    The present ``logits`` keep their values under the name ``first``; ``second`` is an output already.
    See ``evaluation.heads.mean_of_heads``.
    """
    onnx = need("onnx", "train")
    graph = proto.graph
    for node in graph.node:
        node.output[:] = [first if name == "logits" else name for name in node.output]
        node.input[:] = [first if name == "logits" else name for name in node.input]
    (old,) = [o for o in graph.output if o.name == "logits"]
    old.name = first
    constants = {
        "answer.columns": np.asarray(columns, np.int64),
        "answer.first": np.float32(weight / temperature),
        "answer.second": np.float32((1 - weight) / temperature),
    }
    for name, value in constants.items():
        graph.initializer.append(onnx.numpy_helper.from_array(np.asarray(value), name))
    make = onnx.helper.make_node
    graph.node.extend(
        [
            make("LogSoftmax", [first], ["answer.log1"], axis=1),
            make("LogSoftmax", [second], ["answer.log2"], axis=1),
            make("Gather", ["answer.log2", "answer.columns"], ["answer.shared"], axis=1),
            make("Mul", ["answer.log1", "answer.first"], ["answer.part1"]),
            make("Mul", ["answer.shared", "answer.second"], ["answer.part2"]),
            make("Add", ["answer.part1", "answer.part2"], ["logits"]),
        ]
    )
    others = list(graph.output)
    del graph.output[:]
    _add_output(proto, "logits", len(columns))
    graph.output.extend(others)


def _add_output(proto: Any, name: str, width: int) -> None:
    """A float output ``(faces, width)``."""
    onnx = need("onnx", "train")
    batch = proto.graph.input[0].type.tensor_type.shape.dim[0]
    made = onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [batch.dim_param or None, width])
    proto.graph.output.append(made)
