"""Tables that grow with the run, in files and on stdout.

Every row is flushed when it is written. When a run ends, also after an error or Ctrl-C, the table is whole up to there;
after a crash or a power cut what has grown remains (``forms``), and can be resumed (``resume``).
Leaves out: what is in a row (``schema``).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, TextIO

from mien.errors import OutputError, need
from mien.files import replace_file, reported
from mien.results.cells import csv_line, json_line
from mien.results.forms import Form
from mien.results.provenance import sidecar, write_sidecar
from mien.results.schema import Record, Row, arrow_schema

__all__ = ["METADATA_KEY", "CsvFile", "JsonDocument", "PrintedCsv", "PrintedJson", "TableFile", "TableWriter"]

#: Key of the metadata, one line of JSON, in a Parquet file.
METADATA_KEY = "mien"

_GROUP = 10_000  # rows of a Parquet file that are converted at a time


class TableWriter(Protocol):
    """Takes one picture or frame after the other, then what is known at the end.

    on_stdout  whether it writes there while the run goes on
    """

    on_stdout: bool

    def add(self, record: Record) -> None: ...
    def close(self, complete: bool, about: Mapping[str, Any]) -> None: ...


class TableFile:
    """A table in a file. ``close`` in any case; ``more`` goes on with what the growing file holds."""

    on_stdout = False

    def __init__(self, path: Path, form: Form, metadata: Mapping[str, Any], *, more: bool = False) -> None:
        self.path, self.form, self.metadata, self.end = path, form, dict(metadata), dict[str, Any]()
        self.growing = form.growing(path)
        with reported(self.growing):
            write_sidecar(self.growing, {**self.metadata, "complete": False})
            self._stream = open(self.growing, "a" if more else "w", encoding="utf-8", newline="")  # noqa: SIM115
        if not self._stream.tell():
            _write(self._stream, form.head())

    def add(self, record: Record) -> None:
        """Write and flush the rows of a record."""
        self.add_rows(self.form.entries(record))

    def add_rows(self, entries: Iterable[Row]) -> None:
        """Write entries as they are, and flush them."""
        _write(self._stream, self.form.text(entries))

    def end_growing(self) -> None:
        """Close the growing file, after the last row."""
        with reported(self.growing):
            self._stream.close()

    def close(self, complete: bool, about: Mapping[str, Any]) -> None:
        """End the table; ``complete`` where the run came to its end, ``about`` goes into the metadata."""
        self.end_growing()
        self.end = {"complete": complete, **about}
        if self.growing == self.path:
            write_sidecar(self.path, {**self.metadata, **self.end})
            return
        replace_file(self.path, self._make_json if self.form.suffix == ".json" else self._make_parquet)
        for left in (self.growing, sidecar(self.growing)):
            left.unlink(missing_ok=True)

    def _make_json(self, path: Path) -> None:
        """The document out of the lines that have grown."""
        with (
            path.open("w", encoding="utf-8", newline="") as out,
            self.growing.open(encoding="utf-8", newline="\n") as f,
        ):
            document = JsonDocument(out.write, self.metadata)
            for line in f:
                document.add(line)
            document.close(self.end)

    def _make_parquet(self, path: Path) -> None:
        """The Parquet file out of the lines that have grown, some thousand rows at a time."""
        arrow, parquet = need("pyarrow", "parquet"), need("pyarrow.parquet", "parquet")
        model = self.metadata.get("model") or {}
        named = {key: str(model.get(name, "")) for key, name in (("model", "name"), ("licence", "licence"))}
        schema = arrow_schema(self.form.kinds, {METADATA_KEY: json.dumps({**self.metadata, **self.end}), **named})
        with self.growing.open(encoding="utf-8", newline="\n") as f, parquet.ParquetWriter(path, schema) as out:
            rows = []
            for line in f:
                rows.append(json.loads(line))
                if len(rows) == _GROUP:
                    out.write_table(arrow.Table.from_pylist(rows, schema=schema))
                    rows = []
            if rows:
                out.write_table(arrow.Table.from_pylist(rows, schema=schema))


class CsvFile:
    """Context manager: a plain CSV file of ``columns``, each row flushed, without metadata."""

    def __init__(self, path: Path, columns: Sequence[str], *, bom: bool = False) -> None:
        self.columns = columns
        with reported(path):
            self._stream = open(path, "w", encoding="utf-8", newline="")  # noqa: SIM115 - closed by close()
        _write(self._stream, "\ufeff" * bom + csv_line(columns))

    def write(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Add rows and flush them; None or a missing value is an empty cell."""
        _write(self._stream, "".join(csv_line(row.get(name) for name in self.columns) for row in rows))

    def close(self) -> None:
        """Close the file."""
        self._stream.close()

    def __enter__(self) -> CsvFile:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()


class JsonDocument:
    """One JSON document, written as it comes: metadata, then ``photos``, a line each, then what came at the end."""

    def __init__(self, write: Callable[[str], object], head: Mapping[str, Any]) -> None:
        self._write, self._first = write, True
        write("".join(f"{'{' if i == 0 else ''}\n  {_pair(k, v)}," for i, (k, v) in enumerate(head.items())))
        write('\n  "photos": [')

    def add(self, line: str) -> None:
        """Add a line of JSON."""
        self._write(f"{'' if self._first else ','}\n    {line.strip()}")
        self._first = False

    def close(self, about: Mapping[str, Any]) -> None:
        """End the list and the document."""
        self._write("\n  ]" + "".join(f",\n  {_pair(k, v)}" for k, v in about.items()) + "\n}\n")


class PrintedJson:
    """One JSON document on a stream, of which each photo is flushed."""

    on_stdout = True

    def __init__(self, stream: TextIO, metadata: Mapping[str, Any]) -> None:
        self._document = JsonDocument(partial(_write, stream), metadata)

    def add(self, record: Record) -> None:
        """Write and flush the photo."""
        self._document.add(json_line(record.document()))

    def close(self, complete: bool, about: Mapping[str, Any]) -> None:
        """End the document, which is whole also after Ctrl-C."""
        self._document.close({"complete": complete, **about})


class PrintedCsv:
    """The rows as CSV on a stream, each photo flushed."""

    on_stdout = True

    def __init__(self, stream: TextIO, form: Form) -> None:
        self._stream, self._form = stream, form
        _write(stream, form.head())

    def add(self, record: Record) -> None:
        """Write and flush the rows of a record."""
        _write(self._stream, self._form.text(record.rows()))

    def close(self, complete: bool, about: Mapping[str, Any]) -> None:
        """Nothing is left to write."""


def _pair(key: str, value: Any) -> str:
    return f"{json.dumps(key)}: {json_line(value).strip()}"


def _write(stream: TextIO, text: str) -> None:
    try:
        stream.write(text)
        stream.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OutputError(
            f"{stream.name}: cannot be written ({error.strerror}); make room: what is there is kept"
        ) from error
