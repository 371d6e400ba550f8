"""Text on pictures: anti-aliased, sized in pixels, the same call on OpenCV 4 (stroke font) and 5 (a real typeface)."""

from __future__ import annotations

from functools import cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["Colour", "bgr", "fitting", "ink_on", "right_text", "shortened", "text", "text_width", "wrapped"]

#: Blue, green, red, each 0..255, as OpenCV wants them.
Colour = tuple[int, int, int]

_STROKE = cv2.FONT_HERSHEY_SIMPLEX
_STROKE_PIXELS = 30  # size at which the stroke font's scale is 1


def bgr(code: str) -> Colour:
    """``#rrggbb`` -> blue, green, red."""
    return int(code[5:7], 16), int(code[3:5], 16), int(code[1:3], 16)


def ink_on(ground: Colour) -> Colour:
    """Black or white, whichever reads better on ``ground``."""
    blue, green, red = ground
    return (24, 24, 24) if 0.114 * blue + 0.587 * green + 0.299 * red > 150 else (255, 255, 255)


def text(
    image: NDArray[np.uint8], words: str, at: tuple[int, int], pixels: int, ink: Colour, *, bold: bool = False
) -> None:
    """Write ``words`` into ``image``; ``at`` is x of the left end and y of the baseline."""
    face = _typeface()
    if face is not None:
        cv2.putText(image, words, at, ink, face, pixels, 650 if bold else 400)
    else:
        cv2.putText(image, words, at, _STROKE, pixels / _STROKE_PIXELS, ink, 2 if bold else 1, cv2.LINE_AA)


def text_width(words: str, pixels: int, *, bold: bool = False) -> int:
    """Width of ``words`` in pixels."""
    face: Any = _typeface()
    if face is not None:
        left, _, width, _ = cv2.getTextSize((1 << 14, 1 << 10), words, (0, 0), face, pixels, 650 if bold else 400)
        return int(left + width)
    (width, _), _ = cv2.getTextSize(words, _STROKE, pixels / _STROKE_PIXELS, 2 if bold else 1)
    return int(width)


def right_text(sheet: NDArray[np.uint8], words: str, right: int, baseline: int, pixels: int, ink: Colour) -> None:
    """Words that end at ``right``."""
    text(sheet, words, (right - text_width(words, pixels), baseline), pixels, ink)


def shortened(words: str, width: int, pixels: int, *, bold: bool = False) -> str:
    """``words`` as far as they fit into ``width`` pixels; what is cut off at the end is three dots."""
    if text_width(words, pixels, bold=bold) <= width:
        return words
    kept = len(words)
    while kept and text_width(words[:kept] + "...", pixels, bold=bold) > width:
        kept -= 1
    return words[:kept].rstrip() + "..."


def wrapped(words: str, room: int, size: int) -> list[str]:
    """The words in lines that fit into ``room`` pixels."""
    lines = [""]
    for word in words.split():
        longer = f"{lines[-1]} {word}".strip()
        if text_width(longer, size, bold=True) > room and lines[-1]:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines


def fitting(words: str, width: int, pixels: int, *, bold: bool = False) -> str:
    """A class name as it is where it fits into ``width`` pixels, else its first eight letters and a dot."""
    return words if text_width(words, pixels, bold=bold) <= width else words[:8] + "."


@cache
def _typeface() -> Any:
    """OpenCV 5's built-in typeface, None on OpenCV 4."""
    return cv2.FontFace("sans") if hasattr(cv2, "FontFace") else None
