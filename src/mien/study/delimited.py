"""CSV and TSV as people have them: any of three delimiters, a byte order mark, decimal commas.

Leaves out: what the columns mean.
"""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from pathlib import Path

from mien.errors import DataError

__all__ = ["Sheet", "number", "read_sheet"]


@dataclass(frozen=True)
class Sheet:
    """The cells of a file.

    names  of the columns, as they stand there
    rows   number of the line in the file that a row ends in, and its cells by column; a short row has fewer
    long   the same line of each row with more cells than columns, which is none of ``rows`` -> what is wrong with it
    """

    names: tuple[str, ...]
    rows: list[tuple[int, dict[str, str]]]
    long: dict[int, str]

    def check(self, path: Path) -> None:
        """DataError for the first of the ``long`` rows."""
        for line, words in self.long.items():
            raise DataError(words, f"{path}:{line}")


def read_sheet(path: Path) -> Sheet:
    """Read a file with a head; DataError for one that cannot be read as text or has no head."""
    text = list(io.StringIO(_decode(path), newline=""))
    skipped = "".join(text[:1]).startswith("sep=")  # a spreadsheet's word for its delimiter
    del text[:skipped]
    reader = csv.reader(text, delimiter=max(("\t", ";", ","), key="".join(text[:1]).count))
    try:
        lines = [(reader.line_num + skipped, cells) for cells in reader]
    except csv.Error as error:
        raise DataError(f"no table: {error}", f"{path}:{reader.line_num + skipped}") from error
    names = tuple(cell.strip() for cell in lines[0][1]) if lines else ()
    if not any(names):
        raise DataError("no table: its first line must name the columns", str(path))
    rule = "which is whose? One that holds the delimiter, such as a decimal comma, needs quotes"
    long = {
        line: f"has {len(cells)} cells, and there are {len(names)} columns: {rule}"
        for line, cells in lines[1:]
        if any(cells[len(names) :])
    }
    rows = [(line, dict(zip(names, cells, strict=False))) for line, cells in lines[1:] if any(cells)]
    return Sheet(names, [row for row in rows if row[0] not in long], long)


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
