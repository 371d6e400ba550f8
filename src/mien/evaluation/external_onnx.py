"""An ONNX file of another project as a model: its graph says what it takes, and what it cannot say is asked for.

Read from the graph: layout, channels, side, a fixed batch. To be told: the classes in output order, and the scale of
the pixels. Leaves out: nets with several inputs, and finding faces: an external model sees the faces of the data set as
they are cropped there, which may be tighter or looser than what it was trained on.
"""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.errors import ConfigError, ModelError
from mien.evaluation.external import BLOCK, ExternalModel, class_names
from mien.preprocessing import softmax
from mien.runtime import open_session
from mien.runtime.session import load_onnxruntime

__all__ = ["LAYOUTS", "open_onnx"]

LAYOUTS = ("NCHW", "NHWC", "NHW")
_SCALES = {"0..255": (0.0, 1 / 255), "0..1": (0.0, 1.0), "-1..1": (0.5, 0.5)}  # mean and deviation on the 0..1 scale
_TYPES: dict[str, type[np.generic]] = {
    "tensor(float)": np.float32,
    "tensor(double)": np.float64,
    "tensor(float16)": np.float16,
    "tensor(uint8)": np.uint8,
}


def open_onnx(
    path: str | os.PathLike[str],
    *,
    labels: str | Sequence[str] | None = None,
    pixels: str = "0..255",
    layout: str | None = None,
    size: int | None = None,
) -> ExternalModel:
    """An ONNX file that holds no spec of ours, as a model to score.

    labels  class names in output order, see :func:`class_names`; to be given
    pixels  what the network wants of grey values 0..255: ``0..255``, ``0..1``, ``-1..1``, or ``MEAN,STD`` on the 0..1
            scale, by which ``(x / 255 - mean) / std``; six numbers (three means, three deviations) for three channels
    layout  ``NCHW``, ``NHWC`` or ``NHW``; read from the graph where None
    size    side in pixels that faces are resized to where the graph leaves it open; their own where None

    Grey is repeated in a network of three channels. Where the output's rows, over the first block of faces, are not
    probabilities already, softmax is applied; the report's conditions say which. Raises ModelError for a graph that
    cannot be used so, ConfigError for an argument outside its rule.
    """
    where = os.fspath(path)
    session = open_session(path)
    if labels is None:
        many = {k for _, k in _outputs(session) if k}
        what = f"its {many.pop()} classes" if len(many) == 1 else "its classes"
        raise ConfigError(f"{where}: labels must name {what} in output order, such as --labels angry,disgust,fear,...")
    names = class_names(labels)
    output = _output(session, where, names)
    entry = _input(session, where, layout, size)
    mean, std = _scale(pixels, entry)
    notes = {
        "input": f"{entry}, pixels {pixels}",
        "sha256": hashlib.sha256(Path(path).read_bytes()).hexdigest()[:16],
        "onnxruntime": _version(),
    }
    run = _Graph(where, session, entry, output, len(names), (mean, std), notes)
    return ExternalModel(Path(path).stem, names, None, where, run, notes)


@dataclass(frozen=True)
class _Input:
    """What the graph takes; None where it leaves a number open."""

    name: str
    dtype: type[np.generic]
    layout: str
    batch: int | None
    channels: int
    height: int | None
    width: int | None

    def __str__(self) -> str:
        side = f"{self.height or 'any'} x {self.width or 'any'}"
        return f"{self.layout}, {self.channels} channel{'s' if self.channels > 1 else ''}, {side}"


