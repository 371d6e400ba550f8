"""From a photo to faces with expressions: read, find, crop, classify. The main path of prediction, in one place.

Leaves out: how a face is found (``detector``), what the network computes (``classifier``), how good the picture of a
face is (``quality``), drawing (``overlay``).
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from time import monotonic
from typing import IO, overload

import numpy as np
import PIL.Image
from numpy.typing import NDArray

from mien.errors import ConfigError, DataError
from mien.faces import Detection, Face, Photo, Quality
from mien.images import as_picture
from mien.picture_files import PassedOver, find_pictures
from mien.preprocessing import crop_face, grey_of, raise_contrast, to_photo
from mien.runtime.attention_window import IDENTITY, window
from mien.runtime.classifier import Classifier, Outputs, find_head
from mien.runtime.detector import CenterFace, Detector, WholeImage, YuNet, make_detector
from mien.runtime.prediction_set import possible_labels
from mien.runtime.quality import measure
from mien.runtime.upright import turned_by_landmarks
from mien.spec import ModelSpec
from mien.video import LOOK, RULES, SMOOTH, Source, track_faces

__all__ = ["Found", "Image", "Predictor", "detect"]

_LOG = logging.getLogger(__name__)

#: A path, an encoded picture, an open binary file, a Pillow image, or pixels: uint8 ``(H, W)`` grey or ``(H, W, 3)``
#: BGR, as OpenCV has them.
Image = str | os.PathLike[str] | bytes | IO[bytes] | PIL.Image.Image | NDArray[np.uint8]

_TOGETHER = 32  # pictures whose faces go through the network in one batch
_AT_MOST = 1.0  # seconds for which a picture that has been searched waits for others


@dataclass(frozen=True, eq=False)
class Found:
    """The faces found in one picture, before the network.

    crops, quality  of each of ``detections``: uint8 ``(N, S, S)`` or ``(N, S, S, 3)`` RGB, as the network gets them,
                    and how good the photo is
    """

    detections: Sequence[Detection]
    crops: NDArray[np.uint8]
    quality: Sequence[Quality]
    width: int
    height: int


class Predictor:
    """Finds the faces of photos and names their expressions; opens its files once, keeps them, needs no network.

    model     name of a shipped model, path of an .onnx file from ``mien export``, or None for the default
    detector  a :class:`Detector`, one of the names ``centerface``, ``fast`` and ``none`` (pictures are face crops
              already, framed like the model's training data: the largest centred square is all that it sees), or None
              for CenterFace
    threads   of onnxruntime, for both networks; None lets it choose
    labels    name of the head that answers, ``fer2013`` or ``fer+`` (with contempt) of a shipped model; None for the
              model's default answer, which joins its heads. :attr:`Face.heads` has what each says

    device    ``cpu``, ``cuda``, ``openvino``, ``coreml`` or ``auto``, see ``mien.runtime.devices``; of both networks,
              unless ``detector`` is one that has been made already

    May be called from several threads at once, and pickled: it opens its files again where it arrives.
    """

    def __init__(
        self,
        model: str | os.PathLike[str] | None = None,
        detector: Detector | str | None = None,
        threads: int | None = None,
        *,
        labels: str | None = None,
        device: str = "cpu",
    ) -> None:
        path, head = find_head(model)
        self._classifier = Classifier(path, labels=labels or head, threads=threads, device=device)
        chosen = "centerface" if detector is None else detector
        if isinstance(chosen, str):
            chosen = make_detector(chosen, threads=threads, device=device)
        self.detector: Detector = chosen

    @property
    def spec(self) -> ModelSpec:
        """What the model is: its labels, size, scores and terms."""
        return self._classifier.spec

    @property
    def provider(self) -> str:
        """What runs the network, as onnxruntime calls it: ``CPUExecutionProvider``."""
        return self._classifier.provider

    @property
    def model_path(self) -> Path:
        """The model's file."""
        return self._classifier.path

    @overload
    def predict(self, image: Image) -> Photo: ...
    @overload
    def predict(self, image: list[Image] | tuple[Image, ...]) -> list[Photo]: ...
    def predict(self, image: Image | list[Image] | tuple[Image, ...]) -> Photo | list[Photo]:
        """The faces of one photo, or of each of a list of them.

        What a picture shows is never an error: see :attr:`Photo.outcome`. One picture that cannot be read raises
        DataError, which says what is wrong; in a list it is a :class:`Photo` with ``error``.
        """
        if isinstance(image, list | tuple):
            return list(self.predict_many(image))
        photo = as_picture(image)
        found = self.find(photo)
        return Photo(source_of(image), self.classify([found])[0], found.width, found.height)

    def predict_many(
        self, images: Iterable[Image], *, jobs: int = 1, searched: Callable[[], object] | None = None
    ) -> Iterator[Photo]:
        """One :class:`Photo` for each picture, in order, in constant memory.

        jobs  pictures that are read and searched at a time; more pay where ``threads`` is 1. Faces of up to 32
              pictures, or of a second, go through the network together. A picture that cannot be read has ``error``,
              the others go on.
        searched  called whenever a picture has been read and searched, which takes most of the time: for a bar
        """
        if jobs < 1:
            raise ConfigError(f"jobs must be 1 or more, got {jobs}")
        one = isinstance(images, np.ndarray) and (images.ndim < 3 or (images.ndim == 3 and images.shape[2] == 3))
        if one or isinstance(images, str | bytes | os.PathLike) or not isinstance(images, Iterable):
            raise ConfigError(
                f"images must be a list of pictures, got one {type(images).__name__}; `predict` takes one picture and "
                "`predict_folder` a folder"
            )
        return self._many(iter(images), jobs, searched or (lambda: None))

    def _many(self, waiting: Iterator[Image], jobs: int, searched: Callable[[], object]) -> Iterator[Photo]:
        pool = ThreadPoolExecutor(jobs)
        try:
            while block := list(islice(waiting, _TOGETHER)):
                ready, began = list[tuple[Image, Found | str]](), monotonic()
                for image, found in zip(block, pool.map(self._find_or_say, block), strict=True):
                    ready.append((image, found))
                    searched()
                    if monotonic() - began > _AT_MOST:
                        yield from self._classified(ready)
                        ready, began = [], monotonic()
                yield from self._classified(ready)
        finally:
            pool.shutdown(cancel_futures=True)  # after Ctrl-C only the pictures that are being searched are waited for

    def _classified(self, ready: Sequence[tuple[Image, Found | str]]) -> Iterator[Photo]:
        """Photos of pictures that have been searched, or that cannot be read, in one batch."""
        answers = iter(self.classify([found for _, found in ready if isinstance(found, Found)]))
        for image, found in ready:
            if isinstance(found, Found):
                yield Photo(source_of(image), next(answers), found.width, found.height)
            else:
                yield Photo(source_of(image), error=found)

    def predict_folder(
        self, folder: str | os.PathLike[str], *, jobs: int = 1, passed: PassedOver | None = None
    ) -> Iterator[Photo]:
        """One :class:`Photo` for each picture in ``folder`` and below it, by name; see :meth:`predict_many`.

        passed  counts what is in the folder and no picture, by kind; None writes a line about it into the log
        """
        found = PassedOver() if passed is None else passed
        pictures = list(find_pictures(folder, found))
        if found and passed is None:
            _LOG.warning("%s: %s", os.fspath(folder), found)
        return self.predict_many(pictures, jobs=jobs)

    def predict_video(
        self,
        source: Source,
        *,
        fps: float | None = None,
        every: int | None = None,
        smooth: float = SMOOTH,
        look: float = LOOK,
        max_gap: float = RULES.max_gap,
    ) -> Iterator[Photo]:
        """One :class:`Photo` with ``time`` for each frame that is looked at, in order, in constant memory.

        source  path or address of a video, the number of a camera, or frames of your own: an iterable of pixels (25 a
                second), of pairs (seconds, pixels) or of :class:`~mien.video.Frame`
        fps     look at so many frames a second at most, by their times; or ``every`` N-th frame; else at all
        smooth  time constant in seconds of the mean of each face's probabilities; 0 gives each frame's own
        look    seconds between looks at the whole picture, so the latest that a new face is noticed (a small one after
                five looks); in between only the surroundings of known faces are searched. 0 looks at the whole picture
                in every frame
        max_gap seconds without a face after which its track ends, however few frames lie between

        Each face has ``time`` and ``track``, its number from 1 that stays through gaps of up to 0.7 s; None for a weak
        detection that was seen only once. A frame that is broken, and the frames that a cut video lacks, are a photo
        with ``error``. DataError where there is no such file or camera.
        """
        tracked = track_faces(self, source, fps=fps, every=every, smooth=smooth, look=look, max_gap=max_gap)
        return (frame.photo for frame in tracked)

    def predict_crops(self, faces: NDArray[np.uint8] | Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        """Faces that are cropped already, as the network takes them, uint8 ``(N, S, S)`` grey or ``(N, S, S, 3)`` RGB,
        or a list -> probabilities float32 ``(N, K)``.

        The columns are ``spec.labels``. Pictures of faces of any size, in colour too: ``Predictor(detector="none")``.
        """
        return self._classifier(faces).probabilities

    def find(self, photo: NDArray[np.uint8], detections: Sequence[Detection] | None = None) -> Found:
        """First half of :meth:`predict`: find and crop the faces of pixels uint8 ``(H, W, 3)`` BGR.

        detections  faces that are known already; None asks the detector
        """
        known = self.detect(photo) if detections is None else detections
        crops = [crop_face(photo, d.box, self.spec, d.turn) for d in known]
        quality = [
            measure(grey_of(c), d.box, d.landmarks, photo.shape, d.turn) for c, d in zip(crops, known, strict=True)
        ]
        stack = np.stack([raise_contrast(c) for c in crops]) if crops else np.zeros((0, *self.spec.shape), np.uint8)
        return Found(known, stack, quality, photo.shape[1], photo.shape[0])

    def detect(self, photo: NDArray[np.uint8]) -> list[Detection]:
        """What the detector finds in pixels uint8 ``(H, W, 3)`` BGR, see :func:`detect`."""
        return detect(self.detector, photo, self.spec)

    def detect_in_frame(self, frame: NDArray[np.uint8]) -> list[Detection]:
        """The same for one frame of many: a detector that chooses its size looks less far for small faces."""
        sized = isinstance(self.detector, CenterFace | YuNet) and self.detector.size is None
        return detect(self.detector.for_frames() if sized else self.detector, frame, self.spec)  # type: ignore[attr-defined]

    def classify(self, found: Sequence[Found]) -> list[tuple[Face, ...]]:
        """Second half: the network's answers for the faces of many pictures, in one batch."""
        if not found:
            return []
        out = self._classifier(np.concatenate([f.crops for f in found]))
        faces, at = [], 0
        for f in found:
            faces.append(tuple(self._face(f, i, out, at + i) for i in range(len(f.detections))))
            at += len(f.detections)
        return faces

    def prediction_set(self, probabilities: NDArray[np.float32]) -> tuple[str, ...]:
        """The labels that a face with probabilities ``(K,)`` may have, see :class:`Face`."""
        return possible_labels(probabilities, self.spec)

    def _find_or_say(self, image: Image) -> Found | str:
        """The faces of a picture, or what is wrong with it."""
        try:
            return self.find(as_picture(image))
        except DataError as error:
            return error.message

    def _face(self, found: Found, i: int, out: Outputs, row: int) -> Face:
        """Face ``i`` of a picture, whose answer is in ``row`` of the batch."""
        detection, crop, probabilities = found.detections[i], found.crops[i], out.probabilities[row]
        place = detection.box, self.spec, detection.turn
        best = int(probabilities.argmax())
        return Face(
            label=self.spec.labels[best],
            confidence=float(probabilities[best]),
            prediction_set=self.prediction_set(probabilities),
            probabilities=dict(zip(self.spec.labels, map(float, probabilities), strict=True)),
            box=detection.box,
            score=detection.score,
            landmarks=detection.landmarks,
            crop=crop,
            attention_window=None if out.theta is None else to_photo(window(out.theta[row], len(crop)), *place),
            attention=None if out.attention is None else out.attention[row],
            quality=found.quality[i],
            turn=detection.turn,
            corners=to_photo(window(IDENTITY, len(crop)), *place),
            heads={
                h.name: dict(zip(h.labels, map(float, out.heads[h.name][row]), strict=True))
                for h in self._classifier.heads
            },
        )


def detect(detector: Detector, photo: NDArray[np.uint8], spec: ModelSpec) -> list[Detection]:
    """What ``detector`` finds; a ready-made crop's box is the one whose crop is that picture, not more of it.

    Faces of a detector that tells no ``turn`` have that of their landmarks.
    """
    found = detector.detect(photo)
    if isinstance(detector, WholeImage):
        return [replace(d, box=box_inside(d.box, spec)) for d in found]
    return found if isinstance(detector, CenterFace | YuNet) else [turned_by_landmarks(d) for d in found]


def box_inside(square: tuple[float, float, float, float], spec: ModelSpec) -> tuple[float, float, float, float]:
    """The face's box in a square that is framed as the network wants it: ``crop_face`` of the box gives the square."""
    left, top, right, bottom = square
    side = (right - left) / spec.crop.scale
    x, y = (left + right) / 2 - spec.crop.dx * side, (top + bottom) / 2 - spec.crop.dy * side
    return x - side / 2, y - side / 2, x + side / 2, y + side / 2


def source_of(image: Image) -> str:
    """The path of an image that is one, else ""."""
    return os.fspath(image) if isinstance(image, str | os.PathLike) else ""
