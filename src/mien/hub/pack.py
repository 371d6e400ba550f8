"""``mien hub pack``: the folder itself. ``config.json`` comes last: a folder without one is not whole.

Leaves out: sending it anywhere, which is its owner's to do (``docs/hub.md``).
"""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from mien.data.synthetic.generate import generate
from mien.errors import ConfigError
from mien.evaluation.metrics import Report
from mien.export.onnx import export_onnx
from mien.files import check_writable, replace_file, sha256_of, write_text
from mien.hub.front_matter import front_matter
from mien.hub_files import CONFIG
from mien.labels import FER2013
from mien.models.weights import load_network, published_weights, read_tensors, save_model
from mien.reporting import plots
from mien.reporting.card import model_card
from mien.runtime import Classifier, find_model, find_weights
from mien.spec import ModelSpec
from mien.stored import with_channels

__all__ = ["pack"]

_FILES = ("README.md", CONFIG, "confusion.png", "model.onnx", "model.safetensors", "reliability.png", "samples.png")
_SAMPLES, _SIDE = 7, 144  # drawn faces, one an expression, and their side in the picture


def pack(model: str, out: str | Path, *, force: bool = False) -> Path:
    """Write ``model`` into the folder ``out``, new or empty, as the hub has models; ``out``.

    model  a run's folder, a model.safetensors, or the name of a shipped model
    force  write into a folder that holds a model packed before, which is replaced; what mien does not write is refused
           there, but for names that begin with a dot, as git and the hub have them

    ``model.onnx`` answers on its own, ``model.safetensors`` trains on, ``README.md`` is the card, ``samples.png`` shows
    drawn faces with the answers. ModelError for a model that is none, ConfigError for a folder in use.
    """
    out = Path(out)
    if out.exists() and Path(model).exists() and Path(model).resolve() in (out.resolve(), *out.resolve().iterdir()):
        raise ConfigError(f"{model} lies in {out}: choose another folder for the pack")
    there = [path for path in out.iterdir() if path.name[0] != "."] if out.is_dir() else []
    if there and not force:
        raise ConfigError(f"{out} holds something already: choose a new folder, or --force")
    if strange := sorted(path.name for path in there if path.name not in _FILES or not path.is_file()):
        names = ", ".join(strange)
        raise ConfigError(f"{out} holds what mien does not write, {names}: move it, or choose a new folder")
    weights, _ = find_weights(model)  # before there is a folder that may be called as the model is
    if weights is None:
        find_model(model)
    check_writable(out)
    for path in there:  # of another model some would stay
        path.unlink()
    card = _shipped(model, out) if weights is None else _run(weights, out)
    classifier = Classifier(out / "model.onnx")
    spec = classifier.spec
    text = f"{front_matter(spec)}\n{card.rstrip()}\n{_samples(classifier, out)}{_use(spec)}"
    for name, report in ((n, Report.from_dict(raw)) for n, raw in list(spec.scores.items())[:1]):
        plots.confusion(report, out / "confusion.png")
        plots.reliability(report, out / "reliability.png")
        text += f"\n## Plots ({name})\n\n![confusion](confusion.png)\n\n![reliability](reliability.png)\n"
    write_text(out / "README.md", text)
    write_text(out / CONFIG, json.dumps(_config(spec, out), indent=1, ensure_ascii=False) + "\n")
    return out


def _run(weights: Path, out: Path) -> str:
    """The weights of a run in both forms; its card."""
    network, spec = load_network(weights)
    save_model(out / "model.safetensors", network, spec)
    export_onnx(network, spec, out / "model.onnx")
    parameters = sum(p.numel() for p in network.parameters())
    return model_card(spec, parameters=parameters, file_bytes=(out / "model.onnx").stat().st_size)


def _shipped(model: str, out: Path) -> str:
    """What came with mien under this name; its card."""
    file = find_model(model)
    replace_file(out / "model.onnx", lambda p: shutil.copyfile(file, p))
    if weights := published_weights().get(file.stem):
        replace_file(out / "model.safetensors", lambda p: shutil.copyfile(weights, p))
    card = file.with_suffix(".md")
    return card.read_text(encoding="utf-8") if card.is_file() else model_card(Classifier(file).spec)


def _samples(classifier: Classifier, out: Path) -> str:
    """A picture of drawn faces, of nobody, and what the network says of each."""
    drawn = generate(_SAMPLES, seed=1, size=max(48, classifier.spec.size))
    size = classifier.spec.size
    faces = np.stack([cv2.resize(face, (size, size), interpolation=cv2.INTER_AREA) for face in drawn.images])
    probabilities = classifier(with_channels(faces, classifier.spec.channels)).probabilities
    large = [cv2.resize(face, (_SIDE, _SIDE), interpolation=cv2.INTER_CUBIC) for face in faces]
    _, data = cv2.imencode(".png", np.hstack(large))
    replace_file(out / "samples.png", lambda p: p.write_bytes(data.tobytes()))
    rows = ["| drawn as | answer |", "| --- | --- |"]
    for i, row in enumerate(probabilities):
        best = int(row.argmax())
        rows.append(f"| {FER2013.names[i % len(FER2013)]} | {classifier.spec.labels[best]} {row[best]:.0%} |")
    words = "Faces drawn by mien, of nobody; they say what the input looks like, not how good the network is."
    return "\n".join(["\n## Samples", "", "![seven drawn faces](samples.png)", "", words, "", *rows, ""])


def _use(spec: ModelSpec) -> str:
    return f"""
## Use

```python
from mien import Predictor

predictor = Predictor("hf://OWNER/{spec.name}@REVISION")  # or this folder's path
for face in predictor.predict("photo.jpg"):
    print(face.label, face.confidence, face.prediction_set)
```
"""


def _config(spec: ModelSpec, out: Path) -> dict[str, Any]:
    """The spec, what the hub and others look for, and the SHA-256 of each file."""
    packed = [out / name for name in _FILES if name not in (CONFIG, "README.md") and (out / name).is_file()]
    files = {path.name: {"sha256": sha256_of(path), "bytes": path.stat().st_size} for path in packed}
    weights = out / "model.safetensors"
    tensors = read_tensors(weights)[1].values() if weights.is_file() else ()
    kinds = sorted({str(tensor.dtype).removeprefix("torch.") for tensor in tensors})
    return {
        "library_name": "mien",
        "architectures": [str(spec.model.get("name") or spec.name)],
        "id2label": dict(enumerate(spec.labels)),
        "image_size": spec.size,
        "num_channels": spec.channels,
        "torch_dtype": kinds[0] if len(kinds) == 1 else kinds,
        "mien": asdict(spec),
        "files": files,
    }
