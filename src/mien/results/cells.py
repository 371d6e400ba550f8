"""Values as text and back: CSV cells, lines of JSON, and names that every reader takes.

Leaves out: which values there are (``schema``) and files (``writers``).
"""

from __future__ import annotations

import csv
import io
import json
import os
import re
from collections.abc import Iterable
from typing import Any

__all__ = ["FORMULA", "csv_line", "from_cell", "json_line", "one_line", "printable"]

#: Text that a spreadsheet would take for a formula, or that has been marked already. The web page has the same rule.
FORMULA = re.compile(r"'*[=+\-@\t\r\n]")

_NOT_PLAIN = re.compile("[\x7f-\x9f\u2028\u2029\ud800-\udfff]")  # ends of lines for some readers, and no characters

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")


def printable(name: str | os.PathLike[str]) -> str:
    """A file's name as text that any reader takes: bytes that are no UTF-8 become ``\\xff``, and names stay apart."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def one_line(text: str) -> str:
    """Text for people's eyes, on one line and without commands to the terminal: such characters as ``\\x1b``."""
    return _CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", text)


def csv_line(values: Iterable[Any]) -> str:
    """One row of CSV with its line end: nothing for None, 1 and 0 for yes and no, ``'`` before what looks a formula."""
    out = io.StringIO()
    # with this terminator both \\r and \\n are quoted
    csv.writer(out, lineterminator="\r\n").writerow([_cell(value) for value in values])
    return out.getvalue()[:-2] + "\n"


def from_cell(cell: str, kind: type, *, decimal_comma: bool = False) -> Any:
    """A CSV cell as :func:`csv_line` or a spreadsheet wrote it -> a value of type ``kind``; ValueError for another."""
    if cell == "":
        return None
    if kind is str:
        return cell[1:] if cell[0] == "'" and FORMULA.match(cell) else cell
    if kind is bool:
        return {"1": True, "0": False, "true": True, "false": False}[cell.lower()]
    number = float(cell.replace(",", ".") if decimal_comma else cell)
    if kind is int and number != int(number):
        raise ValueError(f"{cell} is no whole number")
    return kind(number)


def json_line(value: Any) -> str:
    """One line of JSON, with its end, that is one line for every reader, and UTF-8 whatever it holds."""
    text = json.dumps(value, ensure_ascii=False)
    return _NOT_PLAIN.sub(lambda found: f"\\u{ord(found[0]):04x}", text) + "\n"


def _cell(value: Any) -> Any:
    if isinstance(value, str):
        text = value.encode("utf-8", "backslashreplace").decode()
        return f"'{text}" if FORMULA.match(text) else text
    return "" if value is None else int(value) if isinstance(value, bool) else value
