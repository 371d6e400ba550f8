"""How a table lies in the file that grows with a run, by its name's ending.

CSV and JSON lines grow under their own name and can be read at any time. Parquet and JSON, which nobody can read before
their end is written, grow as JSON lines in ``NAME.part``, out of which the table is made when the run ends.
Leaves out: opening and closing (``writers``) and reading back (``reading``).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from mien.errors import ConfigError, need
from mien.results.cells import csv_line, json_line
from mien.results.provenance import Provenance
from mien.results.schema import Record, Row, columns

__all__ = ["SUFFIXES", "Form", "check_suffix", "form_of"]

#: Endings of the tables that can be written.
SUFFIXES = (".csv", ".jsonl", ".json", ".parquet")

_BOM = "\ufeff"


@dataclass(frozen=True)
class Form:
    """One of the formats, for one table.

    suffix  its ending
    kinds   name -> type of the columns
    same    what is the same in every row
    bom     CSV with a byte order mark, by which Excel knows UTF-8
    """

    suffix: str
    kinds: Mapping[str, type]
    same: Row
    bom: bool = False

    def growing(self, path: Path) -> Path:
        """The file that grows while the table ``path`` is written."""
        return path if self.suffix in (".csv", ".jsonl") else path.with_name(f"{path.name}.part")

    def head(self) -> str:
        """What the growing file begins with."""
        return _BOM * self.bom + csv_line(self.kinds) if self.suffix == ".csv" else ""

    def entries(self, record: Record) -> list[Row]:
        """What is written of a record: its rows, or for JSON the whole picture as one."""
        return [record.document()] if self.suffix == ".json" else list(record.rows())

    def text(self, entries: Iterable[Row]) -> str:
        """Entries as the growing file has them."""
        if self.suffix == ".json":
            return "".join(map(json_line, entries))
        rows = ({**dict.fromkeys(self.kinds), **row, **self.same} for row in entries)
        chosen = ({name: row[name] for name in self.kinds} for row in rows)
        return "".join(csv_line(row.values()) if self.suffix == ".csv" else json_line(row) for row in chosen)


def form_of(
    path: Path,
    provenance: Provenance,
    *,
    video: bool = False,
    excel: bool = False,
    suffix: str = "",
    baseline: bool = False,
    markers: bool = False,
) -> Form:
    """The form for a file's ending, or for ``suffix``; ConfigError for an unknown one, MissingExtra without pyarrow."""
    found = check_suffix(path, suffix)
    if excel and found != ".csv":
        raise ConfigError(f"--excel is for CSV, got {path}: give it a name that ends in .csv")
    kinds = columns(provenance.labels, video=video, file=True, baseline=baseline, markers=markers)
    return Form(found, kinds, {"model": provenance.model["name"], "run": provenance.run}, excel)


def check_suffix(path: Path, suffix: str = "") -> str:
    """The ending of a table, or ``suffix``; the errors of :func:`form_of`."""
    found = suffix or path.suffix.lower()
    if found not in SUFFIXES:
        raise ConfigError(f"--out must end in {', '.join(SUFFIXES)}, got {path}")
    if found == ".parquet":
        need("pyarrow.parquet", "parquet")
    return found
