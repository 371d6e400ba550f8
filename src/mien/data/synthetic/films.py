"""Films of drawn people who show expressions at known times: something to try a study on before anybody is filmed.

The faces are those of ``parts``, larger, with a head that sways, eyes that blink, and an expression that comes and goes
smoothly. Leaves out: files (``study.made_up``). What is found on such films says nothing about people.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.data.synthetic.action_units import ACTION_UNITS, PROTOTYPES, Activation
from mien.data.synthetic.drawing import Array, Pose, paint
from mien.data.synthetic.parts import GAZE, IDENTITY, layers
from mien.errors import ConfigError

__all__ = ["Shown", "film"]

_OVERSAMPLING = 2
_BLOCK = 32  # frames that are drawn at a time
_ONSET = 0.5  # seconds in which an expression comes, and goes
_BLINK = 0.2  # seconds
_USUAL = 0.5  # units that fewer people show are left out


@dataclass(frozen=True)
class Shown:
    """An expression from ``start`` to ``end``, in seconds; ``strength`` 1 is full."""

    expression: str
    start: float
    end: float
    strength: float = 1.0


def film(
    shown: Sequence[Shown],
    seconds: float,
    *,
    seed: int,
    rate: float = 15.0,
    size: tuple[int, int] = (320, 240),
    away: tuple[float, float] | None = None,
) -> Iterator[NDArray[np.uint8]]:
    """The frames of one person's film, uint8 ``(H, W, 3)`` BGR, ``rate`` a second.

    shown  expressions; the face is neutral between them
    seed   who it is, how they move and blink; equal arguments give equal frames with the same numpy and OpenCV
    size   width and height in pixels
    away   from and to, in seconds, a hand-sized board hides the face
    """
    if unknown := [s.expression for s in shown if s.expression not in PROTOTYPES]:
        raise ConfigError(f"expressions must be among {', '.join(PROTOTYPES)}, got {unknown[0]}")
    rng = np.random.default_rng([seed, 4])
    who = {name: low + (high - low) * rng.random() for name, (low, high) in IDENTITY.items()}
    who |= {name: (low + high) / 2 for name, (low, high) in GAZE.items()}
    far, often, phase = (
        rng.uniform((0.025, 0.025, 0.015), (0.1, 0.075, 0.05)),
        rng.uniform(0.1, 0.35, 3),
        6.3 * rng.random(3),
    )
    blinks, light = rng.uniform(2.5, 5.0) * np.arange(1, 400) + rng.uniform(-0.5, 0.5, 399), rng.uniform(120, 200)
    times = np.arange(round(seconds * rate)) / rate
    for t in np.split(times, range(_BLOCK, len(times), _BLOCK)):
        turns = far[:, None] * np.sin(2 * np.pi * often[:, None] * t + phase[:, None])
        for now, picture in zip(t, _frames(who, _units(shown, t, blinks), turns, size, light), strict=True):
            if away is not None and away[0] <= now < away[1]:
                cv2.rectangle(picture, (size[0] // 5, 0), (4 * size[0] // 5, size[1]), 90, -1)
            noisy = picture + rng.normal(0, 3, picture.shape)
            yield cv2.cvtColor(np.clip(noisy, 0, 255).astype(np.uint8), cv2.COLOR_GRAY2BGR)


def _units(shown: Sequence[Shown], t: Array, blinks: Array) -> Activation:
    """The action units at moments ``(N,)``, ``(N, 2)`` each: ramps up and down, and blinks."""
    level = {unit: np.zeros(len(t)) for unit in ACTION_UNITS}
    for s in shown:
        ramp = np.clip(np.minimum(t - s.start, s.end - t) / _ONSET, 0.0, 1.0)
        for unit, share in PROTOTYPES[s.expression].items():
            if share >= _USUAL:
                level[unit] = np.maximum(level[unit], 0.95 * s.strength * (3 - 2 * ramp) * ramp**2)
    level[45] = (np.abs(blinks[:, None] - t).min(0) < _BLINK / 2).astype(np.float64)
    return {unit: np.stack([value, value], 1) for unit, value in level.items()}


def _frames(
    who: Mapping[str, float], units: Activation, turns: Array, size: tuple[int, int], light: float
) -> Iterator[NDArray[np.uint8]]:
    """Grey pictures: drawn large on a square, made small, cut to the film's shape and slightly blurred."""
    (width, height), n, side = size, turns.shape[1], max(size) * _OVERSAMPLING
    canvases = np.full((n, side, side), light, np.uint8)
    scale = 0.33 * height * _OVERSAMPLING
    centre = np.tile([side / 2, side / 2 - 0.05 * scale], (n, 1))
    pose = Pose(turns[0], turns[1], turns[2], np.full(n, scale), centre)
    paint(canvases, layers({name: np.full(n, value) for name, value in who.items()}, units), pose)
    top, left = (max(size) - height) // 2, (max(size) - width) // 2
    for canvas in canvases:
        small = cv2.resize(canvas, (max(size), max(size)), interpolation=cv2.INTER_AREA)
        cut = np.ascontiguousarray(small[top : top + height, left : left + width])
        yield np.asarray(cv2.GaussianBlur(cut, (3, 3), 0.7), np.uint8)
