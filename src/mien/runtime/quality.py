"""How good the picture of a face is: size, sharpness, brightness, contrast, and how far the head is turned.

``measure`` says what is there, and which of it makes a face unusable. ``LIMITS`` are where a model's accuracy has lost
half of its distance to chance, to two digits: of size, sharpness and contrast as ``bench/runtime/quality.py`` measures
it (contrast without a camera's noise, which is drawn apart with the face), for ``mien-small`` before it had learnt
corruption. Since then it bears more (``results/quality.json``: 9 pixels, 0.0096, 0.47), but of faces made small and
blurred by arithmetic alone, without noise and JPEG, so the stricter limits stay. Of roll, which is what remains after
the crop was turned, ``bench/runtime/tilt.py`` does so (``results/tilt.json``: 51 degrees by now; 46 stay). Of yaw
it lies at 75 degrees: up to 60 degrees 76 to 84 % of the answers were right on photographs
of turned heads, between 75 and 90 degrees 35 %; these are not part of the repository,
and faces on a turned cylinder, which bench/runtime/tilt.py tries, are not found beyond 50. Pitch is limited to what
99.9 % of FER2013's faces keep to, up to the next 5 degrees: beyond it the model was hardly ever evaluated.
Leaves out: what the face expresses.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.faces import Quality

__all__ = ["HEAD", "LIMITS", "measure"]

#: What a usable face must reach (side, sharpness, contrast) or not exceed (yaw, pitch, and roll against the crop).
LIMITS = {"side": 14.0, "sharpness": 0.028, "contrast": 0.56, "yaw": 75.0, "pitch": 40.0, "roll": 46.0}

#: A face's five landmarks in units of the distance between the eyes: x to the picture's right, y down, z away from the
#: camera; right eye, left eye, nose, right and left corner of the mouth (right and left are the person's). x and y are
#: rounded medians over FER2013's PublicTest as the default detector sees it, the depths fit those faces best, to a step
#: of 0.05; both are measured by bench/runtime/quality.py ("head").
HEAD = np.array([[-0.5, 0.0, 0.0], [0.5, 0.0, 0.0], [0.0, 0.55, -0.5], [-0.4, 0.98, 0.1], [0.4, 0.98, 0.1]], np.float64)


def measure(
    crop: NDArray[np.uint8],
    box: Sequence[float],
    landmarks: NDArray[np.float32] | None,
    shape: Sequence[int],
    turn: float = 0.0,
) -> Quality:
    """Measure one face.

    crop       uint8 ``(S, S)`` grey: what the network sees of it
    box        left, top, right, bottom in pixels of the picture
    landmarks  float32 ``(5, 2)`` in pixels of the picture, in the order of ``Detection.landmarks``; or None
    shape      height and width of the picture
    turn       degrees by which the crop is turned; ``roll`` is that of the head in the picture all the same
    """
    left, top, right, bottom = box
    side = float(np.sqrt(max(0.0, (right - left) * (bottom - top))))
    grey = crop.astype(np.float32)
    contrast = float(grey.std())
    edges = cv2.Laplacian(grey, cv2.CV_32F)
    sharpness = float(edges.var()) / max(contrast**2, 1e-6)
    yaw, pitch, roll = (None, None, None) if landmarks is None else _pose(landmarks, shape)
    found = Quality(side, sharpness, float(grey.mean()), contrast, yaw, pitch, roll)
    return replace(found, problems=tuple(_problems(found, turn)))


def _problems(q: Quality, turn: float) -> Iterator[str]:
    """What makes the face unusable, in words."""
    if q.side < LIMITS["side"]:
        yield f"too small: {q.side:.1f} pixels, {LIMITS['side']:g} are needed"
    if q.contrast < LIMITS["contrast"]:
        yield f"hardly any contrast: {q.contrast:.1f} grey values, {LIMITS['contrast']:g} are needed"
    elif q.sharpness < LIMITS["sharpness"]:
        yield f"too blurred: sharpness {q.sharpness:.4f}, {LIMITS['sharpness']:g} is needed"
    for angle, limit, how in ((q.yaw, LIMITS["yaw"], "sideways"), (q.pitch, LIMITS["pitch"], "up or down")):
        if angle is not None and abs(angle) > limit:
            yield f"turned too far {how}: {abs(angle):.0f} degrees, up to {limit:g} can be used"
    rest = None if q.roll is None else abs((q.roll - turn + 180) % 360 - 180)
    if rest is not None and rest > LIMITS["roll"]:
        what = "upside down" if rest > 135 else "tilted too far"
        yield f"{what}: {rest:.0f} degrees off upright, up to {LIMITS['roll']:g} can be used"


def _pose(landmarks: NDArray[np.float32], shape: Sequence[int]) -> tuple[float | None, float | None, float | None]:
    """Yaw, pitch and roll in degrees against the line of sight to the face, not against the camera's axis.

    The camera is taken to look at the face, with the picture's long side as its focal length: a face at the edge of a
    picture that shows both cheeks alike then reads 0.
    """
    points = np.ascontiguousarray(landmarks, np.float64)
    if not np.isfinite(points).all():
        return None, None, None
    focal, (x, y) = float(max(shape[:2])), points.mean(axis=0)
    camera = np.array([[focal, 0, x], [0, focal, y], [0, 0, 1]], np.float64)
    try:
        fine, turn, _ = cv2.solvePnP(HEAD, points, camera, None, flags=cv2.SOLVEPNP_SQPNP)
    except cv2.error:  # points on one line or on one spot
        return None, None, None
    if not fine or not np.isfinite(turn).all():
        return None, None, None
    m = cv2.Rodrigues(turn)[0]  # first down, then sideways, then tilted: angles of the head, whatever its tilt
    yaw = np.degrees(np.arctan2(m[2, 0], np.hypot(m[2, 1], m[2, 2])))
    pitch = np.degrees(np.arctan2(m[2, 1], m[2, 2]))
    roll = np.degrees(np.arctan2(m[1, 0], m[0, 0]))
    return float(yaw), float(pitch), float(roll)
