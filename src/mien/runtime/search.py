"""Where in a picture to look for faces, and how large: a first look at little cost, further ones where they pay.

A detector's network sees faces from about 25 pixels of its input on, and hints at those from about 16 on. So a
picture is looked at as a whole at small cost first. Where weak or very small faces show, the places around them are
looked at larger, until a face of 24 pixels of the photo is large enough; where nothing at all is found, the whole
picture is. ``bench/runtime/search.py`` and ``bench/runtime/detectors.py`` measure what is found so, and what it costs.
Leaves out: the network (``detector``), the geometry of a look (``views``), and standing heads upright (``upright``).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import cv2
import numpy as np

from mien.faces import Detection
from mien.runtime.upright import found_turned
from mien.runtime.views import Looker, Pixels, merged, placed, quarter_back, quarter_turned, shrunk, sure

__all__ = ["FIRST", "FULL", "Scout", "search"]

#: Long side in pixels of the first look; of a picture with longer sides than 2 to 1, that of a look of as many pixels.
FIRST = 480
#: Long side at which a whole picture is looked at again where nothing is found, and at most a video's frame.
FULL = 640

_ENLARGED = 4.0  # the most by which a small picture is enlarged
_CLOSEST = 1.125  # pixels of the network for one of the photo, in the closest look: 27 for a face of 24
_WHOLE, _WHOLE_PIXELS = 0.7, 4.6e6  # the closest look at a whole picture: hints at 24 pixels; and its most pixels
_TRIES = 4  # windows around the best hints that are looked at as long as there is no face
_HINT = 20  # pixels of the network: a face found smaller than that has neighbours that are not found
_WEAK, _HINTED = 32, 0.1  # and a weak one up to that, and from that score on, is worth a closer look
_PAYS = 1.25  # a closer look is closer by that at least
_TILE, _WINDOW, _EDGE = 1280, 640, 128  # sides of a tile and of a window around hints, and what they share
_SMALL = 256  # pixels of a look's long side up to which views around hints show no more than the look did
_MARGIN = 0.25  # of each side, for the look at a face that fills the picture

#: Opens a faster network when it is called for.
Scout = Callable[[], Looker]


def search(
    looker: Looker, image: Pixels, size: int | None, most: int | None = None, scout: Scout | None = None
) -> list[Detection]:
    """The faces of a picture, uint8 ``(H, W, 3)`` BGR, the surest first.

    size   long side in pixels to which the picture is brought; None chooses by the picture
    most   then the long side of a picture that is looked at as close as it will be; None: as close as pays
    scout  gives a faster network that goes ahead through a large picture in which nothing is found: ``looker`` then
           looks only where it hints at something

    Where nothing is found, the picture is looked at with a grey margin around it, which finds a face that fills it,
    turned by quarters, and in all directions around the best hint. Then, without ``size``, ever closer. Faces that were
    found in a turned view around a hint have their ``turn`` already.
    """
    height, width = image.shape[:2]
    ratio = _first_ratio(width, height) if size is None else min(size / max(width, height), _ENLARGED)
    weak = looker.look(image, ratio)
    found = sure(looker, weak)
    if not found:
        found = _turned(looker, image, ratio, weak)
    if size is None:
        found = _closer(looker, image, ratio, found, weak, most, scout)
    return _inside(merged(found), width, height)


def _first_ratio(width: int, height: int) -> float:
    """The first look's pixels for one of the photo."""
    long, short = max(width, height), min(width, height)
    return min(FIRST * max(1.0, float(np.sqrt(long / short / 2))) / long, _ENLARGED)


def _turned(looker: Looker, image: Pixels, ratio: float, weak: list[Detection]) -> list[Detection]:
    """The faces of a picture that shows none as it stands: one that fills it, or heads that lie or hang.

    It is looked at with a grey margin around it, and turned by quarters; then around the best of what all of these
    looks hint at, with which a head between two quarters shows (``upright``).
    """
    margin = _with_margin(looker, image, ratio / 2)
    if found := sure(looker, margin):
        return found
    quarters, lying = _by_quarters(looker, image, ratio)
    if found := sure(looker, quarters):
        return found
    if max(image.shape[:2]) * ratio <= _SMALL:
        return []
    hints = [d for d in (*weak, *margin, *lying) if _side(d) * ratio >= _WEAK]  # smaller ones are looked at closer
    return found_turned(looker, image, hints)


