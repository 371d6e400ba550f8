"""One picture of an inspection: the photo, and for each face its card, what was measured, and three curves.

Leaves out: diagnosing (``mien.diagnostics``), and writing files.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.diagnostics import Diagnosis, FaceDiagnosis, Search, Sweep
from mien.labels import colour
from mien.runtime.quality import LIMITS
from mien.spec import ModelSpec
from mien.visualization.face_card import GAP, HEIGHT, WIDTH, Predict, draw_face_card
from mien.visualization.overlay import mark_faces
from mien.visualization.primitives import INK, PAPER, QUIET, RAIL, WARNING, fit
from mien.visualization.text import Colour, bgr, text, text_width, wrapped

__all__ = ["MAX_REPORTS", "draw_inspection", "measured_lines", "search_words"]

#: Faces beyond this number are in the text and have no room in the picture.
MAX_REPORTS = 4

_PHOTO = 560  # widest photo
_CHART, _CHART_HIGH, _BETWEEN = 152, 118, 22  # the curves' own pixels, and between two charts

_LINE = 21  # from one line of text to the next
_ROW = 8 * _LINE + 30
_TITLES = {"crop margin": "crop margin", "brightness": "brightness (gamma)", "turn": "turn (degrees)"}


def draw_inspection(inspection: Diagnosis, spec: ModelSpec, predict: Predict, footer: str = "") -> NDArray[np.uint8]:
    """The sheet, uint8 ``(H, W, 3)`` BGR; ``predict`` is ``Predictor.predict_crops``, ``footer`` its bottom line."""
    shown = inspection.faces[:MAX_REPORTS]
    if shown:
        blocks = [_face_block(i, report, spec, predict) for i, report in enumerate(shown, start=1)]
        hidden = len(inspection.faces) - len(shown)
        footer = "   |   ".join([footer] * bool(footer) + [f"{hidden} more faces are in the text"] * (hidden > 0))
    else:
        blocks = [_none_block(inspection)]
    right = _stacked(blocks)
    photo = _photo(inspection, max(420, right.shape[0]))
    high = max(photo.shape[0], right.shape[0])
    foot = 34 if footer else 0
    wide = max(photo.shape[1] + 2 * GAP + right.shape[1], text_width(footer, 15) if footer else 0)
    sheet = np.full((high + 2 * GAP + foot, wide + 2 * GAP, 3), PAPER, np.uint8)
    sheet[GAP : GAP + photo.shape[0], GAP : GAP + photo.shape[1]] = photo
    sheet[GAP : GAP + right.shape[0], 3 * GAP + photo.shape[1] :][:, : right.shape[1]] = right
    if footer:
        text(sheet, footer, (GAP, sheet.shape[0] - GAP + 2), 15, QUIET)
    return sheet


def measured_lines(report: FaceDiagnosis) -> list[tuple[str, str, bool]]:
    """What was measured of a face: name, value with its limit, and whether it is within the limit."""
    face, q = report.face, report.face.quality
    (first, p), (second, r) = report.top
    lines = [("top 2", f"{first} {p:.0%}, {second} {r:.0%}", True)]
    lines.append(("gap", f"{100 * (p - r):.0f} points", True))
    lines.append(("detector", f"score {face.score:.2f}", True))
    if q is None:
        return lines
    lines += [
        ("size", f"{q.side:.0f} pixels ({LIMITS['side']:g} needed)", q.side >= LIMITS["side"]),
        (
            "sharpness",
            f"{q.sharpness:.3f} ({LIMITS['sharpness']:g} needed)",
            q.sharpness >= LIMITS["sharpness"] or q.contrast < LIMITS["contrast"],
        ),
        (
            "brightness",
            f"mean {q.brightness:.0f}, contrast {q.contrast:.0f} ({LIMITS['contrast']:g} needed)",
            q.contrast >= LIMITS["contrast"],
        ),
    ]
    if q.yaw is None or q.pitch is None or q.roll is None:
        return [*lines, ("turned", "unknown: the detector has no landmarks", True)]
    fine = abs(q.yaw) <= LIMITS["yaw"] and abs(q.pitch) <= LIMITS["pitch"]
    sides = f"{_way(q.yaw, 'left', 'right')}, {_way(q.pitch, 'up', 'down')}"
    return [*lines, ("turned", sides, fine), ("tilted", _way(q.roll, "to the left", "to the right"), True)]


def _way(angle: float, below: str, above: str) -> str:
    """``12 degrees left``, as the picture has left and right."""
    size = round(abs(angle))
    return f"{size} degree{'s' * (size != 1)} {below if angle < 0 else above}" if size else "0 degrees"


def _face_block(number: int, report: FaceDiagnosis, spec: ModelSpec, predict: Predict) -> NDArray[np.uint8]:
    """The face's card, and below it the measures and the curves: uint8 ``(H, WIDTH, 3)``."""
    verdict = wrapped(report.verdict, WIDTH, 15)
    block = np.full((HEIGHT + 14 + _ROW + (1 + len(verdict)) * _LINE, WIDTH, 3), PAPER, np.uint8)
    block[:HEIGHT] = draw_face_card(number, report.face, spec, predict)
    top = HEIGHT + 14
    room = WIDTH - 3 * _CHART - 2 * _BETWEEN
    for i, (name, value, fine) in enumerate(measured_lines(report)):
        y = top + 15 + i * _LINE
        text(block, name, (0, y), 14, QUIET)
        if name == "top 2":
            _legend(block, report, (76, y))
        else:
            text(block, value, (76, y), 14, INK if fine else WARNING, bold=not fine)
    for i, sweep in enumerate(report.sweeps):
        _chart(block, sweep, report, (room + i * (_CHART + _BETWEEN), top))
    for share in (0.0, 0.5, 1.0):
        words = f"{share:.0%}"
        y = top + 24 + round((1 - share) * _CHART_HIGH)
        text(block, words, (room - 6 - text_width(words, 12), y + 4), 12, QUIET)
    kept, n = report.kept
    y = top + _ROW + 6
    for i, part in enumerate(verdict):
        text(block, part, (0, y + i * _LINE), 15, INK if kept == n else WARNING, bold=True)
    parts = sorted(report.parts.items(), key=lambda item: -item[1][0])
    rests = ", ".join(f"{name} {weight:.0%} (area {area:.0%})" for name, (weight, area) in parts)
    text(block, f"the answer rests on: {rests}", (0, y + len(verdict) * _LINE), 14, QUIET)
    return block