def _input(session: Any, where: str, layout: str | None, size: int | None) -> _Input:
    if layout is not None and layout not in LAYOUTS:
        raise ConfigError(f"layout must be one of {', '.join(LAYOUTS)}, got {layout!r}")
    if size is not None and size < 1:
        raise ConfigError(f"size must be 1 or more, got {size}")
    inputs = session.get_inputs()
    if len(inputs) != 1:
        raise ModelError(
            f"{where}: has {len(inputs)} inputs ({', '.join(i.name for i in inputs)}); only a graph that takes faces "
            "and nothing else can be evaluated: wrap it in a function and use --callable"
        )
    (only,) = inputs
    if only.type not in _TYPES:
        raise ModelError(f"{where}: the input {only.name} is {only.type}; it must be one of {', '.join(_TYPES)}")
    shape = [d if isinstance(d, int) and d > 0 else None for d in only.shape]
    found = layout or _guess(shape, where, only.shape)
    if len(shape) != len(found):
        raise ModelError(f"{where}: the input {only.name} has the shape {only.shape}, which is not {found}")
    axes = dict(zip(found, shape, strict=True))
    channels = axes.get("C", 1)
    if channels not in (1, 3):
        raise ModelError(
            f"{where}: the input {only.name} has the shape {only.shape}, as {found} {channels or 'any number of'} "
            "channels; it must have 1 or 3: give another --layout, or export it with a fixed number"
        )
    sides = []
    for axis in "HW":
        if size is not None and axes[axis] not in (None, size):
            raise ConfigError(f"size must be {axes[axis]}, which the graph of {where} fixes, got {size}")
        sides.append(axes[axis] or size)
    return _Input(only.name, _TYPES[only.type], found, axes["N"], channels, sides[0], sides[1])


def _guess(shape: list[int | None], where: str, shown: list[Any]) -> str:
    """The layout that the shape allows; an error where it allows none or two."""
    if len(shape) == 3:
        return "NHW"
    if len(shape) != 4:
        rank = f"the shape {shown}" if shape else "no known shape"
        raise ModelError(
            f"{where}: the input has {rank}; it must have 4 axes (NCHW, NHWC) or 3 (NHW): export it with its shape, or "
            "wrap it in a function and use --callable"
        )
    first, last = shape[1] in (1, 3), shape[3] in (1, 3)
    if first == last:
        raise ModelError(f"{where}: the input's shape {shown} may be NCHW or NHWC; say which with --layout")
    return "NCHW" if first else "NHWC"


