"""A review: a film, its table and its corrections together, as whoever shows them needs it.

Its files lie beside the table: ``talk-corrections.jsonl`` grows with each correction; ``talk-corrected.csv`` with its
segments and events, and the folder ``talk-faces``, are written when asked for.
Leaves out: showing anything (``mien.web``).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.errors import ConfigError, DataError
from mien.files import sha256_of
from mien.labels import colour
from mien.results.cells import printable
from mien.spec import ModelSpec
from mien.study.corrections import Correction, parse_correction
from mien.study.faces import write_faces
from mien.study.journal import Entry, Journal
from mien.study.reviewed import read_face_table

__all__ = ["Review", "Stale", "corrections_path"]

_USABLE, _BY_HAND, _EXCLUDED = 1, 2, 4


class Stale(ConfigError):
    """Somebody else has corrected the recording since; what is there must be looked at first."""


def corrections_path(table: Path) -> Path:
    """``talk.csv`` -> ``talk-corrections.jsonl``."""
    return table.with_name(f"{table.stem}-corrections.jsonl")


class Review:
    """One recording under review. May be used from several threads at once.

    video        the film
    table        what ``mien video`` wrote of it; DataError where it is of another film
    corrections  their file; None: beside the table
    """

    def __init__(self, video: Path, table: Path, corrections: Path | None = None) -> None:
        self.video, self._lock = video, threading.RLock()
        self.table = read_face_table(table)
        metadata, sha256 = self.table.source.metadata, sha256_of(video)
        known = (metadata.get("video") or {}).get("sha256")
        if known and known != sha256:
            raise DataError(f"is of another film than {video}: name its own with --results", str(table))
        about = {"video": printable(video.name), "sha256": sha256, "run": metadata.get("run")}
        self.journal = Journal(corrections or corrections_path(table), about)
        self.now = self.journal.history.replay(self.table.found)
        found = self.table.found
        self._order = np.lexsort((found.times, found.person))

    def add(self, given: Any, after: int | None = None) -> None:
        """Make a correction as JSON has it; a split finds its new number. ConfigError says why it cannot be made.

        after  how many lines whoever asks has seen; Stale where there are others now. None does not ask
        """
        with self._lock:
            self._check(after)
            if isinstance(given, Mapping) and given.get("do") == "split" and given.get("into") is None:
                given = {**given, "into": self.journal.history.new_person(self.table.found)}
            self.now = self.journal.add(self.table.found, parse_correction(given))

    def undo(self, number: int | None = None, after: int | None = None) -> None:
        """Undo a correction, None: the newest; see :class:`~mien.study.journal.History`."""
        with self._lock:
            self._check(after)
            self.now = self.journal.undo(self.table.found, number)

    def redo(self, number: int | None = None, after: int | None = None) -> None:
        """Apply a correction again, None: the one that was undone last."""
        with self._lock:
            self._check(after)
            self.now = self.journal.redo(self.table.found, number)

    def _check(self, after: int | None) -> None:
        if after is not None and after != self.journal.lines:
            raise Stale("somebody has corrected it meanwhile, in another window: look at it again, then repeat this")

    def write_table(self, path: Path | None = None) -> list[Path]:
        """Write the corrected table, None: ``talk-corrected.csv`` beside the table; the paths of its files."""
        own = self.table.source.path
        with self._lock:
            counting = sum(not e.undone for e in self.journal.history.entries)
            about = {"table": own.name, "corrections": self.journal.path.name, "counting": counting}
            return self.table.write(path or own.with_name(f"{own.stem}-corrected{own.suffix}"), self.now, about)

    def write_faces(
        self, spec: ModelSpec, folder: Path | None = None, progress: Callable[[float], None] = lambda share: None
    ) -> tuple[Path, dict[str, int]]:
        """Write the faces with labels set by hand; the folder, None: ``talk-faces`` beside the table, and counts."""
        own = self.table.source.path
        to = folder or own.with_name(f"{own.stem}-faces")
        return to, write_faces(to, self.video, self.table, self.now, spec, progress=progress)

    def faces(self) -> bytes:
        """What corrections do not change, for the page: little-endian int32 ``N, K, M``; float32 ``(N, 5 + K)``: time,
        box and probabilities of the faces; float32 ``(M,)`` times of the frames.

        Faces are in the order of the persons that were found, then of time, as the runs in :meth:`state` count them.
        """
        r, order = self.table, self._order
        table = np.concatenate([r.found.times[:, None], r.boxes, r.probabilities], 1)[order]
        head = np.array([len(order), len(r.found.labels), len(r.times)], "<i4")
        return b"".join(part.tobytes() for part in (head, table.astype("<f4"), r.times.astype("<f4")))

    def state(self) -> dict[str, Any]:
        """Everything else, ready for JSON."""
        with self._lock:
            now, r, order = self.now, self.table, self._order
            flags = _USABLE * r.usable + _BY_HAND * now.by_hand + _EXCLUDED * now.excluded
            history = self.journal.history
            return {
                "after": self.journal.lines,
                "video": {"name": printable(self.video.name), "width": r.size[0], "height": r.size[1], "end": r.end},
                "table": r.source.path.name,
                "file": self.journal.path.name,
                "labels": list(r.found.labels),
                "colours": {label: colour(label) for label in r.found.labels},
                "persons": self._persons(),
                "segments": [s.to_dict() for s in r.segments(now)],
                "faces": {
                    name: _runs(values[order])
                    for name, values in (("person", now.person), ("label", now.label), ("flags", flags))
                },
                "events": [{"start": e.start, "end": e.end, "name": e.name} for e in now.events],
                "corrections": [_told(e) for e in history.entries],
                "undo": any(not e.undone for e in history.entries),
                "redo": bool(history.gone),
                "notes": self.journal.notes,
            }

    def _persons(self) -> list[dict[str, Any]]:
        now, times = self.now, self.table.found.times
        told = []
        for number in np.unique(now.person[now.person > 0]).tolist():
            mine = now.person == number
            counts = {"frames": int(mine.sum()), "excluded": int((mine & now.excluded).sum())}
            told.append({"number": number, **counts, "first": float(times[mine][0]), "last": float(times[mine][-1])})
        return told


def _runs(values: NDArray[Any]) -> list[list[int]]:
    """``[how often, value]`` of each run of equal values."""
    if not len(values):
        return []
    starts = np.flatnonzero(np.concatenate([[True], values[1:] != values[:-1]]))
    counts = np.diff(np.append(starts, len(values)))
    return [[int(n), int(values[start])] for n, start in zip(counts, starts, strict=True)]


def _told(entry: Entry) -> dict[str, Any]:
    told = entry.correction.to_dict()
    return {"id": entry.id, "at": entry.at, "undone": entry.undone, "words": _words(entry.correction), **told}


def _words(c: Correction) -> str:
    """For people's eyes."""
    span = "" if c.start is None else f" from {c.start:.2f} s"
    span += "" if c.end is None else f" to {c.end:.2f} s"
    return {
        "merge": f"person {c.person} is person {c.into}",
        "split": f"person {c.person}{span} on is person {c.into}",
        "exclude": f"person {c.person} is excluded{span}",
        "include": f"person {c.person} counts again{span}",
        "label": f"person {c.person} shows {c.label}{span}",
        "event": f"{c.name}{span if c.end is not None else f' at {c.start or 0:.2f} s'}",
    }[c.do]
