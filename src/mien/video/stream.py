"""A video through a predictor: read, search, classify, each ahead of the next, and the faces followed and smoothed.

The dear part is the detector. It looks at the whole picture every ``look`` seconds, and whenever a face that is
followed is not found; in between it looks only into a window around the place where each face is expected, enlarged
or reduced to few pixels. So every box is a detection with its landmarks, none is a guess.
Reading, searching and classifying run in three threads with short queues between them: memory does not grow, and two
cores are used. Leaves out: files (``mien.video``), tables and the screen (``mien.cli.video``).
"""

from __future__ import annotations

import copy
import os
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mien.errors import ConfigError
from mien.faces import Detection, Face, Photo
from mien.runtime.detector import CenterFace, YuNet
from mien.runtime.predictor import Found, Predictor, candidates
from mien.video.prefetch import Ahead, blocks
from mien.video.reader import Frame, Source, read_frames
from mien.video.smoothing import Smoother
from mien.video.tracking import Box, Tracker, iou

__all__ = ["LOOK", "SMOOTH", "Seen", "predict_video", "watch"]

#: Seconds between two looks at the whole picture.
LOOK = 0.2

#: Time constant of smoothing in seconds.
SMOOTH = 0.3

_WINDOW, _WINDOW_SIZE = 2.0, 128  # side of a window in sides of the face, and its pixels for the detector
_TOGETHER = 4  # frames whose faces go through the network in one batch
_DEPTH = 3  # frames that wait between two threads


@dataclass(frozen=True, eq=False)
class Seen:
    """One frame with what came of it.

    frame   its number, time and pixels
    photo   its faces, followed and smoothed
    raw     the same faces in the same order, as the network saw each in this frame alone
    """

    frame: Frame
    photo: Photo
    raw: tuple[Face, ...] = ()


def predict_video(
    predictor: Predictor,
    source: Source,
    *,
    fps: float | None = None,
    every: int | None = None,
    smooth: float = SMOOTH,
    look: float = LOOK,
) -> Iterator[Photo]:
    """One :class:`Photo` for each frame that is looked at; see :meth:`Predictor.predict_video`."""
    return (seen.photo for seen in watch(predictor, source, fps=fps, every=every, smooth=smooth, look=look))


def watch(
    predictor: Predictor,
    source: Source,
    *,
    fps: float | None = None,
    every: int | None = None,
    smooth: float = SMOOTH,
    look: float = LOOK,
) -> Generator[Seen, None, None]:
    """The same with the frame and the unsmoothed faces; arguments are checked at once, not at the first frame."""
    if not 0 <= look < float("inf"):
        raise ConfigError(f"look must be 0 seconds or more, got {look}")
    live = isinstance(source, int)
    frames = Ahead(read_frames(source, fps=fps, every=every), 1 if live else _DEPTH, newest=live)
    name = f"camera {source}" if live else os.fspath(source) if isinstance(source, str | os.PathLike) else ""
    return _watch(predictor, frames, _Searcher(predictor, look), Smoother(smooth), name, 1 if live else _TOGETHER)


def _watch(
    predictor: Predictor, frames: Ahead[Frame], searcher: _Searcher, smoother: Smoother, name: str, together: int
) -> Generator[Seen, None, None]:
    searched = Ahead(_search(frames, searcher), min(_DEPTH, together))
    try:
        for block in blocks(searched, together):
            found = [predictor.find(s.frame.pixels, s.detections) for s in block if s.frame.pixels is not None]
            answers = iter(zip(found, predictor.answer(found), strict=True))
            for s in block:
                if s.frame.pixels is None:
                    yield Seen(s.frame, Photo(name, error=s.frame.error or "no pixels", time=s.frame.time))
                else:
                    yield _seen(s, *next(answers), predictor, smoother, name)
    finally:
        searched.close()


@dataclass(frozen=True, eq=False)
class _Searched:
    """A frame, its faces, the track of each and the tracks that live."""

    frame: Frame
    detections: Sequence[Detection] = ()
    tracks: Sequence[int | None] = ()
    living: frozenset[int] = frozenset()


def _seen(
    s: _Searched, found: Found, faces: tuple[Face, ...], predictor: Predictor, smoother: Smoother, name: str
) -> Seen:
    smoother.keep(s.living)
    raw = tuple(replace(f, track=t, time=s.frame.time) for f, t in zip(faces, s.tracks, strict=True))
    smooth = tuple(_smoothed(face, predictor, smoother) for face in raw)
    return Seen(s.frame, Photo(name, smooth, found.width, found.height, time=s.frame.time), raw)


def _smoothed(face: Face, predictor: Predictor, smoother: Smoother) -> Face:
    """A face with the mean of its track; one that is not usable leaves the mean as it is."""
    if face.track is None or face.time is None:
        return face
    new = np.array(list(face.probabilities.values()), np.float32)
    mean = smoother(face.track, face.time, new) if face.usable else smoother.now(face.track)
    if mean is None:
        return face
    best = int(mean.argmax())
    labels = predictor.spec.labels
    return replace(
        face,
        label=labels[best],
        confidence=float(mean[best]),
        candidates=candidates(mean, predictor.spec),
        probabilities=dict(zip(labels, map(float, mean), strict=True)),
    )


def _search(frames: Ahead[Frame], searcher: _Searcher) -> Iterator[_Searched]:
    try:
        for frame in frames:
            if frame.pixels is None:
                yield _Searched(frame)
                continue
            detections = searcher(frame.pixels, frame.time)
            tracks = searcher.tracker.update(frame.time, [d.box for d in detections], [d.score for d in detections])
            living = frozenset(t.id for t in searcher.tracker.tracks if t.id is not None)
            yield _Searched(frame, detections, [t.id for t in tracks], living)
    finally:
        frames.close()


class _Searcher:
    """Finds the faces of one frame after the other: in the whole picture, or around those that are known."""

    def __init__(self, predictor: Predictor, look: float) -> None:
        self.predictor, self.look, self.tracker = predictor, look, Tracker()
        detector = predictor.detector
        self._near: CenterFace | YuNet | None = None
        self._looked: float | None = None
        if isinstance(detector, CenterFace | YuNet):  # others may not mind the size of a picture
            self._near = copy.copy(detector)  # shares the opened network
            self._near.size = _WINDOW_SIZE

    def __call__(self, pixels: NDArray[np.uint8], time: float) -> list[Detection]:
        due = self._looked is None or not self._looked <= time < self._looked + self.look - 1e-6
        if not due and self._windows_pay(len(self.tracker.tracks), pixels.shape):
            followed = self._follow(pixels, time)
            if followed is not None:
                return followed
        self._looked = time
        found = self.predictor.detect(pixels)
        if self.look == 0 or not self._windows_pay(len(found), pixels.shape):
            return found
        # a detector's box depends on the size at which it sees a face: one way in all frames, so that no box jumps
        near = [self._around(pixels, d.box) for d in found]
        return [d if n is None else n for d, n in zip(found, near, strict=True)]

    def _windows_pay(self, faces: int, shape: tuple[int, ...]) -> bool:
        """Whether looking around each face costs less than looking at the whole picture."""
        size = getattr(self.predictor.detector, "size", 640)
        whole = size * size * min(shape[:2]) / max(shape[:2])
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
    return Detection((x0 + left, y0 + top, x1 + left, y1 + top), found.score, points)