def _with_margin(looker: Looker, image: Pixels, ratio: float) -> list[Detection]:
    """What a look at a picture with a grey margin around it finds, as large as without, also weak."""
    small, back = shrunk(image, ratio / (1 + 2 * _MARGIN))
    dy, dx = (int(n * _MARGIN) for n in small.shape[:2])
    around = cv2.copyMakeBorder(small, dy, dy, dx, dx, cv2.BORDER_CONSTANT, value=(128, 128, 128))
    found = looker.look(np.asarray(around, np.uint8), max(1.0, ratio / (1 + 2 * _MARGIN)))
    return [placed(placed(d, [[1, 0, -dx], [0, 1, -dy]]), back) for d in found]


def _by_quarters(looker: Looker, image: Pixels, ratio: float) -> tuple[list[Detection], list[Detection]]:
    """The faces of a picture that lies on its side or on its head, and what half of its size hints at.

    Three looks at half the size say which of the quarters shows faces; that one is looked at in full, where one does.
    """
    hints, best, quarters = list[Detection](), 0.0, 0
    for k in (1, 2, 3):
        seen = _quarter(looker, image, ratio / 2, k)
        score = sum(d.score for d in sure(looker, seen))
        best, quarters = (score, k) if score > best else (best, quarters)
        hints += seen
    return (_quarter(looker, image, ratio, quarters) if quarters else []), hints


def _quarter(looker: Looker, image: Pixels, ratio: float, quarters: int) -> list[Detection]:
    """What a look at the picture turned anti-clockwise by quarters finds, also weak."""
    small, back = shrunk(image, ratio)
    found = looker.look(quarter_turned(small, quarters), max(1.0, ratio))
    turned = quarter_back(quarters, small.shape[1], small.shape[0])
    return [placed(placed(d, turned, 90.0 * quarters), back) for d in found]


def _closer(
    looker: Looker,
    image: Pixels,
    ratio: float,
    found: list[Detection],
    weak: list[Detection],
    most: int | None,
    scout: Scout | None,
) -> list[Detection]:
    """``found`` and what closer looks find: around hints, or at the whole picture as long as there is no face."""
    height, width = image.shape[:2]
    closest = min(_CLOSEST, most / max(width, height)) if most else _CLOSEST
    limit = min(_WHOLE, float(np.sqrt(_WHOLE_PIXELS / (width * height))))
    limit = min(closest, max(limit, FULL / max(width, height)))
    while ratio * _PAYS < closest:
        hints = [d for d in weak if _hints(looker, d, ratio)]
        if not found and ratio * _PAYS < limit:
            ratio = 2 * ratio if 3 * ratio < limit else limit
            weak = _look_everywhere(looker, image, ratio, scout)
        elif hints:
            ratio = min(2 * ratio, closest)
            tried = hints if found else hints[:_TRIES]
            weak = _look_at(looker, image, _around(tried, width, height, ratio), ratio)
            if len(tried) < len(hints) and sure(looker, weak):
                weak = _look_at(looker, image, _around(hints, width, height, ratio), ratio)
        else:
            break
        found = merged([*found, *sure(looker, weak)])
    return found


def _look_everywhere(looker: Looker, image: Pixels, ratio: float, scout: Scout | None) -> list[Detection]:
    """What a look at the whole picture finds, also weak; with a scout, where that hints at something."""
    height, width = image.shape[:2]
    tiles = _tiles(width, height, ratio)
    if scout is None:
        return _look_at(looker, image, tiles, ratio)
    hints = [d for d in _look_at(scout(), image, tiles, ratio) if d.score > _HINTED]
    return _look_at(looker, image, _around(hints, width, height, ratio), ratio) if hints else []


