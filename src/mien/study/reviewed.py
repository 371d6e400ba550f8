"""A recording under review: its table as arrays, its segments as corrected, and the corrected table.

The table is read once and never written into; a corrected one is a new file with the same columns, and ``corrected``
where a person has set something. Without a correction it is the old one, byte for byte.
Leaves out: what corrections do (``corrections``), how they are kept (``journal``), pictures of faces (``faces``).
"""

from __future__ import annotations

import math
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.errors import ConfigError, DataError
from mien.files import replace_file, reported
from mien.results.frame_tables import FrameTable, open_frames
from mien.results.provenance import sidecar
from mien.results.recorder import SEGMENT_COLUMNS
from mien.results.schema import columns, label_column
from mien.results.writers import CsvFile, TableFile
from mien.study.corrections import Event, Found, Reviewed
from mien.video import RULES, Segment, SegmentFinder

__all__ = ["FaceTable", "read_face_table"]

_EVENT_COLUMNS = ("start", "end", "name")
_TOGETHER = 1000  # rows that are written at a time
_BOX = ("left", "top", "right", "bottom")


@dataclass(frozen=True, eq=False)
class FaceTable:
    """A table of a video, its faces as arrays of the ``N`` rows that have one, in the table's order.

    source         the table, and where it lies
    found          who is who and what they show, by mien
    rows           int64 ``(N,)``, number of each row in the table, from 0
    frames         int64 ``(N,)``, number of the frame of each row
    boxes          float32 ``(N, 4)``, left, top, right, bottom in pixels
    probabilities  float32 ``(N, K)``
    usable         bool ``(N,)``
    times          float64 ``(M,)``, of all frames, also those without a face
    size           width and height of the picture; 0 where no frame could be read
    end            seconds at which the recording ends
    """

    source: FrameTable
    found: Found
    rows: NDArray[np.int64]
    frames: NDArray[np.int64]
    boxes: NDArray[np.float32]
    probabilities: NDArray[np.float32]
    usable: NDArray[np.bool_]
    times: NDArray[np.float64]
    size: tuple[int, int]
    end: float

    def segments(self, now: Reviewed) -> list[Segment]:
        """The segments of the faces as corrected, by the rules of the run; a label set by hand counts at once."""
        settings = self.source.metadata.get("settings") or {}
        finder = SegmentFinder(settings.get("hold", 0.4), settings.get("max_gap", RULES.max_gap))
        wanted = np.flatnonzero(self.usable & ~now.excluded & (now.person > 0) & (now.label >= 0)).tolist()
        out, labels, i = list[Segment](), self.found.labels, 0
        times, person, label = self.found.times.tolist(), now.person.tolist(), now.label.tolist()
        by_hand = now.by_hand.tolist()
        for time in self.times.tolist():
            while i < len(wanted) and times[wanted[i]] <= time:
                row = wanted[i]
                chances = _Chances(labels, self.probabilities[row])
                out += finder.add(person[row], time, labels[label[row]], chances, sure=by_hand[row])
                i += 1
            out += finder.tick(time)
        return sorted(out + finder.close(self.end), key=lambda s: (s.start, s.track, s.end))

    def corrected_rows(self, now: Reviewed) -> Iterator[dict[str, Any]]:
        """The table's rows with what a person has set; see ``docs/columns.md`` for ``corrected``."""
        at = {int(row): i for i, row in enumerate(self.rows)}
        outcomes = self._outcomes(now)
        for number, row in enumerate(self.source.rows()):
            i = at.get(number)
            words = list[str]() if i is None else _set(row, self.found, now, i)
            if row["frame"] in outcomes:
                row["outcome"] = outcomes[row["frame"]]
            yield {**row, "corrected": "; ".join(words) or None}

    def _outcomes(self, now: Reviewed) -> dict[int, str]:
        """Frame -> ``unusable`` where the last usable face of it is excluded."""
        was, left = self.frames[self.usable], self.frames[self.usable & ~now.excluded]
        return dict.fromkeys(np.setdiff1d(was, left).tolist(), "unusable")

    def write(self, path: Path, now: Reviewed, about: Mapping[str, Any]) -> list[Path]:
        """Write the corrected table at ``path``, of the table's own kind, with its segments and events beside it.

        about  goes into the metadata as ``corrected``

        Gives the paths of what was written: events only where there are any. Where nothing is corrected these are
        copies of the run's files.
        """
        segments = path.with_name(f"{path.stem}-segments.csv")
        old = self.source.path.with_name(f"{self.source.path.stem}-segments.csv")
        if path.resolve() == self.source.path.resolve():
            raise ConfigError(f"{path} is the table that is reviewed: choose another name")
        if _same(self.found, now):
            replace_file(path, lambda p: shutil.copyfile(self.source.path, p))
            if sidecar(self.source.path).is_file():
                replace_file(sidecar(path), lambda p: shutil.copyfile(sidecar(self.source.path), p))
        else:
            self._write_table(path, now, about)
        if _same(self.found, now) and old.is_file():
            replace_file(segments, lambda p: shutil.copyfile(old, p))
        else:
            rows = [s.to_dict() for s in self.segments(now)]
            _write_csv(segments, SEGMENT_COLUMNS, rows, bom=self.source.form.bom)
        events = path.with_name(f"{path.stem}-events.csv")
        if not now.events:
            events.unlink(missing_ok=True)  # of an earlier time
            return [path, segments]
        _write_csv(
            events, _EVENT_COLUMNS, [asdict(e) for e in sorted(now.events, key=_start)], bom=self.source.form.bom
        )
        return [path, segments, events]

    def _write_table(self, path: Path, now: Reviewed, about: Mapping[str, Any]) -> None:
        own = self.source.form
        asked = {"baseline": "relative_label" in own.kinds, "markers": "marker" in own.kinds, "review": True}
        form = replace(own, kinds=columns(self.found.labels, video=True, file=True, **asked))
        metadata = {k: v for k, v in self.source.metadata.items() if k not in ("complete", "counts")}
        complete = bool(self.source.metadata.get("complete", True))
        ended = {"counts": self.source.metadata.get("counts", {}), "corrected": dict(about)}
        with TemporaryDirectory(dir=path.parent, prefix=f".{path.name}-") as folder, reported(path):
            table = TableFile(Path(folder, path.name), form, metadata)
            rows = self.corrected_rows(now)
            try:
                while some := list(islice(rows, _TOGETHER)):
                    table.add_rows(some)
            finally:
                table.end_growing()
            table.close(complete, ended)
            for made in sorted(Path(folder).iterdir()):
                os.replace(made, path.with_name(made.name))


