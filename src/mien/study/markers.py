"""Markers out of CSV or TSV: what happened when, in seconds of the recording.

Leaves out: which frames they belong to (``mien.results.markers``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from mien.errors import DataError
from mien.results.cells import one_line
from mien.results.markers import Marker
from mien.study.delimited import number, read_sheet

__all__ = ["read_markers"]

_STARTS = ("time", "start", "onset", "seconds", "time_s", "start_s", "timestamp")
_ENDS = ("end", "offset", "stop", "end_s")
_NAMES = ("marker", "name", "label", "event", "trial_type", "value", "code", "stimulus")


def read_markers(path: Path) -> list[Marker]:
    """The markers of a file, by its columns: ``time`` (or ``start``, ``onset``), a name (``marker``, ``name``,
    ``label``, ``event``, ``trial_type`` ...), perhaps ``end`` or ``duration``; all in seconds.

    DataError with the line of what is wrong: a marker that is lost would be missed by nobody.
    """
    sheet = read_sheet(path)
    sheet.check(path)
    columns = {name.lower(): name for name in sheet.names}
    start, name = _column(columns, _STARTS, "a time", path), _column(columns, _NAMES, "a name", path)
    end = next((columns[word] for word in _ENDS if word in columns), None)
    duration = columns.get("duration")
    found = []
    for line, row in sheet.rows:
        try:
            begins, words = number(row.get(start, "")), one_line(row.get(name, "").strip())
            ends = _end(begins, row.get(end or "", ""), row.get(duration or "", ""))
        except ValueError as error:
            raise DataError(f"{error}: times are seconds", f"{path}:{line}") from error
        if not words or begins < 0 or (ends is not None and ends < begins):
            rule = "needs a name" if not words else "must begin at 0 s or later, and end after it begins"
            raise DataError(f"a marker {rule}", f"{path}:{line}")
        found.append(Marker(begins, words, None if ends == begins else ends))
    return found


def _end(start: float, end: str, duration: str) -> float | None:
    if end.strip() not in ("", "n/a"):
        return number(end)
    return start + number(duration) if duration.strip() not in ("", "n/a") else None


def _column(columns: Mapping[str, str], words: Sequence[str], what: str, path: Path) -> str:
    found = next((columns[word] for word in words if word in columns), None)
    if found is None:
        raise DataError(f"no column with {what}: call it {words[0]}; it has {', '.join(columns.values())}", str(path))
    return found
