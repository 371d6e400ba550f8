"""Tables of what ``mien compare`` found: every method, and the report's figures beside ours."""

from __future__ import annotations

from typing import Any

from bench.conditions import ROOT
from bench.reporting.records import percent, record_of, table
from mien.benchmark import METHODS, Row, markdown
from mien.reporting import plots

__all__ = ["compared", "rows_of", "side_by_side"]

DOCS = ROOT / "docs"
COMPARED = {"fer2013": "FER2013, evaluated on PublicTest", "drawn": "Drawn faces of people it has not seen, for FERG"}


def compared() -> str:
    """Every comparison in full, with the methods that are still missing."""
    parts = [
        "# The report's tables, run again\n\nEvery method that the report names, trained and evaluated by "
        "`mien compare` under one protocol; written by `bench/reporting/tables.py` from `results/`. The report's "
        "figures come from different papers, with other protocols, other training data and, for FER2013, the easier "
        "PrivateTest part. Times were taken on a machine that did other work too.\n"
    ]
    for name, title in COMPARED.items():
        parts.append(f"## {title}\n")
        record = record_of(f"compare-{name}")
        rows = rows_of(record)
        missing = _missing(record, rows)
        picture = plots.speed(
            {r.method: (r.faces_per_second, r.scored) for r in rows if not r.error}, DOCS / f"compare-{name}.png"
        )
        parts.append(f"![Accuracy against speed]({picture.name})\n")
        parts.append(markdown(rows, [*record["left_out"], *(f"{n}: not yet" for n in missing)]))
    return "\n".join(parts)


def _missing(record: dict[str, Any], rows: list[Row]) -> list[str]:
    """The methods that the data allow and that were not run."""
    known = "identities unknown" not in record["conditions"]
    done = {r.method for r in rows}
    return [n for n, m in METHODS.items() if n not in done and not _left_out(record, n) and (known or not m.people)]


def rows_of(record: dict[str, Any]) -> list[Row]:
    return [Row(**{k: v for k, v in row.items() if k != "against"}) for row in record["rows"]]


def side_by_side() -> str:
    """The report's two tables, its figure beside ours, and the best of the older two-step way."""
    parts = []
    for data, name in (("FER2013", "fer2013"), ("FERG", "drawn")):
        record = record_of(f"compare-{name}")
        scored = sorted((r for r in rows_of(record) if not r.error), key=lambda r: -r.scored.accuracy)
        older = next((r.method for r in scored if r.method.split("-")[0] in ("hog", "lbp", "sift", "haar")), "")
        rows = []
        for row in scored:
            reported = METHODS[row.method].reported.get(data)
            if reported is None and row.method != older:
                continue
            said = f"{reported:.2f}".rstrip("0").rstrip(".") if reported else "named, no figure"
            low, high = map(percent, row.scored.accuracy_ci95)
            rows.append([f"`{row.method}`", said, percent(row.scored.accuracy), f"{low} to {high}"])
        told = scored[0].conditions
        missing = [f"`{n}`" for n in _missing(record, scored) if data in METHODS[n].reported]
        budget = f"at most {told['budget, s'] / 60:g} min of training each; " if told["budget, s"] else ""
        note = f"One seed, one view, {scored[0].scored.n:,} held-out faces; {budget}{told['protocol']}." + (
            f" Not run yet: {', '.join(missing)}." if missing else ""
        )
        ours = f"mien on {'PublicTest' if name == 'fer2013' else 'drawn faces'}"
        parts.append(table(["method", f"report, {data}", ours, "95 % interval"], rows, note))
    return "\n\n".join(parts)


def _left_out(record: dict[str, Any], name: str) -> bool:
    return any(line.startswith(f"{name}:") for line in record["left_out"])
