"""Probabilities over the time of a stimulus: the mean over participants, with intervals, and how many there are.

A participant has a value in a bin only where something was measured in it; the number of those who have one is told.
Leaves out: drawing (``figures``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.errors import need
from mien.study.analysis.measures import Measured

__all__ = ["COLUMNS", "Curve", "curve_rows", "curves"]

#: Columns of ``curves.csv``.
COLUMNS = ("condition", "stimulus", "scores", "label", "time", "mean", "low", "high", "participants")

_LEAST = 0.5  # share of a bin that must be measured


@dataclass(frozen=True)
class Curve:
    """Of one condition, or one stimulus in it; B bins, K labels.

    times         ``(B,)`` middle of each bin, seconds from the start
    mean          ``(B, K)``, nan where nobody has a value; ``low``, ``high``: 95 % interval, nan with fewer than two
    participants  ``(B,)`` with a value; ``everybody`` are there
    """

    condition: str
    stimulus: str
    times: NDArray[np.float64]
    mean: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    participants: NDArray[np.int64]
    everybody: int

    @property
    def shown(self) -> NDArray[np.bool_]:
        """The bins that are worth drawing: at least two participants, and half of them all."""
        return (self.participants >= 2) & (2 * self.participants >= self.everybody)


def curves(cells: Mapping[tuple[str, ...], Measured], width: float) -> list[Curve]:
    """A curve for each second and third part of the keys, whose first is the participant."""
    groups: dict[tuple[str, ...], list[Measured]] = {}
    for (_, *key), m in cells.items():
        groups.setdefault(tuple(key), []).append(m)
    return [_curve((*key, "")[0], (*key, "")[1], parts, width) for key, parts in groups.items()]


def curve_rows(found: Sequence[Curve], labels: Sequence[str], scores: str) -> Iterator[dict[str, Any]]:
    """A row a bin and label."""
    for c in found:
        for k, label in enumerate(labels):
            for i, time in enumerate(c.times.tolist()):
                yield {
                    "condition": c.condition,
                    "stimulus": c.stimulus or None,
                    "scores": scores,
                    "label": label,
                    "time": round(time, 3),
                    **{n: _round(getattr(c, n)[i, k]) for n in ("mean", "low", "high")},
                    "participants": int(c.participants[i]),
                }


def _curve(condition: str, stimulus: str, parts: Sequence[Measured], width: float) -> Curve:
    size = max(len(m.bin_time) for m in parts)
    most = np.max([np.pad(m.bin_time, (0, size - len(m.bin_time))) for m in parts], axis=0)
    values = np.full((len(parts), size, parts[0].bins.shape[1]), np.nan)
    for v, m in zip(values, parts, strict=True):
        full = m.bin_time >= max(1e-6, _LEAST * min(width, float(most.max(initial=0.0))))
        v[: len(full)][full] = m.bins[full] / m.bin_time[full, None]
    n = np.isfinite(values[:, :, 0]).sum(0)
    some = np.maximum(n, 1)[:, None]
    mean = np.where(n[:, None] > 0, np.nansum(values, 0) / some, np.nan)
    spread = np.sqrt(np.nansum((values - mean) ** 2, 0) / np.maximum(n - 1, 1)[:, None])
    with np.errstate(invalid="ignore"):
        reach = need("scipy.stats", "study").t.ppf(0.975, np.maximum(n - 1, 1))[:, None] * spread / np.sqrt(some)
    reach[n < 2] = np.nan
    times = np.asarray(width * (np.arange(size) + 0.5), np.float64)
    return Curve(condition, stimulus, times, mean, mean - reach, mean + reach, n, len(parts))


def _round(value: float) -> float | None:
    return round(float(value), 6) if np.isfinite(value) else None
