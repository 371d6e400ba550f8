"""A picture of who showed what when: for each track a band of its segments and the curves of its probabilities.

Drawn with matplotlib (extra ``video``), whose axes find good ticks for seconds and minutes alike. What is kept for it
is bounded: curves are thinned, and of many tracks the shortest are given up.
Leaves out: finding segments (``segments``).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.errors import need
from mien.files import replace_file
from mien.labels import colour
from mien.video.segments import Segment

__all__ = ["Timeline"]

_POINTS = 3000  # of a curve; one with more is thinned to every second point
_TRACKS, _SHOWN = 48, 8  # curves that are kept, and drawn
_SEGMENTS = 5000  # that are kept for the bands
_INK, _QUIET, _GRID = "#22272e", "#68707c", "#e3e6ea"


class _Curve:
    """Times and probabilities of one track, at most ``_POINTS``."""

    def __init__(self) -> None:
        self.times: list[float] = []
        self.values: list[tuple[float, ...]] = []
        self.frames, self._step = 0, 1

    def add(self, time: float, values: tuple[float, ...]) -> None:
        if self.frames % self._step == 0:
            self.times.append(time)
            self.values.append(values)
        self.frames += 1
        if len(self.times) >= _POINTS:
            self.times, self.values, self._step = self.times[::2], self.values[::2], self._step * 2


class Timeline:
    """Collects what was seen, in constant memory, and draws it.

    Tracks of fewest frames are not drawn where there are more than eight; the picture says how many.
    """

    def __init__(self) -> None:
        self._curves: dict[int, _Curve] = {}
        self._segments: list[Segment] = []
        self._labels: tuple[str, ...] = ()
        self._tracks = 0
        self._end = 0.0

    def add(self, track: int, time: float, probabilities: Mapping[str, float]) -> None:
        """One frame of a track, with the probabilities (smoothed ones) of all labels."""
        self._tracks = max(self._tracks, track)  # they are numbered from 1
        if track not in self._curves and len(self._curves) >= _TRACKS:
            del self._curves[min(self._curves, key=lambda t: self._curves[t].frames)]
        self._labels = self._labels or tuple(probabilities)
        self._curves.setdefault(track, _Curve()).add(time, tuple(probabilities.values()))
        self._end = max(self._end, time)

    def add_segment(self, segment: Segment) -> None:
        """One segment, when it is over."""
        self._segments.append(segment)
        if len(self._segments) > _SEGMENTS:
            self._segments = [e for e in self._segments if e.track in self._curves][-_SEGMENTS:]

    def draw(self, path: Path, title: str = "", end: float = 0.0) -> bool:
        """Write a PNG that reaches to ``end`` seconds; False, and no file, where no face was followed."""
        if not self._curves:
            return False
        need("matplotlib", "video")
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        longest = sorted(self._curves, key=lambda t: -self._curves[t].frames)[:_SHOWN]
        shown = sorted(longest)
        figure = Figure(figsize=(11, 1.25 + 1.55 * len(shown)), layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.subplots(len(shown), 1, sharex=True, squeeze=False)[:, 0]
        used: set[str] = set()
        for ax, track in zip(axes, shown, strict=True):
            used |= self._draw_track(ax, track)
        axes[-1].set_xlabel("seconds", color=_QUIET)
        axes[-1].set_xlim(0, max(self._end, end, 0.1))
        hidden = self._tracks - len(shown)
        notes = [title, f"{hidden} shorter tracks not drawn" if hidden else ""]
        figure.suptitle("   |   ".join(n for n in notes if n), color=_INK, fontsize=11, x=0.01, ha="left")
        self._legend(figure, [name for name in self._labels if name in used])
        replace_file(path, lambda p: figure.savefig(p, dpi=120))
        return True

    def _draw_track(self, ax: Any, track: int) -> set[str]:
        """Curves from 0 to 1 and the band above them; gives the labels that have a colour in it."""
        curve, mine = self._curves[track], [e for e in self._segments if e.track == track]
        times, values = np.array(curve.times), np.array(curve.values)
        used = {e.label for e in mine} or {self._labels[int(values.mean(axis=0).argmax())]}
        breaks = _breaks(times)
        for k, name in enumerate(self._labels):
            strong = name in used
            for t, v in zip(np.split(times, breaks), np.split(values[:, k], breaks), strict=True):
                ax.plot(t, v, color=colour(name), linewidth=1.5 if strong else 0.7, alpha=1.0 if strong else 0.35)
        for e in mine:
            ax.broken_barh([(e.start, max(e.end - e.start, self._end / 500))], (1.06, 0.2), color=colour(e.label))
        ax.set_ylim(0, 1.28)
        ax.set_yticks([0, 0.5, 1], ["0", "50 %", "100 %"])
        ax.set_ylabel(f"face {track}", color=_INK)
        ax.tick_params(colors=_QUIET, length=0)
        ax.grid(color=_GRID, linewidth=0.8)
        ax.set_axisbelow(True)
        for side in ("top", "right", "left", "bottom"):
            ax.spines[side].set_visible(False)
        return used

    @staticmethod
    def _legend(figure: Any, names: list[str]) -> None:
        from matplotlib.patches import Patch

        handles = [Patch(color=colour(name), label=name) for name in names]
        figure.legend(handles=handles, loc="outside lower right", ncols=len(names), frameon=False, labelcolor=_INK)


def _breaks(times: NDArray[np.float64]) -> NDArray[np.intp]:
    """Where a curve is interrupted: nothing was seen for a second, and for five usual steps."""
    if len(times) < 2:
        return np.zeros(0, np.intp)
    steps = np.diff(times)
    return np.flatnonzero(steps > max(1.0, 5 * float(np.median(steps)))) + 1