def _legend(block: NDArray[np.uint8], report: FaceDiagnosis, at: tuple[int, int]) -> None:
    """The two most probable expressions, each with its colour in the charts."""
    x, y = at
    for name, p in report.top:
        cv2.rectangle(block, (x, y - 10), (x + 9, y - 1), bgr(colour(name)), -1)
        text(block, f"{name} {p:.0%}", (x + 15, y), 14, INK)
        x += 15 + text_width(f"{name} {p:.0%}", 14) + 12


def _chart(block: NDArray[np.uint8], sweep: Sweep, report: FaceDiagnosis, at: tuple[int, int]) -> None:
    """The two most probable expressions over the change; below it a strip in the colour of each variant's answer."""
    left, top = at[0], at[1] + 24
    names = list(report.face.probabilities)
    text(block, _TITLES[sweep.name], (left, at[1] + 15), 14, INK, bold=True)
    for share in (0.0, 0.5, 1.0):
        y = top + round((1 - share) * _CHART_HIGH)
        cv2.line(block, (left, y), (left + _CHART, y), RAIL, 1)
    x = [left + round((_CHART - 1) * i / (len(sweep.values) - 1)) for i in range(len(sweep.values))]
    middle = x[sweep.values.index(sweep.usual)]
    cv2.line(block, (middle, top), (middle, top + _CHART_HIGH), (200, 196, 192), 1)
    for name, _ in reversed(report.top):
        y_of = top + (1 - sweep.probabilities[:, names.index(name)]) * _CHART_HIGH
        line = np.stack([np.array(x) * 16, np.round(y_of * 16)], axis=1).astype(np.int32)
        cv2.polylines(block, [line], False, bgr(colour(name)), 3 if name == report.face.label else 2, cv2.LINE_AA, 4)
    strip, half = top + _CHART_HIGH + 7, _CHART / len(sweep.values)
    for i, best in enumerate(sweep.probabilities.argmax(axis=1)):
        ends = left + round(i * half), left + round((i + 1) * half) - 2
        cv2.rectangle(block, (ends[0], strip), (ends[1], strip + 8), bgr(colour(names[int(best)])), -1)
    for value, place in ((sweep.values[0], 0.0), (sweep.usual, 0.5), (sweep.values[-1], 1.0)):
        words = f"{value:+g}" if sweep.name == "turn" and value else f"{value:g}"
        width = text_width(words, 13)
        centre = middle - left if place == 0.5 else place * _CHART
        text(block, words, (left + round(min(max(centre - width / 2, 0), _CHART - width)), strip + 24), 13, QUIET)


def _none_block(inspection: Diagnosis) -> NDArray[np.uint8]:
    """What was tried where no face was found, and what to do."""
    lines: list[tuple[str, int, Colour, bool]] = [("no face found", 22, INK, True), ("", 14, INK, False)]
    for search in inspection.searches:
        lines.append((search_words(search, inspection.threshold), 15, INK, False))
    lines.append(("", 14, INK, False))
    for sentence in inspection.advice:
        lines += [(part, 15, INK, True) for part in wrapped(sentence, WIDTH, 15)]
    block = np.full((30 * len(lines) + 10, WIDTH, 3), PAPER, np.uint8)
    for i, (words, size, ink, bold) in enumerate(lines):
        text(block, words, (0, 24 + 28 * i), size, ink, bold=bold)
    return block


def search_words(search: Search, threshold: float | None) -> str:
    """``searched at 640 pixels: best score 0.21, 0.50 is needed``."""
    if search.score is None:
        return f"searched at {search.size} pixels: nothing, down to a score of {search.lowest:.2f}"
    need = "" if threshold is None else f", {threshold:.2f} is needed"
    return f"searched at {search.size} pixels: best score {search.score:.2f}{need}"


def _photo(inspection: Diagnosis, high: int) -> NDArray[np.uint8]:
    """The photo, scaled to the room, with its faces; without any, the best weak candidate in grey."""
    shown, ratio = fit(inspection.pixels, _PHOTO, high)
    mark_faces(shown, [report.face for report in inspection.faces], ratio)
    weak = [s for s in inspection.searches if s.box is not None]
    if weak:
        best = max(weak, key=lambda s: s.score or 0.0)
        assert best.box is not None
        x0, y0, x1, y1 = (round(v * ratio) for v in best.box)
        cv2.rectangle(shown, (x0, y0), (x1, y1), (255, 255, 255), 4, cv2.LINE_AA)
        cv2.rectangle(shown, (x0, y0), (x1, y1), QUIET, 2, cv2.LINE_AA)
    return shown


def _stacked(blocks: Sequence[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    between = np.full((2 * GAP, WIDTH, 3), PAPER, np.uint8)
    between[GAP : GAP + 1] = RAIL
    return np.concatenate([part for block in blocks for part in (block, between)][:-1])
