"""One self-contained HTML page about a training run: scores, curves, what the network confuses, a photo, its limits.

The page holds its styles and pictures, loads nothing and runs no script; it follows the reader's light or dark setting.
Every text that comes from data is escaped. Leaves out: computing figures (``metrics``) and running networks.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from mien import __version__
from mien.data.dataset import FaceDataset
from mien.errors import ConfigError
from mien.evaluation.metrics import Report
from mien.files import check_writable, write_text
from mien.labels import colour, short
from mien.reporting.card import INTENDED, LIMITS, data_terms, percent
from mien.spec import ModelSpec

__all__ = ["Face", "Photo", "write_report"]

_SAMPLES = 12  # faces shown of each class


@dataclass(frozen=True)
class Face:
    """One face of a photo: probabilities by class name, and captions with PNG or JPEG bytes that explain them."""

    probabilities: Mapping[str, float]
    pictures: Mapping[str, bytes] = field(default_factory=dict)


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

    history   epochs as ``engine.fit`` gives them
    reports   evaluations; the first is the headline
    samples   labelled faces, of which the first few of each class are shown
    notes     sentences under the headline
    commands  shell lines that make the same again
    """
    parts = [
        _headline(reports, notes) if reports or notes else "",
        *(_photo(p) for p in photos),
        _training(history) if history else "",
        _confusion(reports[0]) if reports else "",
        _samples(samples, spec) if samples is not None and samples.labels is not None and len(samples) else "",
        _section("Use and limits", f"<h3>What it is for</h3>{_list(INTENDED)}<h3>What to know</h3>{_list(LIMITS)}"),
        _again(commands, spec, reports),
    ]
    page = Template(files("mien").joinpath("assets/report.html").read_text(encoding="utf-8"))
    footer = f"Written by mien {__version__}. Code computed every figure on this page; no hand wrote one."
    html = page.substitute(title=escape(title), intro=escape(intro), body="\n".join(parts), footer=footer)
    target = Path(path)
    check_writable(target.parent)
    write_text(target, html)
    return target


def _headline(reports: Sequence[Report], notes: Sequence[str]) -> str:
    body = "".join(f"<p>{escape(n)}</p>" for n in notes)
    if reports:
        first = reports[0]
        body = f'<div class="figures">{"".join(_figures(first))}</div><p></p>' + body
    if len(reports) > 1:
        heads = ["Split", "Views", "Images", "Accuracy", "95 % interval", "Clean", "Macro-F1", "Log loss", "ECE"]
        rows = [_score_row(r) for r in reports]
        if not any(r.clean for r in reports):
            heads, rows = heads[:5] + heads[6:], [row[:5] + row[6:] for row in rows]
        body += _table(heads, rows)
    return _section("Result", body)


def _figures(r: Report) -> Iterable[str]:
    def figure(name: str, value: str, about: str) -> str:
        name, about = escape(name), escape(about)
        return f'<div><span class="name">{name}</span><b>{value}</b><span class="quiet">{about}</span></div>'

    about = f"{_interval(r)}, 95 % interval, {r.n:,} images"
    yield figure(f"Accuracy, {r.split}" if r.split else "Accuracy", percent(r.accuracy), about)
    if r.clean is not None:
        yield figure(
            "Clean accuracy",
            percent(r.clean.accuracy),
            f"{_interval(r.clean)}, {r.clean.n:,} without a twin in Training",
        )
    yield figure("Macro-F1", f"{r.macro_f1:.3f}", "every class counts the same")
    yield figure("Calibration error", f"{100 * r.ece:.1f}", "points between confidence and accuracy")


def _score_row(r: Report) -> list[str]:
    clean = "–" if r.clean is None else percent(r.clean.accuracy)
    figures = [percent(r.accuracy), _interval(r), clean, f"{r.macro_f1:.3f}", f"{r.log_loss:.3f}", f"{100 * r.ece:.1f}"]
    return [r.split or "–", str(r.conditions.get("views", "–")), f"{r.n:,}", *figures]


def _interval(r: Report) -> str:
    low, high = r.accuracy_ci95
    return f"{100 * low:.1f} to {100 * high:.1f}"


