"""From a photo to faces with expressions: read, detect, crop, classify. The main path of prediction, in one place.

Leaves out: how a face is found (``detector``), what the network computes (``classifier``), drawing (``overlay``).
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.calibration import prediction_set
from mien.errors import DataError
from mien.images import decode, read_image
from mien.runtime.classifier import Classifier, find_model
from mien.runtime.detector import Detection, Detector, make_detector
from mien.spec import ModelSpec, crop_face, crop_matrix

__all__ = ["Face", "Predictor"]

_PLAIN_SHARE = 0.9  # what the candidates of a model without calibration reach together


@dataclass(frozen=True, eq=False)
class Face:
    """One face of a photo, and what its expression was taken for.

    label          the most probable expression
    confidence     its probability, 0..1
    candidates     the expressions that it may be, the most probable first, at least one. With a calibrated model those
                   that reach ``spec.calibration["threshold"]``, which hold the right one as often as
                   ``coverage_target`` says, on average over faces like those it was calibrated on. Without, the fewest
                   that have 90 % of the probability together: a plain rule, not calibrated
    probabilities  expression -> probability, in the model's order
    box, score, landmarks   from the detector, in pixels of the photo, see :class:`~mien.runtime.detector.Detection`
    crop           uint8 ``(S, S)``, grey: all that the network saw
    region         float32 ``(4, 2)``: the corners, in pixels of the photo, of the part that the network's spatial
                   transformer looked at (top left, top right, bottom right, bottom left before it was turned); None
                   for a net without one
    attention      float32 ``(h, w)``: the weights, which sum to 1, that the network gave to positions in its window
                   (``region``; the whole crop for a net without a transformer); None for a net without it
    """

    label: str
    confidence: float
    candidates: tuple[str, ...]
    probabilities: dict[str, float]
    box: tuple[float, float, float, float]
    score: float
    landmarks: NDArray[np.float32] | None
    crop: NDArray[np.uint8]
    region: NDArray[np.float32] | None = None
    attention: NDArray[np.float32] | None = None

    @property
    def uncertain(self) -> bool:
        """Whether there is more than one candidate."""
        return len(self.candidates) > 1

    def to_dict(self) -> dict[str, Any]:
        """All but the pixels, in types that ``json.dumps`` takes; positions to a hundredth of a pixel."""
        return {
            "label": self.label,
            "confidence": round(self.confidence, 6),
            "uncertain": self.uncertain,
            "candidates": list(self.candidates),
            "probabilities": {name: round(p, 6) for name, p in self.probabilities.items()},
            "box": [round(v, 2) for v in self.box],
            "score": round(self.score, 4),
            "landmarks": _rounded(self.landmarks),
            "region": _rounded(self.region),
        }


class Predictor:
    """Finds the faces of a photo and names their expressions; opens its files once, keeps them, needs no network.

    model     name of a shipped model, path of an .onnx file from ``mien export``, or None for the default
    detector  a :class:`Detector`, one of the names ``centerface`` and ``none``, or None for the default (CenterFace)
    threads   of onnxruntime, for both networks; None lets it choose
    """

    def __init__(
        self,
        model: str | os.PathLike[str] | None = None,
        detector: Detector | str | None = None,
        threads: int | None = None,
    ) -> None:
        self._classifier = Classifier(find_model(model), threads=threads)
        chosen = "centerface" if detector is None else detector
        self.detector: Detector = make_detector(chosen, threads=threads) if isinstance(chosen, str) else chosen

    @property
    def spec(self) -> ModelSpec:
        """What the model is: its labels, size, scores and terms."""
        return self._classifier.spec

    def predict(self, image: str | os.PathLike[str] | bytes | NDArray[np.uint8]) -> list[Face]:
        """The faces of one photo, the surest detection first; an empty list where there is none.

        ``image`` is a path, an encoded picture as bytes, or pixels: uint8 ``(H, W)`` grey or ``(H, W, 3)`` BGR as
        OpenCV has them. DataError says what is wrong with a picture that cannot be read.
        """
        photo = load_photo(image)
        found = self.detector.detect(photo)
        if not found:
            return []
        crops = np.stack([crop_face(photo, d.box, self.spec) for d in found])
        out = self._classifier(crops)
        return [
            self._face(
                detection,
                crops[i],
                out.probabilities[i],
                None if out.theta is None else out.theta[i],
                None if out.attention is None else out.attention[i],
            )
            for i, detection in enumerate(found)
        ]

    def predict_crops(self, faces: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Faces that are cropped already, uint8 ``(N, S, S)`` grey -> probabilities float32 ``(N, K)``."""
        return self._classifier(faces).probabilities

    def _face(
        self,
        detection: Detection,
        crop: NDArray[np.uint8],
        probabilities: NDArray[np.float32],
        theta: NDArray[np.float32] | None,
        attention: NDArray[np.float32] | None,
    ) -> Face:
        best = int(probabilities.argmax())
        return Face(
            label=self.spec.labels[best],
            confidence=float(probabilities[best]),
            candidates=candidates(probabilities, self.spec),
            probabilities=dict(zip(self.spec.labels, map(float, probabilities), strict=True)),
            box=detection.box,
            score=detection.score,
            landmarks=detection.landmarks,
            crop=crop,
            region=None if theta is None else region_in_photo(theta, detection.box, self.spec),
            attention=attention,
        )


