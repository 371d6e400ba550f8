"""Where the faces of a video are: in the whole picture now and then, around the faces that are known in between.

The dear part of a video is the detector. It looks at the whole picture every ``look`` seconds, four times of five at
320 pixels, and at its own size whenever a face that is followed is not found. In between it looks only into a window
around the place where each face is expected, enlarged or reduced to few pixels. So every box is a detection with its
landmarks, none is a guess.
Leaves out: the detector itself, and who is who (``tracking``).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from mien.errors import ConfigError
from mien.faces import Detection
from mien.video.tracking import Box, Tracker, iou

__all__ = ["LOOK", "Searcher", "SizedDetector"]

#: Seconds between two looks at the whole picture.
LOOK = 0.2

_FULL, _LESS = 5, 320  # of so many looks at the whole picture one is at full size, the others at so many pixels
_NEW = 0.3  # IoU with a known face from which on a face is no new one
_WINDOW, _WINDOW_SIZE = 2.0, 128  # side of a window in sides of the face, and its pixels for the detector


@runtime_checkable
class SizedDetector(Protocol):
    """A detector that brings pictures to a size of its own; one without ``at_size`` sees whole pictures only."""

    def detect(self, image: NDArray[np.uint8]) -> list[Detection]:
        """The faces of a picture, uint8 ``(H, W, 3)`` BGR."""

    def at_size(self, size: int) -> SizedDetector:
        """The same network for pictures whose long side is brought to ``size`` pixels."""


class Searcher:
    """Finds the faces of one frame after the other.

    detect    what finds faces in a whole picture
    detector  of the same kind, for windows, where it is a :class:`SizedDetector`
    tracker   knows where faces are expected; whoever calls tells it what was found
    look      seconds between looks at the whole picture; 0 looks at it, at full size, in every frame
    """

    def __init__(
        self,
        detect: Callable[[NDArray[np.uint8]], list[Detection]],
        detector: object,
        tracker: Tracker,
        look: float = LOOK,
    ) -> None:
        if not 0 <= look < float("inf"):
            raise ConfigError(f"look must be 0 seconds or more, got {look}")
        self.look, self.tracker = look, tracker
        self._detect = detect
        size = getattr(detector, "size", None)
        self._size = size if isinstance(size, int) else 480
        sized = detector if isinstance(detector, SizedDetector) else None
        self._near = sized.at_size(_WINDOW_SIZE) if sized else None
        self._less = sized.at_size(_LESS) if sized and self._size > _LESS else None
        self._looked: float | None = None  # time of the last look at the whole picture, and of that at full size
        self._full: float | None = None

    def __call__(self, pixels: NDArray[np.uint8], time: float) -> list[Detection]:
        """The faces in ``pixels``, uint8 ``(H, W, 3)`` BGR, at ``time`` seconds, the surest first."""
        due, full = self._due(self._looked, time, self.look), self._due(self._full, time, _FULL * self.look)
        known = len(self.tracker.tracks)
        if not (full or (due and self._less is None)) and self._windows_pay(known + 3 * due, pixels.shape):
            followed = self._follow(pixels, time)
            if followed is not None:
                return self._and_new(pixels, time, followed) if due else followed
        self._looked = self._full = time
        found = self._detect(pixels)
        if self.look == 0 or not self._windows_pay(len(found), pixels.shape):
            return found
        # a detector's box depends on the size at which it sees a face: one way in all frames, so that no box jumps
        near = [self._around(pixels, d.box) for d in found]
        return [d if n is None else n for d, n in zip(found, near, strict=True)]

    @staticmethod
    def _due(last: float | None, time: float, step: float) -> bool:
        return last is None or not last <= time < last + step - 1e-6

    def _and_new(self, pixels: NDArray[np.uint8], time: float, followed: list[Detection]) -> list[Detection]:
        """The faces that are followed, and who is new and large enough to be found in fewer pixels."""
        assert self._less is not None
        self._looked = time
        out = list(followed)
        for d in self._less.detect(pixels):
            near = self._around(pixels, d.box) or d
            if all(iou(near.box, other.box) < _NEW for other in out):
                out.append(near)
        return sorted(out, key=lambda d: -d.score)

    def _windows_pay(self, faces: int, shape: tuple[int, ...]) -> bool:
        """Whether looking around each face costs less than looking at the whole picture."""
        whole = self._size**2 * min(shape[:2]) / max(shape[:2])
        return self._near is not None and 1.5 * faces * _WINDOW_SIZE**2 < whole

    def _follow(self, pixels: NDArray[np.uint8], time: float) -> list[Detection] | None:
        """The faces that are followed; None where one that was there in the last frame is not found."""
        out: list[Detection] = []
        for track in self.tracker.tracks:
            found = self._around(pixels, track.expected(time))
            if found is None and not track.misses:
                return None
            if found is not None and all(iou(found.box, other.box) < 0.5 for other in out):
                out.append(found)
        return sorted(out, key=lambda d: -d.score)

    def _around(self, pixels: NDArray[np.uint8], place: Box) -> Detection | None:
        """The face at ``place``, looked for in a window around it."""
        assert self._near is not None
        left, top, right, bottom = _window(place, pixels.shape)
        if right - left < 16 or bottom - top < 16:
            return None  # it has left the picture
        inside = self._near.detect(np.ascontiguousarray(pixels[top:bottom, left:right]))
        moved = [_moved(d, left, top) for d in inside]
        best = max(moved, key=lambda d: iou(d.box, place), default=None)
        return best if best is not None and iou(best.box, place) >= 0.3 else None


def _window(box: Box, shape: tuple[int, ...]) -> tuple[int, int, int, int]:
    """A square around ``box``, cut at the picture's edge, in whole pixels."""
    half = _WINDOW / 2 * max(box[2] - box[0], box[3] - box[1])
    x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    left, top = max(0, int(x - half)), max(0, int(y - half))
    return left, top, min(shape[1], int(x + half) + 1), min(shape[0], int(y + half) + 1)


def _moved(found: Detection, left: int, top: int) -> Detection:
    """A face found in a window, in pixels of the whole picture."""
    x0, y0, x1, y1 = found.box
    points = None if found.landmarks is None else found.landmarks + np.array([left, top], np.float32)
    return replace(found, box=(x0 + left, y0 + top, x1 + left, y1 + top), landmarks=points)
