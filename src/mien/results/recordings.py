"""The tables of several recordings: all frames, all segments, and a row for each recording.

They are made of the recordings' own tables when all are there, row by row, so that memory does not grow.
Leaves out: the tables of one recording (``recorder``), and the runs (``cli.video_folder``).
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from mien.errors import ConfigError
from mien.files import replace_file
from mien.results.cells import csv_line
from mien.results.forms import Form, form_of
from mien.results.provenance import Provenance
from mien.results.reading import read_entries, read_metadata
from mien.results.recorder import SEGMENT_COLUMNS
from mien.results.writers import TableFile

__all__ = ["RECORDING_COLUMNS", "RESERVED", "Recording", "kept_counts", "write_all"]

#: The columns of ``recordings.csv``.
RECORDING_COLUMNS = (
    *("source", "name", "outcome", "error", "frames", "missing", "without_face", "unusable", "faces", "tracks"),
    *("segments", "first", "last", "end", "table", "model", "run", "settings"),
)

_TOGETHER = 1000  # rows that are written at a time

#: Names, in small letters, that are no recording's.
RESERVED = frozenset(("all", "all-segments", "all-relative-segments", "recordings"))


@dataclass(frozen=True)
class Recording:
    """What came of one recording.

    source   its path as it was given
    name     of its results
    outcome  ``done``, ``damaged`` (frames are missing), ``unreadable``, or ``stopped`` before its end
    error    why it is not ``done``
    counts   see ``VideoRecorder.counts``
    kept     whether an earlier run did it
    notes    what was told meanwhile
    """

    source: str
    name: str
    outcome: str
    error: str = ""
    counts: Mapping[str, Any] = field(default_factory=dict)
    kept: bool = False
    notes: Sequence[str] = ()

    @property
    def has_table(self) -> bool:
        """Whether its table is whole."""
        return self.outcome in ("done", "damaged")


def kept_counts(path: Path, provenance: Provenance, video: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The counts of a recording whose table ``path`` an earlier run has ended; None where it must be done again.

    video  what ``about_video`` says of it now

    ConfigError where the table is of another recording, or other settings decided its answers.
    """
    form = form_of(path, provenance, video=True)
    try:
        metadata = read_metadata(path, grown=form.growing(path) == path) if path.exists() else None
    except (OSError, ValueError):
        metadata = None
    if metadata is None or metadata.get("complete") is not True:
        return None
    was = metadata.get("video") or {}
    same = was.get("sha256") == video.get("sha256")
    if not same and was.get("source") != video.get("source"):
        raise ConfigError(
            f"{path} is of {was.get('source')}, not {video.get('source')}: choose another folder, or --force"
        )
    if differences := provenance.differences(metadata):
        words = ", and with ".join(differences)
        raise ConfigError(f"{path}: cannot be resumed: it was written with {words}; choose another folder, or --force")
    return dict(metadata.get("counts") or {}) if same else None


def write_all(
    folder: Path, suffix: str, recordings: Sequence[Recording], provenance: Provenance, *, excel: bool, complete: bool
) -> list[Path]:
    """Write ``all`` with ``suffix``, ``all-segments.csv`` and ``recordings.csv`` anew; their paths.

    With a baseline among the settings there are relative columns, and ``all-relative-segments.csv``.
    """
    settings = json.dumps(dict(provenance.settings))
    table = folder / f"all{suffix}"
    baseline = bool(provenance.settings.get("baseline"))
    own = form_of(table, provenance, video=True, excel=excel, baseline=baseline)
    form = Form(suffix, {"source": str, "person": str, **own.kinds, "settings": str}, own.same, own.bom)
    about = {"run": provenance.run, **provenance.to_dict(), "recordings": [r.source for r in recordings]}
    whole = TableFile(table, form, about)
    try:
        for recording in recordings:
            frames = ({**row, "settings": settings} for row in _frames(folder, recording, own))
            while some := list(islice(frames, _TOGETHER)):
                whole.add_rows(some)
    finally:
        whole.close(complete, {"counts": dict(_outcomes(recordings))})
    kinds = ["segments", *(["relative-segments"] if baseline else [])]
    segments, each = [folder / f"all-{kind}.csv" for kind in kinds], folder / "recordings.csv"
    columns = ("source", "person", *SEGMENT_COLUMNS)
    for kind, path in zip(kinds, segments, strict=True):
        rows = _segments(folder, recordings, kind)
        replace_file(path, partial(_write_csv, columns=columns, rows=rows, excel=excel))
    same = {**own.same, "settings": settings}
    told = [
        {**r.counts, **same, "source": r.source, "name": r.name, "outcome": r.outcome, "error": r.error or None}
        | {"table": f"{r.name}{suffix}" if r.has_table else None}
        for r in recordings
    ]
    replace_file(each, lambda p: _write_csv(p, RECORDING_COLUMNS, told, excel))
    return [table, *segments, each]


def _outcomes(recordings: Sequence[Recording]) -> Iterator[tuple[str, int]]:
    for outcome in ("done", "damaged", "unreadable", "stopped"):
        yield outcome, sum(r.outcome == outcome for r in recordings)


def _frames(folder: Path, recording: Recording, form: Form) -> Iterator[dict[str, Any]]:
    """The rows of a recording, or the one that says why there are none."""
    if not recording.has_table:
        yield {"source": recording.source, "face": 0, "outcome": "unreadable", "error": recording.error}
        return
    path = folder / f"{recording.name}{form.suffix}"
    for row in read_entries(path, form, grown=form.growing(path) == path):
        yield {"source": recording.source, "person": _person(recording, row.get("track")), **row}


def _segments(folder: Path, recordings: Sequence[Recording], kind: str) -> Iterator[dict[str, Any]]:
    for recording in recordings:
        if recording.has_table:
            with (folder / f"{recording.name}-{kind}.csv").open(encoding="utf-8-sig", newline="") as file:
                for row in csv.DictReader(file):
                    yield {"source": recording.source, "person": _person(recording, row["track"]), **row}


def _person(recording: Recording, track: Any) -> str | None:
    """Somebody in one recording only: nobody is recognised."""
    return None if track in (None, "") else f"{recording.name}/{track}"


def _write_csv(path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, Any]], excel: bool) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        file.write("\ufeff" * excel + csv_line(columns))
        for row in rows:
            file.write(csv_line(row.get(name) for name in columns))
