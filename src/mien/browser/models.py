"""The files of a model for the browser: the ONNX file as it is, and ``NAME.json`` beside it, which says what the file's
metadata say: onnxruntime-web cannot read them.

Of the detector two convolutions are joined, and its weights are stored as int8, one scale a channel, and made floats
again when it is opened: less than a quarter of the bytes to load, sums in floats as before. Leaves out: the page
(``site``).

    python -m mien.browser FOLDER [MODEL ...]
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mien.browser.about import running
from mien.errors import need
from mien.files import replace_file
from mien.runtime import CenterFace, Classifier, find_model, shipped_models

__all__ = ["DETECTOR", "document", "joined", "small_weights", "write_detector", "write_model", "write_models"]

#: The detector's name in the browser.
DETECTOR = "centerface"

_LEAST = 500  # numbers of a weight that is worth storing small


def write_models(folder: Path, models: Sequence[str] | None = None) -> list[Path]:
    """Write the detector and ``models`` (names or files; None for all that came with mien) into ``folder``.

    Gives the files. Needs the package ``onnx`` for the detector.
    """
    folder.mkdir(parents=True, exist_ok=True)
    found = write_detector(folder)
    for model in shipped_models() if models is None else models:
        found += write_model(folder, find_model(model))
    return found


def write_model(folder: Path, path: Path) -> list[Path]:
    """One network and its ``NAME.json``."""
    classifier = Classifier(path, threads=1)
    data = path.read_bytes()
    target = folder / f"{path.stem}.onnx"
    about = {**running(classifier.spec), **document(target.name, data)}
    replace_file(target, lambda p: p.write_bytes(data))
    return [target, _written(folder / f"{path.stem}.json", about)]


def write_detector(folder: Path) -> list[Path]:
    """The detector with small weights, ``centerface.json`` and its licence."""
    source = CenterFace(threads=1).path
    data = small_weights(joined(source.read_bytes()))
    target = folder / f"{DETECTOR}.onnx"
    licence = source.with_name("LICENSE.centerface")
    replace_file(target, lambda p: p.write_bytes(data))
    copied = folder / licence.name
    replace_file(copied, lambda p: p.write_bytes(licence.read_bytes()))
    about = {"name": DETECTOR, "floats": True, "licence": "MIT, see LICENSE.centerface", **document(target.name, data)}
    return [target, _written(folder / f"{DETECTOR}.json", about), copied]


def document(name: str, data: bytes) -> dict[str, Any]:
    """What ``NAME.json`` says of the file itself."""
    return {"file": name, "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}


def joined(data: bytes) -> bytes:
    """An ONNX file with one convolution of 1 x 1 in the place of two in a row, where that has fewer weights.

    Between the two is no activation, so that the product of their weights computes the same but for the last digits.
    CenterFace's file has such a pair, 960 to 320 to 24 channels: a sixth of its weights.
    """
    onnx = need("onnx", "train")
    model = onnx.load_model_from_string(data)
    graph = model.graph
    weights = {w.name: w for w in graph.initializer}
    values = onnx.numpy_helper.to_array
    for first, second in [pair for node in graph.node if (pair := _pair(node, graph))]:
        if any(name not in weights for name in (*first.input[1:], *second.input[1:])):
            continue
        (inner, shift), (outer, bias) = ([values(weights[name]) for name in n.input[1:]] for n in (first, second))
        if {*inner.shape[2:], *outer.shape[2:]} != {1} or inner.shape[1] * len(outer) >= inner.size + outer.size:
            continue
        wide = outer[:, :, 0, 0].astype(np.float64)
        both = ((wide @ inner[:, :, 0, 0])[:, :, None, None], wide @ shift + bias)
        for name, array in zip(second.input[1:], both, strict=True):
            weights[name].CopyFrom(onnx.numpy_helper.from_array(array.astype(np.float32), name))
        for name in first.input[1:]:
            graph.initializer.remove(weights.pop(name))
        second.input[0] = first.input[0]
        graph.node.remove(first)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def _pair(node: Any, graph: Any) -> tuple[Any, Any] | None:
    """A plain convolution with a bias and the one node that reads it, if that is such a convolution, too."""
    readers = [other for other in graph.node if node.output[0] in other.input]
    if len(readers) != 1 or node.output[0] in {out.name for out in graph.output}:
        return None
    return (node, readers[0]) if all(_plain(n) for n in (node, readers[0])) else None


def _plain(node: Any) -> bool:
    told = {a.name: list(a.ints) or a.i for a in node.attribute}
    moves = {"group": 1, "strides": [1, 1], "pads": [0, 0, 0, 0], "dilations": [1, 1]}
    return node.op_type == "Conv" and len(node.input) == 3 and all(told.get(k, v) == v for k, v in moves.items())


def small_weights(data: bytes) -> bytes:
    """An ONNX file whose convolutions' weights are int8 with a scale a channel, behind DequantizeLinear."""
    onnx = need("onnx", "train")
    model = onnx.load_model_from_string(data)
    graph = model.graph
    weights = {w.name: w for w in graph.initializer}
    made = []
    for node in graph.node:
        channel = {"Conv": 0, "ConvTranspose": 1}.get(node.op_type)
        if channel is None or node.input[1] not in weights:
            continue
        name = node.input[1]
        values = onnx.numpy_helper.to_array(weights[name])
        if values.size < _LEAST:
            continue
        others = tuple(axis for axis in range(values.ndim) if axis != channel)
        scale = np.maximum(np.abs(values).max(axis=others, keepdims=True) / 127, 1e-12)
        small = np.round(values / scale).astype(np.int8)
        graph.initializer.remove(weights.pop(name))
        for part, array in (("int8", small), ("scale", scale.ravel().astype(np.float32))):
            graph.initializer.append(onnx.numpy_helper.from_array(array, f"{name}.{part}"))
        inputs = [f"{name}.int8", f"{name}.scale"]
        made.append(onnx.helper.make_node("DequantizeLinear", inputs, [name], name=f"{name}.floats", axis=channel))
    nodes = [*made, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def _written(path: Path, about: dict[str, Any]) -> Path:
    text = json.dumps(about, indent=1, ensure_ascii=False) + "\n"
    replace_file(path, lambda p: p.write_text(text, encoding="utf-8"))
    return path
