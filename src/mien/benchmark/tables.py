"""A comparison as a table: its cells, Markdown, JSON, and the sentences that say how it was made.

Leaves out: running the methods (``runner``), how Markdown and LaTeX are written, and drawing (``mien.reporting``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from mien.benchmark.registry import METHODS, REFERENCE
from mien.benchmark.runner import Row
from mien.evaluation.significance import Paired, compare_pairs, holm
from mien.reporting.tabular import written

__all__ = [
    "HEAD",
    "cells",
    "conditions",
    "failures",
    "markdown",
    "notes",
    "pairs",
    "record",
    "remarks",
    "sort_rows",
    "table",
]

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
    """Every finished method against the 2019 network on the same faces, p values corrected by Holm for their number;
    nothing where that one did not finish."""
    reference = next((r for r in rows if r.method == REFERENCE and not r.error), None)
    if reference is None:
        return {}
    others = [r for r in rows if not r.error and r is not reference and len(r.right) == len(reference.right)]
    found = [compare_pairs(r.hits, reference.hits, seed=seed) for r in others]
    corrected = holm([pair.p_value for pair in found])
    return {r.method: replace(pair, p_corrected=p) for r, pair, p in zip(others, found, corrected, strict=True)}


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
                f"{identity['chance']:.1%} ({identity['people']:.0f} people; {_identity_protocol(identity)})"
            )
    return found


def _identity_protocol(identity: Mapping[str, float]) -> str:
    if "faces" not in identity:  # a row of 0.1
        return "on faces that the encoder was trained on, where it hides people better than in use"
    seen = f", {identity['seen']:.0f} of them on other faces in Training" if identity["seen"] else ""
    return (
        f"held out{seen}: logistic regression learns one half of each person's held-out faces and names the other, "
        f"{identity['faces']:.0f} faces"
    )


def failures(rows: Sequence[Row]) -> list[str]:
    """Which methods have no figures, and why."""
    return [f"{row.method}: failed, {row.error}" for row in rows if row.error]


def conditions(rows: Sequence[Row]) -> str:
    """One sentence on data, protocol, machine and versions: what most rows have, and which rows have something else."""
    done = sort_rows(rows)
    if not done:
        return "No method finished."
    said = [_each(done, phrase) for phrase in (_data, _faces, _training, _machine, _versions, _date)]
    comparisons = len(pairs(rows))
    corrected = f", corrected by Holm for {comparisons} comparisons" if comparisons > 1 else ""
    return "; ".join(said) + (
        ". Peak memory is that of the whole process, data and libraries included. Differences: paired bootstrap; p by "
        f"McNemar's exact test{corrected}. The networks' temperature was fitted on the held-out faces, which changes "
        "no predicted label."
    )


def _each(rows: Sequence[Row], phrase: Callable[[Row], str]) -> str:
    """What ``phrase`` says of most rows, and in brackets which rows it says something else of."""
    methods: dict[str, list[str]] = {}
    for row in rows:
        methods.setdefault(phrase(row), []).append(row.method)
    usual, *others = sorted(methods, key=lambda text: -len(methods[text]))
    rest = "; ".join(f"{', '.join(methods[text])}: {text}" for text in others)
    return f"{usual} ({rest})" if rest else usual


def _data(row: Row) -> str:
    return f"{row.conditions['data']}, {row.conditions['protocol']}"


def _faces(row: Row) -> str:
    report = row.scored
    clean = f" ({report.clean.n:,} clean: without a near-duplicate among those)" if report.clean else ""
    return f"{row.conditions['trained on']:,} faces to train on, {report.n:,} held out{clean}"


def _training(row: Row) -> str:
    budget = row.conditions["budget, s"]
    most = f", at most {_duration(budget)} of training" if budget else ""
    return f"one seed ({row.conditions['seed']}){most}, weights of the last epoch, no test-time views"


def _machine(row: Row) -> str:
    c = row.conditions
    return f"{c['threads']} thread(s) of {c['machine']}, {c['methods at a time']} method(s) at a time"


def _versions(row: Row) -> str:
    return ", ".join(f"{name} {row.conditions[name]}" for name in ("mien", "torch", "numpy", "python"))


def _date(row: Row) -> str:
    return str(row.conditions["date"])


def table(rows: Sequence[Row]) -> tuple[Sequence[str], list[tuple[str, ...]]]:
    """The head, and a line of each method that has figures."""
    paired = pairs(rows)
    return HEAD, [cells(row, paired.get(row.method)) for row in sort_rows(rows)]


def notes(rows: Sequence[Row], left_out: Sequence[str] = ()) -> list[str]:
    """What is to be said below the table, as lines of Markdown."""
    found = [*remarks(sort_rows(rows)), *failures(rows), *(f"not run: {text}" for text in left_out)]
    return [conditions(rows), *([""] if found else []), *(f"- {note}" for note in found)]


def markdown(rows: Sequence[Row], left_out: Sequence[str] = ()) -> str:
    """The whole comparison as Markdown."""
    head, lines = table(rows)
    return written((head, [(f"`{name}`", *rest) for name, *rest in lines]), ".md", notes(rows, left_out))


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
