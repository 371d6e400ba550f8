"""What ``mien video`` keeps of a video while it runs: the table, the segments, the timeline, and the sums.

Leaves out: flags and the screen (``cli.video``).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from mien.faces import Face
from mien.files import sha256_of
from mien.results.cells import printable
from mien.results.forms import form_of
from mien.results.markers import Marker, MarkerJoin
from mien.results.provenance import Provenance, sidecar
from mien.results.relative import add_relative
from mien.results.resume import open_table
from mien.results.schema import Record
from mien.results.writers import CsvFile, TableFile
from mien.video import RULES, FrameEnds, Rests, Segment, SegmentFinder, Timeline, TrackedFrame

__all__ = ["SEGMENT_COLUMNS", "VideoRecorder", "about_video", "open_video_table"]

#: The columns of ``NAME-segments.csv``.
SEGMENT_COLUMNS = ("track", "label", "start", "end", "mean_probability", "frames")

_KEPT = 1000  # segments for the screen; the file has all


class VideoRecorder:
    """Context manager: takes frames, writes the table and the segments beside it as they come.

    table  where each frame goes, or None; closed here. The segments go into ``NAME-segments.csv`` beside it
    hold, max_gap   see :class:`~mien.video.SegmentFinder`
    on_segment  gets each segment as soon as it is over
    rests  adds to the table, at the end, what each face says relative to its person's rest, and their segments in
           ``NAME-relative-segments.csv``
    markers  go to the frames that were on show then; ``markers.left`` are those that no frame had
    """

    def __init__(
        self,
        table: TableFile | None = None,
        hold: float = 0.4,
        max_gap: float = RULES.max_gap,
        on_segment: Callable[[Segment], None] | None = None,
        rests: Rests | None = None,
        markers: Sequence[Marker] = (),
    ) -> None:
        self.timeline, self.segments = Timeline(), list[Segment]()
        self.frames = self.without = self.unusable = self.faces = self.broken = self.missing = self.tracks = 0
        self.count = 0  # of segments
        self.first: float | None = None
        self.last = 0.0
        self.stopped = False  # before the video's end, by the user
        self._ends, self.markers = FrameEnds(max_gap), MarkerJoin(markers)
        self._finder, self._table, self._on_segment = SegmentFinder(hold, max_gap), table, on_segment
        self.rests, self._relative = rests, SegmentFinder(hold, max_gap)
        self.segment_path = table.path.with_name(f"{table.path.stem}-segments.csv") if table else None
        bom = table is not None and table.form.bom
        self._segment_file = CsvFile(self.segment_path, SEGMENT_COLUMNS, bom=bom) if self.segment_path else None

    def add(self, seen: TrackedFrame) -> None:
        """One frame: its rows are in the file when this returns."""
        photo, time = seen.photo, seen.frame.time
        self.first = time if self.first is None else self.first
        self.last = max(self.last, time)
        self._ends.begin(time, seen.frame.duration)
        if photo.error:
            self.broken += 1
            self.missing += max(1, seen.frame.missing)
        else:
            self.frames += 1
            self.without += photo.outcome == "no face"
            self.unusable += photo.outcome == "unusable"
            self.faces += len(photo)
        if self._table is not None:
            marker = self.markers.at(time, self.end)
            self._table.add(Record(photo, seen.raw, seen.frame.number, marker=marker))
        for face in photo:
            self._follow(face, time)
        self._take(self._finder.tick(time))

    def _follow(self, face: Face, time: float) -> None:
        if face.track is None:
            return
        self.tracks = max(self.tracks, face.track)  # they are numbered from 1
        self.timeline.add(face.track, time, face.probabilities)
        if face.usable:
            self._take(self._finder.add(face.track, time, face.label, face.probabilities))
            if self.rests is not None:
                self.rests.add(face.track, time, face.probabilities)

    def _take(self, segments: list[Segment]) -> None:
        for segment in segments:
            self.count += 1
            self.timeline.add_segment(segment)
            if len(self.segments) < _KEPT:
                self.segments.append(segment)
            if self._on_segment is not None:
                self._on_segment(segment)
        if segments and self._segment_file is not None:
            self._segment_file.write([s.to_dict() for s in segments])

    def close(self, *, complete: bool = True) -> None:
        """End the open segments and close the files; ``complete`` where the video came to its end."""
        try:
            self._take(self._finder.close(self.end))
        finally:
            if self._segment_file is not None:
                self._segment_file.close()
            if self._table is not None:
                about = self._add_relative(self._table)
                self._table.close(complete and not self.stopped, {"counts": self.counts(), **about})

    @property
    def end(self) -> float:
        """Seconds at which the newest frame ends, as far as is known."""
        return self._ends.finish()

    def paths(self) -> list[Path]:
        """The files that it writes."""
        table = [] if self._table is None else [self._table.path, sidecar(self._table.path)]
        return table + ([self.segment_path] if self.segment_path else [])

    def counts(self) -> dict[str, Any]:
        """The sums, as the table's metadata have them; ``first`` and ``last`` are times of frames, ``end`` the end."""
        frames = {"frames": self.frames, "missing": self.missing, "without_face": self.without}
        faces = {"unusable": self.unusable, "faces": self.faces, "tracks": self.tracks, "segments": self.count}
        return {
            **frames,
            **faces,
            "first": round(self.first or 0.0, 4),
            "last": round(self.last, 4),
            "end": round(self.end, 4),
        }

    def _add_relative(self, table: TableFile) -> dict[str, Any]:
        """The metadata of it."""
        if self.rests is None:
            return {}
        path = table.path.with_name(f"{table.path.stem}-relative-segments.csv")
        with CsvFile(path, SEGMENT_COLUMNS, bom=table.form.bom) as segments:
            add_relative(table, self.rests, self._relative, segments, self.end)
        return {"baseline": self.rests.to_dict()}

    def __enter__(self) -> VideoRecorder:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close(complete=kind is None)


def open_video_table(
    path: Path,
    provenance: Provenance,
    about: Mapping[str, Any],
    *,
    excel: bool = False,
    force: bool = False,
    baseline: bool = False,
    markers: bool = False,
) -> TableFile:
    """The table of a video, with what :func:`about_video` says in its metadata.

    baseline  with columns relative to each person's rest
    markers   with the column of markers
    """
    form = form_of(path, provenance, video=True, excel=excel, baseline=baseline, markers=markers)
    return open_table(path, form, provenance, force=force, more={"video": dict(about)})[0]


def about_video(source: str) -> dict[str, Any]:
    """A video's name, with the size and SHA-256 of its file where it is one."""
    about: dict[str, Any] = {"source": printable(source)}
    if os.path.isfile(source):
        about |= {"bytes": os.path.getsize(source), "sha256": sha256_of(source)}
    return about
