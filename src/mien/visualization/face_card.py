"""The panel of one face: what the network saw, where it looked, what decided, and how sure it is of each expression.

Leaves out: the photo around it (``overlay``).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.explain import occlusion
from mien.faces import Face
from mien.labels import colour
from mien.preprocessing import crop_matrix
from mien.spec import ModelSpec
from mien.visualization.heatmap import overlay as heat_overlay
from mien.visualization.text import Colour, bgr, text, text_width

__all__ = [
    "AMBER",
    "GAP",
    "HEIGHT",
    "INK",
    "PAPER",
    "WIDTH",
    "face_panel",
    "face_title",
    "what_decided",
    "where_it_looked",
]

GAP = 20
PAPER: Colour = (250, 250, 250)
INK: Colour = (38, 34, 32)
_QUIET: Colour = (128, 122, 118)
_WARNING: Colour = (40, 40, 190)
_RAIL: Colour = (232, 230, 228)
AMBER: Colour = (46, 200, 255)  # amber: reads on light and on dark skin in a grey crop

_TILE = 168
_TITLE, _CAPTION = 40, 26
_NAME, _BAR, _VALUE = 84, 150, 58  # columns of the bars: expression, bar, per cent
WIDTH = 3 * (_TILE + GAP) + _NAME + _BAR + _VALUE
HEIGHT = _TITLE + _TILE + _CAPTION

Predict = Callable[[NDArray[np.uint8]], NDArray[np.floating]]


def face_title(number: int, face: Face) -> str:
    """``1  happy 87 %``, with a question mark behind an uncertain expression."""
    return f"{number}  {face.label}{'?' if face.uncertain else ''} {face.confidence:.0%}"


def face_panel(number: int, face: Face, spec: ModelSpec, predict: Predict | None) -> NDArray[np.uint8]:
    """One face as a picture uint8 ``(HEIGHT, WIDTH, 3)`` BGR; a tile that the model has no answer for stays out."""
    panel = np.full((HEIGHT, WIDTH, 3), PAPER, np.uint8)
    cv2.rectangle(panel, (0, 10), (7, 29), bgr(colour(face.label)), -1)
    title = face_title(number, face)
    text(panel, title, (18, 28), 20, INK, bold=True)
    left = 18 + text_width(title, 20, bold=True) + 16
    if not face.usable:
        assert face.quality is not None
        text(panel, f"cannot be used: {face.quality.problems[0]}", (left, 27), 14, _WARNING)
    elif face.uncertain:
        text(panel, _doubt(face.candidates[1:], WIDTH - left), (left, 27), 14, _QUIET)
    tiles = [("what it saw", _enlarged(face.crop))]
    if face.region is not None:
        tiles.append(("where it looked", where_it_looked(face, spec)))
    if predict is not None:
        tiles.append(("what decided", what_decided(face, predict)))
    for i, (caption, tile) in enumerate(tiles):
        left = i * (_TILE + GAP)
        panel[_TITLE : _TITLE + _TILE, left : left + _TILE] = tile
        text(panel, caption, (left, HEIGHT - 8), 14, _QUIET)
    _bars(panel, face, len(tiles) * (_TILE + GAP))
    return panel


def _doubt(others: Sequence[str], room: int) -> str:
    """``uncertain: or neutral, sad``; what does not fit into ``room`` pixels is counted."""
    for shown in range(len(others), 0, -1):
        more = f" and {len(others) - shown} more" if shown < len(others) else ""
        words = f"uncertain: or {', '.join(others[:shown])}{more}"
        if text_width(words, 14) <= room:
            return words
    return f"uncertain: {len(others)} more"


def _enlarged(crop: NDArray[np.uint8], side: int = _TILE) -> NDArray[np.uint8]:
    """The crop's own pixels, not smoothed away: this is all that the network had."""
    large = cv2.resize(crop, (side, side), interpolation=cv2.INTER_NEAREST)
    return np.asarray(cv2.cvtColor(large, cv2.COLOR_GRAY2BGR), np.uint8)


