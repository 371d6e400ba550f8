"""Pictures of training and evaluation as PNG files: curves, confusion, reliability, robustness.

Every function draws on a figure of its own (no pyplot, no global state), writes a temporary file beside ``path`` and
renames it, and returns ``path``. Needs the extra ``train`` (matplotlib). Leaves out: computing (``evaluation``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.errors import ConfigError, need
from mien.evaluation.metrics import Report, Robustness
from mien.labels import short
from mien.reporting.style import INK, PAPER, QUIET, house_style, new_figure, save_figure

__all__ = ["confusion", "curves", "reliability", "robustness", "speed"]

_TRAIN, _VAL, _BAR = "#8d99ae", "#d1495b", "#c3c9d4"
_NAME = 8.5  # size of a point's name
_LETTER = 0.6 * _NAME  # width of a letter, about
_STEPS = [0, *(sign * 10 * k for k in range(1, 12) for sign in (1, -1))]  # how far up or down a name may move


def curves(history: Sequence[Mapping[str, Any]], path: str | Path) -> Path:
    """Loss and accuracy of each epoch, training and validation side by side.

    history  one mapping an epoch: epoch, train_loss, train_accuracy, val_loss, val_accuracy (accuracies 0..1, losses in
             nats); a missing or ``None`` value leaves a gap. The best validation accuracy is marked.
    """
    if not history:
        raise ConfigError("history must hold at least one epoch, got none")
    with house_style():
        figure, (left, right) = new_figure(9.2, 3.5, 1, 2)
        epochs = [row["epoch"] for row in history]
        for axes, kind, factor, title in ((left, "loss", 1, "Loss, nats"), (right, "accuracy", 100, "Accuracy, %")):
            for part, label, ink in (("train", "training", _TRAIN), ("val", "validation", _VAL)):
                values = factor * _column(history, f"{part}_{kind}")
                marker = "o" if len(epochs) < 3 else None
                axes.plot(epochs, values, color=ink, linewidth=2, marker=marker, label=label)
            axes.set_title(title)
            axes.set_xlabel("epoch")
            axes.xaxis.get_major_locator().set_params(integer=True)
        _mark_best(right, epochs, 100 * _column(history, "val_accuracy"))
        left.legend(frameon=False, labelcolor=INK, loc="upper right")
        return save_figure(figure, path)


def confusion(report: Report, path: str | Path) -> Path:
    """Confusion matrix: counts, coloured by the share of the true class; each class's recall at the right."""
    table = np.asarray(report.confusion, dtype=np.int64)
    total = table.sum(1)
    share = table / np.maximum(total, 1)[:, None]
    k = len(table)
    side = max(4.0, 0.68 * k + 1.7)
    with house_style():
        figure, axes = new_figure(side + 0.9, side)
        axes.grid(False)
        axes.imshow(share, cmap=_shades(), vmin=0, vmax=1)
        for (row, column), count in np.ndenumerate(table):
            ink = "white" if share[row, column] > 0.55 else (INK if count else "#c3c8cf")
            weight = "bold" if row == column else "normal"
            axes.text(column, row, f"{count:,}", ha="center", va="center", color=ink, fontsize=9.5, fontweight=weight)
        for row in range(k):
            text = f"{share[row, row]:.0%}" if total[row] else "–"
            axes.text(k - 0.25, row, text, ha="left", va="center", color=INK, fontsize=9.5)
        axes.text(k - 0.25, -0.75, "recall", ha="left", va="center", color=QUIET, fontsize=9)
        axes.set_xticks(range(k), [short(n) if k > 5 else n for n in report.names])
        axes.set_yticks(range(k), report.names)
        axes.tick_params(labelcolor=INK)
        axes.set(xlabel="predicted", ylabel="true")
        axes.spines[:].set_visible(False)
        return save_figure(figure, path)


def reliability(report: Report, path: str | Path) -> Path:
    """How often the network is right at each confidence, against the diagonal; dots grow with the number of images."""
    count, confidence, accuracy = (np.array(column) for column in zip(*report.reliability, strict=True))
    sure = count >= 10  # fewer images say little: their dots stay, the line passes them by
    with house_style():
        figure, axes = new_figure(4.6, 4.4)
        axes.plot([0, 100], [0, 100], color=QUIET, linewidth=1, linestyle=(0, (4, 4)))
        axes.plot(100 * confidence[sure], 100 * accuracy[sure], color=_VAL, linewidth=1.6, alpha=0.6)
        axes.scatter(100 * confidence, 100 * accuracy, s=12 + 240 * count / count.max(), color=_VAL, alpha=0.85, lw=0)
        axes.set(xlim=(0, 103), ylim=(0, 103), xlabel="confidence, %", ylabel="right, %", aspect="equal")
        axes.set_title(f"Calibration: error {100 * report.ece:.1f} points")
        axes.text(97, 3, "under the line:\nsurer than right", ha="right", va="bottom", color=QUIET, fontsize=9)
        return save_figure(figure, path)


