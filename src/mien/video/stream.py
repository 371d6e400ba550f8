"""Frames in, followed and smoothed faces out: ``FaceStream`` for one frame at a time, ``track_faces`` for a source.

A stream holds what goes on from frame to frame: the searcher, the tracker and the smoother. ``track_faces`` puts
threads around it: reading, searching and classifying run side by side with short queues between them, so that memory
does not grow and two cores are used.
Leaves out: opening files and cameras (``reader``), tables and the screen.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mien.faces import Detection, Face, Photo
from mien.spec import ModelSpec
from mien.video.frames import Frame, Source
from mien.video.prefetch import Prefetch, blocks
from mien.video.reader import FrameReader, read_frames
from mien.video.rules import RULES
from mien.video.search import LOOK, Searcher
from mien.video.smoothing import SMOOTH, Smoother
from mien.video.tracking import Tracker

__all__ = ["FacePredictor", "FaceStream", "SearchedFrame", "TrackedFrame", "track_faces"]

_TOGETHER = 4  # frames whose faces go through the network in one batch
_DEPTH = 3  # frames that wait between two threads


class FacePredictor(Protocol):
    """What a stream needs of a predictor; :class:`mien.Predictor` has it.

    What ``find`` gives has ``width`` and ``height`` and goes into ``classify`` as it is.
    """

    detector: Any

    @property
    def spec(self) -> ModelSpec:
        """The model's labels."""

    def detect_in_frame(self, frame: NDArray[np.uint8]) -> list[Detection]:
        """The faces of uint8 ``(H, W, 3)`` BGR, the surest first."""

    def find(self, photo: NDArray[np.uint8], detections: Sequence[Detection] | None = None) -> Any:
        """The crops of known faces."""

    def classify(self, found: Sequence[Any]) -> list[tuple[Face, ...]]:
        """The faces of several pictures, in one batch."""

    def prediction_set(self, probabilities: NDArray[np.float32]) -> tuple[str, ...]:
        """The labels that a face with these probabilities ``(K,)`` may have."""


@dataclass(frozen=True, eq=False)
class SearchedFrame:
    """A frame whose faces are found and followed, but not yet classified.

    tracks  the number of each of ``detections``, None for a weak one that was seen only once
    living  the numbers that may come back
    """

    frame: Frame
    detections: Sequence[Detection] = ()
    tracks: Sequence[int | None] = ()
    living: frozenset[int] = frozenset()


@dataclass(frozen=True, eq=False)
class TrackedFrame:
    """One frame with what came of it.

    frame   its number, time and pixels
    photo   its faces, followed and smoothed
    raw     the same faces in the same order, as the network saw each in this frame alone
    """

    frame: Frame
    photo: Photo
    raw: tuple[Face, ...] = ()


class FaceStream:
    """Follows the faces of frames that are pushed in the order of their times.

    predictor  finds and classifies faces
    smooth     time constant in seconds of the mean of each face's probabilities; 0 gives each frame's own
    look       seconds between looks at the whole picture; 0 looks at it in every frame
    max_gap    seconds without a face after which its track ends, however many frames lie between
    name       the source that photos name

    ``push`` is ``search`` and then ``classify``. These two share nothing that changes, so that each may have a thread
    of its own, as long as frames stay in order.
    """

    def __init__(
        self,
        predictor: FacePredictor,
        *,
        smooth: float = SMOOTH,
        look: float = LOOK,
        max_gap: float = RULES.max_gap,
        name: str = "",
    ) -> None:
        self.predictor, self.name = predictor, name
        self._tracker = Tracker(replace(RULES, max_gap=max_gap))
        self._searcher = Searcher(predictor.detect_in_frame, predictor.detector, self._tracker, look)
        self._smoother = Smoother(smooth)

    def push(self, frame: Frame) -> TrackedFrame:
        """The faces of the next frame; one that cannot be read gives a photo with ``error``."""
        return self.classify([self.search(frame)])[0]

    def search(self, frame: Frame) -> SearchedFrame:
        """First half of :meth:`push`: where the faces are, and who is who."""
        if frame.pixels is None:
            return SearchedFrame(frame)
        detections = self._searcher(frame.pixels, frame.time)
        tracks = self._tracker.update(frame.time, [d.box for d in detections], [d.score for d in detections])
        living = frozenset(t.id for t in self._tracker.tracks if t.id is not None)
        return SearchedFrame(frame, detections, [t.id for t in tracks], living)

    def classify(self, searched: Sequence[SearchedFrame]) -> list[TrackedFrame]:
        """Second half, for several frames in one batch: what the faces express, smoothed."""
        found = [self.predictor.find(s.frame.pixels, s.detections) for s in searched if s.frame.pixels is not None]
        answers = iter(zip(found, self.predictor.classify(found), strict=True))
        return [self._failed(s) if s.frame.pixels is None else self._tracked(s, *next(answers)) for s in searched]

    def _failed(self, searched: SearchedFrame) -> TrackedFrame:
        frame = searched.frame
        return TrackedFrame(frame, Photo(self.name, error=frame.error or "no pixels", time=frame.time))

    def _tracked(self, searched: SearchedFrame, found: Any, faces: tuple[Face, ...]) -> TrackedFrame:
        time = searched.frame.time
        self._smoother.keep(searched.living)
        raw = tuple(replace(f, track=t, time=time) for f, t in zip(faces, searched.tracks, strict=True))
        smooth = tuple(self._smoothed(face) for face in raw)
        return TrackedFrame(searched.frame, Photo(self.name, smooth, found.width, found.height, time=time), raw)

    def _smoothed(self, face: Face) -> Face:
        """A face with the mean of its track; one that is not usable leaves the mean as it is."""
        if face.track is None or face.time is None:
            return face
        new = np.array(list(face.probabilities.values()), np.float32)
        mean = self._smoother(face.track, face.time, new) if face.usable else self._smoother.now(face.track)
        if mean is None:
            return face
        best = int(mean.argmax())
        labels = self.predictor.spec.labels
        return replace(
            face,
            label=labels[best],
            confidence=float(mean[best]),
            prediction_set=self.predictor.prediction_set(mean),
            probabilities=dict(zip(labels, map(float, mean), strict=True)),
        )


def track_faces(
    predictor: FacePredictor,
    source: Source,
    *,
    fps: float | None = None,
    every: int | None = None,
    smooth: float = SMOOTH,
    look: float = LOOK,
    max_gap: float = RULES.max_gap,
) -> Generator[TrackedFrame, None, None]:
    """The faces of each frame of a source that is looked at, in order; see :meth:`mien.Predictor.predict_video`.

    Arguments are checked at once, not at the first frame.
    """
    name = f"camera {source}" if isinstance(source, int) else ""
    name = os.fspath(source) if isinstance(source, str | os.PathLike) else name
    stream = FaceStream(predictor, smooth=smooth, look=look, max_gap=max_gap, name=name)
    return _in_threads(stream, read_frames(source, fps=fps, every=every))


def _in_threads(stream: FaceStream, reader: FrameReader) -> Generator[TrackedFrame, None, None]:
    """Of a live source the newest frame wins: frames that nobody had time for are passed over."""

    def depth() -> int:
        return 1 if reader.live else _DEPTH

    frames = Prefetch(reader, depth, spare=lambda frame: reader.live and not frame.error)
    searched = Prefetch(map(stream.search, frames), depth)
    try:
        for block in blocks(searched, lambda: 1 if reader.live else _TOGETHER):
            yield from stream.classify(block)
    finally:
        searched.close(frames)
