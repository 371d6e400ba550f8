"""Score any model on any part of a data set: the one path behind ``mien evaluate``, training runs and the demo.

Leaves out: what can be scored (``model``, ``external``), the arithmetic of scores (``metrics``), reading data
(``mien.data``), and two models side by side (``assessment``).
"""

from __future__ import annotations

import datetime
import platform
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from mien import __version__
from mien.data import FaceDataset
from mien.data.duplicates import near_duplicates
from mien.errors import ConfigError
from mien.evaluation.corruptions import CORRUPTIONS, SEVERITIES, corrupt
from mien.evaluation.metrics import Report, Robustness, score
from mien.evaluation.model import Loaded, Model
from mien.evaluation.opening import as_model
from mien.stored import Images, StoredImages, blocks

__all__ = [
    "Scored",
    "evaluate",
    "fitting",
    "measure_robustness",
    "relabel",
    "scored",
    "versions",
]


@dataclass(frozen=True, eq=False)
class Scored:
    """A report, the faces that it counts, and their probabilities ``(N, K)`` in the model's class order."""

    report: Report
    faces: FaceDataset
    probabilities: NDArray[np.float64]

    @property
    def right(self) -> NDArray[np.bool_]:
        """Which faces the model got right, bool ``(N,)``."""
        assert self.faces.labels is not None
        return np.asarray(self.probabilities.argmax(1) == self.faces.labels)


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


def evaluate(model: Any, faces: FaceDataset, *, train: FaceDataset | None = None, views: int = 1) -> Report:
    """Score a model on labelled ``faces``, whatever their size: accuracy with its interval, per class, calibration.

    model  its name (``"mien-small"``), a path, what ``mien.training.train`` gave, or an opened model, see
           :func:`mien.evaluation.as_model`
    faces  labelled, of classes that the model knows; resized to what it needs, which the report's conditions then say
    train  faces that the model may have seen; with them the report has ``clean`` figures, over the faces that have no
           exact or near duplicate among these
    views  test-time views, 1..10, whose mean is taken

    Raises ConfigError for a model or faces that cannot be scored, ModelError for a file that is none.
    """
    opened = as_model(model)
    faces = fitting(opened, faces)
    clean = None if train is None else ~near_duplicates(faces.images, train.images)
    return scored(opened, faces, clean=clean, views=views).report


def scored(model: Model, faces: FaceDataset, *, clean: NDArray[np.bool_] | None = None, views: int = 1) -> Scored:
    """Like :func:`evaluate`, with what the report was made from.

    clean  bool, one for each labelled face, True where it has no near-duplicate in Training; None where nobody knows
    """
    faces = fitting(model, faces)
    p = _predicted(model, _sized(model, faces), views)
    assert faces.labels is not None
    split, conditions = "+".join(faces.splits), _conditions(model, faces, views)  # the notes are complete by now
    report = score(p, faces.labels, model.labels, clean=clean, split=split, conditions=conditions)
    return Scored(report, faces, p)


def measure_robustness(
    model: Model,
    faces: FaceDataset,
    *,
    views: int = 1,
    seed: int = 0,
    on_pass: Callable[[int, int], None] | None = None,
) -> Robustness:
    """Accuracy of ``model`` on labelled ``faces`` of one split, as they are and corrupted in each kind and severity.

    views    test-time views, 1..10, as in :func:`evaluate`
    seed     of what is random in ``corruptions.corrupt``
    on_pass  called after each pass over the faces with the number done and the number of all
    """
    faces = fitting(model, faces)
    clean = np.asarray(_sized(model, faces))
    passes = [(kind, s) for kind in CORRUPTIONS for s in range(1, len(SEVERITIES[kind]) + 1)]
    threshold = model.threshold(views) if isinstance(model, Loaded) else None
    right, held = list[float](), list[float]()
    for done, (kind, severity) in enumerate([("", 0), *passes], 1):
        p = model.predict(corrupt(clean, kind, severity, seed) if kind else clean, views=views)
        hits = p.argmax(1) == faces.labels
        right.append(float(hits.mean()))
        if threshold is not None:  # the most probable class is always in the set
            held.append(float((hits | (p[np.arange(len(p)), faces.labels] >= threshold)).mean()))
        if on_pass:
            on_pass(done, len(passes) + 1)
    return Robustness(
        n=len(faces),
        clean=right[0],
        accuracies=_by_kind(right[1:]),
        clean_coverage=held[0] if held else None,
        coverages=_by_kind(held[1:]) if held else {},
        split="+".join(faces.splits),
        conditions={
            **_conditions(model, faces, views),
            "opencv": str(cv2.__version__),
            "seed": seed,
            "severities": {kind: list(row) for kind, row in SEVERITIES.items()},
        },
    )


def _by_kind(values: Sequence[float]) -> dict[str, tuple[float, ...]]:
    """One value for each kind and severity, in their order, as a row a kind."""
    rest = iter(values)
    return {kind: tuple(islice(rest, len(SEVERITIES[kind]))) for kind in CORRUPTIONS}


def fitting(model: Model, faces: FaceDataset) -> FaceDataset:
    """``faces`` with the labels of ``model``; an error where none is labelled."""
    faces = relabel(faces, model.labels)
    if not len(faces):
        raise ConfigError(f"{faces.source}: holds no labelled faces to score")
    return faces


def _sized(model: Model, faces: FaceDataset) -> Images:
    """The pictures of ``faces`` in the colours and at the side that ``model`` needs."""
    faces = faces.with_channels(getattr(model, "channels", 1))
    return faces.images if model.size is None else faces.resized(model.size).images


def _predicted(model: Model, images: Images, views: int) -> NDArray[np.float64]:
    """What ``model`` says of all images, which it gets as arrays: at once, or in passes where they are stored."""
    parts = blocks(images) if isinstance(images, StoredImages) else [images]
    return np.concatenate([model.predict(part, views=views) for part in parts])


def _conditions(model: Model, faces: FaceDataset, views: int) -> dict[str, Any]:
    return {
        "model": model.name,
        "views": views,
        "data": Path(faces.source).name,
        "fingerprint": faces.fingerprint,
        **_resized(model, faces),
        "date": datetime.date.today().isoformat(),
        **versions(),
        **getattr(model, "notes", {}),
    }


def _resized(model: Model, faces: FaceDataset) -> dict[str, str]:
    """A word for the conditions where the model saw the faces at another size, or in other colours, than theirs."""
    channels = getattr(model, "channels", 1)
    said = {} if channels == faces.channels else {"colours": "made grey" if channels == 1 else "grey, three times"}
    if model.size is None or faces.size == (model.size, model.size):
        return said
    before, after = (" x ".join(map(str, size)) for size in (faces.size, (model.size, model.size)))
    return {**said, "resized": f"from {before} to {after} pixels"}


def versions() -> dict[str, str]:
    """Versions that decide figures."""
    return {
        "mien": __version__,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "torch": str(torch.__version__),
    }
