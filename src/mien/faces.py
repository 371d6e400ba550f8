"""The records that prediction gives back: a detection, a face with its quality, and a picture with its faces.

Leaves out: how they come about (``mien.runtime``) and tables of them (``mien.results``).
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar, overload

import numpy as np
from numpy.typing import NDArray

__all__ = ["Detection", "Face", "Photo", "Quality"]

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Detection:
    """One face in a picture.

    box        left, top, right, bottom in pixels of the picture, inside it
    score      how sure the detector is, 0..1
    landmarks  float32 ``(5, 2)``, x and y of right eye, left eye, nose, right and left mouth corner (right and left
               are the person's); None from a detector that has none
    turn       degrees clockwise, over -180 up to 180, by which the face's crop is turned in the picture, so that the
               head stands upright in it; 0 for a head that is tilted little
    """

    box: tuple[float, float, float, float]
    score: float
    landmarks: NDArray[np.float32] | None = None
    turn: float = 0.0


@dataclass(frozen=True)
class Quality:
    """What was measured of one face in a picture.

    side       of the detector's box in pixels of the picture, the root of its area
    sharpness  variance of the Laplacian of the crop over the crop's variance, 0 upwards; the less, the more blurred
    brightness mean grey of the crop, 0..255
    contrast   standard deviation of the crop's grey values, 0..127.5
    yaw, pitch, roll   degrees by which the head is turned to the picture's right, downwards, and clockwise, against the
               line of sight; estimated from five landmarks and a mean head (OpenCV's ``solvePnP``), so good to some
               degrees only; None where the detector has no landmarks
    problems   what makes the face unusable, each with its value and its limit; none for a usable one
    """

    side: float
    sharpness: float
    brightness: float
    contrast: float
    yaw: float | None = None
    pitch: float | None = None
    roll: float | None = None
    problems: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """All of it, rounded, in types that ``json.dumps`` takes."""
        angles = {k: None if v is None else round(v, 1) for k, v in self._angles().items()}
        measured = {"side": round(self.side, 1), "sharpness": round(self.sharpness, 4)}
        grey = {"brightness": round(self.brightness, 1), "contrast": round(self.contrast, 1)}
        return {**measured, **grey, **angles, "problems": list(self.problems)}

    @property
    def light(self) -> float:
        """The old name of ``brightness``; gone in the next release."""
        return _renamed("light", "brightness", self.brightness)

    def _angles(self) -> dict[str, float | None]:
        return {"yaw": self.yaw, "pitch": self.pitch, "roll": self.roll}


@dataclass(frozen=True, eq=False)
class Face:
    """One face of a photo, and what its expression was taken for.

    label          the most probable expression
    confidence     its probability, 0..1
    prediction_set the expressions that it may be, the most probable first, at least one. With a calibrated model those
                   that reach ``spec.calibration["threshold"]``, which hold the right one as often as
                   ``coverage_target`` says, on average over faces like those it was calibrated on. Without, the fewest
                   that have 90 % of the probability together: a plain rule, not calibrated
    probabilities  expression -> probability, in the model's order
    box, score, landmarks, turn   from the detector, in pixels of the photo, see :class:`Detection`
    crop           uint8 ``(S, S)`` grey, or ``(S, S, 3)`` RGB of a network in colour: all that the network saw
    attention_window   float32 ``(4, 2)``: the corners, in pixels of the photo, of the part that the network's spatial
                   transformer looked at (top left, top right, bottom right, bottom left before it was turned); None
                   for a net without one
    attention      float32 ``(h, w)``: the weights, which sum to 1, that the network gave to positions in its window
                   (``attention_window``; the whole crop for a net without a transformer); None for a net without it
    quality        size, blur, brightness and pose, and what makes the face unusable; None where nobody measured
    track, time    in a video: number of the person followed, from 1, and seconds from the start; else None
    corners        float32 ``(4, 2)``: the crop's corners in pixels of the photo, in the order of the crop (top left,
                   top right, bottom right, bottom left of the upright head); None for a face that nobody cropped
    heads          head -> label -> what that head of the network says alone, of a network with several; see
                   ``ModelSpec.heads``
    """

    label: str
    confidence: float
    prediction_set: tuple[str, ...]
    probabilities: dict[str, float]
    box: tuple[float, float, float, float]
    score: float
    landmarks: NDArray[np.float32] | None
    crop: NDArray[np.uint8]
    attention_window: NDArray[np.float32] | None = None
    attention: NDArray[np.float32] | None = None
    quality: Quality | None = None
    track: int | None = None
    time: float | None = None
    turn: float = 0.0
    corners: NDArray[np.float32] | None = None
    heads: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    def __repr__(self) -> str:
        """One line of a face, without the pixels."""
        told = [repr(self.label), f"{self.confidence:.3f}", f"box=({', '.join(f'{v:.0f}' for v in self.box)})"]
        told += [f"{name}={value!r}" for name in ("track", "time") if (value := getattr(self, name)) is not None]
        told += [f"prediction_set={self.prediction_set}"] * self.uncertain
        told += ["usable=False"] * (not self.usable)
        return f"Face({', '.join(told)})"

    @property
    def uncertain(self) -> bool:
        """Whether there is more than one expression in the prediction set."""
        return len(self.prediction_set) > 1

    @property
    def candidates(self) -> tuple[str, ...]:
        """The old name of ``prediction_set``; gone in the next release."""
        return _renamed("candidates", "prediction_set", self.prediction_set)

    @property
    def region(self) -> NDArray[np.float32] | None:
        """The old name of ``attention_window``; gone in the next release."""
        return _renamed("region", "attention_window", self.attention_window)

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
            "prediction_set": list(self.prediction_set),
            "probabilities": {name: round(p, 6) for name, p in self.probabilities.items()},
            "heads": {name: {k: round(p, 6) for k, p in said.items()} for name, said in self.heads.items()},
            "box": [round(v, 2) for v in self.box],
            "score": round(self.score, 4),
            "landmarks": _rounded(self.landmarks),
            "turn": round(self.turn, 1),
            "corners": _rounded(self.corners),
            "attention_window": _rounded(self.attention_window),
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

    def __repr__(self) -> str:
        """One line of a picture, its faces in brackets."""
        told = [repr(self.source)] if self.source else []
        told += [] if self.time is None else [f"time={self.time:g}"]
        told += [f"error={self.error!r}"] if self.error else [repr(self.outcome), str(list(self.faces))]
        return f"Photo({', '.join(told)})"

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


def _renamed(old: str, new: str, value: T) -> T:
    """``value``, with a warning that names the new word to whoever asked for the old one."""
    warnings.warn(f"{old} is called {new} now; the old name goes in the next release", DeprecationWarning, stacklevel=3)
    return value


def _rounded(points: NDArray[np.float32] | None) -> list[list[float]] | None:
    return None if points is None else [[round(float(v), 2) for v in row] for row in points]
