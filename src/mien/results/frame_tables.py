"""Opening the table of a video to write it again, corrected: its columns must be those that are written.

Leaves out: what is done with the rows (``mien.study.reviewed``), and tables that are only read, whose other columns do
not matter (``mien.study.frames``).
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mien.errors import DataError
from mien.results.forms import Form
from mien.results.reading import column_names, has_bom, read_entries, read_metadata
from mien.results.schema import columns, labels_in

__all__ = ["FrameTable", "open_frames"]

_SUFFIXES = (".csv", ".jsonl", ".parquet")


@dataclass(frozen=True)
class FrameTable:
    """A table of ``mien video``.

    form      how it lies in its file
    labels    of the model
    metadata  what is known of it; empty where the file beside it is lost
    """

    path: Path
    form: Form
    labels: tuple[str, ...]
    metadata: Mapping[str, Any] = field(default_factory=dict)

    def rows(self) -> Iterator[dict[str, Any]]:
        """All rows in their order; DataError with what is wrong."""
        try:
            yield from read_entries(self.path, self.form, grown=self.form.suffix != ".parquet")
        except ValueError as error:
            raise DataError(str(error), str(self.path)) from error


def open_frames(path: Path) -> FrameTable:
    """The table at ``path``, .csv, .jsonl or .parquet; DataError where it is none of ``mien video``."""
    suffix = path.suffix.lower()
    if suffix not in _SUFFIXES:
        raise DataError(f"a table of frames ends in {', '.join(_SUFFIXES)}", str(path))
    if not path.is_file():
        raise DataError("no such file", str(path))
    try:
        names = column_names(path)
    except (ValueError, TypeError, OSError, csv.Error) as error:
        raise DataError(f"no table of mien video ({error})", str(path)) from error
    if not {"time", "frame", "track", "confidence", "uncertain"} <= set(names):
        raise DataError("no table of mien video: it lacks its columns", str(path))
    labels = labels_in(names)
    asked = {"baseline": "relative_label" in names, "markers": "marker" in names, "review": "corrected" in names}
    kinds = columns(labels, video=True, file=True, **asked)
    if list(kinds) != names:
        lacking = [n for n in kinds if n not in names] or [n for n in names if n not in kinds]
        raise DataError(f"its columns are not those of this mien ({lacking[0]}): make it anew", str(path))
    form = Form(suffix, kinds, {}, suffix == ".csv" and has_bom(path))
    return FrameTable(path, form, labels, read_metadata(path) or {})
