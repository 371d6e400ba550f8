"""Which group each face belongs to: a column of the data set, or of a CSV that is joined to it by row number.

Leaves out: scores (``evaluation.by_group``).
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path

from mien.data import FaceDataset
from mien.data.readers.archives import BROKEN, kind_of, reason, unpacked
from mien.data.readers.text import as_utf8
from mien.errors import ConfigError, DataError
from mien.evaluation.groups import NO_GROUP

__all__ = ["read_groups"]

_OWN = ("subject", "split", "label")
_LONGEST = 1 << 26  # bytes of one field: the pixels of a large face
_SHOWN = 20  # columns named in an error


def read_groups(faces: FaceDataset, column: str, file: str | Path | None = None) -> list[str]:
    """The group of each of N faces; ``NO_GROUP`` for one without a value.

    column  ``subject``, ``split`` or ``label`` of ``faces``; otherwise, or where ``file`` is given, a column of it
    file    a CSV (plain or compressed) with a column ``row``: the 0-based number of each row or picture in the source
            of ``faces``, as in the ``index.csv`` of ``mien data images``. Where None: the CSV that ``faces`` came from,
            or the index.csv in its folder; a CSV of faces needs no column ``row``, its rows are counted.

    Raises ConfigError for an unknown column, with the columns that there are, and where no row joins; DataError with
    file and line for what cannot be read.
    """
    if file is None and column in _OWN:
        return _own(faces, column)
    path = Path(file) if file is not None else _table_of(faces, column)
    table = _read(path, column, counted=file is None or _same(path, faces.source))
    assert faces.rows is not None
    found = [table.get(row) for row in faces.rows.tolist()]
    if faces.rows.size and all(f is None for f in found):
        raise ConfigError(
            f"{path}: none of its row numbers is one of the {len(faces):,} faces scored; the column row must hold the "
            "0-based numbers of the data set's rows, which mien data images writes into index.csv"
        )
    return [f or NO_GROUP for f in found]


def _own(faces: FaceDataset, column: str) -> list[str]:
    assert faces.split is not None
    if column == "split":
        return [s or NO_GROUP for s in faces.split.tolist()]
    if column == "subject":
        if faces.subject is None:
            raise ConfigError(
                f"{faces.source}: --group-by subject needs to know who is on each picture, and it doesn't"
            )
        return [s or NO_GROUP for s in faces.subject.tolist()]
    labels = [-1] * len(faces) if faces.labels is None else faces.labels.tolist()
    return [faces.names[k] if k >= 0 else NO_GROUP for k in labels]


def _table_of(faces: FaceDataset, column: str) -> Path:
    """The CSV behind a data set that was given as a CSV, or as a folder with an index."""
    source = Path(faces.source)
    if source.is_file() and kind_of(source) == "file":
        return source
    for path in (source / "index.csv", *sorted(source.glob("*/index.csv"))) if source.is_dir() else ():
        if path.is_file():
            return path
    raise ConfigError(
        f"--group-by must be one of {', '.join(_OWN)} for {faces.source or 'this data'}, or a column of a CSV that "
        f"--groups gives, got {column!r}"
    )


def _same(path: Path, source: str) -> bool:
    return bool(source) and Path(source).is_file() and path.is_file() and path.samefile(source)


def _read(path: Path, column: str, *, counted: bool) -> dict[int, str]:
    """Row number -> value; rows are counted where the table has no column ``row`` and ``counted`` allows it."""
    if kind_of(path) != "file":
        raise ConfigError(f"{path}: --groups must be a CSV file, plain or compressed")
    lines = _lines(path)
    _, head = next(lines, (0, []))
    names = [name.strip() for name in head]
    place = _place(names, column)
    if place is None:
        shown = ", ".join(repr(n[:30]) for n in names[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "")
        raise ConfigError(f"{path}: has no column {column!r}; there are {shown or 'none'}")
    number = _place(names, "row")
    if number is None and not counted:
        raise ConfigError(
            f"{path}: must have a column row with the 0-based numbers of the data set's rows, to join it by; "
            "mien data images writes one into index.csv"
        )
    table: dict[int, str] = {}
    for count, (line, fields) in enumerate(lines):
        where = f"{path}:{line}"
        if len(fields) != len(names):
            if number is None:
                continue  # a bad row of the data set, which its reader has reported
            raise DataError(f"has {len(fields)} columns where {len(names)} are expected", where)
        row = count if number is None else _number(fields[number], where)
        value = fields[place].strip()
        if table.setdefault(row, value) != value:
            raise DataError(f"row {row} is there twice, as {table[row]!r} and as {value!r}; keep one", where)
    return table


def _place(names: list[str], column: str) -> int | None:
    """Where the column stands: spelt exactly so, or else in other capitals."""
    if column in names:
        return names.index(column)
    lower = [n.lower() for n in names]
    return lower.index(column.lower()) if column.lower() in lower else None


def _number(text: str, where: str) -> int:
    try:
        return int(text)
    except ValueError as error:
        raise DataError(f"row must be a whole number, got {text[:30]!r}", where) from error


def _lines(path: Path) -> Iterator[tuple[int, list[str]]]:
    """``(line number from 1, fields)`` of every line that is not blank; the delimiter is the first line's commonest."""
    line = 0
    try:
        with path.open("rb") as raw, unpacked(raw, str(path)) as stream, _long_fields():
            text = io.TextIOWrapper(as_utf8(stream), encoding="utf-8", newline="")
            first = text.readline()
            if "\0" in first:
                raise DataError("is no CSV text; give a CSV with the column by --groups", str(path))
            delimiter = max(",;\t", key=first.count)
            table = csv.reader(chain([first], text), delimiter=delimiter)
            for fields in table:
                line = table.line_num
                blank = not "".join(fields).strip() and (len(fields) < 2 or delimiter == "\t")
                if not blank:  # as data.csv_source counts rows
                    yield line, fields
    except (*BROKEN, csv.Error) as error:
        raise DataError(f"cannot be read after this line: {reason(error)}", f"{path}:{line}") from error


@contextmanager
def _long_fields() -> Iterator[None]:
    """Let the csv module, which has one limit for all, read fields that hold pixels."""
    before = csv.field_size_limit(_LONGEST)
    try:
        yield
    finally:
        csv.field_size_limit(before)
