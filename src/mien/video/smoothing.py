"""Probabilities of one face over time, without the flicker of single frames.

Leaves out: which face is whose (``tracking``).
"""

from __future__ import annotations

import math
from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray

from mien.errors import ConfigError
from mien.video.rules import RULES

__all__ = ["SMOOTH", "Smoother"]

#: Time constant of smoothing in seconds.
SMOOTH = RULES.smooth


class Smoother:
    """An exponential mean of each track's probabilities.

    constant  seconds after which a sudden change has come through to 63 %, whatever the frame rate; 0 changes nothing
    """

    def __init__(self, constant: float = SMOOTH) -> None:
        if not 0 <= constant < float("inf"):
            raise ConfigError(f"smooth must be 0 seconds or more, got {constant}")
        self.constant = constant
        self._state: dict[int, tuple[float, NDArray[np.float64]]] = {}

    def __call__(self, track: int, time: float, probabilities: NDArray[np.float32]) -> NDArray[np.float32]:
        """The mean up to now of ``(K,)`` that sum to 1, with the new ones; sums to 1 as well."""
        old = self._state.get(track)
        new = np.asarray(probabilities, np.float64)
        if old is not None and self.constant > 0:
            weight = 1 - math.exp(-max(0.0, time - old[0]) / self.constant)
            new = old[1] + weight * (new - old[1])
        self._state[track] = (time, new)
        return new.astype(np.float32)

    def now(self, track: int) -> NDArray[np.float32] | None:
        """The mean up to now, None for a track that is new."""
        state = self._state.get(track)
        return None if state is None or not self.constant else state[1].astype(np.float32)

    def keep(self, tracks: Collection[int]) -> None:
        """Forget all tracks but these."""
        self._state = {t: s for t, s in self._state.items() if t in tracks}
