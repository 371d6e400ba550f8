"""A table for a report: Markdown, LaTeX (booktabs) or CSV, by the ending of its file.

Leaves out: what stands in it (``mien.evaluation``, ``mien.benchmark``).
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from mien.errors import ConfigError
from mien.evaluation.metrics import Report
from mien.files import write_text

__all__ = ["ENDINGS", "check_ending", "class_table", "filled", "write_table", "written"]

#: Endings of the tables that can be written.
ENDINGS = (".md", ".tex", ".csv")

Table = tuple[Sequence[str], Sequence[Sequence[str]]]  # the head, and the rows

_LATEX = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "±": r"$\pm$"}
_LATEX |= {sign: f"\\{sign}" for sign in "&%$#_{}"}


def check_ending(path: Path) -> None:
    """ConfigError for a name that says none of the forms."""
    if path.suffix.lower() not in ENDINGS:
        raise ConfigError(f"a table must end in {', '.join(ENDINGS)}, got {path}")


def write_table(path: Path, table: Table, notes: Sequence[str] = ()) -> None:
    """Write ``table`` as the file's ending says; ``notes`` go below it, in LaTeX as comments, into CSV not at all."""
    check_ending(path)
    write_text(path, written(table, path.suffix.lower(), notes))


def written(table: Table, ending: str, notes: Sequence[str] = ()) -> str:
    """The text of a table; columns without anything in them are left out."""
    head, rows = filled(table)
    if ending == ".csv":
        out = io.StringIO()
        csv.writer(out, lineterminator="\n").writerows([head, *rows])
        return out.getvalue()
    if ending == ".tex":
        return _latex(head, rows, notes)
    lines = [f"| {' | '.join(row)} |" for row in (head, *([cell.replace("|", "\\|") for cell in row] for row in rows))]
    lines.insert(1, "|" + " --- |" * len(head))
    return "\n".join([*lines, *([""] if notes else []), *notes, ""])


def class_table(report: Report) -> Table:
    """Precision, recall and F1 of each class, their means, and the accuracy, with the number of faces."""
    head = "class", "n", "precision, %", "recall, %", "F1"
    rows = [_figures(name, c["n"], c["precision"], c["recall"], c["f1"]) for name, c in report.per_class.items()]
    precision, recall = (
        sum(c[key] for c in report.per_class.values()) / len(report.per_class) for key in ("precision", "recall")
    )
    rows.append(_figures("mean of the classes", report.n, precision, recall, report.macro_f1))
    rows.append(("accuracy", f"{report.n}", "", f"{100 * report.accuracy:.1f}", ""))
    return head, rows


def _figures(name: str, n: float, precision: float, recall: float, f1: float) -> tuple[str, ...]:
    return name, f"{n:.0f}", f"{100 * precision:.1f}", f"{100 * recall:.1f}", f"{f1:.3f}"


def filled(table: Table) -> Table:
    """The same without the columns that are empty in every row."""
    head, rows = table
    kept = [i for i in range(len(head)) if i == 0 or any(row[i] for row in rows)]
    return [head[i] for i in kept], [[row[i] for i in kept] for row in rows]


def _latex(head: Sequence[str], rows: Sequence[Sequence[str]], notes: Sequence[str]) -> str:
    lines = [" & ".join(map(_escaped, row)) + r" \\" for row in (head, *rows)]
    return "\n".join(
        [
            r"% \usepackage{booktabs}",
            rf"\begin{{tabular}}{{l{'r' * (len(head) - 1)}}}",
            r"\toprule",
            lines[0],
            r"\midrule",
            *lines[1:],
            r"\bottomrule",
            r"\end{tabular}",
            *(f"% {line}" for note in notes for line in note.splitlines() if line),
            "",
        ]
    )


def _escaped(text: str) -> str:
    return "".join(_LATEX.get(sign, sign) for sign in text)
