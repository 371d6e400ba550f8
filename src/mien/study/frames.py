"""What mien said of one person in each frame, out of a table that ``mien video`` wrote.

A frame without an answer that can be used is missing, with its reason: nothing is filled in.
Leaves out: the other columns.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.errors import ConfigError, DataError, need
from mien.results.schema import labels_in
from mien.study.delimited import number, read_sheet

__all__ = ["COLUMNS", "Frames", "is_table", "read_frames", "table_rows", "yes"]

#: The columns that can be compared.
COLUMNS = ("label", "raw_label", "relative_label")

_NEEDED = ("time", "face", "track", "outcome", "label", "confidence", "uncertain", "usable")
_YES = {"1": True, "0": False, "": False, "true": True, "false": False}


@dataclass(frozen=True)
class Frames:
    """One person's frames.

    labels   that the model has, in its order
    times    float64 ``(N,)``, seconds, rising
    codes    int64 ``(N,)``, index of the label, -1 where there is none
    unsure   bool ``(N,)``, whether the prediction set held more than one label
    missing  reason -> number of the frames without a code
    """

    path: Path
    labels: tuple[str, ...]
    times: NDArray[np.float64]
    codes: NDArray[np.int64]
    unsure: NDArray[np.bool_]
    missing: dict[str, int]


def is_table(path: Path) -> bool:
    """Whether the file is a table of frames; DataError for one that cannot be read."""
    if path.suffix.lower() in (".jsonl", ".parquet"):
        return True
    if path.suffix.lower() not in (".csv", ".tsv"):
        return False
    if not path.is_file():
        raise DataError("no such file", str(path))
    return {"frame", "track", "outcome"} <= set(read_sheet(path).names)


def read_frames(path: Path, *, tracks: Collection[int] = (), column: str = "label") -> Frames:
    """Read the frames of one person.

    tracks  the person's numbers, more than one where they left and came back; none: whoever is alone in a frame
    column  one of :data:`COLUMNS`

    ConfigError where a frame shows two persons and ``tracks`` is empty, or where nobody has these numbers; DataError
    where the table cannot be read, with its line.
    """
    if column not in COLUMNS:
        raise ConfigError(f"column must be one of {', '.join(COLUMNS)}, got {column!r}")
    names, rows = table_rows(path)
    needed = (*_NEEDED, column)
    if lacking := [name for name in needed if name not in names]:
        hint = ": run mien video with --baseline" if "relative_label" in lacking else ""
        raise DataError(f"no table of mien video, it lacks {', '.join(lacking)}{hint}", str(path))
    labels = labels_in(names)
    frames: dict[float, list[dict[str, Any]]] = {}
    seen: Counter[int] = Counter()
    for line, row in rows:
        try:
            read = _row(row, column)
        except (ValueError, KeyError) as error:
            raise DataError(f"{error}; has a spreadsheet changed it?", f"{path}:{line}") from error
        frames.setdefault(read["time"], []).append(read)
        seen.update([read["track"]] if read["track"] else [])
    _check_tracks(path, frames, seen, tracks)
    return _frames(path, labels, frames, tracks)


def _check_tracks(path: Path, frames: dict[float, Any], seen: Counter[int], tracks: Collection[int]) -> None:
    if unknown := sorted(set(tracks) - set(seen)):
        raise ConfigError(f"{path}: nobody has the track {unknown[0]}; there are {_told(seen)}")
    together = [time for time, rows in frames.items() if sum(bool(row["track"]) for row in rows) > 1]
    if together and not tracks:
        raise ConfigError(
            f"{path}: at {together[0]:g} s there are two persons or more: choose with --track, of {_told(seen)}"
        )


def _told(seen: Counter[int]) -> str:
    return ", ".join(f"{track} ({n:,} frames)" for track, n in sorted(seen.items())) or "none"


def _frames(path: Path, labels: tuple[str, ...], frames: dict[float, Any], tracks: Collection[int]) -> Frames:
    times = np.array(sorted(frames))
    codes, unsure = np.full(len(times), -1, np.int64), np.zeros(len(times), bool)
    missing: Counter[str] = Counter()
    for i, time in enumerate(times.tolist()):
        rows = frames[time]
        mine = [r for r in rows if r["track"] and (not tracks or r["track"] in tracks)]
        reason = _missing(rows, mine)
        if reason:
            missing[reason] += 1
            continue
        if mine[0]["label"] not in labels:
            raise DataError(f"at {time:g} s the label is {mine[0]['label']!r}, which has no column", str(path))
        codes[i], unsure[i] = labels.index(mine[0]["label"]), mine[0]["uncertain"]
    return Frames(path, labels, times, codes, unsure, dict(missing))


def _missing(rows: Sequence[dict[str, Any]], mine: Sequence[dict[str, Any]]) -> str:
    if rows[0]["outcome"] == "unreadable":
        return "unreadable frame"
    if len(mine) > 1:
        return "two of the tracks at once"
    if not mine:
        return "nobody followed in the frame"
    if not mine[0]["usable"]:
        return "face not usable"
    return "" if mine[0]["label"] else "no label"


def _row(row: dict[str, Any], column: str) -> dict[str, Any]:
    return {
        "time": number(str(row["time"])),
        "track": int(number(str(row["track"]))) if row["track"] not in (None, "") else 0,
        "outcome": row["outcome"],
        "label": row[column] or "",
        "uncertain": yes(row["uncertain"]),
        "usable": yes(row["usable"]),
    }


def yes(cell: Any) -> bool:
    """A cell of yes or no; KeyError for anything else."""
    return bool(cell) if cell is None or isinstance(cell, bool) else _YES[str(cell).lower()]


def table_rows(path: Path) -> tuple[Sequence[str], Iterator[tuple[int, dict[str, Any]]]]:
    """The columns of a table of frames, and its rows with their lines; cells of CSV are text, others have types."""
    suffix = path.suffix.lower()
    if suffix not in (".jsonl", ".parquet", ".csv", ".tsv"):
        raise DataError("must be a table of mien video that ends in .csv, .jsonl or .parquet", str(path))
    if not path.is_file():
        raise DataError("no such file", str(path))
    if suffix == ".parquet":
        table = need("pyarrow.parquet", "parquet").read_table(path)
        return table.column_names, iter(enumerate(table.to_pylist(), 1))
    if suffix == ".jsonl":
        try:
            lines = [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]
        except ValueError as error:
            raise DataError(f"is no JSON lines ({error})", str(path)) from error
        return list(lines[0]) if lines else [], iter(enumerate(lines, 1))
    sheet = read_sheet(path)
    sheet.check(path)
    return sheet.names, iter(sheet.rows)
