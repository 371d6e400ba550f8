"""Tables for SPSS, PSPP and jamovi, written by pyreadstat; of coded recordings those of segments and gaps, a row each.

Leaves out: the table of frames, which pandas and R read as CSV or Parquet; the other formats (``exports``).
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mien.errors import need
from mien.files import replace_file
from mien.study.spans import CodedRecording, plain

__all__ = ["COLUMNS", "join_savs", "write_rows", "write_sav"]

#: name -> label of the variable.
COLUMNS = {
    "source": "the video",
    "person": "face that was followed; empty: of the whole recording",
    "kind": "segment, or gap: nothing, or not much, can be said",
    "label": "expression, or kind of the gap",
    "onset": "first frame's begin, seconds from the video's start",
    "offset": "last frame's end, seconds from the video's start",
    "duration": "seconds from onset to offset",
    "mean_probability": "mean of the expression's probability, 0..1; missing for a gap",
    "frames": "number of frames",
    "model": "the network that was asked",
    "run": "stands for model, detector, settings and versions",
}

_NUMBERS = ("onset", "offset", "duration", "mean_probability", "frames")
_FORMATS = {"frames": "F8.0", "onset": "F10.3", "offset": "F10.3", "duration": "F10.3"}
_LONGEST = 32_000  # bytes of text, somewhat below what the format holds
_NAME = 60  # characters of a variable's name; 64 bytes are allowed


def write_sav(path: Path, coded: CodedRecording) -> None:
    """Write ``path``; what has no value is a missing value, never 0."""
    base = {"source": coded.source, "model": coded.model, "run": str(coded.metadata.get("run", ""))}
    rows = [
        {
            **base,
            "person": span.person,
            "kind": "gap" if span.gap else "segment",
            "label": span.label,
            "onset": round(span.start, 3),
            "offset": round(span.end, 3),
            "duration": round(span.end - span.start, 3),
            "mean_probability": span.probability,
            "frames": span.frames,
        }
        for span in coded.spans
    ]
    write_rows(path, rows, COLUMNS, _NUMBERS, title=f"mien: {coded.name}", formats=_FORMATS)


def join_savs(path: Path, parts: Sequence[Path]) -> None:
    """Write the rows of several files of :func:`write_sav` into one, by way of a temporary file."""
    read = need("pyreadstat", "study").read_sav
    rows = [row for part in parts for row in read(os.fspath(part))[0].to_dict("records")]
    replace_file(path, lambda p: write_rows(p, rows, COLUMNS, _NUMBERS, title="mien: all", formats=_FORMATS))


def write_rows(
    path: Path,
    rows: Sequence[Mapping[str, Any]],
    columns: Mapping[str, str],
    numbers: Collection[str],
    *,
    title: str,
    formats: Mapping[str, str] | None = None,
) -> None:
    """Write rows as ``path``: ``columns`` with the label of each, of which ``numbers`` are scales, the others text.

    What has no value is a missing value, or empty text. Names become such that SPSS takes them.
    """
    frame_of = need("pandas", "study").DataFrame
    names = _names(columns)
    cells = [{names[c]: row.get(c) if c in numbers else _text(str(row.get(c) or "")) for c in columns} for row in rows]
    table = frame_of(cells, columns=list(names.values()))
    table = table.astype({n: "float64" if c in numbers else "object" for c, n in names.items()})
    need("pyreadstat", "study").write_sav(
        table,
        os.fspath(path),
        file_label=title[:60],
        column_labels=[label[:250] for label in columns.values()],
        variable_measure={n: "scale" if c in numbers else "nominal" for c, n in names.items()},
        variable_format={names[c]: form for c, form in (formats or {}).items()},
    )


def _names(columns: Iterable[str]) -> dict[str, str]:
    """Column -> a name of a variable: a letter, then letters, digits and ``_``, and each once in any case."""
    found, taken = dict[str, str](), set[str]()
    for column in columns:
        plain_name = re.sub(r"\W+", "_", column, flags=re.ASCII).strip("_") or "v"
        name = (plain_name if plain_name[0].isalpha() else f"v_{plain_name}")[:_NAME]
        number = 1
        while name.lower() in taken:
            number += 1
            name = f"{name[: _NAME - 4].rstrip('_')}_{number}"
        taken.add(name.lower())
        found[column] = name
    return found


def _text(text: str) -> str:
    return plain(text).encode()[:_LONGEST].decode(errors="ignore")
