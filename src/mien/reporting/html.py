"""One self-contained HTML page about a training run: scores, curves, what the network confuses, a photo, its limits.

The page holds its styles and pictures, loads nothing and runs no script; it follows the reader's light or dark setting.
Every text that comes from data is escaped. Leaves out: computing figures (``mien.evaluation``) and running networks.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.data.dataset import FaceDataset
from mien.evaluation.metrics import Report
from mien.preprocessing import shown
from mien.reporting.card import INTENDED, LIMITS, data_terms
from mien.reporting.markdown import percent
from mien.reporting.page import write_page
from mien.spec import ModelSpec

__all__ = ["Face", "Photo", "write_report"]

_SAMPLES = 12  # faces shown of each class
_CHARTS = (("Loss, nats", "loss", 1.0), ("Accuracy, %", "accuracy", 100.0))
_COLUMNS = (
    ("epoch", "Epoch", "{:.0f}"),
    ("train_loss", "Training loss", "{:.3f}"),
    ("train_accuracy", "accuracy", "{:.1%}"),
    ("val_loss", "Validation loss", "{:.3f}"),
    ("val_accuracy", "accuracy", "{:.1%}"),
    ("images_per_second", "Images/s", "{:,.0f}"),
    ("theta_spread", "Theta spread", "{:.3f}"),
    ("lr", "Learning rate", "{:.4f}"),
)

Table = tuple[list[str], list[list[str]]]


@dataclass(frozen=True)
class Face:
    """One face of a photo: probabilities by class name, and captions with PNG or JPEG bytes that explain them."""

    probabilities: Mapping[str, float]
    pictures: Mapping[str, bytes] = field(default_factory=dict)

    @property
    def best(self) -> str:
        """The most probable class."""
        return max(self.probabilities, key=lambda name: self.probabilities[name])


@dataclass(frozen=True)
class Photo:
    """A photo (PNG or JPEG bytes, faces marked), a line about it, and its faces."""

    picture: bytes
    caption: str
    faces: tuple[Face, ...] = ()


def write_report(
    path: str | Path,
    *,
    title: str,
    intro: str = "",
    history: Sequence[Mapping[str, Any]] = (),
    reports: Sequence[Report] = (),
    photos: Sequence[Photo] = (),
    samples: FaceDataset | None = None,
    spec: ModelSpec | None = None,
    notes: Sequence[str] = (),
    commands: Sequence[str] = (),
) -> Path:
    """Write the page and return its path; parts without content are left out.

    history   epochs as ``training.loop.fit`` gives them
    reports   evaluations; the first is the headline
    samples   labelled faces, of which the first few of each class are shown
    notes     sentences under the headline
    commands  shell lines that make the same again
    """
    first = reports[0] if reports else None
    return write_page(
        path,
        "report.html",
        title=title,
        intro=intro,
        notes=notes,
        photos=photos,
        commands=commands,
        report=first,
        figures=list(_figures(first)) if first else [],
        scores=_scores(reports) if len(reports) > 1 else None,
        charts=[_chart(history, *kind) for kind in _CHARTS] if history else [],
        epochs=_epochs(history),
        confusion=_confusion(first) if first else [],
        classes=_classes(first) if first else None,
        strips=_strips(samples) if samples is not None else [],
        source=samples.source if samples is not None else "",
        terms=data_terms({**(spec.data if spec else {}), "source": samples.source}) if samples is not None else "",
        intended=INTENDED,
        limits=LIMITS,
        found=_conditions(spec, first),
    )


def _figures(r: Report) -> Iterable[tuple[str, str, str]]:
    """Name, value and a line about it, for the head of the page."""
    about = f"{_interval(r)}, 95 % interval, {r.n:,} images"
    yield f"Accuracy, {r.split}" if r.split else "Accuracy", percent(r.accuracy), about
    if r.clean is not None:
        about = f"{_interval(r.clean)}, {r.clean.n:,} without a near-duplicate in Training"
        yield "Clean accuracy", percent(r.clean.accuracy), about
    yield "Macro-F1", f"{r.macro_f1:.3f}", "every class counts the same"
    yield "Calibration error", f"{100 * r.ece:.1f}", "points between confidence and accuracy"


def _scores(reports: Sequence[Report]) -> Table:
    heads = ["Split", "Views", "Images", "Accuracy", "95 % interval", "Clean", "Macro-F1", "Log loss", "ECE"]
    rows = [_score_row(r) for r in reports]
    if not any(r.clean for r in reports):
        return heads[:5] + heads[6:], [row[:5] + row[6:] for row in rows]
    return heads, rows


def _score_row(r: Report) -> list[str]:
    clean = "–" if r.clean is None else percent(r.clean.accuracy)
    figures = [percent(r.accuracy), _interval(r), clean, f"{r.macro_f1:.3f}", f"{r.log_loss:.3f}", f"{100 * r.ece:.1f}"]
    return [r.split or "–", str(r.conditions.get("views", "–")), f"{r.n:,}", *figures]


def _interval(r: Report) -> str:
    low, high = r.accuracy_ci95
    return f"{100 * low:.1f} to {100 * high:.1f}"


def _epochs(history: Sequence[Mapping[str, Any]]) -> Table:
    def cell(value: Any, form: str) -> str:
        return "–" if value is None else form.format(value)

    rows = [[cell(h.get(key), form) for key, _, form in _COLUMNS] for h in history]
    return [head for _, head, _ in _COLUMNS], rows


def _chart(history: Sequence[Mapping[str, Any]], title: str, kind: str, factor: float) -> dict[str, Any]:
    """Both lines of one figure, its ticks and its epochs, in pixels of 440 x 230; no lines where nothing is known."""
    epochs = np.array([h["epoch"] for h in history], dtype=np.float64)
    lines = {part: factor * _column(history, f"{part}_{kind}") for part in ("train", "val")}
    known = np.concatenate(list(lines.values()))
    known = known[np.isfinite(known)]
    if not len(known):
        return {"title": title, "lines": {}}
    ticks = _ticks(float(known.min()), float(known.max()))
    low, high = min(ticks[0], known.min()), max(ticks[-1], known.max())
    x = (44 + 384 * (epochs - epochs[0]) / max(np.ptp(epochs), 1)).round(1).tolist()

    def down(values: NDArray[np.float64]) -> list[float]:
        place: list[float] = (200 - 188 * (values - low) / (high - low)).round(1).tolist()
        return place

    marks = np.unique(np.linspace(0, len(epochs) - 1, min(len(epochs), 6)).round().astype(int))
    return {
        "title": title,
        "ticks": [(y, f"{tick:g}") for y, tick in zip(down(ticks), ticks, strict=True)],
        "epochs": [(x[i], f"{epochs[i]:g}") for i in marks],
        "lines": {k: [(a, b) for a, b in zip(x, down(v), strict=True) if np.isfinite(b)] for k, v in lines.items()},
    }


def _ticks(low: float, high: float) -> NDArray[np.float64]:
    """About five round numbers from below ``low`` to above ``high``."""
    span = max(high - low, 1e-3 * max(abs(high), 1.0))
    power = 10.0 ** np.floor(np.log10(span / 4))
    step = power * next(m for m in (1, 2, 2.5, 5, 10) if power * m >= span / 5)
    first, last = np.floor(low / step + 1e-9), np.ceil(high / step - 1e-9)
    ticks: NDArray[np.float64] = step * np.arange(first, max(last, first + 1) + 1)
    return ticks.round(10)


def _column(history: Sequence[Mapping[str, Any]], key: str) -> NDArray[np.float64]:
    values = [h.get(key) for h in history]
    return np.array([np.nan if v is None else v for v in values], dtype=np.float64)


def _confusion(r: Report) -> list[tuple[str, list[tuple[int, float]]]]:
    """For each true class its counts, each with its share of the class."""
    return [(n, [(c, c / max(sum(row), 1)) for c in row]) for n, row in zip(r.names, r.confusion, strict=True)]


def _classes(r: Report) -> Table:
    rows = [
        [n, f"{c['n']:,}", f"{c['recall']:.1%}", f"{c['precision']:.1%}", f"{c['f1']:.3f}"]
        for n, c in r.per_class.items()
    ]
    return ["Class", "Images", "Recall", "Precision", "F1"], rows


def _strips(ds: FaceDataset) -> list[tuple[str, bytes]]:
    """The first faces of each class side by side, as PNG."""
    strips = []
    for i, name in enumerate(ds.names if ds.labels is not None else ()):
        chosen = np.asarray(ds.images[ds.labels == i][:_SAMPLES])
        if len(chosen):
            blank = np.full((_SAMPLES - len(chosen), *chosen.shape[1:]), 255, np.uint8)
            strips.append((name, _png(shown(np.concatenate(list(np.concatenate([chosen, blank])), axis=1)))))
    return strips


def _conditions(spec: ModelSpec | None, report: Report | None) -> dict[str, Any]:
    """What the same figures need: the network, the conditions of the first report, and versions."""
    network = {"network": spec.model.get("name", spec.name)} if spec else {}
    return {**network, **(report.conditions if report else {}), **(spec.versions if spec else {})}


def _png(image: NDArray[np.uint8]) -> bytes:
    done, data = cv2.imencode(".png", image)
    assert done
    return bytes(data)
