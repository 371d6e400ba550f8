"""Heads that are tilted: by how much, and a look at each that stands it upright.

A detector's landmarks tell a head's tilt well up to some 60 degrees, poorly beyond, and not at all where a face upside
down was taken for one that stands. So a tilted face is looked at again, in a small view that turns it upright; a face
that may lie on its side or on its head, in several, of which the surest counts; and where no face is found, the best
hint at one, in all directions. ``bench/runtime/tilt.py`` measures the limits and what is found. Leaves out: when a
picture is worth that (``search``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from mien.faces import Detection
from mien.preprocessing import extent
from mien.runtime.views import Looker, merged, placed, steady, turned_view

__all__ = ["TURNED_FROM", "found_turned", "tilt", "turned_by_landmarks", "turned_upright"]

#: Degrees of tilt from which a crop is turned; below, turning by what the landmarks say gains nothing.
TURNED_FROM = 27.0

_TRUSTED = 75.0  # degrees up to which landmarks tell the tilt
_SURE = 0.7  # where no face of a picture has such a score, they may stand on their heads
_SURER, _TRIED = 0.1, 8  # one does if it is surer by so much when turned; and how many are tried
_REST = 15.0  # degrees off upright at which a face in its view is looked at once more
_VIEW, _AROUND = 128, 2.0  # pixels of the view, and its side in sides of the face
_DIRECTIONS, _HINTED, _FINE = range(0, 360, 45), 0.05, 256  # around a hint, the lowest score there, and a last view

# A face's landmarks seen from the front, in units of the distance between the eyes; see ``quality``.
_FACE = np.array([[-0.5, 0.0], [0.5, 0.0], [0.0, 0.55], [-0.4, 0.98], [0.4, 0.98]])
_FACE = _FACE - _FACE.mean(axis=0)


def tilt(landmarks: NDArray[np.float32]) -> float:
    """Degrees clockwise, -180..180, by which five landmarks ``(5, 2)`` are turned in the picture's plane.

    By least squares over all five (Umeyama 1991); the line through the eyes alone is off more where the head is turned.
    """
    points = landmarks - landmarks.mean(axis=0, dtype=np.float64)
    across = (_FACE[:, 0] * points[:, 1] - _FACE[:, 1] * points[:, 0]).sum()
    return float(np.degrees(np.arctan2(across, (_FACE * points).sum())))


def turned_by_landmarks(found: Detection) -> Detection:
    """``found`` with the turn that its landmarks tell, for detectors that are not asked again."""
    if found.landmarks is None or found.turn or not np.isfinite(found.landmarks).all():
        return found
    turn = tilt(found.landmarks)
    return replace(found, turn=turn) if TURNED_FROM < abs(turn) <= _TRUSTED else found


def turned_upright(looker: Looker, image: NDArray[np.uint8], found: Sequence[Detection]) -> list[Detection]:
    """Faces with their ``turn``, and box and landmarks as they are found where each stands upright.

    A face that is tilted little is left as it is. Where none is sure, some may stand on their heads: they are tried.
    Boxes and turns are ``steady``.
    """
    doubtful = not any(d.score >= _SURE for d in found)
    out = [_upright(looker, image, d, doubtful and i < _TRIED) for i, d in enumerate(found)]
    return [steady(d) for d in (merged(out) if any(d.turn for d in out) else out)]


def found_turned(looker: Looker, image: NDArray[np.uint8], hints: Sequence[Detection]) -> list[Detection]:
    """The faces at weak ``hints``, the best first, in views turned by eighths: from small ones to a large one.

    Ends where a hint is none, so that a picture without a face costs one: nine views, as many pixels as one look.
    """
    height, width = image.shape[:2]
    inside = [d for d in hints if 0 < d.box[0] + d.box[2] < 2 * width and 0 < d.box[1] + d.box[3] < 2 * height]
    found = list[Detection]()
    for hint in merged(inside)[:_TRIED]:
        face = _in_any_direction(looker, image, hint)
        if face is None:
            break
        found.append(face)
    return merged(found)


def _in_any_direction(looker: Looker, image: NDArray[np.uint8], hint: Detection) -> Detection | None:
    seen = [d for turn in _DIRECTIONS if (d := _look_upright(looker, image, hint, _normal(turn), least=_HINTED))]
    if not seen:
        return None
    best = max(seen, key=lambda d: d.score)
    best = _look_upright(looker, image, best, best.turn, pixels=_FINE) or best
    return _told(best) if best.score > looker.threshold else None


def _told(found: Detection) -> Detection:
    """``found`` without a turn that is too small for turning its crop."""
    return found if abs(found.turn) > TURNED_FROM else replace(found, turn=0.0)


def _upright(looker: Looker, image: NDArray[np.uint8], found: Detection, doubtful: bool) -> Detection:
    if found.landmarks is None or found.turn:
        return found
    own, least = tilt(found.landmarks), 0.0
    if abs(own) > TURNED_FROM:
        tries = [_normal(own + step) for step in ((0, 90, 180, 270) if abs(own) > _TRUSTED else (0, 180))]
    elif doubtful:
        tries, least = [180.0], found.score + _SURER
    else:
        return found
    seen = [d for turn in tries if (d := _look_upright(looker, image, found, turn)) and d.score >= least]
    if not seen:
        return turned_by_landmarks(found)
    best = max(seen, key=lambda d: d.score)
    if all(abs(_normal(best.turn - turn)) > _REST for turn in tries):
        best = _look_upright(looker, image, best, best.turn) or best  # it was far from upright in its view
    return _told(best)


def _look_upright(
    looker: Looker,
    image: NDArray[np.uint8],
    found: Detection,
    turn: float,
    pixels: int = _VIEW,
    least: float | None = None,
) -> Detection | None:
    """The face at ``found`` in a view turned by ``turn``, with the turn that its landmarks there tell.

    least  lowest score of what counts; None: that of a face
    """
    left, top, right, bottom = found.box
    side = _AROUND * float(np.sqrt(np.prod(extent(right - left, bottom - top, turn))))
    view, matrix = turned_view(image, ((left + right) / 2, (top + bottom) / 2), side, turn, pixels)
    lowest = looker.threshold if least is None else least
    best = max(
        (d for d in looker.look(view, 1.0) if d.score > lowest and _near(d, pixels / 2)),
        key=lambda d: d.score,
        default=None,
    )
    if best is None or best.landmarks is None:
        return None
    rest = tilt(best.landmarks)
    if abs(rest) > _TRUSTED:
        return None
    return replace(placed(best, matrix, turn), turn=_normal(turn + rest))


def _near(found: Detection, middle: float) -> bool:
    """Whether the middle of the view lies in the face."""
    left, top, right, bottom = found.box
    return left < middle < right and top < middle < bottom


def _normal(turn: float) -> float:
    """The same turn over -180 up to 180."""
    return 180.0 - (180.0 - turn) % 360.0
