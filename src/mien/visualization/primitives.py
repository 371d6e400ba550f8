"""What every figure is made of: its colours, pictures brought to a room, tables, bars of probabilities.

Leaves out: letters (``text``) and views of a crop (``crop_views``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.labels import colour
from mien.visualization.text import Colour, bgr, fitting, right_text, text, text_width

__all__ = [
    "AMBER",
    "INK",
    "MAP_COLOURS",
    "PAPER",
    "QUIET",
    "RAIL",
    "WARNING",
    "bars",
    "fit",
    "fixed",
    "paste",
    "table",
]

PAPER: Colour = (250, 250, 250)
INK: Colour = (38, 34, 32)
QUIET: Colour = (118, 112, 108)
RAIL: Colour = (228, 226, 224)
WARNING: Colour = (40, 40, 190)
AMBER: Colour = (46, 200, 255)  # reads on light and on dark skin in a grey crop
#: Colour of each map's curve.
MAP_COLOURS: dict[str, Colour] = {
    "attention": (32, 140, 230),
    "occlusion": (84, 60, 200),
    "gradcam": (170, 120, 50),
    "centre": (60, 130, 70),
}

_ROW = 23  # height of a table's row

Cell = tuple[str, Colour | None]


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


def paste(sheet: NDArray[np.uint8], tile: NDArray[np.uint8], at: tuple[int, int]) -> None:
    """Put a tile onto the sheet; ``at`` is x and y of its upper left corner."""
    x, y = at
    sheet[y : y + tile.shape[0], x : x + tile.shape[1]] = tile


def bars(
    sheet: NDArray[np.uint8],
    at: tuple[int, int],
    probabilities: Mapping[str, float],
    chosen: str,
    size: tuple[int, int],
) -> None:
    """One line an expression: name, bar, per cent; the ``chosen`` one in bold.

    at    x and y of the upper left corner
    size  width and height of the whole, in pixels
    """
    (left, top), (width, height) = at, size
    name_width, value_width = 84, 54
    step, start, room = min(height / len(probabilities), 34.0), left + name_width, width - name_width - value_width
    pixels, half = int(min(15, max(8, 0.9 * step))), int(min(8, 0.35 * step))
    for i, (name, p) in enumerate(probabilities.items()):
        bold, middle = name == chosen, int(top + step * (i + 0.5))
        baseline = middle + pixels // 3 + 1
        words, value = fitting(name, name_width - 10, pixels, bold=bold), f"{p:.0%}"
        at_name = (start - 10 - text_width(words, pixels, bold=bold), baseline)
        text(sheet, words, at_name, pixels, INK, bold=bold)
        sheet[middle - half : middle + half, start : start + room] = RAIL
        sheet[middle - half : middle + half, start : start + round(p * room)] = bgr(colour(name))
        at_value = (left + width - text_width(value, pixels, bold=bold), baseline)
        text(sheet, value, at_value, pixels, INK, bold=bold)


def fit(picture: NDArray[np.uint8], width: int, height: int) -> tuple[NDArray[np.uint8], float]:
    """A copy as large as the room allows, at most four times enlarged, and its ratio to the original."""
    ratio = min(width / picture.shape[1], height / picture.shape[0], 4.0)
    size = (max(1, round(picture.shape[1] * ratio)), max(1, round(picture.shape[0] * ratio)))
    method = cv2.INTER_AREA if ratio < 1 else cv2.INTER_CUBIC
    return np.array(cv2.resize(picture, size, interpolation=method), np.uint8), ratio


def fixed(points: NDArray[np.floating]) -> NDArray[np.int32]:
    """Positions from edge to edge -> OpenCV's pixel centres with four bits of fraction."""
    return np.round((points - 0.5) * 16).astype(np.int32)
