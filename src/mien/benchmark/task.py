"""What a method is given and what it gives back.

Leaves out: how each method learns (``networks``, ``twosteps``) and who runs it (``runner``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien.data import FaceDataset

__all__ = ["Fitted", "Predict", "Task"]

#: faces uint8 (N, S, S) -> probabilities (N, K)
Predict = Callable[[NDArray[np.uint8]], NDArray[np.float64]]


def _silent(step: str, share: float) -> None:
    """No progress shown."""


@dataclass(frozen=True, eq=False)
class Task:
    """One training: labelled faces, a folder for what is kept, and what may be spent.

    budget    seconds that training may take, ``None`` for as long as the method likes
    shared    folder for what other methods use as well, ``None`` for the method's own
    progress  called with the name of the step and the share of it that is done, 0..1
    """

    train: FaceDataset
    val: FaceDataset
    folder: Path
    seed: int = 0
    threads: int = 1
    budget: float | None = None
    shared: Path | None = None
    progress: Callable[[str, float], None] = _silent


@dataclass(frozen=True, eq=False)
class Fitted:
    """A method that has learnt.

    size     "parameters" of a network, "vector" length of what a classifier sees, or both
    seconds  that learning took, breaks left out
    figures  what a method measures beside expressions, kind -> name -> value, such as how well identity can be read
    notes    what a reader of the table must know, such as fewer epochs for want of time
    """

    predict: Predict
    size: Mapping[str, int]
    seconds: float
    figures: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
