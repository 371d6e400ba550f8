"""A comparison as a table: Markdown, JSON, and the sentences that say how it was made.

Leaves out: running the methods (``runner``) and drawing (``plots``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from mien.benchmark.registry import METHODS, REFERENCE
from mien.benchmark.runner import Row
from mien.evaluation.significance import Paired, compare_pairs

__all__ = ["HEAD", "cells", "conditions", "failures", "markdown", "pairs", "record", "remarks", "sort_rows"]

HEAD = (
    "method",
    "accuracy, %",
    "95 % interval",
    "report, %",
    "macro-F1",
    "clean, %",
    "size",
    "fit",
    "faces/s",
    "peak MB",
    f"against {REFERENCE}, points",
)


def sort_rows(rows: Sequence[Row]) -> list[Row]:
    """Those with a report, the most accurate first."""
    return sorted((r for r in rows if not r.error), key=lambda r: -r.scored.accuracy)


def pairs(rows: Sequence[Row], seed: int = 0) -> dict[str, Paired]:
    """Every finished method against the 2019 network on the same faces; nothing where that one did not finish."""
    reference = next((r for r in rows if r.method == REFERENCE and not r.error), None)
    if reference is None:
        return {}
    others = [r for r in rows if not r.error and r is not reference and len(r.right) == len(reference.right)]
    return {r.method: compare_pairs(r.hits, reference.hits, seed=seed) for r in others}


def cells(row: Row, against: Paired | None) -> tuple[str, ...]:
    """One line of the table, as ``HEAD`` names its columns."""
    report = row.scored
    low, high = report.accuracy_ci95
    return (
        row.method,
        f"{100 * report.accuracy:.1f}",
        f"{100 * low:.1f} to {100 * high:.1f}",
        ", ".join(f"{figure:g} ({data})" for data, figure in METHODS[row.method].reported.items()),
        f"{report.macro_f1:.3f}",
        "" if report.clean is None else f"{100 * report.clean.accuracy:.1f}",
        ", ".join(f"{n:,} {'in the vector' if kind == 'vector' else kind}" for kind, n in row.size.items()),
        _duration(row.fit_seconds),
        f"{row.faces_per_second:,.0f}",
        "" if row.peak_memory_mb is None else f"{row.peak_memory_mb:,.0f}",
        "" if against is None else f"{100 * against.difference:+.1f} ({against.interval}), p {against.p}",
    )


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def remarks(rows: Sequence[Row]) -> list[str]:
    """What a reader must know of single methods: notes, and figures beside expressions."""
    found = [f"{row.method}: {note}" for row in rows for note in row.notes]
    for row in rows:
        identity = row.figures.get("identity")
        if identity:
            found.append(
                f"{row.method}: who is on the picture can be read from its representation for "
                f"{identity['representation']:.1%} of faces, from pixels for {identity['pixels']:.1%}, by chance for "
                f"{identity['chance']:.1%} ({identity['people']:.0f} people; logistic regression, judged on faces of "
                "theirs that it has not seen)"
            )
    return found


def failures(rows: Sequence[Row]) -> list[str]:
    """Which methods have no figures, and why."""
    return [f"{row.method}: failed, {row.error}" for row in rows if row.error]


def conditions(rows: Sequence[Row]) -> str:
    """One sentence on data, protocol, machine and versions; the rows may come from several days."""
    done = sort_rows(rows)
    if not done:
        return "No method finished."
    first, report = done[0].conditions, done[0].scored
    days = sorted({r.conditions["date"] for r in done})
    clean, budget = report.clean, first["budget, s"]
    parts = [
        f"{first['data']}, {first['protocol']}",
        f"{first['trained on']:,} faces to learn from, {report.n:,} to judge"
        + (f" ({clean.n:,} clean: without an exact or near copy among those learnt from)" if clean else ""),
        f"one seed ({first['seed']}), no test-time views, weights of the last epoch",
        *([f"at most {_duration(budget)} of training a method"] if budget else []),
        f"{first['threads']} thread(s) of {first['machine']}, {first['methods at a time']} method(s) at a time",
        f"mien {first['mien']}, torch {first['torch']}",
        days[0] if len(days) == 1 else f"{days[0]} to {days[-1]}",
    ]
    return "; ".join(parts) + (
        ". Peak memory is that of the whole process, data and libraries included. Differences: paired bootstrap; p by "
        "McNemar's exact test. The networks' temperature was fitted on the faces judged, which changes no answer."
    )


def markdown(rows: Sequence[Row], left_out: Sequence[str] = ()) -> str:
    """The whole comparison as Markdown."""
    paired = pairs(rows)
    lines = [f"| {' | '.join(HEAD)} |", "|" + " --- |" * len(HEAD)]
    for row in sort_rows(rows):
        first, *rest = cells(row, paired.get(row.method))
        lines.append(f"| `{first}` | {' | '.join(rest)} |")
    notes = [*remarks(sort_rows(rows)), *failures(rows), *(f"not run: {text}" for text in left_out)]
    return "\n".join([*lines, "", conditions(rows), *([""] if notes else []), *(f"- {note}" for note in notes), ""])


def record(rows: Sequence[Row], left_out: Sequence[str] = ()) -> dict[str, Any]:
    """The comparison as plain values for JSON: the rows, and each one's test against the 2019 network."""
    paired = pairs(rows)
    return {
        "reference": REFERENCE,
        "rows": [
            asdict(row) | {"against": paired[row.method].to_dict() if row.method in paired else None} for row in rows
        ],
        "left_out": list(left_out),
        "conditions": conditions(rows),
    }
