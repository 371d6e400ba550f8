"""The tables of a study as files: CSV, Parquet and .sav, the same rows in each.

Leaves out: what is in them (``cells``, ``comparisons``, ``curves``, ``exclusions``).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from mien import __version__
from mien.errors import need
from mien.files import check_writable, replace_file, sha256_of
from mien.results.cells import csv_line
from mien.study.analysis import comparisons, curves, exclusions
from mien.study.analysis.analysis import Study
from mien.study.analysis.cells import MEASURES, columns_of, label_rows, stretch_rows, wide_rows
from mien.study.analysis.design import Stretch
from mien.study.analysis.methods import sources
from mien.study.spss import write_rows

__all__ = ["FORMATS", "about", "tables_of", "write_tables"]

#: Endings of the files of each table.
FORMATS = (".csv", ".parquet", ".sav")

_TEXT = frozenset(
    ("participant", "condition", "stimulus", "recording", "scores", "label", "excluded", "table", "level", "rule")
) | {"measure", "first", "second", "test", "note"}
_SAID = {
    **MEASURES,
    "seconds": "seconds that the stretches last",
    "measured_seconds": "seconds of them that say something",
    "share_missing": "share of the seconds that is missing, 0..1",
    "share_unsure": "share of the measured seconds in which the prediction set holds several labels, 0..1",
    "segments": "number of segments",
    "stretches_with_one": "number of stretches with a segment",
    "scores": "plain, or relative to the participant at rest",
    "excluded": "rule by which the stretch is left out",
    "p": "p value, two-sided",
    "p_holm": "p value, corrected for all comparisons by Holm's method",
}

Rows = list[dict[str, Any]]


def tables_of(study: Study) -> dict[str, Rows]:
    """Name of a table -> its rows."""
    labels, alpha = study.labels, study.options.alpha
    files = {name: r.path.name for name, r in study.recorded.items()}
    why = {e.line: e.rule for e in study.exclusions if e.level == "stretch"}
    gone = {e.participant: f"participant: {e.rule}" for e in study.exclusions if e.level == "participant"}

    def left_out(s: Stretch) -> str:
        return why.get(s.line) or gone.get(s.participant, "")

    names = ("participant", "condition", "stimulus")
    found = {
        "stretches": list(stretch_rows(study.stretches, left_out, files)),
        "conditions": [r for n, c in study.by_condition.items() for r in label_rows(c, names[:2], labels, n)],
        "stimuli": [r for n, c in study.by_stimulus.items() for r in label_rows(c, names, labels, n)],
        "wide": list(wide_rows(study.by_condition[study.scores], labels)),
        "tests": [c.row(alpha) for c in study.comparisons],
        "curves": list(curves.curve_rows([*study.curves, *study.stimulus_curves], labels, study.scores)),
        "exclusions": [{name: getattr(e, name) for name in exclusions.COLUMNS} for e in study.exclusions],
    }
    if not study.has_stimuli:
        del found["stimuli"]
    return found


def about(study: Study) -> dict[str, Any]:
    """What the study comes from, for the metadata of its tables: version, design, options, runs, counts."""
    return {
        "mien": __version__,
        "design": {"name": study.design.path.name, "sha256": sha256_of(study.design.path)},
        "options": asdict(study.options),
        "scores": study.scores,
        "runs": [dict(m) for m in sources(study)],
        "counts": {
            "participants": len(study.participants),
            "stretches": len(study.stretches),
            "left_out": sum(e.level == "stretch" for e in study.exclusions),
            "comparisons": len(study.comparisons),
        },
        "not_used": [str(p) for p in study.problems],
    }


def write_tables(
    folder: Path, tables: Mapping[str, Rows], facts: Mapping[str, Any], *, excel: bool = False
) -> list[Path]:
    """Write each table in all :data:`FORMATS`; ``facts`` go into the metadata of Parquet. Their paths.

    excel  CSV with a byte order mark, by which Excel knows UTF-8
    """
    check_writable(folder)
    heads = {"tests": comparisons.COLUMNS, "exclusions": exclusions.COLUMNS, "curves": curves.COLUMNS}
    writers: dict[str, Callable[..., None]] = {**_WRITERS, ".csv": partial(_csv, bom=excel)}
    written = list[Path]()
    for name, rows in tables.items():
        columns = list(heads.get(name, ())) or columns_of(rows)
        for ending in FORMATS:
            path = folder / f"{name}{ending}"
            replace_file(path, partial(writers[ending], rows=rows, columns=columns, name=name, facts=facts))
            written.append(path)
    return written


def _csv(path: Path, rows: Rows, columns: Sequence[str], name: str, facts: Mapping[str, Any], *, bom: bool) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        file.write("\ufeff" * bom + csv_line(columns))
        file.writelines(csv_line(row.get(c) for c in columns) for row in rows)


def _parquet(path: Path, rows: Rows, columns: Sequence[str], name: str, facts: Mapping[str, Any]) -> None:
    arrow, parquet = need("pyarrow", "study"), need("pyarrow.parquet", "study")
    whole = {c for c in columns if {type(r.get(c)) for r in rows} - {type(None)} == {int}}
    kinds = {c: arrow.string() if c in _TEXT else arrow.int64() if c in whole else arrow.float64() for c in columns}
    schema = arrow.schema(list(kinds.items()), metadata={"mien": json.dumps(dict(facts))})
    parquet.write_table(arrow.Table.from_pylist([{c: r.get(c) for c in columns} for r in rows], schema=schema), path)


def _sav(path: Path, rows: Rows, columns: Sequence[str], name: str, facts: Mapping[str, Any]) -> None:
    labels = {c: _SAID.get(c, c) for c in columns}
    write_rows(path, rows, labels, [c for c in columns if c not in _TEXT], title=f"mien study: {name}")


_WRITERS = {".parquet": _parquet, ".sav": _sav}
