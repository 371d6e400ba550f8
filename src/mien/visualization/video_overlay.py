"""Faces marked in the frames of a video: box, number of the track, label and probability.

Unlike ``overlay.mark_faces``, which looks for a free spot for every tag, a tag here keeps its place at its box, so that
nothing jumps from frame to frame. Leaves out: writing the video (``mien.video.writer``).
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.faces import Face
from mien.labels import colour
from mien.visualization.text import bgr, ink_on, text, text_width

__all__ = ["mark", "title"]


def mark(picture: NDArray[np.uint8], faces: Sequence[Face]) -> NDArray[np.uint8]:
    """A copy of ``picture``, uint8 ``(H, W, 3)`` BGR, with boxes and tags; a face that is not usable is grey."""
    out = picture.copy()
    height, width = out.shape[:2]
    letters = max(12, min(28, round(height / 30)))
    line = max(1, round(height / 300))
    for face in faces:
        left, top, right, bottom = (round(v) for v in face.box)
        ground = bgr(colour(face.label) if face.usable else "#777777")
        cv2.rectangle(out, (left, top), (right, bottom), (255, 255, 255), line + 2, cv2.LINE_AA)
        cv2.rectangle(out, (left, top), (right, bottom), ground, line, cv2.LINE_AA)
        words = title(face)
        wide, high = text_width(words, letters, bold=True) + letters, round(1.6 * letters)
        x = max(0, min(left - line, width - wide))
        y = top - high - line if top - high - line >= 0 else min(bottom + line, height - high)
        cv2.rectangle(out, (x, y), (x + wide, y + high), ground, -1)
        text(out, words, (x + letters // 2, y + round(1.17 * letters)), letters, ink_on(ground), bold=True)
    return out


def title(face: Face) -> str:
    """``2 happy 87 %``, with a question mark behind an uncertain expression, or ``2 not usable``."""
    number = "" if face.track is None else f"{face.track} "
    if not face.usable:
        return f"{number}not usable"
    return f"{number}{face.label}{'?' if face.uncertain else ''} {face.confidence:.0%}"