def _hints(looker: Looker, found: Detection, ratio: float) -> bool:
    """Whether there may be more around a face than was seen."""
    side = ratio * _side(found)
    return side < _HINT if found.score > looker.threshold else found.score > _HINTED and side < _WEAK


def _side(found: Detection) -> float:
    left, top, right, bottom = found.box
    return float(np.sqrt(max(0.0, (right - left) * (bottom - top))))


def _look_at(
    looker: Looker, image: Pixels, views: Sequence[tuple[int, int, int, int]], ratio: float
) -> list[Detection]:
    """The faces of parts of the picture; those that the inner edges of one cut are left to the parts beside it."""
    height, width = image.shape[:2]
    out = []
    for left, top, right, bottom in views:
        inner = (left > 0, top > 0, right < width, bottom < height)
        for d in looker.look(np.ascontiguousarray(image[top:bottom, left:right]), ratio):
            x0, y0, x1, y1 = d.box
            off = (x0, y0, right - left - x1, bottom - top - y1)
            if not any(cut and gap * ratio < 2 for cut, gap in zip(inner, off, strict=True)):
                out.append(placed(d, [[1, 0, left], [0, 1, top]]))
    return merged(out)


def _tiles(width: int, height: int, ratio: float) -> list[tuple[int, int, int, int]]:
    """Views that cover the picture and share their edges."""
    across, down = (_spans(n, _TILE / ratio, _EDGE / ratio) for n in (width, height))
    return [(left, top, right, bottom) for top, bottom in down for left, right in across]


def _spans(length: int, tile: float, shared: float) -> list[tuple[int, int]]:
    n = max(1, int(np.ceil((length - shared) / (tile - shared))))
    side = min(length, int(np.ceil((length + (n - 1) * shared) / n)))
    starts = [round(i * (length - side) / max(1, n - 1)) for i in range(n)]
    return [(start, start + side) for start in starts]


def _around(hints: Sequence[Detection], width: int, height: int, ratio: float) -> list[tuple[int, int, int, int]]:
    """Windows around hints, few of them; or the tiles of the picture, where those are cheaper."""
    side, inner = _WINDOW / ratio, _EDGE / 2 / ratio
    centres = np.array([((d.box[0] + d.box[2]) / 2, (d.box[1] + d.box[3]) / 2) for d in hints])
    views = []
    while len(centres):
        x, y = centres[0]
        left, right = _span_around(x, side, width)
        top, bottom = _span_around(y, side, height)
        views.append((left, top, right, bottom))
        low = np.array([left + inner * (left > 0), top + inner * (top > 0)])
        high = np.array([right - inner * (right < width), bottom - inner * (bottom < height)])
        centres = centres[1:][((centres[1:] < low) | (centres[1:] > high)).any(axis=1)]
    tiles = _tiles(width, height, ratio)
    return tiles if _pixels(tiles) <= _pixels(views) else views


def _span_around(centre: float, side: float, length: int) -> tuple[int, int]:
    start = int(min(max(0.0, centre - side / 2), max(0.0, length - side)))
    return start, min(length, start + int(np.ceil(side)))


def _pixels(views: Sequence[tuple[int, int, int, int]]) -> int:
    return sum((right - left) * (bottom - top) for left, top, right, bottom in views)


def _inside(found: Sequence[Detection], width: int, height: int) -> list[Detection]:
    """Boxes cut at the picture's edge, scores within 0..1; what has no area left is dropped."""
    out = []
    for d in found:
        left, right = (min(max(v, 0.0), float(width)) for v in (d.box[0], d.box[2]))
        top, bottom = (min(max(v, 0.0), float(height)) for v in (d.box[1], d.box[3]))
        if right - left >= 1 and bottom - top >= 1:
            out.append(replace(d, box=(left, top, right, bottom), score=min(max(d.score, 0.0), 1.0)))
    return sorted(out, key=lambda d: -d.score)
