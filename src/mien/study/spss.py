"""Coded recordings for SPSS: a .sav of segments and gaps, a row each, written by pyreadstat.

Leaves out: the table of frames, which pandas and R read as CSV or Parquet; the other formats (``exports``).
"""

from __future__ import annotations

import os
from pathlib import Path

from mien.errors import need
from mien.study.spans import CodedRecording, plain

__all__ = ["COLUMNS", "write_sav"]

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

_LONGEST = 32_000  # bytes of text, somewhat below what the format holds


def write_sav(path: Path, coded: CodedRecording) -> None:
    """Write ``path``; what has no value is a missing value, never 0."""
    frame_of = need("pandas", "study").DataFrame
    base = {"source": _text(coded.source), "model": coded.model, "run": str(coded.metadata.get("run", ""))}
    rows = [
        {
            **base,
            "person": span.person,
            "kind": "gap" if span.gap else "segment",
            "label": _text(span.label),
            "onset": round(span.start, 3),
            "offset": round(span.end, 3),
            "duration": round(span.end - span.start, 3),
            "mean_probability": span.probability,
            "frames": span.frames,
        }
        for span in coded.spans
    ]
    numbers = ("onset", "offset", "duration", "mean_probability", "frames")
    table = frame_of(rows, columns=list(COLUMNS)).astype(dict.fromkeys(numbers, "float64"))
    need("pyreadstat", "study").write_sav(
        table,
        os.fspath(path),
        file_label=f"mien: {coded.name}"[:60],
        column_labels=list(COLUMNS.values()),
        variable_measure={name: "scale" if name in numbers else "nominal" for name in COLUMNS},
        variable_format={"frames": "F8.0", "onset": "F10.3", "offset": "F10.3", "duration": "F10.3"},
    )


def _text(text: str) -> str:
    return plain(text).encode()[:_LONGEST].decode(errors="ignore")
