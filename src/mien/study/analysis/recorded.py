"""A recording as arrays, out of a table that ``mien video`` wrote, and one person's frames in it.

A frame stands for the time until the next one, so that a changing frame rate weighs nothing wrongly; where there is
none for long, time is missing. Leaves out: stretches (``measures``).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.errors import DataError
from mien.results.reading import read_metadata
from mien.results.schema import label_column, labels_in
from mien.study.delimited import number
from mien.study.frames import table_rows, yes

__all__ = ["REASONS", "PersonFrames", "Recorded", "durations", "read_recorded"]

#: Why a frame says nothing of a person, by its number; 0 is a frame that does.
REASONS = ("", "no face", "unreadable", "unusable", "several persons")

_LONGEST = 1.0  # seconds that a frame stands for, and one and a half usual steps
_NEEDED = ("time", "track", "outcome", "confidence", "uncertain", "usable")


@dataclass(frozen=True)
class PersonFrames:
    """The frames of one person.

    times, steps   float64 ``(N,)``, seconds: when each frame is shown, rising, and for how long
    reasons        int8 ``(N,)``, number of the :data:`REASONS`
    probabilities  float64 ``(N, K)``, nan where there is a reason
    unsure         bool ``(N,)``, whether the prediction set holds more than one label
    """

    times: NDArray[np.float64]
    steps: NDArray[np.float64]
    reasons: NDArray[np.int8]
    probabilities: NDArray[np.float64]
    unsure: NDArray[np.bool_]


@dataclass(frozen=True)
class Recorded:
    """A recording: its frames, and the faces in them that are followed.

    times, unreadable  ``(N,)`` of frames
    at, tracks         int64 ``(R,)`` of faces: number of the frame, and of the person; without those excluded in review
    usable, unsure     bool ``(R,)``
    probabilities      float64 ``(R, K)``; ``relative`` the same, relative to the person at rest, where the table has it
    """

    path: Path
    labels: tuple[str, ...]
    times: NDArray[np.float64]
    unreadable: NDArray[np.bool_]
    at: NDArray[np.int64]
    tracks: NDArray[np.int64]
    usable: NDArray[np.bool_]
    unsure: NDArray[np.bool_]
    probabilities: NDArray[np.float64]
    relative: NDArray[np.float64] | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)

    @property
    def steps(self) -> NDArray[np.float64]:
        """How long each frame is shown, seconds."""
        return durations(self.times)

    def setting(self, name: str, default: float) -> float:
        """One of ``mien video``'s, such as ``hold``."""
        value = dict(self.metadata.get("settings") or {}).get(name)
        return default if value is None else float(value)

    def person(self, tracks: Collection[int] = (), *, relative: bool = False) -> PersonFrames:
        """One person's frames; without ``tracks`` whoever is alone in a frame."""
        chosen = np.isin(self.tracks, list(tracks)) if tracks else np.ones(len(self.at), bool)
        at, rows = self.at[chosen], np.flatnonzero(chosen)
        faces = np.bincount(at, minlength=len(self.times))
        reasons = np.where(faces > 1, 4, np.where(faces == 0, 1, 0)).astype(np.int8)
        reasons[self.unreadable] = 2
        alone = faces[at] == 1
        at, rows = at[alone], rows[alone]
        reasons[at[~self.usable[rows]]] = 3
        said = self.relative if relative else self.probabilities
        assert said is not None
        p = np.full((len(self.times), len(self.labels)), np.nan)
        p[at] = said[rows]
        p[reasons > 0] = np.nan
        reasons[(reasons == 0) & ~np.isfinite(p).all(1)] = 3  # without a value, such as relative ones without a rest
        p[reasons > 0] = np.nan
        unsure = np.zeros(len(self.times), bool)
        unsure[at] = self.unsure[rows]
        return PersonFrames(self.times, self.steps, reasons, p, unsure)


def durations(times: NDArray[np.float64]) -> NDArray[np.float64]:
    """How long frames at ``times`` ``(N,)`` are shown: until the next one, the last one as long as most.

    At most one second, or one and a half usual steps where these are longer: what lies behind is time without a frame.
    """
    if len(times) < 2:
        return np.full(len(times), 0.04)
    steps = np.diff(times)
    usual = float(np.median(steps))
    found: NDArray[np.float64] = np.minimum(np.append(steps, usual), max(_LONGEST, 1.5 * usual))
    return found


def read_recorded(path: Path) -> Recorded:
    """Read a table; DataError names the line where it is none of ``mien video``."""
    names, rows = table_rows(path)
    if lacking := [name for name in _NEEDED if name not in names]:
        raise DataError(f"no table of mien video, it lacks {', '.join(lacking)}", str(path))
    labels = labels_in(names)
    columns = [label_column(name) for name in labels]
    shifted = [f"relative_{name}" for name in columns]
    has_relative = set(shifted) <= set(names)
    wanted = columns + shifted if has_relative else columns
    times, unreadable = list[float](), list[bool]()
    faces = list[tuple[int, int, bool, bool]]()
    said = list[list[float]]()
    for line, row in rows:
        try:
            time = number(str(row["time"]))
            if not times or time > times[-1]:
                times.append(time)
                unreadable.append(row["outcome"] == "unreadable")
            elif time < times[-1]:
                raise ValueError(f"time goes back to {time:g} s")
            if row["track"] not in (None, "") and "excluded" not in (row.get("corrected") or ""):
                faces.append(
                    (len(times) - 1, int(number(str(row["track"]))), yes(row["usable"]), yes(row["uncertain"]))
                )
                said.append([_number(row[name]) for name in wanted])
        except (ValueError, KeyError, TypeError) as error:
            raise DataError(f"{error}; has a spreadsheet changed it?", f"{path}:{line}") from error
    if not times:
        raise DataError("has no frame", str(path))
    metadata = read_metadata(path) or {}
    if metadata.get("complete") is False and "sha256" in (metadata.get("video") or {}):  # a camera has no end
        raise DataError("is not whole, mien video was stopped: run it again", str(path))
    return _recorded(path, labels, times, unreadable, faces, said, has_relative, metadata)


def _recorded(
    path: Path,
    labels: tuple[str, ...],
    times: Sequence[float],
    unreadable: Sequence[bool],
    faces: Sequence[tuple[int, int, bool, bool]],
    said: Sequence[Sequence[float]],
    has_relative: bool,
    metadata: Mapping[str, Any],
) -> Recorded:
    at, tracks, usable, unsure = zip(*faces, strict=True) if faces else ((), (), (), ())
    k = len(labels)
    values = np.array(said, np.float64).reshape(len(faces), k * (1 + has_relative))
    return Recorded(
        path,
        labels,
        np.array(times),
        np.array(unreadable, bool),
        np.array(at, np.int64),
        np.array(tracks, np.int64),
        np.array(usable, bool),
        np.array(unsure, bool),
        values[:, :k],
        values[:, k:] if has_relative else None,
        metadata,
    )


def _number(cell: Any) -> float:
    if cell is None or cell == "":
        return float("nan")
    return float(cell.replace(",", ".")) if isinstance(cell, str) else float(cell)
