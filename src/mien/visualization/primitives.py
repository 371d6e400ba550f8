"""The parts that explanation sheets are made of: enlarged crops, maps with a scale, curves, tables.

Leaves out: which of them stand on a sheet, and where (``explained_face``, ``explained_classes``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.explain import Curves
from mien.visualization.face_card import AMBER, INK, PAPER
from mien.visualization.heatmap import signed_overlay
from mien.visualization.text import Colour, text, text_width

__all__ = [
    "CAPTION",
    "MAP_COLOURS",
    "QUIET",
    "RAIL",
    "TILE",
    "chart",
    "enlarged",
    "map_tile",
    "outline",
    "paste",
    "right_text",
    "scale_bar",
    "shortened",
    "table",
    "window_tile",
]

TILE = 240
CAPTION = 26
QUIET: Colour = (118, 112, 108)
RAIL: Colour = (228, 226, 224)
#: Colour of each map's curve.
MAP_COLOURS: dict[str, Colour] = {
    "attention": (32, 140, 230),
    "occlusion": (84, 60, 200),
    "gradcam": (170, 120, 50),
    "centre": (60, 130, 70),
}

_BAND: Colour = (206, 204, 202)
_BAR = 10  # height of a scale
_ROW = 23  # height of a table's row

Cell = tuple[str, Colour | None]


def enlarged(crop: NDArray[np.uint8], side: int = TILE) -> NDArray[np.uint8]:
    """A grey crop's own pixels, not smoothed away: uint8 ``(side, side, 3)``."""
    large = cv2.resize(crop, (side, side), interpolation=cv2.INTER_NEAREST)
    return np.asarray(cv2.cvtColor(large, cv2.COLOR_GRAY2BGR), np.uint8)


def window_tile(crop: NDArray[np.uint8], window: NDArray[np.float32]) -> NDArray[np.uint8]:
    """The crop with room around it, pale but for the window ``(4, 2)`` in the crop's pixels, which is outlined."""
    edge = TILE // 8  # the window may reach beyond the crop
    side = TILE - 2 * edge
    tile = np.full((TILE, TILE, 3), RAIL, np.uint8)
    tile[edge : edge + side, edge : edge + side] = enlarged(crop, side)
    quad = window / len(crop) * side + edge
    inside = np.zeros((TILE, TILE), np.uint8)
    cv2.fillConvexPoly(inside, _fixed(quad), 255, cv2.LINE_AA, 4)
    share = inside[..., None] / 255.0
    pale = tile * 0.4 + np.array(PAPER) * 0.6
    out = np.round(tile * share + pale * (1 - share)).astype(np.uint8)
    cv2.polylines(out, [_fixed(quad)], True, AMBER, 2, cv2.LINE_AA, 4)
    return out


def map_tile(
    crop: NDArray[np.uint8], heat: NDArray[np.float32], peak: float | None = None, side: int = TILE
) -> NDArray[np.uint8]:
    """A map ``(S, S)`` over the crop: warm above 0, blue below; ``peak`` as for ``signed_overlay``."""
    large = np.asarray(cv2.resize(crop, (side, side), interpolation=cv2.INTER_CUBIC), np.uint8)
    return signed_overlay(large, heat, peak=peak)


def outline(tile: NDArray[np.uint8], window: NDArray[np.float32], size: int) -> None:
    """Draw the window's outline, in pixels of a crop of ``size``, into a tile that shows the crop."""
    cv2.polylines(tile, [_fixed(window / size * len(tile))], True, AMBER, 1, cv2.LINE_AA, 4)


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


def chart(
    width: int, height: int, curves: Mapping[str, Curves], random: Sequence[Curves], kind: str
) -> NDArray[np.uint8]:
    """Probability against the share of pixels; ``kind`` is ``deletion`` or ``insertion``: uint8 ``(height, width, 3)``.

    Random orders are a grey band from the least to the largest, with their mean.
    """
    out = np.full((height, width, 3), PAPER, np.uint8)
    left, right, top, bottom = 34, width - 8, 8, height - 22
    for value in (0.0, 0.5, 1.0):
        y = round(bottom - value * (bottom - top))
        cv2.line(out, (left, y), (right, y), RAIL, 1)
        right_text(out, f"{value:.1f}", left - 6, y + 4, 12, QUIET)
    for share in (0.0, 0.5, 1.0):
        words, x = f"{share:.0%}", round(left + share * (right - left))
        text(
            out, words, (min(x - text_width(words, 12) // 2, width - text_width(words, 12) - 1), height - 4), 12, QUIET
        )

    def line(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.int32]:
        return _fixed(np.column_stack([left + x * (right - left), bottom - y * (bottom - top)]))

    chance = np.stack([getattr(c, kind) for c in random])
    common = random[0].shares
    band = np.concatenate([line(common, chance.max(axis=0)), line(common, chance.min(axis=0))[::-1]])
    cv2.fillPoly(out, [band], _BAND, cv2.LINE_AA, 4)
    cv2.polylines(out, [line(common, chance.mean(axis=0))], False, QUIET, 1, cv2.LINE_AA, 4)
    for name, c in curves.items():
        cv2.polylines(out, [line(c.shares, getattr(c, kind))], False, MAP_COLOURS.get(name, INK), 2, cv2.LINE_AA, 4)
    return out


def table(
    sheet: NDArray[np.uint8], at: tuple[int, int], rows: Sequence[Sequence[Cell | str]], widths: Sequence[int]
) -> int:
    """Rows of words, the first row quiet, the first column left and the others right; gives the y below the table.

    A cell is its words, or its words and the colour of a square before them.
    """
    x0, y = at
    for number, row in enumerate(rows):
        x, baseline = x0, y + 16
        for column, cell in enumerate(row):
            words, square = cell if isinstance(cell, tuple) else (cell, None)
            start = x
            if square is not None:
                cv2.rectangle(sheet, (x, baseline - 10), (x + 9, baseline - 1), square, -1)
                start += 16
            x += widths[column]
            ink = QUIET if number == 0 else INK
            if column == 0:
                text(sheet, words, (start, baseline), 13, ink)
            else:
                right_text(sheet, words, x, baseline, 13, ink)
        if number == 0:
            cv2.line(sheet, (x0, y + _ROW - 1), (x0 + sum(widths[: len(row)]), y + _ROW - 1), RAIL, 1)
        y += _ROW
    return y


def shortened(words: str, width: int, pixels: int, *, bold: bool = False) -> str:
    """``words`` as far as they fit into ``width`` pixels; what is cut off at the end is three dots."""
    if text_width(words, pixels, bold=bold) <= width:
        return words
    kept = len(words)
    while kept and text_width(words[:kept] + "...", pixels, bold=bold) > width:
        kept -= 1
    return words[:kept].rstrip() + "..."


def paste(sheet: NDArray[np.uint8], tile: NDArray[np.uint8], at: tuple[int, int]) -> None:
    """Put a tile onto the sheet; ``at`` is x and y of its upper left corner."""
    x, y = at
    sheet[y : y + tile.shape[0], x : x + tile.shape[1]] = tile


def right_text(sheet: NDArray[np.uint8], words: str, right: int, baseline: int, pixels: int, ink: Colour) -> None:
    """Words that end at ``right``."""
    text(sheet, words, (right - text_width(words, pixels), baseline), pixels, ink)


def _fixed(points: NDArray[np.floating]) -> NDArray[np.int32]:
    """Positions from edge to edge -> OpenCV's pixel centres with four bits of fraction."""
    return np.round((points - 0.5) * 16).astype(np.int32)
