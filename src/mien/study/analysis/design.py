"""The design of a study: a table that says who saw what, where in which recording.

Leaves out: the recordings themselves (``recorded``).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from mien.errors import DataError
from mien.study.annotations import Problem
from mien.study.delimited import number, read_sheet

__all__ = ["COLUMNS", "Design", "Stretch", "read_design"]

#: Column -> names that are taken for it, in any case; only ``recording`` and ``participant`` are needed.
COLUMNS: dict[str, tuple[str, ...]] = {
    "recording": ("recording", "video", "film", "file", "source"),
    "participant": ("participant", "subject", "participant_id", "person", "id"),
    "condition": ("condition", "group"),
    "stimulus": ("stimulus", "item", "clip", "trial"),
    "start": ("start", "onset", "begin"),
    "end": ("end", "offset", "stop"),
    "track": ("track", "tracks"),
    "baseline": ("baseline", "rest"),
}

#: What tables of results have, and no design: they name recordings and persons too.
_RESULTS = frozenset(("prediction_set", "mean_probability", "candidates"))

_YES = frozenset(("1", "yes", "y", "true", "x", "baseline", "rest"))
_NO = frozenset(("", "0", "no", "n", "false"))
_CLOCK = re.compile(r"(?:(\d+):)?(\d{1,2}):(\d{1,2}(?:[.,]\d+)?)")


@dataclass(frozen=True)
class Stretch:
    """One row: a participant in a condition, from ``start`` up to ``end`` of a recording, in seconds.

    line      in the file
    start, end    None: where the recording starts or ends
    tracks    numbers of the person in the recording; none: whoever is alone in a frame
    baseline  the participant is at rest here, and it is no condition
    """

    line: int
    recording: str
    participant: str
    condition: str
    stimulus: str = ""
    start: float | None = None
    end: float | None = None
    tracks: tuple[int, ...] = ()
    baseline: bool = False

    @property
    def where(self) -> str:
        """For people's eyes."""
        return f"line {self.line} ({self.participant}, {self.recording})"


@dataclass
class Design:
    """The rows that can be used, in the order of the file, and those that cannot."""

    path: Path
    stretches: list[Stretch] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    @property
    def recordings(self) -> tuple[str, ...]:
        """Each once, as they are named."""
        return tuple(dict.fromkeys(s.recording for s in self.stretches))

    def conditions(self) -> tuple[str, ...]:
        """Each once, in the order of the file."""
        return tuple(dict.fromkeys(s.condition for s in self.stretches if not s.baseline))


def read_design(path: Path) -> Design:
    """Read a CSV or TSV; a row that cannot be used is a problem with its line, DataError where none can be used."""
    sheet = read_sheet(path)
    if ours := _RESULTS & set(sheet.names):
        raise DataError(
            f"is a table of results (it has {', '.join(sorted(ours))}), not a design: write one that says who "
            "saw what, and give the folder of this table as --results",
            str(path),
        )
    by_fold = {name.strip().lower(): name for name in reversed(sheet.names)}
    found = {column: _first(by_fold, names) for column, names in COLUMNS.items()}
    if lacking := [name for name in ("recording", "participant") if found[name] is None]:
        raise DataError(f"needs the columns {' and '.join(lacking)}, has {', '.join(sheet.names)}", str(path))
    long = [Problem(f"{path.name}, line {line}", words, whole=True) for line, words in sheet.long.items()]
    design = Design(path, problems=long)
    seen: dict[Stretch, int] = {}
    for line, row in sheet.rows:
        cells = {column: (row.get(name or "") or "").strip() for column, name in found.items()}
        try:
            stretch = _stretch(line, cells, has_conditions=found["condition"] is not None)
            same = seen.setdefault(replace(stretch, line=0), line)
            if same != line:
                raise ValueError(f"says the same as line {same}")
        except ValueError as error:
            design.problems.append(Problem(f"{path.name}, line {line}", str(error), whole=True))
            continue
        design.stretches.append(stretch)
    if not any(not s.baseline for s in design.stretches):
        why = "; ".join(map(str, design.problems[:3])) or "it has only a head"
        raise DataError(f"no row can be used: {why}", str(path))
    return design


def _stretch(line: int, cells: Mapping[str, str], *, has_conditions: bool) -> Stretch:
    word = cells["baseline"].lower()
    if word not in _YES | _NO:
        raise ValueError(f"baseline is {cells['baseline']!r}: yes, or nothing")
    rest = word in _YES
    for name in ("recording", "participant"):
        if not cells[name]:
            raise ValueError(f"{name} is empty")
    if has_conditions and not cells["condition"] and not rest:
        raise ValueError("condition is empty; a stretch at rest says yes in the column baseline")
    start, end = (_seconds(cells[name], name) for name in ("start", "end"))
    if start is not None and end is not None and not end > start:
        raise ValueError(f"ends at {end:g} s, not after its start at {start:g} s")
    condition = "" if rest else cells["condition"] or "all"
    names = (cells["recording"], cells["participant"], condition, cells["stimulus"])
    return Stretch(line, *names, start, end, _tracks(cells["track"]), rest)


def _seconds(cell: str, name: str) -> float | None:
    """``12.5``, ``1:02.5`` or ``0:01:02.5``; None for an empty cell."""
    if not cell:
        return None
    if clock := _CLOCK.fullmatch(cell):
        hours, minutes, seconds = int(clock[1] or 0), int(clock[2]), number(clock[3])
        if seconds >= 60 or (clock[1] and minutes >= 60):
            raise ValueError(f"{name} is {cell!r}: seconds, and minutes behind hours, go up to 59")
        return 3600 * hours + 60 * minutes + seconds
    try:
        value = number(cell)
    except ValueError:
        raise ValueError(f"{name} is {cell!r}: seconds such as 12.5, or minutes such as 1:02.5") from None
    if value < 0:
        raise ValueError(f"{name} is {cell!r}, before the recording starts")
    return value


def _tracks(cell: str) -> tuple[int, ...]:
    if not re.fullmatch(r"[\d\s,;+]*", cell):
        raise ValueError(f"track is {cell!r}: a number such as 1, or several such as 1+4")
    return tuple(int(part) for part in re.findall(r"\d+", cell))


def _first(by_fold: Mapping[str, str], names: Iterable[str]) -> str | None:
    return next((by_fold[name] for name in names if name in by_fold), None)
