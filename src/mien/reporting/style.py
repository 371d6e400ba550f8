"""How figures look: one style, a figure of its own for each picture (no pyplot, no global state), files written whole.

Needs matplotlib. Leaves out: what is drawn (``plots``, ``study.analysis.figures``).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mien.errors import need
from mien.files import check_writable, replace_file

__all__ = ["GRID", "INK", "PAPER", "QUIET", "house_style", "new_figure", "save_figure"]

INK = "#22272e"
QUIET = "#68707c"
GRID = "#e3e6ea"
PAPER = "#ffffff"
_STYLE = {
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "text.color": INK,
    "axes.labelcolor": QUIET,
    "axes.titlecolor": INK,
    "axes.titlesize": 11,
    "axes.titlelocation": "left",
    "axes.titlepad": 10,
    "axes.edgecolor": GRID,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "xtick.color": QUIET,
    "ytick.color": QUIET,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "figure.facecolor": PAPER,
    "axes.facecolor": PAPER,
    "svg.hashsalt": "mien",
}


def house_style(extra: str = "train") -> Any:
    """Context manager in which figures are made; ``extra`` is named where matplotlib is missing."""
    return need("matplotlib", extra).rc_context(_STYLE)


def new_figure(width: float, height: float, rows: int = 1, columns: int = 1) -> tuple[Any, Any]:
    """A figure of so many inches and its axes, as ``Figure.subplots`` gives them."""
    figure = need("matplotlib.figure", "train").Figure(figsize=(width, height), dpi=150, layout="constrained")
    return figure, figure.subplots(rows, columns)


def save_figure(figure: Any, path: str | Path) -> Path:
    """Write a figure by its name's ending, .png or .svg, whole or not at all; the same figure gives the same bytes."""
    target = Path(path)
    check_writable(target.parent)
    kind = target.suffix.lower().lstrip(".") or "png"
    replace_file(target, lambda p: figure.savefig(p, format=kind, metadata={"Date": None} if kind == "svg" else None))
    return target
