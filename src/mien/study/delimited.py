"""CSV and TSV as people have them: any of three delimiters, a byte order mark, decimal commas.

Leaves out: what the columns mean.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

from mien.errors import DataError

__all__ = ["Sheet", "number", "read_sheet"]


@dataclass(frozen=True)
class Sheet:
    """The cells of a file.

    names  of the columns, as they stand there
    rows   line number in the file -> the row's cells, by column; a row that is short has fewer
    """

    names: tuple[str, ...]
    rows: list[tuple[int, dict[str, str]]]


def read_sheet(path: Path) -> Sheet:
    """Read a file with a head; DataError for one that cannot be read as text or has no head."""
    text = _decode(path)
    if text.startswith("sep="):
        text = text.partition("\n")[2]
    first = text.partition("\n")[0]
    delimiter = max(("\t", ";", ","), key=first.count)
    try:
        lines = list(csv.reader(text.splitlines(keepends=True), delimiter=delimiter))
    except csv.Error as error:
        raise DataError(f"no table: {error}", str(path)) from error
    if not lines or not any(cell.strip() for cell in lines[0]):
        raise DataError("no table: its first line must name the columns", str(path))
    names = tuple(cell.strip() for cell in lines[0])
    rows = [(i, dict(zip(names, cells, strict=False))) for i, cells in enumerate(lines[1:], 2) if any(cells)]
    return Sheet(names, rows)


def number(cell: str) -> float:
    """A number with a point or a decimal comma; ValueError for anything else, also for nan and infinity."""
    value = float(cell.strip().replace(",", "."))
    if not abs(value) < float("inf"):
        raise ValueError(f"{cell} is no number")
    return value


def _decode(path: Path) -> str:
    try:
        raw = path.read_bytes()
        codec = "utf-16" if raw[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
        return raw.decode(codec)
    except OSError as error:
        raise DataError(f"cannot be read ({error.strerror})", str(path)) from error
    except UnicodeDecodeError as error:
        raise DataError("is no UTF-8 or UTF-16 text: save it as 'CSV UTF-8'", str(path)) from error
