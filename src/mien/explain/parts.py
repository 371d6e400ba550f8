"""A heat map in words' reach: which share of its positive weight lies on which part of the face.

Beside each share stands the part's share of the area: what an even map would have there. Leaves out: finding
landmarks (``runtime``), and the words.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from mien.errors import ConfigError

__all__ = ["Share", "by_landmarks", "by_thirds", "landmark_masks", "shares"]

#: Share of the weight and share of the area, both 0..1.
Share = tuple[float, float]

_REACH = 0.55  # of the distance between the eyes: how far an eye, the nose or the mouth reaches from its landmarks


def by_thirds(heat: NDArray[np.float32]) -> dict[str, Share]:
    """Shares of the upper, middle and lower third of a map ``(H, W)``; see :func:`shares`."""
    height = heat.shape[0]
    third = np.minimum((np.arange(height) + 0.5) * 3 / height, 2.999).astype(int)
    whole = np.broadcast_to(third[:, None], heat.shape)
    return shares(heat, {name: whole == i for i, name in enumerate(("upper third", "middle third", "lower third"))})


def by_landmarks(heat: NDArray[np.float32], landmarks: NDArray[np.float32]) -> dict[str, Share]:
    """Shares of eyes, nose, mouth and what is left; see :func:`landmark_masks` and :func:`shares`."""
    return shares(heat, landmark_masks(landmarks, heat.shape))


def landmark_masks(landmarks: NDArray[np.float32], shape: tuple[int, ...]) -> dict[str, NDArray[np.bool_]]:
    """Which pixels of a crop ``shape`` are eyes (brows included), nose, mouth and elsewhere: bool ``(H, W)`` each.

    landmarks  ``(5, 2)``, x and y in pixels of the crop, 0..size from edge to edge: two eyes, nose, two corners of the
               mouth, as detectors give them

    A pixel belongs to the nearest of them (the mouth is the line between its corners) within 0.55 of the distance
    between the eyes.
    """
    points = np.asarray(landmarks, np.float64)
    if points.shape != (5, 2) or not np.isfinite(points).all():
        raise ConfigError(f"landmarks must be finite numbers of shape (5, 2), got {points.shape}")
    reach = _REACH * float(np.linalg.norm(points[1] - points[0]))
    y, x = np.indices(shape[:2]) + 0.5
    at = np.stack([x, y], axis=-1)
    eyes = np.minimum(*(np.linalg.norm(at - p, axis=-1) for p in points[:2]))
    away = np.stack([eyes, np.linalg.norm(at - points[2], axis=-1), _from_line(at, points[3], points[4])])
    nearest = np.where(away.min(axis=0) <= reach, away.argmin(axis=0), 3)
    return {name: nearest == i for i, name in enumerate(("eyes", "nose", "mouth", "elsewhere"))}


def shares(heat: NDArray[np.float32], parts: Mapping[str, NDArray[np.bool_]]) -> dict[str, Share]:
    """Name -> share of the map's weight and share of the area; only what is above 0 counts as weight.

    A map without any positive value has no weight: every share is 0.
    """
    weight = np.clip(heat.astype(np.float64), 0, None)
    whole = float(weight.sum()) or 1.0
    return {name: (float(weight[mask].sum()) / whole, float(mask.mean())) for name, mask in parts.items()}


def _from_line(at: NDArray[np.float64], start: NDArray[np.float64], end: NDArray[np.float64]) -> NDArray[np.float64]:
    """Distance of positions ``(H, W, 2)`` from the stretch between two points."""
    along = end - start
    length = float(along @ along) or 1.0
    nearest = start + np.clip((at - start) @ along / length, 0, 1)[..., None] * along
    return np.asarray(np.linalg.norm(at - nearest, axis=-1), np.float64)
