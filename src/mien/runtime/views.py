"""Views of a photo that a detector looks at, shrunk, cut out and turned; and the way of what it finds there back.

Leaves out: which views to look at (``search``, ``upright``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from mien.faces import Detection
from mien.preprocessing import extent

__all__ = [
    "Looker",
    "Pixels",
    "merged",
    "placed",
    "quarter_back",
    "quarter_turned",
    "shrunk",
    "steady",
    "sure",
    "turned_view",
]

Pixels = NDArray[np.uint8]


class Looker(Protocol):
    """One pass of a network.

    threshold  lowest score of a face, 0..1
    """

    threshold: float

    def look(self, image: Pixels, ratio: float) -> list[Detection]:
        """The faces of a picture of which ``ratio`` times as many pixels a side are looked at, also weak ones."""


def placed(found: Detection, matrix: ArrayLike, turn: float = 0.0) -> Detection:
    """A face that was found in a view of the photo, in pixels of the photo.

    matrix  affine ``(2, 3)``, view -> photo, both measured from edge to edge: scale, turn and shift
    turn    degrees clockwise that the view's upright has in the photo
    """
    m = np.asarray(matrix, np.float64)
    across, down = float(np.hypot(*m[:, 0])), float(np.hypot(*m[:, 1]))
    left, top, right, bottom = found.box
    x, y = m[:, :2] @ ((left + right) / 2, (top + bottom) / 2) + m[:, 2]
    wide, high = (v / 2 for v in extent(across * (right - left), down * (bottom - top), turn))
    points = found.landmarks
    moved = None if points is None else (points @ m[:, :2].T + m[:, 2]).astype(np.float32)
    box = (float(x - wide), float(y - high), float(x + wide), float(y + high))
    return replace(found, box=box, landmarks=moved)


def merged(found: Sequence[Detection], overlap: float = 0.3) -> list[Detection]:
    """Each face once, the surest first: of two boxes whose IoU is above ``overlap``, the surer one stays."""
    if len(found) < 2:
        return list(found)
    boxes = np.array([d.box for d in found], np.float64)
    boxes[:, 2:] -= boxes[:, :2]
    kept = cv2.dnn.NMSBoxes(boxes.tolist(), [d.score for d in found], 0.0, overlap)
    return [found[int(i)] for i in np.asarray(kept).ravel()]


def steady(found: Detection) -> Detection:
    """The face with its box to a quarter of a pixel and its turn to half a degree.

    No detector is that exact, and processors sum in different orders: a box that is off by a thousandth of a pixel
    gives a crop that is off by a grey value here and there, of which an int8 network can make several per cent.
    """
    left, top, right, bottom = (round(4 * v) / 4 for v in found.box)
    return replace(found, box=(left, top, right, bottom), turn=round(2 * found.turn) / 2)


def sure(looker: Looker, found: Sequence[Detection]) -> list[Detection]:
    """What is a face and not only a candidate."""
    return [d for d in found if d.score > looker.threshold]


def shrunk(image: Pixels, ratio: float) -> tuple[Pixels, NDArray[np.float64]]:
    """The picture at ``ratio`` of its size, where that is below 1, and the affine back: copies of large ones cost."""
    height, width = image.shape[:2]
    columns, rows = max(1, round(width * min(1.0, ratio))), max(1, round(height * min(1.0, ratio)))
    small = image if ratio >= 1 else cv2.resize(image, (columns, rows), interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.uint8), np.array([[width / columns, 0, 0], [0, height / rows, 0]])


def quarter_turned(image: Pixels, quarters: int) -> Pixels:
    """The picture turned anti-clockwise."""
    return np.ascontiguousarray(np.rot90(image, quarters))


def quarter_back(quarters: int, width: int, height: int) -> NDArray[np.float64]:
    """The affine from a picture that was turned anti-clockwise by quarters to the picture, ``width`` x ``height``."""
    back = {1: [[0, -1, width], [1, 0, 0]], 2: [[-1, 0, width], [0, -1, height]], 3: [[0, 1, 0], [-1, 0, height]]}
    return np.array(back[quarters], np.float64)


def turned_view(
    image: Pixels, centre: tuple[float, float], side: float, turn: float, pixels: int
) -> tuple[Pixels, NDArray[np.float64]]:
    """A square of the photo, turned by ``turn``, upright; and the affine view -> photo, ``(2, 3)``.

    centre  x, y in the photo, inside of it
    side    of the square in pixels of the photo, and ``pixels`` that of the view
    """
    # only what the square can reach is sampled: photos are large, faces are not
    reach = side * 0.75 + 2
    x0, y0 = (max(0, int(c - reach)) for c in centre)
    part = image[y0 : int(centre[1] + reach) + 1, x0 : int(centre[0] + reach) + 1]
    k = side / pixels
    cos, sin = np.cos(np.radians(turn)), np.sin(np.radians(turn))
    linear = k * np.array([[cos, -sin], [sin, cos]])
    matrix = np.column_stack([linear, np.array(centre) - linear @ (pixels / 2, pixels / 2)])
    shape = part.shape[:2]
    if k > 1:  # warpAffine samples four pixels only
        part = cv2.resize(part, None, fx=1 / k, fy=1 / k, interpolation=cv2.INTER_AREA)
    scale = np.array([part.shape[1] / shape[1], part.shape[0] / shape[0]])
    there = np.column_stack([linear, matrix[:, 2] - (x0, y0)]) * scale[:, None]
    there[:, 2] += there[:, :2] @ (0.5, 0.5) - 0.5  # it speaks of pixel centres
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    view = cv2.warpAffine(part, there, (pixels, pixels), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(view, np.uint8), matrix
