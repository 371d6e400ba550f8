"""The tables of a study: rows of stretches, and of each participant in each condition, with each stimulus.

Leaves out: files (``tables``), and what is compared (``comparisons``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from mien.study.analysis.design import Stretch
from mien.study.analysis.measures import MISSING, Measured, together

__all__ = ["MEASURES", "columns_of", "label_rows", "pooled", "stretch_rows", "values", "wide_rows"]

#: Name of a measure -> what it says of a label.
MEASURES = {
    "share": "share of the measured time in which it was the most probable label, 0..1",
    "mean_probability": "mean of its probability over the measured time, 0..1",
    "segments_per_minute": "segments a minute of measured time",
    "latency": "seconds from the start to its first segment, mean over the stretches that have one",
    "mean_length": "mean seconds of a segment, without what is missing in it",
}


def pooled(
    measured: Mapping[Stretch, Measured], key: Callable[[Stretch], tuple[str, ...]]
) -> dict[tuple[str, ...], Measured]:
    """Stretches of one ``key`` put together, in the order of the design."""
    groups: dict[tuple[str, ...], list[Measured]] = {}
    for stretch, m in measured.items():
        groups.setdefault(key(stretch), []).append(m)
    return {name: together(parts) for name, parts in groups.items()}


def values(m: Measured) -> dict[str, Any]:
    """Each of :data:`MEASURES` as ``(K,)``; nan where there is none."""
    none = np.full(len(m.shown), np.nan)
    minutes = m.measured / 60

    def over(parts: Any, whole: Any) -> Any:
        return np.divide(parts, whole, out=none.copy(), where=np.asarray(whole) > 0)

    return {
        "share": over(m.shown, m.measured),
        "mean_probability": over(m.mass, m.measured),
        "segments_per_minute": over(m.segments, minutes),
        "latency": m.latency,
        "mean_length": over(m.length, m.segments),
    }


def stretch_rows(
    measured: Mapping[Stretch, Measured], why: Callable[[Stretch], str], files: Mapping[str, str]
) -> Iterator[dict[str, Any]]:
    """A row a stretch: how much of it says something, what is missing and why, and by which rule it is left out."""
    for s, m in measured.items():
        yield {
            "participant": s.participant,
            "condition": s.condition,
            "stimulus": s.stimulus or None,
            "recording": s.recording,
            "line": s.line,
            "start": s.start,
            "end": s.end,
            **_quality(m),
            **{f"missing_{name.replace(' ', '_')}": _round(v) for name, v in zip(MISSING, m.missing, strict=True)},
            "excluded": why(s) or None,
            "table": files.get(s.recording),
        }


def label_rows(
    cells: Mapping[tuple[str, ...], Measured], names: Sequence[str], labels: Sequence[str], scores: str
) -> Iterator[dict[str, Any]]:
    """A row a cell and label; ``names`` are those of the cells' keys."""
    for key, m in cells.items():
        found = values(m)
        for k, label in enumerate(labels):
            yield {
                **dict(zip(names, (part or None for part in key), strict=True)),
                "scores": scores,
                "label": label,
                **{name: _round(v[k]) for name, v in found.items()},
                "segments": int(m.segments[k]),
                "stretches_with_one": int(m.with_one[k]),
                **_quality(m),
            }


def wide_rows(cells: Mapping[tuple[str, ...], Measured], labels: Sequence[str]) -> Iterator[dict[str, Any]]:
    """A row a participant, with a column for each measure, label and condition, as programs for statistics want it."""
    for person in dict.fromkeys(key[0] for key in cells):
        row: dict[str, Any] = {"participant": person}
        for (who, condition), m in cells.items():
            if who != person:
                continue
            for name, v in values(m).items():
                row |= {f"{name}_{label}_{condition}": _round(v[k]) for k, label in enumerate(labels)}
            row |= {f"{name}_{condition}": v for name, v in _quality(m).items()}
        yield row


def _quality(m: Measured) -> dict[str, Any]:
    return {
        "seconds": _round(m.asked),
        "measured_seconds": _round(m.measured),
        "share_missing": _round(m.share_missing),
        "share_unsure": _round(m.share_unsure),
    }


def _round(value: Any) -> float | None:
    return None if value is None or not np.isfinite(value) else round(float(value), 6)


def columns_of(rows: Iterable[Mapping[str, Any]]) -> list[str]:
    """The keys of all rows, each once, in the order in which they come."""
    return list(dict.fromkeys(name for row in rows for name in row))