def _photo(photo: Photo) -> str:
    faces = "".join(_face(f) for f in photo.faces) or "<p>No face was found.</p>"
    caption = escape(photo.caption)
    picture = f'<figure class="photo"><img src="{_uri(photo.picture)}" alt="{caption}"></figure>'
    return _section("A photograph", f"<p>{caption}</p>{picture}{faces}")


def _face(face: Face) -> str:
    shots = "".join(
        f'<figure><img src="{_uri(data)}" alt="{escape(text)}"><figcaption>{escape(text)}</figcaption></figure>'
        for text, data in face.pictures.items()
    )
    best = max(face.probabilities, key=lambda name: face.probabilities[name])
    rows = "".join(_bar(name, p, "bar first" if name == best else "bar") for name, p in face.probabilities.items())
    return f'<div class="face"><div class="shots">{shots}</div><div>{rows}</div></div>'


def _bar(name: str, p: float, kind: str) -> str:
    width = f"width:{100 * min(max(p, 0.0), 1.0):.1f}%;background:{colour(name)}"
    return (
        f'<div class="{kind}"><span>{escape(name)}</span><span><i style="{width}"></i></span><span>{p:.0%}</span></div>'
    )


def _training(history: Sequence[Mapping[str, Any]]) -> str:
    key = '<span class="key train">training</span><span class="key val">validation</span>'
    charts = "".join(
        f"<div><h3>{title}</h3>{_chart(history, kind, factor)}</div>"
        for title, kind, factor in (("Loss, nats", "loss", 1.0), ("Accuracy, %", "accuracy", 100.0))
    )
    heads = (
        "Epoch",
        "Training loss",
        "accuracy",
        "Validation loss",
        "accuracy",
        "Images/s",
        "Theta spread",
        "Learning rate",
    )
    keys = ("train_loss", "train_accuracy", "val_loss", "val_accuracy", "images_per_second", "theta_spread", "lr")
    formats = ("{:.3f}", "{:.1%}", "{:.3f}", "{:.1%}", "{:,.0f}", "{:.3f}", "{:.4f}")
    rows = [
        [
            f"{h['epoch']:.0f}",
            *(f.format(h[k]) if h.get(k) is not None else "–" for k, f in zip(keys, formats, strict=True)),
        ]
        for h in history
    ]
    open_ = " open" if len(rows) <= 12 else ""
    details = f"<details{open_}><summary>Every epoch</summary>{_table(heads, rows)}</details>"
    return _section("Training", f'<p>{key}</p><div class="two">{charts}</div>{details}')


def _chart(history: Sequence[Mapping[str, Any]], kind: str, factor: float) -> str:
    """Both lines of one figure as SVG, 440 x 230."""
    epochs = np.array([h["epoch"] for h in history], dtype=np.float64)
    lines = {part: factor * _column(history, f"{part}_{kind}") for part in ("train", "val")}
    known = np.concatenate(list(lines.values()))
    known = known[np.isfinite(known)]
    if not len(known):
        return '<p class="quiet">no figures</p>'
    ticks = _ticks(float(known.min()), float(known.max()))
    low, high = min(ticks[0], known.min()), max(ticks[-1], known.max())
    x = 44 + 384 * (epochs - epochs[0]) / max(np.ptp(epochs), 1)
    out = []
    for tick in ticks:
        y = 200 - 188 * (tick - low) / (high - low)
        out.append(f'<line class="grid" x1="44" x2="432" y1="{y:.1f}" y2="{y:.1f}"/>')
        out.append(f'<text x="36" y="{y + 4:.1f}" text-anchor="end">{tick:g}</text>')
    marks = np.unique(np.linspace(0, len(epochs) - 1, min(len(epochs), 6)).round().astype(int))
    out += [f'<text x="{x[i]:.1f}" y="222" text-anchor="middle">{epochs[i]:g}</text>' for i in marks]
    for part, values in lines.items():
        y = 200 - 188 * (values - low) / (high - low)
        points = [f"{a:.1f},{b:.1f}" for a, b in zip(x, y, strict=True) if np.isfinite(b)]
        out.append(f'<polyline class="{part}" points="{" ".join(points)}"/>')
        if points and (part == "val" or len(points) == 1):
            cx, cy = points[-1].split(",")
            out.append(f'<circle cx="{cx}" cy="{cy}" r="4"/>')
    return f'<svg viewBox="0 0 440 230" role="img" aria-label="{kind} by epoch">{"".join(out)}</svg>'


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


