"""Small exported nets with random weights, made in a moment, for the tests of what runs on onnxruntime."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from mien.labels import FER2013
from mien.spec import SPEC_KEY, ModelSpec

IDENTITY = np.array([[1, 0, 0], [0, 1, 0]], np.float32)


def write_net(
    path: Path,
    spec: ModelSpec | None = None,
    *,
    theta: np.ndarray | None = IDENTITY,
    outputs: int | None = None,
    with_spec: bool = True,
    gain: float = 8.0,
) -> Path:
    """A linear net: logits are random weights times the pixels; ``theta`` (2, 3) is constant, None leaves it out."""
    spec = spec or ModelSpec("tiny", FER2013.names, scores={"PublicTest": {"accuracy": 0.6312, "n": 3589}})
    k = outputs or len(spec.labels)
    rng = np.random.default_rng(0)
    pixels = spec.channels * spec.size**2
    weight = rng.normal(0, gain / spec.size, (pixels, k)).astype(np.float32)
    nodes = [
        helper.make_node("Flatten", ["faces"], ["flat"], axis=1),
        helper.make_node("MatMul", ["flat", "weight"], ["logits"]),
    ]
    weights = [numpy_helper.from_array(weight, "weight")]
    outs = [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", k])]
    if theta is not None:
        flat = np.asarray(theta, np.float32).reshape(1, 6)
        weights += [
            numpy_helper.from_array(np.zeros((pixels, 6), np.float32), "nothing"),
            numpy_helper.from_array(flat, "bias"),
            numpy_helper.from_array(np.array([-1, 2, 3], np.int64), "shape"),
        ]
        nodes += [
            helper.make_node("Gemm", ["flat", "nothing", "bias"], ["six"]),
            helper.make_node("Reshape", ["six", "shape"], ["theta"]),
        ]
        outs.append(helper.make_tensor_value_info("theta", TensorProto.FLOAT, ["n", 2, 3]))
    faces = helper.make_tensor_value_info("faces", TensorProto.FLOAT, ["n", spec.channels, spec.size, spec.size])
    graph = helper.make_graph(nodes, "tiny", [faces], outs, weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    if with_spec:
        helper.set_model_props(model, {SPEC_KEY: spec.to_json()})
    onnx.save(model, path)
    return path
