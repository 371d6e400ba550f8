"""The figures of a study, each as SVG and PNG: conditions, curves, stimuli, and what is missing.

Leaves out: computing (``comparisons``, ``curves``), and the page (``page``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.labels import colour
from mien.reporting.style import INK, PAPER, house_style, new_figure, save_figure
from mien.study.analysis.analysis import Study
from mien.study.analysis.cells import values
from mien.study.analysis.curves import Curve
from mien.study.analysis.inference import interval

__all__ = ["CAPTIONS", "draw_figures"]

#: Name of a figure -> what it shows.
CAPTIONS = {
    "conditions": "Each dot is a participant, a line joins theirs; the large dots are means with 95 % intervals over "
    "participants. A star marks a difference that is called real.",
    "curves": "Probability of each expression over the time from the start of a stretch, mean over participants with "
    "95 % intervals; drawn where at least half of them have a value.",
    "stimuli": "The same for each stimulus, all expressions in one panel.",
    "missing": "Share of each participant's time that says nothing, by condition. Crossed: left out by the rules.",
}

_CONDITION = ("#1f4e6d", "#d1495b", "#7a9e3a", "#b58900", "#6c5b9c", "#2a9d8f", "#8a5a44", "#68707c")
_PANELS = 12  # stimuli that are drawn
_ROWS = 60  # participants that are drawn in one column of the map of missing time
_WORDS = {
    "share": "share of time, %",
    "mean_probability": "mean probability, %",
    "segments_per_minute": "segments a minute",
    "latency": "latency, s",
    "mean_length": "length of a segment, s",
}


def draw_figures(study: Study, folder: Path) -> dict[str, list[Path]]:
    """Draw all that there is something for: name -> its SVG and its PNG."""
    drawn: dict[str, list[Path]] = {}
    makers: dict[str, Callable[[Study], Any]] = {"conditions": _conditions, "curves": _curves, "missing": _missing}
    if study.stimulus_curves:
        makers["stimuli"] = _stimuli
    for name in CAPTIONS:
        if name in makers:
            with house_style("study"):
                figure = makers[name](study)
                first = save_figure(figure, folder / f"{name}.svg")
                figure.set_layout_engine("none")  # it stays as it was laid out, which took half of the time
                drawn[name] = [first, save_figure(figure, folder / f"{name}.png")]
    return drawn


def _grid(panels: int, across: int, width: float, height: float) -> tuple[Any, list[Any]]:
    across = min(across, panels)
    down = -(-panels // across)
    figure, axes = new_figure(width * across + 0.3, height * down + 0.5, down, across)
    flat = list(np.ravel(axes))
    for spare in flat[panels:]:
        spare.set_visible(False)
    return figure, flat[:panels]


def _shades(study: Study) -> dict[str, str]:
    return {c: _CONDITION[i % len(_CONDITION)] for i, c in enumerate(study.conditions)}


def _conditions(study: Study) -> Any:
    """A panel a label: every participant in every condition."""
    measure = study.options.measures[0]
    percent = 100 if measure in ("share", "mean_probability") else 1
    cells = study.by_condition[study.scores]
    shades, names = _shades(study), study.conditions
    table = np.full((len(study.participants), len(names), len(study.labels)), np.nan)
    for (who, condition), m in cells.items():
        table[study.participants.index(who), names.index(condition)] = percent * values(m)[measure]
    figure, panels = _grid(len(study.labels), 4, max(1.9, 0.6 * len(names) + 0.9), 2.5)
    for k, (axes, label) in enumerate(zip(panels, study.labels, strict=True)):
        axes.set_title(label)
        axes.grid(axis="x", visible=False)
        for row in table[:, :, k]:
            axes.plot(range(len(names)), row, color="#c3c9d4", linewidth=0.7, marker="o", markersize=2.5, zorder=2)
        for i, name in enumerate(names):
            _mean(axes, i, table[:, i, k], shades[name])
        for height, star in enumerate(_stars(study, label, measure)):
            _bracket(axes, *star, height)
        axes.set_xticks(range(len(names)), [_short(n) for n in names], rotation=0 if len(names) < 4 else 60)
        axes.set_xlim(-0.5, len(names) - 0.5)
        axes.set_ylim(0, max(axes.get_ylim()[1], 5 if percent == 100 else 1))
        axes.tick_params(labelcolor=INK)
    for axes in panels[::4]:
        axes.set_ylabel(_WORDS[measure])
    return figure


def _mean(axes: Any, x: float, column: NDArray[np.float64], ink: str) -> None:
    told = column[np.isfinite(column)]
    if not len(told):
        return
    low, high = interval(told)
    if low is not None:
        axes.plot([x, x], [low, high], color=ink, linewidth=2.2, zorder=4, solid_capstyle="butt")
    axes.plot(x, told.mean(), "o", color=ink, markersize=7, markeredgecolor=PAPER, zorder=5)


def _stars(study: Study, label: str, measure: str) -> Iterator[tuple[int, int]]:
    for c in study.comparisons:
        if c.label == label and c.measure == measure and c.real(study.options.alpha):
            yield study.conditions.index(c.first), study.conditions.index(c.second)


def _bracket(axes: Any, left: int, right: int, height: int) -> None:
    at = 1.0 + 0.07 * height - 0.02
    where = axes.get_xaxis_transform()
    axes.plot([left, right], [at, at], color=INK, linewidth=1, transform=where, clip_on=False)
    box = {"facecolor": PAPER, "edgecolor": "none", "pad": 1}
    axes.text(
        (left + right) / 2, at - 0.012, "*", ha="center", va="center", transform=where, fontsize=14, bbox=box, zorder=6
    )


def _curves(study: Study) -> Any:
    """A panel a label, a line a condition."""
    figure, panels = _grid(len(study.labels), 4, 2.6, 2.2)
    shades = _shades(study)
    found = [c for c in study.curves if c.condition in shades]
    for k, (axes, label) in enumerate(zip(panels, study.labels, strict=True)):
        axes.set_title(label)
        for curve in found:
            _line(axes, curve, k, shades[curve.condition])
        axes.set_ylim(0, _ceiling(found))
        axes.set_xlabel("seconds")
    for axes in panels[::4]:
        axes.set_ylabel("probability, %")
    _legend(figure, shades)
    return figure


def _stimuli(study: Study) -> Any:
    """A panel a stimulus, a line a label."""
    found = [c for name in study.conditions for c in study.stimulus_curves if c.condition == name][:_PANELS]
    figure, panels = _grid(len(found), 2 if len(found) in (2, 4) else 3, 3.4, 2.4)
    for axes, curve in zip(panels, found, strict=True):
        axes.set_title(f"{_short(curve.stimulus, 24)} ({_short(curve.condition, 14)}, n {curve.everybody})")
        for k, label in enumerate(study.labels):
            _line(axes, curve, k, colour(label), band=False)
        axes.set_ylim(0, _ceiling(found))
        axes.set_xlabel("seconds")
        axes.set_ylabel("probability, %")
    _legend(figure, {label: colour(label) for label in study.labels})
    return figure


def _line(axes: Any, curve: Curve, k: int, ink: str, *, band: bool = True) -> None:
    shown = curve.shown
    mean, low, high = (np.where(shown, 100 * v[:, k], np.nan) for v in (curve.mean, curve.low, curve.high))
    axes.plot(curve.times, mean, color=ink, linewidth=1.8)
    axes.set_xlim(left=0)
    if band:
        axes.fill_between(curve.times, low, high, color=ink, alpha=0.18, linewidth=0)


def _ceiling(found: Sequence[Curve]) -> float:
    """Above the highest mean, the same in all panels."""
    shown = [c.mean[c.shown] for c in found if c.shown.any()]
    return float(min(105.0, 115 * max([0.1, *(float(v.max()) for v in shown)])))


def _missing(study: Study) -> Any:
    """A map: participants down, conditions across."""
    stretches = study.stretches
    names = [c for c in study.design.conditions() if any(s.condition == c for s in stretches)]
    everybody = list(dict.fromkeys(s.participant for s in stretches))
    people = everybody[:_ROWS]
    asked, measured = np.zeros((2, len(people), len(names)))
    for s, m in stretches.items():
        if s.participant in people:
            at = people.index(s.participant), names.index(s.condition)
            asked[at] += m.asked
            measured[at] += m.measured
    share = np.divide(asked - measured, asked, out=np.full(asked.shape, np.nan), where=asked > 0)
    figure, axes = new_figure(1.4 * len(names) + 2.2, 0.24 * len(people) + 1.2)
    axes.grid(False)
    axes.imshow(100 * share, cmap=_reds(), vmin=0, vmax=100, aspect="auto")
    kept = study.by_condition[study.scores]
    for (i, j), value in np.ndenumerate(share):
        if np.isfinite(value):
            gone = (people[i], names[j]) not in kept
            text = f"{100 * value:.0f}{' ×' if gone else ''}"
            axes.text(j, i, text, ha="center", va="center", fontsize=8.5, color=PAPER if value > 0.6 else INK)
    axes.set_xticks(range(len(names)), [_short(n) for n in names])
    axes.set_yticks(range(len(people)), [_short(p) for p in people])
    axes.tick_params(labelcolor=INK, labelsize=8.5)
    axes.spines[:].set_visible(False)
    more = f", the first {_ROWS} of {len(everybody)}" if len(everybody) > _ROWS else ""
    axes.set_title(f"time missing, %{more}")
    return figure


def _reds() -> Any:
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("missing", ["#f6f7f9", "#eab3ba", "#d1495b", "#7d1f2d"])


def _legend(figure: Any, shades: dict[str, str]) -> None:
    from matplotlib.lines import Line2D

    handles = [Line2D([], [], color=ink, linewidth=2.5, label=_short(name, 20)) for name, ink in shades.items()]
    columns = max(1, min(len(handles), int(figure.get_figwidth() / 1.3)))
    figure.legend(handles=handles, loc="outside upper left", ncols=columns, frameon=False, labelcolor=INK)


def _short(name: str, most: int = 12) -> str:
    return name if len(name) <= most else f"{name[: most - 1]}…"