def candidates(probabilities: NDArray[np.float32], spec: ModelSpec) -> tuple[str, ...]:
    """The labels that a face with probabilities ``(K,)`` may have, see :class:`Face`."""
    threshold = spec.calibration.get("threshold")
    if threshold is not None:
        chosen = prediction_set(probabilities, threshold)
    else:
        order = prediction_set(probabilities, 0.0)
        together = np.cumsum(probabilities[order], dtype=np.float64)
        chosen = order[: np.searchsorted(together, _PLAIN_SHARE - 1e-6) + 1]  # less the rounding of float32
    return tuple(spec.labels[i] for i in chosen)


def load_photo(image: str | os.PathLike[str] | bytes | NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A path, encoded bytes or pixels -> uint8 ``(H, W, 3)`` BGR."""
    if isinstance(image, bytes | bytearray | memoryview):
        return decode(bytes(image), "picture", colour=True)
    if isinstance(image, str | os.PathLike):
        return read_image(image, colour=True)
    if not isinstance(image, np.ndarray):
        raise DataError(f"image must be a path, bytes or a numpy array, got {type(image).__name__}")
    if image.dtype != np.uint8 or not (image.ndim == 2 or (image.ndim == 3 and image.shape[2] == 3)) or not image.size:
        raise DataError(f"image must be uint8 (H, W) or (H, W, 3) and not empty, got {image.dtype} {image.shape}")
    return np.ascontiguousarray(cv2.cvtColor(image, cv2.COLOR_GRAY2BGR) if image.ndim == 2 else image)


def region_in_crop(theta: NDArray[np.float32], size: int) -> NDArray[np.float32]:
    """Where the output's four corners lie in the crop: float32 ``(4, 2)``, 0..size from edge to edge."""
    corners = np.array([[-1, -1, 1], [1, -1, 1], [1, 1, 1], [-1, 1, 1]], np.float32)
    return ((corners @ theta.T + 1) / 2 * size).astype(np.float32)


def region_in_photo(
    theta: NDArray[np.float32], box: tuple[float, float, float, float], spec: ModelSpec
) -> NDArray[np.float32]:
    """The same corners in pixels of the photo, 0..width and 0..height from edge to edge."""
    back = cv2.invertAffineTransform(crop_matrix(box, spec))
    centres = region_in_crop(theta, spec.size) - 0.5  # the matrix speaks of pixel centres
    return np.asarray(centres @ back[:, :2].T + back[:, 2] + 0.5, np.float32)


def _rounded(points: NDArray[np.float32] | None) -> list[list[float]] | None:
    return None if points is None else [[round(float(v), 2) for v in row] for row in points]