def robustness(found: Robustness, path: str | Path) -> Path:
    """Accuracy against severity, one panel a kind of corruption, 0 being clean; the mean over all kinds dashed."""
    kinds, severities = list(found.accuracies), range(len(found.by_severity) + 1)
    down = -(-len(kinds) // 3)
    with house_style():
        figure, grid = new_figure(9.4, 2.3 * down + 0.5, down, 3)
        panels = list(grid.flat)
        for axes, kind in zip(panels, kinds, strict=False):
            mean, values = (100 * np.array([found.clean, *v]) for v in (found.by_severity, found.accuracies[kind]))
            axes.plot(severities, mean, color=_TRAIN, linewidth=1.2, linestyle=(0, (4, 3)))
            axes.plot(severities, values, color=_VAL, linewidth=2, marker="o", markersize=3.5)
            axes.text(severities[-1] + 0.15, values[-1], f"{values[-1]:.0f}", va="center", color=_VAL, fontsize=9.5)
            drop = found.clean - found.by_kind[kind]
            axes.set_title(f"{kind.replace('_', ' ')}: {100 * found.by_kind[kind]:.1f}, drop {100 * drop:.1f}")
            axes.set(xlim=(-0.2, severities[-1] + 0.7), ylim=(0, _ceiling(found)), xticks=list(severities))
        for axes in panels[len(kinds) :]:
            axes.set_visible(False)
        panels[0].set_ylabel("accuracy, %")
        panels[len(kinds) - 1].set_xlabel("severity, 0 is clean")
        title = f"Accuracy {found.clean:.1%} clean, {found.mean:.1%} over all corruptions (dashed)"
        where = ", ".join(filter(None, [found.split, f"n {found.n:,}"]))
        figure.suptitle(f"{title}: {where}", x=0.01, ha="left", fontsize=11)
        return save_figure(figure, path)


def speed(found: Mapping[str, tuple[float, Report]], path: str | Path) -> Path:
    """Accuracy with its 95 % interval against faces per second (log scale), one point a method."""
    if not found:
        raise ConfigError("found must hold at least one method, got none")
    with house_style():
        figure, axes = new_figure(8.6, 5.6)
        for rate, report in found.values():
            axes.plot([rate, rate], 100 * np.array(report.accuracy_ci95), color=_BAR, linewidth=2, zorder=2)
            axes.plot(rate, 100 * report.accuracy, "o", color=_VAL, markersize=5, zorder=3)
        axes.set_xscale("log")
        axes.margins(x=0.16, y=0.08)
        axes.set_xlabel("faces a second, log scale")
        axes.set_ylabel("accuracy, %")
        report = next(iter(found.values()))[1]
        axes.set_title(f"Accuracy and speed: {report.split or 'one part'}, n {report.n:,}, bars are 95 % intervals")
        _name_points(figure, axes, {name: (rate, 100 * r.accuracy) for name, (rate, r) in found.items()})
        return save_figure(figure, path)


def _name_points(figure: Any, axes: Any, points: Mapping[str, tuple[float, float]]) -> None:
    """Write each name beside its point, where it covers neither a point nor a name, with a line where it is far."""
    figure.draw_without_rendering()  # settles where the axes lie
    at = axes.transData.transform(list(points.values())) * 72 / figure.dpi
    taken = [(x - 3, y - 3, x + 3, y + 3) for x, y in at]  # boxes in points: left, low, right, high
    for (name, point), (x, y) in sorted(zip(points.items(), at, strict=True), key=lambda item: -item[1][1]):
        width = _LETTER * len(name)
        places = [(dx, dy) for dy in _STEPS for dx in (7, -7 - width)]
        boxes = [(x + dx, y + dy - 5, x + dx + width, y + dy + 5) for dx, dy in places]
        free = (k for k, box in enumerate(boxes) if not any(_overlap(box, other) for other in taken))
        k = next(free, 0)
        taken.append(boxes[k])
        far = {"arrowstyle": "-", "color": _BAR, "shrinkB": 3} if places[k][1] else None
        offset = {"textcoords": "offset points", "va": "center", "fontsize": _NAME, "arrowprops": far}
        axes.annotate(name, point, places[k], **offset)


def _overlap(a: tuple[float, ...], b: tuple[float, ...]) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def _column(history: Sequence[Mapping[str, Any]], key: str) -> NDArray[np.float64]:
    values = [row.get(key) for row in history]
    return np.array([np.nan if v is None else v for v in values], dtype=np.float64)


def _mark_best(axes: Any, epochs: Sequence[int], values: NDArray[np.float64]) -> None:
    if np.isnan(values).all():
        return
    best = int(np.nanargmax(values))
    axes.plot(epochs[best], values[best], "o", color=_VAL, markersize=6, zorder=5)
    text = f"best on validation {values[best]:.1f}, epoch {epochs[best]}"
    axes.text(0.99, 0.04, text, transform=axes.transAxes, ha="right", color=_VAL, fontsize=9.5)


def _ceiling(found: Robustness) -> float:
    """The next ten above the best accuracy, %."""
    best = max(found.clean, *(v for row in found.accuracies.values() for v in row))
    return float(10 * np.floor(10 * best + 1.2))


def _shades() -> Any:
    colors = need("matplotlib.colors", "train")
    return colors.LinearSegmentedColormap.from_list("mien", [PAPER, "#a9c6dc", "#3a7ca5", "#1f4e6d"])
