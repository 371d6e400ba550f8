"""Score any model file on any part of a data set: the one path behind ``mien evaluate``, training runs and the demo.

Leaves out: the arithmetic of scores (``metrics``) and reading data (``data``).
"""

from __future__ import annotations

import datetime
import platform
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mien import __version__
from mien.checkpoint import load_model
from mien.corruptions import CORRUPTIONS, STRENGTHS, corrupt
from mien.data import FaceDataset
from mien.data.audit import twins
from mien.engine import predict
from mien.errors import ConfigError
from mien.metrics import Report, Robustness, score
from mien.runtime import find_model, open_session
from mien.spec import SPEC_KEY, ModelSpec

__all__ = ["Loaded", "corrupted", "evaluate", "open_model", "relabel", "versions"]


@dataclass(frozen=True, eq=False)
class Loaded:
    """A model to score: ``forward`` maps normalised float ``(N, 1, S, S)`` to logits ``(N, K)``."""

    forward: Callable[[Tensor], Tensor]
    spec: ModelSpec
    file: str


def open_model(model: str | Path) -> Loaded:
    """A run's folder, a ``model.safetensors``, an ``.onnx`` file or the name of a shipped model."""
    path = Path(model)
    if path.is_dir() or path.suffix == ".safetensors":
        weights = path / "model.safetensors" if path.is_dir() else path
        network, spec = load_model(weights)
        return Loaded(network, spec, str(weights))
    file = find_model(str(model))
    session = open_session(file)
    spec = ModelSpec.from_json(session.get_modelmeta().custom_metadata_map.get(SPEC_KEY), str(file))
    return Loaded(lambda x: torch.from_numpy(session.run(["logits"], {"faces": x.numpy()})[0]), spec, str(file))


def relabel(ds: FaceDataset, labels: tuple[str, ...]) -> FaceDataset:
    """``ds`` with its labels counted in the order of a model's ``labels``; rows without a label are left out."""
    missing = [n for n in ds.names if n not in labels]
    if ds.labels is None or missing:
        why = f"these are not among them: {', '.join(missing)}" if missing else "it has no labels"
        raise ConfigError(f"{ds.source}: the data must be labelled with classes of {', '.join(labels)}; {why}")
    ds = ds.take(ds.labels >= 0)
    assert ds.labels is not None
    table = np.array([labels.index(n) for n in ds.names], dtype=np.int64)
    return replace(ds, names=labels, labels=table[ds.labels], votes=None)


def evaluate(model: Loaded, faces: FaceDataset, *, train: FaceDataset | None = None, views: int = 1) -> Report:
    """Score ``model`` on labelled ``faces`` of one split.

    train  images that the model may have seen; with them the report has ``clean`` figures, over the faces that have no
           exact or near copy among these
    views  test-time views, 1..10, see ``transforms.views``
    """
    faces = _fitting(model.spec, faces)
    p = _probabilities(model, faces.images, views)
    assert faces.labels is not None
    clean = None if train is None else ~twins(faces.images, train.images)
    conditions = _conditions(model.spec, faces, views)
    return score(p, faces.labels, model.spec.labels, clean=clean, split="+".join(faces.splits), conditions=conditions)


def corrupted(
    model: Loaded,
    faces: FaceDataset,
    *,
    views: int = 1,
    seed: int = 0,
    on_pass: Callable[[int, int], None] | None = None,
) -> Robustness:
    """Accuracy of ``model`` on labelled ``faces`` of one split, as they are and spoilt in each kind and strength.

    views    test-time views, 1..10, as in :func:`evaluate`
    seed     of what is random in ``corruptions.corrupt``
    on_pass  called after each pass over the faces with the number done and the number of all
    """
    faces = _fitting(model.spec, faces)
    passes = [(kind, s) for kind in CORRUPTIONS for s in range(1, len(STRENGTHS[kind]) + 1)]
    found = []
    for done, (kind, strength) in enumerate([("", 0), *passes], 1):
        images = corrupt(faces.images, kind, strength, seed) if kind else faces.images
        found.append(float((_probabilities(model, images, views).argmax(1) == faces.labels).mean()))
        if on_pass:
            on_pass(done, len(passes) + 1)
    rows: dict[str, list[float]] = {kind: [] for kind in CORRUPTIONS}
    for (kind, _), accuracy in zip(passes, found[1:], strict=True):
        rows[kind].append(accuracy)
    return Robustness(
        n=len(faces),
        clean=found[0],
        accuracies={kind: tuple(row) for kind, row in rows.items()},
        split="+".join(faces.splits),
        conditions={
            **_conditions(model.spec, faces, views),
            "opencv": str(cv2.__version__),
            "seed": seed,
            "strengths": {kind: list(row) for kind, row in STRENGTHS.items()},
        },
    )


def _fitting(spec: ModelSpec, faces: FaceDataset) -> FaceDataset:
    """``faces`` with the labels of ``spec``; an error where none is labelled or their size is another."""
    faces = relabel(faces, spec.labels)
    if not len(faces):
        raise ConfigError(f"{faces.source}: holds no labelled faces to score")
    if faces.size != (spec.size, spec.size):
        raise ConfigError(f"{spec.name} needs faces of {spec.size} x {spec.size} pixels, got {faces.size}; give --size")
    return faces


def _probabilities(model: Loaded, images: NDArray[np.uint8], views: int) -> NDArray[np.float64]:
    spec = model.spec
    return predict(model.forward, images, mean=spec.mean, std=spec.std, views=views, temperature=spec.temperature)


def _conditions(spec: ModelSpec, faces: FaceDataset, views: int) -> dict[str, Any]:
    return {
        "model": spec.name,
        "views": views,
        "data": Path(faces.source).name,
        "fingerprint": faces.fingerprint,
        "date": datetime.date.today().isoformat(),
        **versions(),
    }


def versions() -> dict[str, str]:
    """Versions that decide figures."""
    return {
        "mien": __version__,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "torch": str(torch.__version__),
    }
