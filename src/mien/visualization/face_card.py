"""The card of one face: what the network saw, where it looked, what decided, and how sure it is of each expression.

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
from mien.preprocessing import grey_of, to_crop
from mien.spec import ModelSpec
from mien.visualization.crop_views import enlarged, window_view
from mien.visualization.heatmap import overlay as heat_overlay
from mien.visualization.primitives import INK, PAPER, QUIET, WARNING, bars
from mien.visualization.text import bgr, text, text_width

__all__ = ["GAP", "HEIGHT", "WIDTH", "draw_face_card", "face_title", "what_decided"]

GAP = 20
_TILE = 168
_TITLE, _CAPTION = 40, 26
_NAME, _BAR, _VALUE = 84, 150, 58  # columns of the bars: expression, bar, per cent
WIDTH = 3 * (_TILE + GAP) + _NAME + _BAR + _VALUE
HEIGHT = _TITLE + _TILE + _CAPTION

Predict = Callable[[NDArray[np.uint8]], NDArray[np.floating]]


def face_title(number: int, face: Face) -> str:
    """``1  happy 87 %``, with a question mark behind an uncertain expression."""
    return f"{number}  {face.label}{'?' if face.uncertain else ''} {face.confidence:.0%}"


def draw_face_card(number: int, face: Face, spec: ModelSpec, predict: Predict | None) -> NDArray[np.uint8]:
    """One face as a picture uint8 ``(HEIGHT, WIDTH, 3)`` BGR; a tile that the model has no answer for stays out."""
    card = np.full((HEIGHT, WIDTH, 3), PAPER, np.uint8)
    cv2.rectangle(card, (0, 10), (7, 29), bgr(colour(face.label)), -1)
    title = face_title(number, face)
    text(card, title, (18, 28), 20, INK, bold=True)
    left = 18 + text_width(title, 20, bold=True) + 16
    if not face.usable:
        assert face.quality is not None
        text(card, f"cannot be used: {face.quality.problems[0]}", (left, 27), 14, WARNING)
    elif face.uncertain:
        text(card, _doubt(face.prediction_set[1:], WIDTH - left), (left, 27), 14, QUIET)
    tiles = [("what it saw", enlarged(face.crop, _TILE))]
    if face.attention_window is not None:
        tiles.append(("where it looked", where_it_looked(face, spec)))
    if predict is not None:
        tiles.append(("what decided", what_decided(face, predict)))
    for i, (caption, tile) in enumerate(tiles):
        left = i * (_TILE + GAP)
        card[_TITLE : _TITLE + _TILE, left : left + _TILE] = tile
        text(card, caption, (left, HEIGHT - 8), 14, QUIET)
    left = len(tiles) * (_TILE + GAP)
    bars(card, (left, _TITLE), face.probabilities, face.label, (_NAME + _BAR + _VALUE - 4, _TILE))
    return card


def _doubt(others: Sequence[str], room: int) -> str:
    """``uncertain: or neutral, sad``; what does not fit into ``room`` pixels is counted."""
    for shown in range(len(others), 0, -1):
        more = f" and {len(others) - shown} more" if shown < len(others) else ""
        words = f"uncertain: or {', '.join(others[:shown])}{more}"
        if text_width(words, 14) <= room:
            return words
    return f"uncertain: {len(others)} more"


def where_it_looked(face: Face, spec: ModelSpec) -> NDArray[np.uint8]:
    """The crop with the transformer's window in it, and in that the attention: uint8 ``(168, 168, 3)`` BGR.

    Only for a face that has an ``attention_window``.
    """
    assert face.attention_window is not None
    window = to_crop(face.attention_window, face.box, spec, face.turn)
    return window_view(face.crop, window, _TILE, face.attention)


def what_decided(face: Face, predict: Predict) -> NDArray[np.uint8]:
    """Occlusion map over the crop: the warmer, the more of the answer is lost when that part is covered.

    predict  crops as ``Face.crop`` has them -> probabilities ``(N, K)``; gives uint8 ``(168, 168, 3)`` BGR
    """
    heat = occlusion(predict, face.crop, size=max(1, len(face.crop) // 6), stride=max(1, len(face.crop) // 12))
    large = cv2.resize(grey_of(face.crop), (_TILE, _TILE), interpolation=cv2.INTER_CUBIC)
    return heat_overlay(np.asarray(large, np.uint8), heat)
