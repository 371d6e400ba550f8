"""How good the picture of a face is: size, sharpness, light, contrast, and how far the head is turned.

``measure`` says what is there, and which of it makes a face unusable. The limits come from ``bench/quality.py``, which
spoils faces step by step until the answer is worth little. Leaves out: what the face expresses.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["Quality", "measure"]

_SIDE = 20.0  # pixels
_SHARPNESS = 0.02
_CONTRAST = 6.0  # grey values
_YAW, _PITCH = 60.0, 50.0  # degrees

# A face's five landmarks in units of the distance between the eyes: x to the picture's right, y down, z away from the
# camera; right eye, left eye, nose, right and left corner of the mouth (right and left are the person's).
_HEAD = np.array(
    [[-0.5, 0.0, 0.0], [0.5, 0.0, 0.0], [0.0, 0.55, -0.45], [-0.4, 1.1, -0.05], [0.4, 1.1, -0.05]], np.float64
)


@dataclass(frozen=True)
class Quality:
    """What was measured of one face in a picture.

    side       of the detector's box in pixels of the picture, the root of its area
    sharpness  variance of the Laplacian of the crop over the crop's variance, 0 upwards; below 0.02 is a blur
    light      mean grey of the crop, 0..255
    contrast   standard deviation of the crop's grey values, 0..127.5
    yaw, pitch, roll   degrees by which the head is turned to the picture's right, downwards, and clockwise, estimated
               from five landmarks and a mean head (OpenCV's ``solvePnP``); None where the detector has no landmarks
    problems   what makes the face unusable, each with its value and its limit; none for a usable one
    """

    side: float
    sharpness: float
    light: float
    contrast: float
    yaw: float | None = None
    pitch: float | None = None
    roll: float | None = None
    problems: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """All of it, rounded, in types that ``json.dumps`` takes."""
        angles = {k: None if v is None else round(v, 1) for k, v in self._angles().items()}
        measured = {"side": round(self.side, 1), "sharpness": round(self.sharpness, 4)}
        light = {"light": round(self.light, 1), "contrast": round(self.contrast, 1)}
        return {**measured, **light, **angles, "problems": list(self.problems)}

    def _angles(self) -> dict[str, float | None]:
        return {"yaw": self.yaw, "pitch": self.pitch, "roll": self.roll}


def measure(
    crop: NDArray[np.uint8], box: Sequence[float], landmarks: NDArray[np.float32] | None, shape: Sequence[int]
) -> Quality:
    """Measure one face.

    crop       uint8 ``(S, S)`` grey: what the network sees of it
    box        left, top, right, bottom in pixels of the picture
    landmarks  float32 ``(5, 2)`` in pixels of the picture, in the order of ``Detection.landmarks``; or None
    shape      height and width of the picture
    """
    left, top, right, bottom = box
    side = float(np.sqrt(max(0.0, (right - left) * (bottom - top))))
    grey = crop.astype(np.float32)
    contrast = float(grey.std())
    edges = cv2.Laplacian(grey, cv2.CV_32F)
    sharpness = float(edges.var()) / max(contrast**2, 1e-6)
    yaw, pitch, roll = (None, None, None) if landmarks is None else _pose(landmarks, shape)
    problems = []
    if side < _SIDE:
        problems.append(f"too small: {side:.0f} pixels, {_SIDE:.0f} are needed")
    if contrast < _CONTRAST:
        problems.append(f"hardly any contrast: {contrast:.1f} grey values, {_CONTRAST:.0f} are needed")
    elif sharpness < _SHARPNESS:
        problems.append(f"too blurred: sharpness {sharpness:.3f}, {_SHARPNESS} is needed")
    for angle, limit, how in ((yaw, _YAW, "sideways"), (pitch, _PITCH, "up or down")):
        if angle is not None and abs(angle) > limit:
            problems.append(f"turned too far {how}: {abs(angle):.0f} degrees, up to {limit:.0f} can be used")
    return Quality(side, sharpness, float(grey.mean()), contrast, yaw, pitch, roll, tuple(problems))


def _pose(landmarks: NDArray[np.float32], shape: Sequence[int]) -> tuple[float | None, float | None, float | None]:
    """Yaw, pitch and roll in degrees, as seen by a camera whose focal length is the picture's long side."""
    focal = float(max(shape[:2]))
    camera = np.array([[focal, 0, shape[1] / 2], [0, focal, shape[0] / 2], [0, 0, 1]], np.float64)
    points = np.ascontiguousarray(landmarks, np.float64)
    try:
        fine, turn, _ = cv2.solvePnP(_HEAD, points, camera, None, flags=cv2.SOLVEPNP_SQPNP)
    except cv2.error:  # points on one line or on one spot
        return None, None, None
    if not fine or not np.isfinite(turn).all():
        return None, None, None
    m = cv2.Rodrigues(turn)[0]
    ahead = m @ np.array([0.0, 0.0, -1.0])  # where the nose points, the camera looks along +z
    yaw = np.degrees(np.arctan2(ahead[0], -ahead[2]))
    pitch = np.degrees(np.arctan2(ahead[1], np.hypot(ahead[0], ahead[2])))
    roll = np.degrees(np.arctan2(m[1, 0], m[0, 0]))
    return float(yaw), float(pitch), float(roll)
