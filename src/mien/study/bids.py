"""Coded recordings for BIDS: ``NAME_events.tsv`` with the required onset and duration first, and its ``.json``.

Follows BIDS 1.11, "Task events". Names of subjects and tasks are the user's: call the file as the data set needs it,
such as ``sub-01_task-talk_events.tsv``. Leaves out: the rest of a data set, and the other formats (``exports``).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from mien.files import write_text
from mien.results.cells import printable
from mien.study.spans import CodedRecording, plain
from mien.video.stretches import STRETCHES

__all__ = ["COLUMNS", "events_json", "write_events"]

#: The columns of the table.
COLUMNS = ("onset", "duration", "trial_type", "event_kind", "person", "mean_probability", "frames")

_NOTHING = "n/a"


def write_events(path: Path, coded: CodedRecording) -> None:
    """Write the table; :func:`events_json` says what lies beside it."""
    rows: list[tuple[str, ...]] = [COLUMNS]
    for span in coded.spans:
        times = (f"{span.start:.3f}", f"{max(0.0, span.end - span.start):.3f}")
        mean = _NOTHING if span.probability is None else f"{span.probability:.6f}"
        told = (span.label, "gap" if span.gap else "segment", span.person or _NOTHING, mean, str(span.frames))
        rows.append((*times, *map(plain, told)))
    path.write_text("".join("\t".join(row) + "\n" for row in rows), encoding="utf-8", newline="\n")


def events_json(path: Path, coded: CodedRecording) -> None:
    """Write what the columns mean beside the table ``path``, under its name with ``.json``, and where it comes from."""
    levels = {plain(label): f"{plain(label)} was the most probable expression" for label in coded.labels}
    told: dict[str, Any] = {
        "onset": {"Description": "when the first frame begins, from the video's start by its own clock", "Units": "s"},
        "duration": {"Description": "until the last frame ends", "Units": "s"},
        "trial_type": {"LongName": "Expression or gap", "Levels": levels | STRETCHES},
        "event_kind": {"Levels": {"segment": "an expression", "gap": "nothing, or not much, can be said"}},
        "person": {"Description": "face that was followed; n/a: of the whole recording"},
        "mean_probability": {"Description": "mean probability of the expression over the segment, 0 to 1"},
        "frames": {"Description": "number of frames"},
        # bids-validator wants an object under every key of a sidecar of events: no GeneratedBy, which is a list
        "mien": {"source": printable(coded.source), **coded.metadata},
    }
    write_text(path.with_suffix(".json"), json.dumps(told, indent=1, ensure_ascii=False) + "\n")
