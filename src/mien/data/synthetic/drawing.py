"""Polygons on a head: smooth curves, a pose, layers, and the one loop that paints them.

Coordinates of a face: x to the right, y down, chin at about y = 1, crown at about y = -1, eyes at y = -0.15. Whole
batches at once: every layer holds the points of N faces.
Leaves out: what a face looks like (``parts``), light, lens and noise (``generate``).
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["Array", "Layer", "Pose", "columns", "paint", "sides", "smooth"]

Array = NDArray[np.float64]

_SHIFT = 3  # fractional bits of the coordinates that OpenCV gets


@dataclass(frozen=True)
class Pose:
    """Where N heads are on a square canvas.

    yaw, pitch, roll  ``(N,)`` radians
    scale             ``(N,)`` canvas pixels a unit of the face
    centre            ``(N, 2)`` canvas pixels, where the face's origin falls
    """

    yaw: Array
    pitch: Array
    roll: Array
    scale: Array
    centre: Array

    def project(self, points: Array, bump: float) -> Array:
        """Face coordinates ``(N, P, 2)`` to canvas pixels, as if drawn on a dome; ``bump`` lifts them off it."""
        x, y = points[..., 0], points[..., 1]
        z = 0.55 * np.sqrt(np.maximum(1.0 - (x / 0.8) ** 2 - (y / 1.15) ** 2, 0.0)) + bump
        yaw, pitch, roll = self.yaw[:, None], self.pitch[:, None], self.roll[:, None]
        x, z = x * np.cos(yaw) + z * np.sin(yaw), z * np.cos(yaw) - x * np.sin(yaw)
        y = y * np.cos(pitch) + z * np.sin(pitch)
        x, y = x * np.cos(roll) - y * np.sin(roll), x * np.sin(roll) + y * np.cos(roll)
        return np.stack([x, y], -1) * self.scale[:, None, None] + self.centre[:, None, :]


@dataclass(frozen=True)
class Layer:
    """One shape for N faces.

    points  ``(N, P, 2)`` in face coordinates
    tone    ``(N,)`` grey values
    show    ``(N,)``, which faces have it
    width   of a line, in face coordinates; 0 for a filled polygon
    bump    height above the dome of the face
    """

    points: Array
    tone: Array
    show: NDArray[np.bool_] | bool = True
    width: float = 0.0
    bump: float = 0.0


def paint(canvases: NDArray[np.uint8], layers: list[Layer], pose: Pose) -> None:
    """Draw the layers, first to last, on N square canvases ``(N, C, C)``, in place."""
    ready = []
    for a in layers:
        points = np.rint(pose.project(a.points, a.bump) * (1 << _SHIFT)).astype(np.int32, order="C")
        widths = np.maximum(np.rint(a.width * pose.scale), 1).astype(int).tolist() if a.width else None
        tones = np.clip(np.rint(a.tone), 0, 255).tolist()
        ready.append((points, tones, np.broadcast_to(a.show, len(canvases)).tolist(), widths))
    for i, canvas in enumerate(canvases):
        for points, tones, show, widths in ready:
            if not show[i]:
                continue
            if widths:
                cv2.polylines(canvas, [points[i]], False, tones[i], widths[i], cv2.LINE_AA, _SHIFT)
            else:
                cv2.fillPoly(canvas, [points[i]], tones[i], cv2.LINE_AA, _SHIFT)


def smooth(control: Array, steps: int = 4, closed: bool = False) -> Array:
    """Catmull-Rom curve through points ``(..., C, 2)``, ``steps`` points a piece; ``closed`` ends where it began."""
    if closed:
        p = np.concatenate([control[..., -1:, :], control, control[..., :2, :]], -2)
    else:
        before, after = 2 * control[..., 0, :] - control[..., 1, :], 2 * control[..., -1, :] - control[..., -2, :]
        p = np.concatenate([before[..., None, :], control, after[..., None, :]], -2)
    a, b, c, d = (p[..., k : p.shape[-2] - 3 + k, None, :] for k in range(4))
    t = (np.arange(steps) / steps)[:, None]
    pieces = b + 0.5 * t * (c - a + t * (2 * a - 5 * b + 4 * c - d + t * (3 * (b - c) + d - a)))
    curve = pieces.reshape(*pieces.shape[:-3], -1, 2)
    return np.concatenate([curve, (control[..., :1, :] if closed else control[..., -1:, :])], -2)


def columns(*pairs: tuple[Array | float, Array | float]) -> Array:
    """Points from (x, y) pairs, each a number or an array of one common shape ``S``: ``S + (P, 2)``."""
    flat = np.broadcast_arrays(*[np.asarray(v, dtype=np.float64) for pair in pairs for v in pair])
    stacked = np.stack(flat, -1)
    return stacked.reshape(*stacked.shape[:-1], len(pairs), 2)


def sides(points: Array) -> tuple[Array, Array]:
    """Points ``(N, 2, P, 2)`` drawn for the right half: left (mirrored) and right, ``(N, P, 2)`` each."""
    return points[:, 0] * np.array([-1.0, 1.0]), points[:, 1]