def _scale(pixels: str, entry: _Input) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and deviation on the 0..1 scale, each ``(1,)`` or ``(3,)``."""
    try:
        numbers = list(_SCALES[pixels]) if pixels in _SCALES else [float(v) for v in pixels.split(",")]
    except ValueError:
        numbers = []
    half = len(numbers) // 2
    mean, std = np.array(numbers[:half]), np.array(numbers[half:])
    if len(numbers) not in (2, 6) or not np.isfinite(numbers).all() or (std <= 0).any():
        raise ConfigError(
            f"pixels must be {', '.join(_SCALES)}, or MEAN,STD (six numbers for three channels) on the 0..1 scale with "
            f"STD above 0, got {pixels!r}"
        )
    if half > entry.channels:
        raise ConfigError(f"pixels holds numbers for three channels, the network has {entry.channels}, got {pixels!r}")
    if entry.dtype is np.uint8 and pixels != "0..255":
        raise ConfigError(f"pixels must be 0..255 for a network that takes uint8, got {pixels!r}")
    return mean, std


def _outputs(session: Any) -> list[tuple[str, int | None]]:
    """The outputs that may hold one number a class, and their number where the graph says it."""
    found = []
    for out in session.get_outputs():
        shape = [d if isinstance(d, int) and d > 0 else None for d in out.shape]
        floats = out.type in ("tensor(float)", "tensor(double)", "tensor(float16)")
        if floats and (not shape or (len(shape) >= 2 and all(d in (1, None) for d in shape[2:]))):
            found.append((out.name, shape[1] if shape else None))
    return found


def _output(session: Any, where: str, labels: tuple[str, ...]) -> str:
    """The one output that fits ``labels``."""
    found = _outputs(session)
    fitting = [name for name, k in found if k in (None, len(labels))]
    if len(fitting) == 1:
        return fitting[0]
    shown = ", ".join(f"{o.name} {o.type} {o.shape}" for o in session.get_outputs())
    if len(found) == 1:
        raise ModelError(
            f"{where}: gives {found[0][1]} numbers a face, labels name {len(labels)} classes ({', '.join(labels)}); "
            "name all its classes in output order"
        )
    raise ModelError(
        f"{where}: must have one output of the shape (N, {len(labels)}), got {shown}; wrap it in a function and use "
        "--callable"
    )


class _Graph:
    """Runs the graph block by block and decides on the first one whether its rows are probabilities."""

    def __init__(
        self,
        where: str,
        session: Any,
        entry: _Input,
        output: str,
        k: int,
        scale: tuple[NDArray[np.float64], NDArray[np.float64]],
        notes: dict[str, Any],
    ) -> None:
        self.where, self.session, self.entry, self.output, self.k = where, session, entry, output, k
        self.scale, self.notes = scale, notes
        self.finish: Callable[[NDArray[np.float64]], NDArray[np.float64]] | None = None

    def __call__(self, faces: NDArray[np.uint8], first: int) -> NDArray[np.float64]:
        x, step = self._prepared(faces), self.entry.batch or BLOCK
        rows = np.concatenate([self._run(x[i : i + step], first + i) for i in range(0, len(x), step)])
        if self.finish is None:
            certain = bool((rows >= 0).all() and (np.abs(rows.sum(1) - 1) < 1e-3).all())
            self.finish = _shares if certain else softmax
            self.notes["output"] = "probabilities" if certain else "no probabilities, softmax applied"
        p = self.finish(rows)
        if not np.isfinite(p).all() or (p < 0).any():
            raise ModelError(
                f"{self.where}, faces {first}..{first + len(faces) - 1}: gives rows that are not probabilities after "
                "the first ones were; wrap it in a function and use --callable"
            )
        return p

    def _prepared(self, faces: NDArray[np.uint8]) -> NDArray[Any]:
        e, (mean, std) = self.entry, self.scale
        shape = (e.height or faces.shape[1], e.width or faces.shape[2])
        if faces.shape[1:] != shape:
            faces = np.stack([_resized(f, shape) for f in faces])
        if e.dtype is np.uint8:
            x: NDArray[Any] = np.repeat(faces[..., None], e.channels, axis=3)
        else:
            x = (np.repeat(faces[..., None] / 255.0, e.channels, axis=3) - mean) / std
        x = {"NHWC": x, "NCHW": x.transpose(0, 3, 1, 2), "NHW": x[..., 0]}[e.layout]
        return np.ascontiguousarray(x, dtype=e.dtype)

    def _run(self, x: NDArray[Any], first: int) -> NDArray[np.float64]:
        n = len(x)
        where = f"{self.where}, faces {first}..{first + n - 1}"
        if self.entry.batch is not None and n < self.entry.batch:
            x = np.concatenate([x, np.repeat(x[-1:], self.entry.batch - n, axis=0)])
        try:
            (out,) = self.session.run([self.output], {self.entry.name: x})
        except Exception as error:  # onnxruntime raises a dozen classes of its own, all derived from Exception
            raise ModelError(
                f"{where}: onnxruntime could not run it on {x.dtype} {x.shape} ({error}); give --size or --layout, or "
                "export it with a fixed batch"
            ) from error
        rows = np.asarray(out, dtype=np.float64)
        if rows.ndim < 2 or len(rows) != len(x) or math.prod(rows.shape[1:]) != self.k:
            raise ModelError(
                f"{where}: the output {self.output} has the shape {rows.shape}, {(len(x), self.k)} is needed: one "
                "number for each label; name all its classes in output order"
            )
        rows = rows.reshape(len(x), self.k)[:n]
        if not np.isfinite(rows).all():
            bad = int(np.argmin(np.isfinite(rows).all(1)))
            raise ModelError(f"{where}: the output for face {first + bad} is not finite; check --pixels")
        return rows


def _resized(face: NDArray[np.uint8], shape: tuple[int, int]) -> NDArray[np.uint8]:
    """By area where it shrinks, linear where it grows, as ``images.resize``, but to any height and width."""
    shrinks = face.shape[0] > shape[0] or face.shape[1] > shape[1]
    how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(face, shape[::-1], interpolation=how), dtype=np.uint8)


def _shares(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    total = rows.sum(1, keepdims=True)
    return np.where(np.abs(total - 1) < 1e-3, rows / np.where(total, total, 1), np.nan)


def _version() -> str:
    return str(load_onnxruntime().__version__)
