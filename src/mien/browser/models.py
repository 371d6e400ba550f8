"""The files of a model for the browser: the ONNX file as it is, and ``NAME.json`` beside it, which says what the file's
metadata say: onnxruntime-web cannot read them.

The detector's weights are stored as int8, one scale a channel, and made floats again when it is opened: a quarter of
the bytes to load, sums in floats as before. Leaves out: the page (``site``).

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

__all__ = ["DETECTOR", "document", "small_weights", "write_detector", "write_model", "write_models"]

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
    data = small_weights(source.read_bytes())
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
