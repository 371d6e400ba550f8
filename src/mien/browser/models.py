"""The files of a model for the browser: the ONNX file as it is, and ``NAME.json`` beside it, which says what the file's
metadata say: onnxruntime-web cannot read them.

The detector is the smaller one, ``--detector fast``: half of the time to look, and an eighth of the bytes to load.
Leaves out: the page (``site``).

    python -m mien.browser FOLDER [MODEL ...]
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mien.browser.about import running
from mien.files import replace_file
from mien.runtime import CenterFace, Classifier, find_model, make_detector, shipped_models

__all__ = ["DETECTOR", "document", "write_detector", "write_model", "write_models"]

#: The detector's name in the browser.
DETECTOR = "centerface"


def write_models(folder: Path, models: Sequence[str] | None = None) -> list[Path]:
    """Write the detector and ``models`` (names or files; None for all that came with mien) into ``folder``.

    Gives the files.
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
    """The detector, ``centerface.json`` and its licence."""
    detector = make_detector("fast", threads=1)
    assert isinstance(detector, CenterFace)
    data = detector.path.read_bytes()
    target = folder / f"{DETECTOR}.onnx"
    licence = detector.path.with_name(f"LICENSE.{detector.path.stem}")
    replace_file(target, lambda p: p.write_bytes(data))
    copied = folder / licence.name
    replace_file(copied, lambda p: p.write_bytes(licence.read_bytes()))
    about = {"name": DETECTOR, "floats": True, "licence": f"MIT, see {licence.name}", **document(target.name, data)}
    return [target, _written(folder / f"{DETECTOR}.json", about), copied]


def document(name: str, data: bytes) -> dict[str, Any]:
    """What ``NAME.json`` says of the file itself."""
    return {"file": name, "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}


def _written(path: Path, about: dict[str, Any]) -> Path:
    text = json.dumps(about, indent=1, ensure_ascii=False) + "\n"
    replace_file(path, lambda p: p.write_text(text, encoding="utf-8"))
    return path
