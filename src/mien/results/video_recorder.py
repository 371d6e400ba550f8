"""What ``mien video`` keeps of a video while it runs: the table, the segments, the timeline, and the sums.

Leaves out: flags and the screen (``video``).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from mien.faces import Face
from mien.results.video_table import TableWriter
from mien.spec import ModelSpec
from mien.video import Segment, SegmentFinder, Timeline, TrackedFrame

__all__ = ["SEGMENT_COLUMNS", "VideoRecorder", "columns", "rows"]

SEGMENT_COLUMNS: dict[str, type] = {
    "track": int,
    "label": str,
    "start": float,
    "end": float,
    "mean_probability": float,
    "frames": int,
}
_KEPT = 1000  # segments for the screen; the file has all


class VideoRecorder:
    """Context manager: takes frames, writes the table and the segments beside it as they come.

    out   the table, or None for none; the segments go into ``NAME-segments.csv``
    hold  see :class:`~mien.video.SegmentFinder`
    """

    def __init__(self, spec: ModelSpec, out: Path | None = None, hold: float = 0.4) -> None:
        self.spec, self.timeline = spec, Timeline()
        self.segments: list[Segment] = []
        self.frames = self.without = self.unusable = self.faces = self.broken = self.missing = self.tracks = 0
        self.count = 0  # of segments
        self.first: float | None = None
        self.last = 0.0
        self._book = SegmentFinder(hold)
        self._table = TableWriter(out, columns(spec)) if out else None
        self.segment_path = out.with_name(f"{out.stem}-segments.csv") if out else None
        self._segment_table = TableWriter(self.segment_path, SEGMENT_COLUMNS) if self.segment_path else None

    def add(self, seen: TrackedFrame) -> None:
        """One frame: its rows are in the file when this returns."""
        photo, time = seen.photo, seen.frame.time
        self.first = time if self.first is None else self.first
        self.last = max(self.last, time)
        if photo.error:
            self.broken += 1
            self.missing += max(1, seen.frame.missing)
        else:
            self.frames += 1
            self.without += photo.outcome == "no face"
            self.unusable += photo.outcome == "unusable"
            self.faces += len(photo)
        if self._table is not None:
            self._table.write(rows(seen, self.spec))
        for face in photo:
            self._follow(face, time)
        self._take(self._book.tick(time))

    def _follow(self, face: Face, time: float) -> None:
        if face.track is None:
            return
        self.tracks = max(self.tracks, face.track)  # they are numbered from 1
        self.timeline.add(face.track, time, face.probabilities)
        if face.usable:
            self._take(self._book.add(face.track, time, face.label, face.probabilities))

    def _take(self, segments: list[Segment]) -> None:
        for segment in segments:
            self.count += 1
            self.timeline.add_segment(segment)
            if len(self.segments) < _KEPT:
                self.segments.append(segment)
        if segments and self._segment_table is not None:
            self._segment_table.write([e.to_dict() for e in segments])

    def close(self) -> None:
        """End the open segments and close the files."""
        try:
            self._take(self._book.close())
        finally:
            if self._table is not None:
                self._table.close()
            if self._segment_table is not None:
                self._segment_table.close()

    def __enter__(self) -> VideoRecorder:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()


def columns(spec: ModelSpec) -> dict[str, type]:
    """Columns of the table and the types of their values."""
    first: dict[str, type] = {
        "time": float,
        "frame": int,
        "outcome": str,
        "track": int,
        "label": str,
        "confidence": float,
        "uncertain": bool,
        "prediction_set": str,
        "raw_label": str,
        "raw_confidence": float,
    }
    last: dict[str, type] = {
        **dict.fromkeys(("left", "top", "right", "bottom", "score"), float),
        "usable": bool,
        "problems": str,
        "error": str,
    }
    return {**first, **{_name(label, {*first, *last}): float for label in spec.labels}, **last}


def rows(seen: TrackedFrame, spec: ModelSpec) -> list[dict[str, Any]]:
    """One row a face; one with empty cells for a frame without a face or one that is broken."""
    names = columns(spec)
    outcome = {True: "face", False: "unusable"}
    base: dict[str, Any] = {**dict.fromkeys(names), "time": round(seen.frame.time, 4), "frame": seen.frame.number}
    if not len(seen.photo):
        return [{**base, "outcome": seen.photo.outcome, "error": seen.photo.error or None}]
    pairs = zip(seen.photo, seen.raw, strict=True)
    return [{**base, "outcome": outcome[face.usable], **_face(face, raw, spec, names)} for face, raw in pairs]


def _face(face: Face, raw: Face, spec: ModelSpec, names: Mapping[str, type]) -> dict[str, Any]:
    fixed = set(names) - set(spec.labels)
    places = dict(zip(("left", "top", "right", "bottom"), (round(v, 2) for v in face.box), strict=True))
    return {
        "track": face.track,
        "label": face.label,
        "confidence": round(face.confidence, 6),
        "uncertain": face.uncertain,
        "prediction_set": " ".join(face.prediction_set),
        "raw_label": raw.label,
        "raw_confidence": round(raw.confidence, 6),
        **{_name(label, fixed): round(p, 6) for label, p in face.probabilities.items()},
        **places,
        "score": round(face.score, 4),
        "usable": face.usable,
        "problems": "; ".join(face.quality.problems) if face.quality and face.quality.problems else None,
    }


def _name(label: str, taken: set[str]) -> str:
    """The column of a label's probability; a label that is called like another column is marked."""
    return f"p_{label}" if label in taken else label