def read_face_table(path: Path) -> FaceTable:
    """The table of a video for a review; DataError where it is none, or has no frame."""
    table = open_frames(path)
    read = _Columns(table.labels)
    for number, row in enumerate(table.rows()):
        try:
            read.add(number, row)
        except (KeyError, TypeError) as error:
            raise DataError(f"row {number + 1} lacks a value ({error}): was it changed by hand?", str(path)) from error
        except ValueError as error:
            raise DataError(f"row {number + 1}: {error}; was it sorted or changed by hand?", str(path)) from error
    if not read.times:
        raise DataError("has no frame", str(path))
    return read.face_table(table)


class _Columns:
    """The rows of a table as they come, column by column."""

    def __init__(self, labels: tuple[str, ...]) -> None:
        self.labels, self.names = labels, [label_column(label) for label in labels]
        self.times, self.size, self._frame = list[float](), (0, 0), -1
        names = ("row", "frame", "time", "person", "label", "usable", "box", "chances")
        self._face = {name: list[Any]() for name in names}

    def add(self, number: int, row: Mapping[str, Any]) -> None:
        frame, time, last = int(row["frame"]), float(row["time"]), self.times[-1] if self.times else -math.inf
        if not last <= time < math.inf:
            raise ValueError(f"time goes from {last:g} to {time:g} s")
        if frame != self._frame or time != last:
            self.times.append(time)
            self._frame = frame
        if row["width"]:
            self.size = row["width"], row["height"]
        if not row["face"]:
            return
        label = self.labels.index(row["label"]) if row["label"] in self.labels else -1
        values = number, frame, time, int(row["track"] or 0), label, bool(row["usable"])
        given = *values, [float(row[side]) for side in _BOX], [float(row[name]) for name in self.names]
        for kept, value in zip(self._face.values(), given, strict=True):
            kept.append(value)

    def face_table(self, table: FrameTable) -> FaceTable:
        face, n = self._face, len(self._face["row"])
        found = Found(
            self.labels,
            np.array(face["time"], np.float64),
            np.array(face["person"], np.int64),
            np.array(face["label"], np.int64),
        )
        return FaceTable(
            table,
            found,
            np.array(face["row"], np.int64),
            np.array(face["frame"], np.int64),
            np.array(face["box"], np.float32).reshape(n, 4),
            np.array(face["chances"], np.float32).reshape(n, len(self.labels)),
            np.array(face["usable"], bool),
            np.array(self.times, np.float64),
            self.size,
            self._end(table),
        )

    def _end(self, table: FrameTable) -> float:
        """As the metadata have it, else a step behind the last frame."""
        end = (table.metadata.get("counts") or {}).get("end")
        step = self.times[-1] - self.times[-2] if len(self.times) > 1 else 0.0
        return float(end) if isinstance(end, int | float) else self.times[-1] + step


def _set(row: dict[str, Any], found: Found, now: Reviewed, i: int) -> list[str]:
    """Put what a person has set of face ``i`` into its row; the words of the column ``corrected``."""
    words = []
    if now.by_hand[i]:
        label = found.labels[int(now.label[i])]
        row |= {"label": label, "confidence": row[label_column(label)], "uncertain": False, "prediction_set": label}
        words.append("label")
    if now.person[i] != found.person[i]:
        row["track"] = int(now.person[i])
        words.append("person")
    if now.excluded[i]:
        row |= {"usable": False, "problems": "; ".join(filter(None, (row["problems"], "excluded in review")))}
        words.append("excluded")
    return words


def _same(found: Found, now: Reviewed) -> bool:
    return bool((now.person == found.person).all() and not now.by_hand.any() and not now.excluded.any())


def _start(event: Event) -> float:
    return event.start


def _write_csv(path: Path, names: Sequence[str], rows: Sequence[Mapping[str, Any]], *, bom: bool) -> None:
    def write(p: Path) -> None:
        with CsvFile(p, names, bom=bom) as file:
            file.write(rows)

    replace_file(path, write)


class _Chances(Mapping[str, float]):
    """A row of probabilities by label, without a dictionary for each."""

    def __init__(self, labels: Sequence[str], values: NDArray[np.float32]) -> None:
        self._labels, self._values = labels, values

    def __getitem__(self, label: str) -> float:
        return float(self._values[self._labels.index(label)])

    def __iter__(self) -> Iterator[str]:
        return iter(self._labels)

    def __len__(self) -> int:
        return len(self._labels)