def _confusion(r: Report) -> str:
    head = "".join(f'<th title="{escape(n)}">{escape(short(n))}</th>' for n in r.names)
    rows = "".join(_confusion_row(n, row) for n, row in zip(r.names, r.confusion, strict=True))
    matrix = (
        f'<div><h3>True class by row, predicted by column</h3><div class="scroll"><table class="confusion">'
        f"<tr><th></th>{head}</tr>{rows}</table></div></div>"
    )
    heads = ("Class", "Images", "Recall", "Precision", "F1")
    body = [
        [n, f"{c['n']:,}", f"{c['recall']:.1%}", f"{c['precision']:.1%}", f"{c['f1']:.3f}"]
        for n, c in r.per_class.items()
    ]
    return _section(
        "What it gets right, and what it mixes up",
        f'<div class="two">{matrix}<div><h3>Each class</h3>{_table(heads, body)}</div></div>',
    )


def _confusion_row(name: str, row: Sequence[int]) -> str:
    total, strong = max(sum(row), 1), ' class="strong"'
    cells = "".join(
        f'<td{strong * (2 * c > total)} style="background:rgba(var(--blue),{(c / total) ** 0.75:.3f})">{c:,}</td>'
        for c in row
    )
    return f'<tr><th scope="row">{escape(name)}</th>{cells}</tr>'


def _samples(ds: FaceDataset, spec: ModelSpec | None) -> str:
    assert ds.labels is not None
    strips = []
    for i, name in enumerate(ds.names):
        chosen = ds.images[ds.labels == i][:_SAMPLES]
        if len(chosen):
            blank = np.full((_SAMPLES - len(chosen), *chosen.shape[1:]), 255, np.uint8)
            strips.append((name, np.concatenate(list(np.concatenate([chosen, blank])), axis=1)))
    rows = "".join(
        f'<div class="strip"><span>{escape(n)}</span><img src="{_uri(_png(s))}" alt="{escape(n)}"></div>'
        for n, s in strips
    )
    terms = data_terms({**(spec.data if spec else {}), "source": ds.source})
    return _section(
        "The data", f"<p>{escape(ds.source)}</p>{rows}" + (f'<p class="quiet">{escape(terms)}</p>' if terms else "")
    )


def _again(commands: Sequence[str], spec: ModelSpec | None, reports: Sequence[Report]) -> str:
    lines = f"<pre>{escape(chr(10).join(commands))}</pre>" if commands else ""
    found: dict[str, Any] = {"network": spec.model.get("name", spec.name)} if spec else {}
    if reports:
        found.update(reports[0].conditions)
    if spec:
        found.update(spec.versions)
    rows = "".join(f"<tr><td>{escape(str(k))}</td><td>{escape(str(v))}</td></tr>" for k, v in found.items())
    table = f'<table class="pairs">{rows}</table>' if rows else ""
    return _section("How to make the same again", lines + table) if lines or table else ""


def _section(title: str, body: str) -> str:
    return f"<section><h2>{escape(title)}</h2>{body}</section>"


def _list(items: Iterable[str]) -> str:
    return f"<ul>{''.join(f'<li>{escape(i)}</li>' for i in items)}</ul>"


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    head = "".join(f"<th>{escape(h)}</th>" for h in heads)
    body = "".join("<tr>" + "".join(f"<td>{escape(c)}</td>" for c in row) + "</tr>" for row in rows)
    return f'<div class="scroll"><table><tr>{head}</tr>{body}</table></div>'


def _png(image: NDArray[np.uint8]) -> bytes:
    done, data = cv2.imencode(".png", image)
    assert done
    return bytes(data)


def _uri(data: bytes) -> str:
    kind = "png" if data.startswith(b"\x89PNG") else "jpeg" if data.startswith(b"\xff\xd8\xff") else ""
    if not kind:
        raise ConfigError(f"pictures must be PNG or JPEG bytes, got {len(data)} bytes starting {data[:4]!r}")
    return f"data:image/{kind};base64,{b64encode(data).decode()}"
