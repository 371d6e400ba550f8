"""The sheet of mean maps per expression: a row an expression, one scale for all rows.

Leaves out: computing the means (``mien.explain.means``), and writing files.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.explain import ClassMeans, by_thirds
from mien.labels import colour
from mien.visualization.crop_views import enlarged, map_view, outline, scale_bar
from mien.visualization.primitives import INK, PAPER, QUIET, paste, table
from mien.visualization.text import bgr, shortened, text

__all__ = ["draw_classes"]

_MARGIN, _GAP, _SIDE = 24, 24, 168
_NAME, _TABLE = 132, 300
_HEAD, _COLUMNS, _SCALES, _FOOT = 56, 26, 48, 34
_COVERING = "what decided"


def draw_classes(means: ClassMeans, *, title: str = "", footer: str = "") -> NDArray[np.uint8]:
    """Mean face, mean occlusion and mean attention of each class, as far as there are such: uint8 ``(H, W, 3)`` BGR.

    Classes without faces have no row. The transformer's mean window is drawn into the attention, or into the face of a
    network without attention.
    """
    shown = [i for i in range(len(means.labels)) if means.n[i]]
    columns = [("the mean face", means.face)]
    if means.occlusion is not None:
        columns.append((_COVERING, means.occlusion))
    if means.attention is not None:
        columns.append(("where it attended", means.attention))
    peaks = [_peak(maps[shown]) for _, maps in columns]
    left = [_MARGIN + _NAME + i * (_SIDE + _GAP) for i in range(len(columns))]
    width = left[-1] + _SIDE + _GAP + _TABLE + _MARGIN
    height = _HEAD + _COLUMNS + len(shown) * (_SIDE + _GAP) + _SCALES + _FOOT
    sheet = np.full((height, width, 3), PAPER, np.uint8)
    text(sheet, shortened(title, width - 2 * _MARGIN, 20, bold=True), (_MARGIN, 36), 20, INK, bold=True)
    for x, (caption, _) in zip(left, columns, strict=True):
        text(sheet, caption, (x, _HEAD + 16), 14, INK, bold=True)
    if len(columns) > 1:
        text(sheet, "where the weight lies", (left[-1] + _SIDE + _GAP, _HEAD + 16), 14, INK, bold=True)
    for number, i in enumerate(shown):
        _row(sheet, means, i, _HEAD + _COLUMNS + number * (_SIDE + _GAP), left, peaks)
    _scales(sheet, columns, shown, left, _HEAD + _COLUMNS + len(shown) * (_SIDE + _GAP) - _GAP // 2)
    text(sheet, shortened(footer, width - 2 * _MARGIN, 13), (_MARGIN, height - 16), 13, QUIET)
    return sheet


def _row(sheet: NDArray[np.uint8], means: ClassMeans, i: int, y: int, left: list[int], peaks: list[float]) -> None:
    name = means.labels[i]
    cv2.rectangle(sheet, (_MARGIN, y + 2), (_MARGIN + 7, y + 46), bgr(colour(name)), -1)
    text(sheet, shortened(name, _NAME - 20, 18, bold=True), (_MARGIN + 18, y + 17), 18, INK, bold=True)
    text(sheet, f"n {means.n[i]:,}", (_MARGIN + 18, y + 42), 14, QUIET)
    text(sheet, f"recall {means.recall[i]:.0%}", (_MARGIN + 18, y + 64), 14, QUIET)
    face = np.asarray(np.round(means.face[i]), np.uint8)
    tiles = [enlarged(face, _SIDE)]
    maps = {"occlusion": means.occlusion, "attention": means.attention}
    there = {key: m[i] for key, m in maps.items() if m is not None}
    tiles += [map_view(face, heat, _SIDE, peak) for heat, peak in zip(there.values(), peaks[1:], strict=True)]
    if means.window is not None:
        outline(tiles[-1 if means.attention is not None else 0], means.window[i], len(face))
    for x, tile in zip(left, tiles, strict=True):
        paste(sheet, tile, (x, y))
    if not there:
        return
    rows = [["", "upper", "middle", "lower", "largest"]]
    for key, heat in there.items():
        shares = [f"{share:.0%}" for share, _ in by_thirds(heat).values()]
        rows.append([key, *shares, f"{heat.max():+.2f}" if key == "occlusion" else f"{heat.max():.1f} x"])
    table(sheet, (left[-1] + _SIDE + _GAP, y), rows, [82, 50, 56, 50, 62])


def _scales(
    sheet: NDArray[np.uint8],
    columns: list[tuple[str, NDArray[np.float32]]],
    shown: list[int],
    left: list[int],
    y: int,
) -> None:
    """Under each column of maps the scale that all its rows share."""
    for x, (caption, maps) in list(zip(left, columns, strict=True))[1:]:
        there = maps[shown]
        signed = caption == _COVERING
        unit, form = ("fall of p", "{:+.2f}") if signed else ("x even share", "{:.1f}")
        scale_bar(sheet, (x, y), _SIDE, min(0.0, float(there.min())), float(there.max()), unit, form)


def _peak(maps: NDArray[np.float32]) -> float:
    """The largest magnitude in all rows."""
    return float(np.abs(maps).max())
