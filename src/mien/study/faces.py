"""Faces whose label a person has set, cut out of the film into folders that training reads: ``LABEL/WHO/FRAME.png``.

Each is the grey crop that the network sees. Neighbouring frames show nearly the same, so only some a second are taken.
Leaves out: the table (``reviewed``).
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.errors import ConfigError, DataError
from mien.files import replace_file, safe_name
from mien.preprocessing import crop_face, shown
from mien.spec import ModelSpec
from mien.study.corrections import Reviewed
from mien.study.reviewed import FaceTable
from mien.video import read_frames

__all__ = ["A_SECOND", "write_faces"]

#: Faces of one person a second that are taken at most.
A_SECOND = 4.0


def write_faces(
    folder: Path,
    video: Path,
    table: FaceTable,
    now: Reviewed,
    spec: ModelSpec,
    *,
    a_second: float = A_SECOND,
    progress: Callable[[float], None] = lambda share: None,
) -> dict[str, int]:
    """Write the faces with labels set by hand, of those who are not excluded, and usable; label -> how many.

    folder    ``LABEL/WHO/FRAME.png`` in it are added or written anew, others stay; WHO is the film and the person, so
              that splits keep people apart
    a_second  faces of a person a second at most, by their times
    progress  gets the share of the film that is read, 0..1

    ConfigError where no label was set by hand; DataError where the film lacks a frame that the table has.
    """
    chosen = _chosen(table, now, a_second)
    if not chosen:
        raise ConfigError("no label has been set by hand, so there is nothing to train on")
    counts: dict[str, int] = {}
    turns = _turns(table)
    last = max(chosen)
    with closing(read_frames(video)) as frames:
        for frame in frames:
            for i in chosen.pop(frame.number, ()):
                if frame.pixels is None:
                    raise DataError(f"frame {frame.number} cannot be read, which the table has", str(video))
                label = table.found.labels[int(now.label[i])]
                crop = crop_face(frame.pixels, table.boxes[i].tolist(), spec, turns.get(int(table.rows[i]), 0.0))
                who = safe_name(video.stem, int(now.person[i]))
                _write(folder / label / who / f"{frame.number:07}.png", shown(crop))
                counts[label] = counts.get(label, 0) + 1
            progress(min(1.0, frame.number / max(1, last)))
            if not chosen:
                break
    if chosen:
        raise DataError(f"frame {min(chosen)} is not in the film, though the table has it", str(video))
    return counts


def _chosen(table: FaceTable, now: Reviewed, a_second: float) -> dict[int, list[int]]:
    """Frame -> faces to be taken from it, so that none of a person comes sooner than ``1 / a_second`` after another."""
    out: dict[int, list[int]] = {}
    newest: dict[tuple[int, int], float] = {}
    for i in np.flatnonzero(now.by_hand & ~now.excluded & table.usable).tolist():
        time, who = float(table.found.times[i]), (int(now.person[i]), int(now.label[i]))
        if time >= newest.get(who, -np.inf) + 1 / a_second - 1e-6:
            newest[who] = time
            out.setdefault(int(table.frames[i]), []).append(i)
    return out


def _turns(table: FaceTable) -> dict[int, float]:
    """Row -> degrees by which its crop was turned, of those that were."""
    return {i: row["turn"] for i, row in enumerate(table.source.rows()) if row.get("turn")}


def _write(path: Path, crop: NDArray[np.uint8]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    done, data = cv2.imencode(".png", shown(crop))
    assert done
    replace_file(path, lambda p: p.write_bytes(data.tobytes()))
