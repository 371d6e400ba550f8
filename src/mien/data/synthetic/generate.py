"""Stylised faces with known expressions, drawn here: a data set for the demo, the tests and first experiments.

A stand-in for FERG (Aneja et al. 2016), whose stylised characters may not be handed on. Expressions are made of facial
action units (``action_units``), faces of polygons (``face_parts``); light, lens, background and noise are added here.
Leaves out: photographs. A score on these faces says nothing about people.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.data.dataset import FaceDataset
from mien.data.synthetic.action_units import UNIFORMS_PER_FACE, activate
from mien.data.synthetic.drawing import Array, Pose, paint
from mien.data.synthetic.parts import GAZE, IDENTITY, layers
from mien.errors import ConfigError
from mien.labels import FER2013

__all__ = ["generate"]

_OVERSAMPLING = 4
_BLOCK = 250  # faces drawn at a time; bounds memory at 10 MB of canvas for 48-pixel faces
_GOLDEN = 0.6180339887498949
_VALIDATION_SHARE = 0.2

# What changes from picture to picture: name -> lowest and highest value.
_CAMERA: dict[str, tuple[float, float]] = {
    **GAZE,
    "yaw": (-0.34, 0.34),
    "pitch": (-0.13, 0.13),
    "roll": (-0.19, 0.19),
    "scale": (0.48, 0.56),
    "x": (-0.045, 0.045),
    "y": (-0.04, 0.04),
    "light_turn": (0.0, 2 * np.pi),
    "light_side": (0.0, 0.5),
    "exposure": (0.75, 1.3),
    "blur": (-0.8, 1.0),
    "noise": (0.5, 6.0),
    "occluder": (0.0, 1.0),
    "occluder_turn": (0.0, 2 * np.pi),
    "occluder_tone": (20.0, 235.0),
}
_BACKGROUND = 25  # 5 x 5 grey values


def generate(
    n: int = 4000,
    *,
    seed: int = 0,
    size: int = 48,
    identities: int = 40,
    traits: Mapping[str, float] | None = None,
) -> FaceDataset:
    """Draw ``n`` stylised faces, ``size`` pixels square, of ``identities`` people who each show all 7 expressions.

    Classes follow :data:`mien.labels.FER2013` in turn (row ``i`` shows class ``i % 7``), so they are balanced. The last
    fifth of the people ("s32".."s39" of 40) is the split "validation", the others are "Training"; nobody is in both.
    Row ``i`` depends on ``seed``, ``size``, ``identities`` and ``i`` alone: fewer faces are a prefix of more. Equal
    arguments give equal bytes with the same numpy and OpenCV.
    ``traits`` are what everybody shares of ``parts.IDENTITY``, such as ``{"brow_slope": 0.1}`` for people who frown at
    rest; values may lie outside its ranges.
    Raises ConfigError for ``n`` < 1, ``size`` outside 16..256, ``identities`` < 5, a negative ``seed``, unknown traits.
    """
    shared = dict(traits or {})
    _check(n, seed, size, identities)
    if unknown := sorted(set(shared) - set(IDENTITY)):
        raise ConfigError(f"traits must be among {', '.join(IDENTITY)}, got {unknown[0]}")
    everybody = _scaled(IDENTITY, np.random.default_rng([seed, 1]).random((identities, len(IDENTITY))))
    everybody |= {name: np.full(identities, value) for name, value in shared.items()}
    person = (np.arange(n) // 7 * _GOLDEN % 1.0 * identities).astype(np.int64)
    labels = np.arange(n, dtype=np.int64) % len(FER2013)
    images = np.empty((n, size, size), np.uint8)
    draws, grain = np.random.default_rng([seed, 2]), np.random.default_rng([seed, 3])
    for rows in _blocks(n):
        who = {k: v[person[rows]] for k, v in everybody.items()}
        names = [FER2013.names[c] for c in labels[rows]]
        uniforms = draws.random((len(names), UNIFORMS_PER_FACE + len(_CAMERA) + _BACKGROUND))
        images[rows] = _picture(who, names, uniforms, grain, size)
    told = f", traits={shared}" if shared else ""
    first = identities - max(1, round(identities * _VALIDATION_SHARE))
    return FaceDataset(
        images=images,
        names=FER2013.names,
        labels=labels,
        split=np.where(person < first, "Training", "validation"),
        subject=np.array([f"s{k:02d}" for k in person]),
        source=f"synthetic(n={n}, seed={seed}, size={size}, identities={identities}{told})",
    )


def _check(n: int, seed: int, size: int, identities: int) -> None:
    for name, value, lowest, highest in (
        ("n", n, 1, None),
        ("seed", seed, 0, None),
        ("size", size, 16, 256),
        ("identities", identities, 5, None),
    ):
        if value < lowest or (highest is not None and value > highest):
            rule = f"at least {lowest}" if highest is None else f"in {lowest}..{highest}"
            raise ConfigError(f"{name} must be {rule}, got {value}")


def _blocks(n: int) -> Iterator[slice]:
    for start in range(0, n, _BLOCK):
        yield slice(start, min(start + _BLOCK, n))


def _scaled(ranges: dict[str, tuple[float, float]], uniforms: Array) -> dict[str, Array]:
    """Uniform numbers ``(N, len(ranges))`` to named values ``(N,)`` in their ranges."""
    return {k: low + (high - low) * u for (k, (low, high)), u in zip(ranges.items(), uniforms.T, strict=True)}


def _picture(
    who: dict[str, Array], names: list[str], uniforms: Array, grain: np.random.Generator, size: int
) -> NDArray[np.uint8]:
    """Draw, light, blur and add noise: uint8 ``(N, size, size)``."""
    muscles, camera, backdrop = np.split(uniforms, [UNIFORMS_PER_FACE, UNIFORMS_PER_FACE + len(_CAMERA)], axis=1)
    cam, canvas = _scaled(_CAMERA, camera), size * _OVERSAMPLING
    pose = Pose(
        yaw=cam["yaw"],
        pitch=cam["pitch"],
        roll=cam["roll"],
        scale=cam["scale"] * canvas,
        centre=canvas
        * np.stack([0.5 + cam["x"] - 0.25 * np.sin(cam["yaw"]), 0.47 + cam["y"] - 0.2 * np.sin(cam["pitch"])], 1),
    )
    canvases = _backgrounds(backdrop, canvas)
    paint(canvases, layers(who | cam, activate(names, muscles)), pose)
    _occlude(canvases, cam)
    small = np.stack([cv2.resize(c, (size, size), interpolation=cv2.INTER_AREA) for c in canvases])
    return _camera(small, cam, pose, grain)


def _backgrounds(uniforms: Array, canvas: int) -> NDArray[np.uint8]:
    """Soft blotches of grey: 5 x 5 values enlarged, uint8 ``(N, canvas, canvas)``."""
    coarse = (20 + 215 * (0.6 * uniforms[:, :1] + 0.4 * uniforms)).astype(np.uint8).reshape(-1, 5, 5)
    return np.stack([cv2.resize(c, (canvas, canvas), interpolation=cv2.INTER_LINEAR) for c in coarse])


def _occlude(canvases: NDArray[np.uint8], cam: dict[str, Array]) -> None:
    """Cover part of one face in twelve with a bar that reaches in from the edge, in place."""
    side = canvases.shape[1]
    for i in np.flatnonzero(cam["occluder"] < 1 / 12):
        turn, depth = cam["occluder_turn"][i], 0.3 + 2.5 * cam["occluder"][i]
        inward = np.array([np.cos(turn), np.sin(turn)])
        across = np.array([-inward[1], inward[0]]) * (0.07 + 0.8 * cam["occluder"][i])
        tip, root = 0.5 + inward * depth, 0.5 + inward
        corners = np.stack([tip + across, tip - across, root - across, root + across]) * side * 8
        cv2.fillPoly(canvases[i], [np.rint(corners).astype(np.int32)], float(cam["occluder_tone"][i]), cv2.LINE_AA, 3)


def _camera(
    pictures: NDArray[np.uint8], cam: dict[str, Array], pose: Pose, grain: np.random.Generator
) -> NDArray[np.uint8]:
    """Light from one side on a round head, exposure, lens blur and sensor noise."""
    lit = pictures * _light(pictures.shape[1], cam, pose)
    for i in np.flatnonzero(cam["blur"] > 0.2):
        lit[i] = cv2.GaussianBlur(lit[i], (5, 5), float(cam["blur"][i]))
    # The sum of four bytes is near enough to a normal number and, unlike one, the same on every machine.
    noise = grain.integers(0, 256, (*pictures.shape, 4), dtype=np.uint8).sum(-1, dtype=np.int32) - 510
    strength = (cam["noise"] / 147.8).astype(np.float32)[:, None, None]
    seen: NDArray[np.uint8] = np.clip(np.rint(lit + noise * strength), 0, 255).astype(np.uint8)
    return seen


def _light(size: int, cam: dict[str, Array], pose: Pose) -> NDArray[np.float32]:
    """How bright each pixel is lit, ``(N, size, size)`` about 1: an egg's surface inside the head, flat around it."""
    grid = np.arange(size, dtype=np.float32) + np.float32(0.5)
    zoom, middle = pose.scale / _OVERSAMPLING, pose.centre / _OVERSAMPLING
    x = (grid - middle[:, :1].astype(np.float32)) / (0.85 * zoom).astype(np.float32)[:, None]
    y = (grid - middle[:, 1:].astype(np.float32)) / (1.2 * zoom).astype(np.float32)[:, None]
    rest = 1 - np.square(x)[:, None, :] - np.square(y)[:, :, None]
    depth = np.sqrt(np.maximum(rest, 0, out=rest), out=rest)
    across, down, exposure = (
        v.astype(np.float32)
        for v in (
            cam["light_side"] * np.cos(cam["light_turn"]),
            cam["light_side"] * np.sin(cam["light_turn"]),
            cam["exposure"],
        )
    )
    slope = np.clip(across[:, None] * x, -0.6, 0.6)[:, None, :] + np.clip(down[:, None] * y, -0.6, 0.6)[:, :, None]
    light: NDArray[np.float32] = exposure[:, None, None] * (0.8 + np.float32(0.25) * depth + slope)
    return light
