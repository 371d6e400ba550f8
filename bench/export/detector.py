"""The face detector in int8: CenterFace's float32 file -> centerface-int8.onnx, a third of its size.

    python -m bench.export.detector --data fer2013.csv      # writes src/mien/weights/centerface-int8.onnx

Static quantization (Jacob et al. 2017, arXiv 1712.05877), by hand: what onnxruntime's tool makes of this graph keeps
every ReLU apart from its convolution, which costs half of the time and a bit of every range. Here a ReLU is what
clipping at the zero point does. Weights have a scale for each output channel and 7 bits, so that no processor's
instruction for 8 bits overflows (AVX2's does: the sum of two products of 8 bits passes 16); activations have 8 bits
and the range with the least squared error on generated scenes. ``detector_fitting`` prepares the network for it. The
picture goes in as it is, 0..255; the four heads, 15 of the network's some 10,000 channels, stay float32. Names and
meaning of input and outputs are those of the float file.
"""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.conditions import ROOT
from bench.export.detector_fitting import fitted
from bench.export.detector_steps import HEADS, HEAT, STEPS, Range, Step, Steps, steps_of, weight_scale
from bench.runtime.scenes import Scenes, read_crops
from mien.files import replace_file

__all__ = ["quantized"]

WEIGHTS = ROOT / "src" / "mien" / "weights"
SCENES, SIZE = 36, (416, 320)  # generated pictures that set the ranges, and their size
FACES = ("near", "turned")  # kinds of those that correct what rounding shifts


def quantized(steps: Steps, found: Mapping[str, Range]) -> Any:
    """The ONNX model in int8, with QuantizeLinear and DequantizeLinear around what is to be computed in 8 bits."""
    import onnx
    from onnx import TensorProto, helper

    made = _Graph(found)
    for step in steps:
        made.add(step)
    made.node("Sigmoid", [HEAT], HEADS[0])
    shape: list[int | str] = ["n", 3, "height", "width"]
    graph = helper.make_graph(
        made.nodes,
        "centerface-int8",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, shape)],
        [
            helper.make_tensor_value_info(n, TensorProto.FLOAT, ["n", c, "rows", "columns"])
            for n, c in zip(HEADS, (1, 2, 2, 10), strict=True)
        ],
        made.values,
    )
    told = "CenterFace, arXiv 1911.03599, MIT, in int8; see LICENSE.centerface-int8"
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 17)], producer_name="mien bench.export.detector", doc_string=told
    )
    model.ir_version = 8
    onnx.checker.check_model(model, full_check=True)
    return model


class _Graph:
    """Nodes and values of the model that is being made."""

    def __init__(self, found: Mapping[str, Range]) -> None:
        self.found, self.nodes, self.values = found, list[Any](), list[Any]()
        self._in_8_bits("image", "image")

    def node(self, kind: str, inputs: list[str], output: str, **attributes: Any) -> None:
        from onnx import helper

        self.nodes.append(helper.make_node(kind, inputs, [output], name=f"{kind}_{output}", **attributes))

    def value(self, name: str, array: NDArray[Any]) -> str:
        from onnx import numpy_helper

        self.values.append(numpy_helper.from_array(array, name))
        return name

    def add(self, step: Step) -> None:
        """Write one operation, what it reads and its result in 8 bits."""
        inputs = [f"{name}_8" for name in step.inputs]
        if step.output in (*HEADS, HEAT):
            self.node("Conv", [*inputs, *self._floats(step)], step.output, **step.attributes)
            return
        more = self._weights(step) if step.kind == "Conv" else []
        self.node(step.kind, [*inputs, *more], step.output, **step.attributes)
        self._in_8_bits(step.output, step.output)

    def _in_8_bits(self, source: str, name: str) -> None:
        """``name_8``, what rounding leaves of ``source``; below the zero point that is nothing, which is a ReLU."""
        scale, zero = np.array(self.found[name].scale, np.float32), np.array(self.found[name].zero, np.uint8)
        own = [self.value(f"{name}_scale", scale), self.value(f"{name}_zero", zero)]
        self.node("QuantizeLinear", [source, *own], f"{name}_rounded")
        self.node("DequantizeLinear", [f"{name}_rounded", *own], f"{name}_8")

    def _floats(self, step: Step) -> list[str]:
        names = [f"{step.output}_weight", f"{step.output}_bias"]
        return [self.value(name, values) for name, values in zip(names, step.learnt, strict=True)]

    def _weights(self, step: Step) -> list[str]:
        """Whole numbers for weights and bias, and what makes values of them."""
        weight, bias = step.learnt
        scale = weight_scale(weight)
        whole = np.clip(np.rint(weight / scale[:, None, None, None]), -STEPS, STEPS).astype(np.int8)
        both = (scale * np.float32(self.found[step.inputs[0]].scale)).astype(np.float32)
        made = (("weight", whole, scale), ("bias", np.rint(bias / both).astype(np.int32), both))
        for kind, numbers, factor in made:
            name = f"{step.output}_{kind}"
            own = [self.value(f"{name}_whole", numbers), self.value(f"{name}_scale", factor)]
            own.append(self.value(f"{name}_zero", np.zeros(len(factor), numbers.dtype)))
            self.node("DequantizeLinear", own, name, axis=0)
        return [f"{step.output}_weight", f"{step.output}_bias"]


def main() -> None:
    import onnx

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, help="FER2013's CSV")
    parser.add_argument("--out", type=Path, default=WEIGHTS / "centerface-int8.onnx")
    given = parser.parse_args()
    scenes = Scenes(read_crops(given.data, odd=False), seed=1, size=SIZE)
    pictures = [scene.image for scene in scenes.all(SCENES)]
    faces = [scene.image for scene in scenes.all(SCENES, FACES)]
    made = quantized(
        *fitted(steps_of(onnx.load(str(WEIGHTS / "centerface.onnx"))), pictures, faces)
    ).SerializeToString()
    replace_file(given.out, lambda path: path.write_bytes(made))
    print(f"{given.out}: {len(made):,} bytes, SHA-256 {hashlib.sha256(made).hexdigest()}")


if __name__ == "__main__":
    main()
