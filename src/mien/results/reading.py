"""Reading tables back, as ``writers`` wrote them or as a spreadsheet saved them since.

A last entry that is cut short is left out. ValueError says what is wrong anywhere else, and in which line.
Leaves out: which rows are kept (``resume``).
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TextIO

from mien.errors import need
from mien.results.cells import csv_line, from_cell
from mien.results.forms import Form
from mien.results.provenance import read_sidecar
from mien.results.writers import METADATA_KEY

__all__ = ["column_names", "has_bom", "read_entries", "read_metadata"]

_DELIMITERS = (",", ";", "\t")
_NO_UTF8 = re.compile("[\udc80-\udcff]")  # what bytes that are no UTF-8 become
_BOMS = {b"\xef\xbb\xbf": "utf-8-sig", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
_MAGIC = {
    b"PK\x03\x04": "a spreadsheet (.xlsx or .ods)",
    b"\xd0\xcf\x11\xe0": "a spreadsheet (.xls)",
    b"PAR1": "Parquet",
}


def read_metadata(path: Path, *, grown: bool = False) -> dict[str, Any] | None:
    """The metadata of the table at ``path``, or of what has ``grown`` of one; None where it has none."""
    suffix = path.suffix.lower()
    if grown or suffix not in (".json", ".parquet"):
        return read_sidecar(path)
    if suffix == ".json":
        found = _read_json(path)
        return {key: value for key, value in found.items() if key != "photos"}
    parquet = need("pyarrow.parquet", "parquet")
    text = (parquet.read_schema(path).metadata or {}).get(METADATA_KEY.encode())
    return None if text is None else dict(json.loads(text))


def read_entries(path: Path, form: Form, *, grown: bool) -> Iterator[dict[str, Any]]:
    """The entries of a table, or of what has ``grown`` of one, see :meth:`Form.entries`."""
    if form.suffix == ".csv":
        yield from _read_csv(path, form.kinds)
    elif grown:
        yield from _read_lines(path)
    elif form.suffix == ".json":
        yield from _read_json(path)["photos"]
    else:
        parquet = need("pyarrow.parquet", "parquet")
        for batch in parquet.ParquetFile(path).iter_batches():
            yield from batch.to_pylist()


def column_names(path: Path) -> list[str]:
    """The columns of a .csv, .jsonl or .parquet, in their order; ValueError for what is none."""
    suffix = path.suffix.lower()
    if suffix == ".parquet":
        return list(need("pyarrow.parquet", "parquet").read_schema(path).names)
    if suffix == ".jsonl":
        return list(next(_read_lines(path), {}))
    with path.open(encoding=_encoding(path), errors="replace", newline="") as file:
        return max((_head(file, delimiter)[0] for delimiter in _DELIMITERS), key=len)


def _head(file: TextIO, delimiter: str) -> tuple[list[str], Any]:
    """The first line that names columns, and a reader behind it."""
    file.seek(0)
    reader = csv.reader(file, delimiter=delimiter)
    head = next(reader, [])
    if head and head[0].startswith("sep="):
        head = next(reader, [])
    return [str(from_cell(cell, str)) for cell in head], reader


def has_bom(path: Path) -> bool:
    """Whether a text file begins with a byte order mark, or is UTF-16 without one."""
    return _encoding(path) != "utf-8"


def _read_csv(path: Path, kinds: Mapping[str, type]) -> Iterator[dict[str, Any]]:
    encoding, head = _encoding(path), csv_line(kinds)
    errors = "surrogateescape" if encoding.startswith("utf-8") else "replace"
    with path.open(encoding=encoding, errors=errors, newline="") as file:
        if head.startswith(file.read(len(head) + 1)):
            return  # nothing, or a head that was cut short
        delimiter, reader = _dialect(file, kinds)
        broken = ""
        for cells in reader:
            if broken:
                raise ValueError(broken)
            if any(cells):
                try:
                    yield _row(cells, kinds, decimal_comma=delimiter != ",")
                except ValueError as error:
                    broken = f"line {reader.line_num}: {error}"


def _row(cells: list[str], kinds: Mapping[str, type], *, decimal_comma: bool) -> dict[str, Any]:
    if len(cells) != len(kinds):
        raise ValueError(f"has {len(cells)} cells, {len(kinds)} columns are needed")
    row = {}
    for (name, kind), cell in zip(kinds.items(), cells, strict=True):
        if _NO_UTF8.search(cell):
            raise ValueError(f"{name} is no UTF-8 text; a spreadsheet must save it as 'CSV UTF-8'")
        try:
            row[name] = from_cell(cell, kind, decimal_comma=decimal_comma)
        except (ValueError, KeyError, OverflowError) as error:
            raise ValueError(f"{name} is {cell!r}, not {_called(kind)}; has a spreadsheet changed it?") from error
    return row


def _called(kind: type) -> str:
    return {int: "a whole number", float: "a number", bool: "1 or 0"}[kind]


def _dialect(file: TextIO, kinds: Mapping[str, type]) -> tuple[str, Any]:
    """The delimiter and a reader behind the head; ValueError where no delimiter gives the columns."""
    best: list[str] = []
    for delimiter in _DELIMITERS:
        head, reader = _head(file, delimiter)
        if head == list(kinds):
            return delimiter, reader
        best = max(best, head, key=len)
    missing = [name for name in kinds if name not in best]
    unknown = [name for name in best if name not in kinds]
    found = {"missing": missing[:5], "unknown": unknown[:5]}
    more = "".join(f"; {what}: {', '.join(names)}" for what, names in found.items() if names)
    raise ValueError(f"its columns are not those of this model and version of mien{more[:200]}")


def _encoding(path: Path) -> str:
    with path.open("rb") as file:
        start = file.read(4)
    for magic, what in _MAGIC.items():
        if start.startswith(magic):
            raise ValueError(f"it is {what}, not CSV: save it as 'CSV UTF-8' first")
    if start[1::2] == b"\0\0":
        return "utf-16-le"
    return next((encoding for bom, encoding in _BOMS.items() if start.startswith(bom)), "utf-8")


def _read_lines(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding=_encoding(path), errors="replace", newline="\n") as file:
        for number, line in enumerate(file, start=1):
            if not line.endswith("\n"):
                return  # cut short
            if not line.strip():
                continue
            try:
                found = json.loads(line)
            except ValueError as error:
                raise ValueError(f"line {number} is no JSON ({error})") from error
            if not isinstance(found, dict):
                raise ValueError(f"line {number} is no JSON object")
            yield found


def _read_json(path: Path) -> dict[str, Any]:
    found = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(found, dict) or not isinstance(found.get("photos"), list):
        raise ValueError("it is no document of mien: it has no list 'photos'")
    return found
