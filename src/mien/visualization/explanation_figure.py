"""The sheet of one explained face: what the network saw, where it looked, what decided, and whether that is faithful.

Leaves out: computing any of it (``mien.explain``), and writing files.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.explain import Explanation, by_landmarks, by_thirds
from mien.explain.faithfulness import Curves, Faithfulness
from mien.explain.parts import Share
from mien.labels import colour
from mien.visualization.crop_views import enlarged, map_view, outline, scale_bar, window_view
from mien.visualization.primitives import INK, MAP_COLOURS, PAPER, QUIET, RAIL, bars, fixed, paste, table
from mien.visualization.text import Colour, bgr, right_text, shortened, text, text_width

__all__ = ["MAP_NAMES", "draw_explanation", "part_shares"]

#: What a map is called in words.
MAP_NAMES = {"attention": "attention", "occlusion": "occlusion", "gradcam": "Grad-CAM"}

_TILE, _CAPTION = 240, 26
_MARGIN, _GAP, _HEAD, _FOOT = 24, 28, 60, 40
_WIDE = 330  # the last column: bars and tables
_WIDTH = 2 * _MARGIN + 3 * (_TILE + _GAP) + _WIDE
_LAST = _MARGIN + 3 * (_TILE + _GAP)
_ROW = _CAPTION + _TILE + 56
_BAND: Colour = (206, 204, 202)  # between the least and the largest random order
_WORDS = {"attention": "where it attended", "occlusion": "what decided, by covering", "gradcam": "Grad-CAM"}


def draw_explanation(
    e: Explanation, *, title: str = "", footer: str = "", warps_input: bool = True
) -> NDArray[np.uint8]:
    """One face as a sheet, uint8 ``(H, W, 3)`` BGR.

    title        at the right of the head: which photo and face
    footer       one line at the bottom, for the model and its accuracy
    warps_input  False for a network whose transformer warps features: its view is then marked as a likeness
    """
    height = _HEAD + _ROW * (1 + bool(e.maps) + (e.faithfulness is not None)) + _FOOT
    sheet = np.full((height, _WIDTH, 3), PAPER, np.uint8)
    _head(sheet, e, title)
    _views(sheet, e, _HEAD, warps_input)
    if e.maps:
        _maps(sheet, e, _HEAD + _ROW)
    if e.faithfulness is not None:
        _faithful(sheet, e.faithfulness, e.label, _HEAD + _ROW * (1 + bool(e.maps)))
    text(sheet, shortened(footer, _WIDTH - 2 * _MARGIN, 13), (_MARGIN, height - 18), 13, QUIET)
    return sheet


def part_shares(e: Explanation, name: str) -> dict[str, Share]:
    """Shares of eyes, nose, mouth and elsewhere where the face has landmarks, and of the thirds, for one map."""
    heat = e.maps[name]
    return ({} if e.landmarks is None else by_landmarks(heat, e.landmarks)) | by_thirds(heat)


def _head(sheet: NDArray[np.uint8], e: Explanation, title: str) -> None:
    cv2.rectangle(sheet, (_MARGIN, 18), (_MARGIN + 8, 41), bgr(colour(e.label)), -1)
    words = f"{e.label} {e.probabilities[e.target]:.0%}"
    text(sheet, words, (_MARGIN + 20, 38), 23, INK, bold=True)
    room = _WIDTH - 2 * _MARGIN - 60 - text_width(words, 23, bold=True)
    right_text(sheet, shortened(title, room, 14), _WIDTH - _MARGIN, 37, 14, QUIET)


def _views(sheet: NDArray[np.uint8], e: Explanation, y: int, warps_input: bool) -> None:
    """The crop, the window in it, the view through it, and the probabilities."""
    size = len(e.crop)
    tiles = [("the face", f"{size} x {size} pixels, all it was given", enlarged(e.crop, _TILE))]
    if e.window is not None and e.view is not None:
        tiles.append(("the transformer's window", _window_words(e), window_view(e.crop, e.window, _TILE)))
        words = "what the layers behind it saw" if warps_input else "a likeness: it warps features"
        tiles.append(("the warped view", words, enlarged(np.round(e.view).astype(np.uint8), _TILE)))
    for i, (caption, words, tile) in enumerate(tiles):
        x = _MARGIN + i * (_TILE + _GAP)
        text(sheet, caption, (x, y + 16), 15, INK, bold=True)
        paste(sheet, tile, (x, y + _CAPTION))
        text(sheet, words, (x, y + _CAPTION + _TILE + 18), 13, QUIET)
    text(sheet, "how sure it is", (_LAST, y + 16), 15, INK, bold=True)
    bars(
        sheet,
        (_LAST, y + _CAPTION),
        dict(zip(e.labels, e.probabilities.tolist(), strict=True)),
        e.label,
        (_WIDE, _TILE),
    )


def _window_words(e: Explanation) -> str:
    """``area 82%, turned 3 degrees``: of the crop."""
    assert e.theta is not None
    area = abs(float(np.linalg.det(e.theta[:, :2])))
    turn = float(np.degrees(np.arctan2(e.theta[1, 0] - e.theta[0, 1], e.theta[0, 0] + e.theta[1, 1])))
    return f"area {area:.0%}, turned {turn:.0f} degrees"


def _maps(sheet: NDArray[np.uint8], e: Explanation, y: int) -> None:
    """Each map over the crop with its scale, and the table of where its weight lies."""
    for i, (name, heat) in enumerate(e.maps.items()):
        x = _MARGIN + i * (_TILE + _GAP)
        text(sheet, _WORDS[name], (x, y + 16), 15, INK, bold=True)
        low, high = min(0.0, float(heat.min())), float(heat.max())
        tile = map_view(e.crop, heat, _TILE, max(-low, high))
        if e.window is not None and name != "occlusion":
            outline(tile, e.window, len(e.crop))
        paste(sheet, tile, (x, y + _CAPTION))
        unit, form = {
            "attention": ("times an even share", "{:.1f}"),
            "occlusion": (f"fall of p({e.label})", "{:+.2f}"),
            "gradcam": ("of its largest value", "{:.0f}"),
        }[name]
        scale_bar(sheet, (x, y + _CAPTION + _TILE + 6), _TILE, low, high, unit, form)
    _parts(sheet, e, (_MARGIN + len(e.maps) * (_TILE + _GAP), y))


def _parts(sheet: NDArray[np.uint8], e: Explanation, at: tuple[int, int]) -> None:
    x, y = at
    text(sheet, "where the weight lies", (x, y + 16), 15, INK, bold=True)
    found = {name: part_shares(e, name) for name in e.maps}
    first = next(iter(found.values()))
    below = y + _CAPTION
    for parts in ([p for p in first if "third" not in p], [p for p in first if "third" in p]):
        if not parts:
            continue
        rows = [["", *(p.removesuffix(" third") for p in parts)]]
        rows.append(["area", *(f"{first[p][1]:.0%}" for p in parts)])
        rows += [[MAP_NAMES[name], *(f"{shares[p][0]:.0%}" for p in parts)] for name, shares in found.items()]
        widths = [max(56, text_width(p.removesuffix(" third"), 13) + 16) for p in parts]
        below = table(sheet, (x, below), rows, [78, *widths]) + 10
    text(sheet, "area: what an even map would have", (x, below + 12), 12, QUIET)


def _chart(
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
        return fixed(np.column_stack([left + x * (right - left), bottom - y * (bottom - top)]))

    chance = np.stack([getattr(c, kind) for c in random])
    common = random[0].shares
    band = np.concatenate([line(common, chance.max(axis=0)), line(common, chance.min(axis=0))[::-1]])
    cv2.fillPoly(out, [band], _BAND, cv2.LINE_AA, 4)
    cv2.polylines(out, [line(common, chance.mean(axis=0))], False, QUIET, 1, cv2.LINE_AA, 4)
    for name, c in curves.items():
        cv2.polylines(out, [line(c.shares, getattr(c, kind))], False, MAP_COLOURS.get(name, INK), 2, cv2.LINE_AA, 4)
    return out


def _faithful(sheet: NDArray[np.uint8], check: Faithfulness, label: str, y: int) -> None:
    """Both curves beside the random band, and the areas."""
    width, shown = (3 * _TILE + _GAP) // 2, {**check.maps, "centre": check.centre}
    for i, (kind, words) in enumerate(
        (("deletion", "deleting the hottest first: lower is better"), ("insertion", "inserting them: higher is better"))
    ):
        x = _MARGIN + i * (width + _GAP)
        text(sheet, words, (x, y + 16), 15, INK, bold=True)
        paste(sheet, _chart(width, _TILE, shown, check.random, kind), (x, y + _CAPTION))
        text(sheet, f"p({label}) against the share of pixels", (x + 34, y + _CAPTION + _TILE + 16), 12, QUIET)
    text(sheet, "area under the curve", (_LAST, y + 16), 15, INK, bold=True)
    areas = np.array([(c.deletion_area, c.insertion_area) for c in check.random])
    rows: list[list[tuple[str, tuple[int, int, int] | None] | str]] = [["", "deletion", "insertion", "beats random"]]
    for name, c in check.maps.items():
        down, up = check.beaten(name)
        beats = f"{down} and {up} of {len(areas)}"
        rows.append([(MAP_NAMES[name], MAP_COLOURS[name]), f"{c.deletion_area:.2f}", f"{c.insertion_area:.2f}", beats])
    own = check.centre
    middle = [f"{own.deletion_area:.2f}", f"{own.insertion_area:.2f}", ""]
    rows.append([("middle first", MAP_COLOURS["centre"]), *middle])
    mean = areas.mean(axis=0)
    rows.append([("random", QUIET), f"{mean[0]:.2f}", f"{mean[1]:.2f}", f"{len(areas)} orders"])
    below = table(sheet, (_LAST, y + _CAPTION), rows, [96, 62, 66, 106])
    text(sheet, "grey: from the least to the largest random order", (_LAST, below + 14), 12, QUIET)