def where_it_looked(face: Face, spec: ModelSpec) -> NDArray[np.uint8]:
    """The crop, a little smaller, with the transformer's window: its outline, in it the attention; the rest is pale.

    uint8 ``(168, 168, 3)`` BGR; only for a face that has a ``region``.
    """
    assert face.region is not None
    edge = _TILE // 7  # the window may reach beyond the crop
    side = _TILE - 2 * edge
    tile = np.full((_TILE, _TILE, 3), _RAIL, np.uint8)
    tile[edge : edge + side, edge : edge + side] = _enlarged(face.crop, side)
    matrix = crop_matrix(face.box, spec)
    in_crop = (face.region - 0.5) @ matrix[:, :2].T + matrix[:, 2] + 0.5
    quad = np.round((in_crop / spec.size * side + edge - 0.5) * 16).astype(np.int32)
    if face.attention is not None:
        grey = np.asarray(cv2.cvtColor(tile, cv2.COLOR_BGR2GRAY), np.uint8)
        tile = heat_overlay(grey, _in_window(face.attention, quad / 16.0))
    window = np.zeros((_TILE, _TILE), np.uint8)
    cv2.fillConvexPoly(window, quad, 255, cv2.LINE_AA, 4)
    pale = (tile * 0.45 + np.array(PAPER) * 0.55).astype(np.uint8)
    share = window[..., None] / 255.0
    out = np.round(tile * share + pale * (1 - share)).astype(np.uint8)
    cv2.polylines(out, [quad], True, AMBER, 2, cv2.LINE_AA, 4)
    return out


def _in_window(attention: NDArray[np.float32], quad: NDArray[np.float64]) -> NDArray[np.float32]:
    """The map laid into the window with these corners (top left, top right, bottom right, ...), 0 outside."""
    smooth = cv2.resize(attention, (_TILE, _TILE), interpolation=cv2.INTER_CUBIC)
    corners = np.array([[0, 0], [_TILE - 1, 0], [_TILE - 1, _TILE - 1]], np.float32)
    matrix = cv2.getAffineTransform(corners, quad[:3].astype(np.float32))
    return np.asarray(cv2.warpAffine(smooth, matrix, (_TILE, _TILE)), np.float32)


def what_decided(face: Face, predict: Predict) -> NDArray[np.uint8]:
    """Occlusion map over the crop: the warmer, the more of the answer is lost when that part is covered.

    predict  crops uint8 ``(N, S, S)`` -> probabilities ``(N, K)``; gives uint8 ``(168, 168, 3)`` BGR
    """
    heat = occlusion(predict, face.crop, size=max(1, len(face.crop) // 6), stride=max(1, len(face.crop) // 12))
    large = cv2.resize(face.crop, (_TILE, _TILE), interpolation=cv2.INTER_CUBIC)
    return heat_overlay(np.asarray(large, np.uint8), heat)


def _bars(panel: NDArray[np.uint8], face: Face, left: int) -> None:
    """One line an expression: name, bar, per cent; the chosen one in bold."""
    step = _TILE / len(face.probabilities)
    thick = int(min(16, step * 0.62))
    for i, (name, p) in enumerate(face.probabilities.items()):
        middle = int(_TITLE + step * (i + 0.5))
        bold = name == face.label
        word = name if text_width(name, 15, bold=bold) <= _NAME - 8 else name[:8] + "."
        text(panel, word, (left + _NAME - 10 - text_width(word, 15, bold=bold), middle + 5), 15, INK, bold=bold)
        start, top = left + _NAME, middle - thick // 2
        panel[top : top + thick, start : start + _BAR] = _RAIL
        panel[top : top + thick, start : start + round(p * _BAR)] = bgr(colour(name))
        value = f"{p:.0%}"
        at = left + _NAME + _BAR + _VALUE - 4 - text_width(value, 15, bold=bold)
        text(panel, value, (at, middle + 5), 15, INK, bold=bold)
