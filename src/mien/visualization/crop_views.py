"""Views of one face's crop: enlarged, with the attention window, with a map over it and the map's scale.

Leaves out: which of them stand on a figure, and where.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.preprocessing import grey_of, shown
from mien.visualization.heatmap import overlay, signed_overlay
from mien.visualization.primitives import AMBER, PAPER, QUIET, RAIL, fixed
from mien.visualization.text import right_text, text, text_width

__all__ = ["enlarged", "map_view", "outline", "scale_bar", "window_view"]

_BAR = 10  # height of a scale


def enlarged(crop: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """A crop's own pixels, grey or RGB, not smoothed away: uint8 ``(side, side, 3)`` BGR."""
    large = cv2.resize(shown(crop), (side, side), interpolation=cv2.INTER_NEAREST)
    return np.asarray(large if large.ndim == 3 else cv2.cvtColor(large, cv2.COLOR_GRAY2BGR), np.uint8)


def window_view(
    crop: NDArray[np.uint8], window: NDArray[np.float32], side: int, attention: NDArray[np.float32] | None = None
) -> NDArray[np.uint8]:
    """The crop with room around it, pale but for the outlined attention window: uint8 ``(side, side, 3)`` BGR.

    window     float ``(4, 2)``, its corners in the crop's pixels from edge to edge, which may lie outside the crop
    attention  float ``(h, w)``, laid into the window as a heat map; None for none
    """
    edge = side // 8
    inner = side - 2 * edge
    tile = np.full((side, side, 3), RAIL, np.uint8)
    tile[edge : edge + inner, edge : edge + inner] = enlarged(crop, inner)
    quad = window / len(crop) * inner + edge
    if attention is not None:
        grey = np.asarray(cv2.cvtColor(tile, cv2.COLOR_BGR2GRAY), np.uint8)
        tile = overlay(grey, _laid_into(attention, quad, side))
    inside = np.zeros((side, side), np.uint8)
    cv2.fillConvexPoly(inside, fixed(quad), 255, cv2.LINE_AA, 4)
    share = inside[..., None] / 255.0
    pale = tile * 0.4 + np.array(PAPER) * 0.6
    out = np.round(tile * share + pale * (1 - share)).astype(np.uint8)
    cv2.polylines(out, [fixed(quad)], True, AMBER, 2, cv2.LINE_AA, 4)
    return out


def _laid_into(attention: NDArray[np.float32], quad: NDArray[np.floating], side: int) -> NDArray[np.float32]:
    """The map laid into the window with these corners (top left, top right, bottom right, ...), 0 outside."""
    smooth = cv2.resize(attention, (side, side), interpolation=cv2.INTER_CUBIC)
    corners = np.array([[0, 0], [side - 1, 0], [side - 1, side - 1]], np.float32)
    matrix = cv2.getAffineTransform(corners, (quad[:3] - 0.5).astype(np.float32))
    return np.asarray(cv2.warpAffine(smooth, matrix, (side, side)), np.float32)


def map_view(
    crop: NDArray[np.uint8], heat: NDArray[np.float32], side: int, peak: float | None = None
) -> NDArray[np.uint8]:
    """A map ``(S, S)`` over the crop: warm above 0, blue below; ``peak`` as for ``signed_overlay``."""
    large = np.asarray(cv2.resize(grey_of(crop), (side, side), interpolation=cv2.INTER_CUBIC), np.uint8)
    return signed_overlay(large, heat, peak=peak)


def outline(tile: NDArray[np.uint8], window: NDArray[np.float32], size: int) -> None:
    """Draw the window's outline, in pixels of a crop of ``size``, into a tile that shows the crop."""
    cv2.polylines(tile, [fixed(window / size * len(tile))], True, AMBER, 1, cv2.LINE_AA, 4)


def scale_bar(
    sheet: NDArray[np.uint8], at: tuple[int, int], width: int, low: float, high: float, unit: str, form: str = "{:.2g}"
) -> None:
    """The colours from ``low`` (0 or below) to ``high`` with their values and ``unit`` underneath.

    at  x and y of the bar's upper left corner; the writing ends 28 pixels below it
    """
    x, y = at
    top = max(-low, high)
    if top <= 0:
        text(sheet, f"nothing: 0 everywhere ({unit})", (x, y + _BAR + 15), 12, QUIET)
        return
    values = np.tile(np.linspace(low, high, width, dtype=np.float32), (_BAR, 1))
    sheet[y : y + _BAR, x : x + width] = signed_overlay(np.full((_BAR, width), 128, np.uint8), values, peak=top)
    left, right = form.format(low) if low else "0", form.format(high) if high > 0 else "0"
    line = y + _BAR + 15
    text(sheet, left, (x, line), 12, QUIET)
    right_text(sheet, right, x + width, line, 12, QUIET)
    middle = x + (text_width(left, 12) - text_width(right, 12) + width - text_width(unit, 12)) // 2
    text(sheet, unit, (middle, line), 12, QUIET)
