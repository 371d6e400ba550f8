"""A video's table once more, when all of the film is known, with what each face says relative to the person's rest.

Leaves out: the arithmetic (``mien.video.baseline``).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from mien.files import replace_file
from mien.results.forms import Form
from mien.results.reading import read_entries
from mien.results.schema import label_column
from mien.results.writers import CsvFile, TableFile
from mien.video import Rests, Segment, SegmentFinder

__all__ = ["add_relative"]


def add_relative(table: TableFile, rests: Rests, finder: SegmentFinder, segments: CsvFile, end: float) -> None:
    """Fill the relative columns of a table that has grown to its end, and write the segments of the relative labels.

    end  of the video, seconds

    The table is read and written row by row, and stays as it was until the new one is whole.
    """
    table.end_growing()
    form = table.form
    entries = read_entries(table.growing, form, grown=True)

    def write(path: Any) -> None:
        with open(path, "w", encoding="utf-8", newline="") as out:
            out.write(form.head())
            for entry in entries:
                faces = list(_faces(entry, form, rests))
                out.write(form.text([entry]))
                segments.write([s.to_dict() for s in _segments(entry, faces, finder)])
        segments.write([s.to_dict() for s in finder.close(end)])

    replace_file(table.growing, write)


def _faces(entry: dict[str, Any], form: Form, rests: Rests) -> Iterator[tuple[int, dict[str, float]]]:
    """Fill an entry; the track and the relative probabilities of those who have them and are usable."""
    nested = form.suffix == ".json"
    for face in entry.get("faces", ()) if nested else [entry]:
        track = face.get("track")
        if track is None:
            continue
        said = face["probabilities"] if nested else {name: face[label_column(name)] for name in rests.labels}
        found = rests.relative(track, [said[name] for name in rests.labels])
        if found is None:
            continue
        label = max(found, key=found.__getitem__)
        told = {name: round(p, 6) for name, p in found.items()}
        if nested:
            face["relative"] = {"label": label, "confidence": told[label], "probabilities": told}
        else:
            face |= {"relative_label": label, "relative_confidence": told[label]}
            face |= {f"relative_{label_column(name)}": p for name, p in told.items()}
        if face["usable"]:
            yield track, found


def _segments(
    entry: Mapping[str, Any], faces: Iterable[tuple[int, dict[str, float]]], finder: SegmentFinder
) -> list[Segment]:
    time = entry.get("time")
    if time is None:
        return []
    ended = [s for track, p in faces for s in finder.add(track, time, max(p, key=p.__getitem__), p)]
    return ended + finder.tick(time)
