"""Rows of a stream into a table file: CSV, JSON lines or Parquet, by the name's ending.

CSV and JSON lines lie under their own name from the first row on and are flushed each time, so that they can be read
while they grow and hold everything after a crash. Parquet, which nobody can read before its end is written, has a
temporary name until it is closed; leaving the block closes it, after an error or Ctrl-C too.
Leaves out: what the rows say.
"""

from __future__ import annotations

import contextlib
import csv
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO

from mien.errors import ConfigError, need
from mien.files import reported, temporary_name

__all__ = ["FORMATS", "TableWriter", "check_table"]

#: Endings of the tables that can be written.
FORMATS = (".csv", ".jsonl", ".parquet")

_GROUP = 10_000  # rows that are written to a Parquet file at a time

Row = Mapping[str, Any]


def check_table(path: Path) -> None:
    """ConfigError for an ending that is no table's; MissingExtra for Parquet without pyarrow."""
    if path.suffix.lower() not in FORMATS:
        raise ConfigError(f"a table's name must end in {', '.join(FORMATS)}, got {path.name}")
    if path.suffix.lower() == ".parquet":
        need("pyarrow", "parquet")


class TableWriter:
    """Context manager that writes rows to ``path``.

    columns  name -> type of its values, ``str``, ``int``, ``float`` or ``bool``; a value may also be None
    """

    def __init__(self, path: Path, columns: Mapping[str, type]) -> None:
        check_table(path)
        self.path, self.columns = path, dict(columns)
        self._file: TextIO | None = None
        self._parquet: Any = None
        self._rows: list[Row] = []
        self._temporary = temporary_name(path)
        with reported(self.path):
            if path.suffix.lower() == ".parquet":
                self._open_parquet()
            else:
                self._file = open(path, "w", encoding="utf-8", newline="")  # noqa: SIM115 - closed by close()
                if path.suffix.lower() == ".csv":
                    csv.writer(self._file, lineterminator="\n").writerow(self.columns)
                self._file.flush()

    def write(self, rows: Sequence[Row]) -> None:
        """Add rows, which have a value for every column, and flush them."""
        with reported(self.path):
            if self._file is None:
                self._rows += rows
                if len(self._rows) >= _GROUP:
                    self._write_group()
            else:
                self._write_text(self._file, rows)

    def close(self) -> None:
        """Write what is left and close the file."""
        with reported(self.path):
            if self._file is not None:
                self._file.close()
            elif self._parquet is not None:
                self._write_group()
                self._parquet.close()
                os.replace(self._temporary, self.path)
            self._file = self._parquet = None

    def __enter__(self) -> TableWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        try:
            self.close()
        finally:
            with contextlib.suppress(OSError):
                self._temporary.unlink(missing_ok=True)

    def _write_text(self, file: TextIO, rows: Sequence[Row]) -> None:
        if self.path.suffix.lower() == ".csv":
            out = csv.writer(file, lineterminator="\n")
            out.writerows([_cell(row[name]) for name in self.columns] for row in rows)
        else:
            for row in rows:
                file.write(json.dumps({name: row[name] for name in self.columns}, ensure_ascii=False) + "\n")
        file.flush()

    def _open_parquet(self) -> None:
        pa, pq = need("pyarrow", "parquet"), need("pyarrow.parquet", "parquet")
        kinds = {str: pa.string(), int: pa.int64(), float: pa.float64(), bool: pa.bool_()}
        self._schema = pa.schema([(name, kinds[kind]) for name, kind in self.columns.items()])
        self._parquet = pq.ParquetWriter(os.fspath(self._temporary), self._schema)

    def _write_group(self) -> None:
        if self._rows:
            pa = need("pyarrow", "parquet")
            rows = [{name: row[name] for name in self.columns} for row in self._rows]
            self._parquet.write_table(pa.Table.from_pylist(rows, schema=self._schema))
        self._rows = []


def _cell(value: Any) -> Any:
    """What CSV shows: nothing for None, 0 and 1 for no and yes."""
    return "" if value is None else int(value) if isinstance(value, bool) else value
