"""What prediction gives back: a face, and a picture with its faces.

Leaves out: how they come about (``predictor``) and tables of them (``table``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from mien.runtime.quality import Quality

__all__ = ["Face", "Photo"]


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
    quality        size, blur, light and pose, and what makes the face unusable; None where nobody measured
    track, time    in a video: number of the person followed, from 1, and seconds from the start; else None
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
    quality: Quality | None = None
    track: int | None = None
    time: float | None = None

    @property
    def uncertain(self) -> bool:
        """Whether there is more than one candidate."""
        return len(self.candidates) > 1

    @property
    def usable(self) -> bool:
        """Whether nothing measured speaks against believing the answer: not too small, blurred or turned away."""
        return self.quality is None or not self.quality.problems

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
            "usable": self.usable,
            "quality": None if self.quality is None else self.quality.to_dict(),
            **({} if self.track is None else {"track": self.track}),
            **({} if self.time is None else {"time": round(self.time, 3)}),
        }


@dataclass(frozen=True, eq=False)
class Photo(Sequence[Face]):
    """One picture or frame and its faces, the surest detection first; a sequence of :class:`Face`.

    source         path of the picture, or "" where it came as bytes or pixels
    faces          also those that cannot be used
    width, height  in pixels, as the picture is looked at (EXIF applied); 0 for one that cannot be read
    error          why the picture cannot be read, "" for one that was
    time           seconds from the start of a video, else None
    """

    source: str
    faces: tuple[Face, ...] = ()
    width: int = 0
    height: int = 0
    error: str = ""
    time: float | None = None

    @property
    def outcome(self) -> str:
        """``faces`` (at least one usable), ``unusable`` (faces, but none to believe), ``no face`` or ``unreadable``."""
        if self.error:
            return "unreadable"
        if not self.faces:
            return "no face"
        return "faces" if any(face.usable for face in self.faces) else "unusable"

    def to_dict(self) -> dict[str, Any]:
        """All but the pixels, in types that ``json.dumps`` takes."""
        if self.error:
            return {"photo": self.source, "outcome": self.outcome, "error": self.error}
        return {
            "photo": self.source,
            **({} if self.time is None else {"time": round(self.time, 3)}),
            "outcome": self.outcome,
            "width": self.width,
            "height": self.height,
            "faces": [face.to_dict() for face in self.faces],
        }

    def __len__(self) -> int:
        return len(self.faces)

    @overload
    def __getitem__(self, index: int) -> Face: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Face, ...]: ...
    def __getitem__(self, index: int | slice) -> Face | tuple[Face, ...]:
        return self.faces[index]


def _rounded(points: NDArray[np.float32] | None) -> list[list[float]] | None:
    return None if points is None else [[round(float(v), 2) for v in row] for row in points]
