"""Differences between conditions that respect participants: sign-flips, permutations, a mixed model; Holm's correction.

Within: participants who were in both conditions; under the null hypothesis the sign of each one's difference is as good
as a coin's (Fisher 1935; Nichols & Holmes 2002, Human Brain Mapping 15, 1-25). Between: who was in which condition is
shuffled, with Welch's t as the statistic, so that unequal spreads do no harm (Janssen 1997, Statistics & Probability
Letters 36, 9-21). Intervals are Student's. Holm 1979, Scandinavian Journal of Statistics 6, 65-70.
The mixed model is statsmodels' (extra ``study``). Leaves out: which values are compared (``comparisons``).
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.errors import need

__all__ = ["Compared", "holm", "interval", "mixed", "permute_groups", "sign_flip"]

Array = NDArray[np.float64]

_EXACT = 14  # participants up to whom all sign-flips are tried
_AT_ONCE = 2_000  # draws


@dataclass(frozen=True)
class Compared:
    """What came of one comparison: ``second`` minus ``first``.

    low, high  95 % interval of the difference; None with too few values
    p          two-sided; None where it cannot be computed, ``note`` says why
    effect     difference over the standard deviation: of the differences within participants (d_z), of both groups
               pooled (d) between them
    """

    difference: float | None
    low: float | None = None
    high: float | None = None
    p: float | None = None
    effect: float | None = None
    note: str = ""


def sign_flip(differences: Array, *, draws: int = 10_000, seed: int = 0) -> Compared:
    """Whether differences within participants ``(n,)`` are 0 on average: all sign-flips up to 14, else ``draws``."""
    d = np.asarray(differences, np.float64)
    if len(d) < 2:
        return Compared(float(d[0]) if len(d) else None, note="fewer than two participants")
    low, high = interval(d)
    spread = float(d.std(ddof=1))
    effect = float(d.mean() / spread) if spread > 0 else None
    seen = abs(d.sum()) - 1e-9 * np.abs(d).sum()
    if len(d) <= _EXACT:
        signs = 1 - 2 * (np.arange(2 ** len(d))[:, None] >> np.arange(len(d)) & 1)
        p = float((np.abs(signs @ d) >= seen).mean())
    else:
        rng = np.random.default_rng(seed)
        hits = sum(
            int((np.abs((1 - 2 * rng.integers(0, 2, (n, len(d)), dtype=np.int8)) @ d) >= seen).sum())
            for n in _parts(draws)
        )
        p = (1 + hits) / (1 + draws)
    return Compared(float(d.mean()), low, high, p, effect)


def permute_groups(first: Array, second: Array, *, draws: int = 10_000, seed: int = 0) -> Compared:
    """Whether two groups of participants ``(n,)``, ``(m,)`` have the same mean, by ``draws`` shuffles of Welch's t."""
    a, b = np.asarray(first, np.float64), np.asarray(second, np.float64)
    difference = float(b.mean() - a.mean()) if len(a) and len(b) else None
    if len(a) < 2 or len(b) < 2:
        return Compared(difference, note="fewer than two participants in a condition")
    both, n = np.concatenate([a, b]), len(a)
    seen = abs(float(_welch(both[None], n)[0])) - 1e-9
    rng = np.random.default_rng(seed)
    hits = sum(
        int((np.abs(_welch(rng.permuted(np.tile(both, (k, 1)), axis=1), n)) >= seen).sum()) for k in _parts(draws)
    )
    low, high = _welch_interval(a, b)
    pooled = float(np.sqrt(((n - 1) * a.var(ddof=1) + (len(b) - 1) * b.var(ddof=1)) / (len(both) - 2)))
    effect = None if pooled == 0 or difference is None else difference / pooled
    return Compared(difference, low, high, (1 + hits) / (1 + draws), effect)


def mixed(values: Array, second: NDArray[np.bool_], people: Sequence[str]) -> Compared:
    """A linear mixed model of ``values`` ``(N,)``, one of each participant in each condition that they were in.

    The condition, and an intercept for each participant; restricted likelihood. Who was in one condition only counts
    too. Wald's statistic is held against Student's t with as many degrees of freedom as there are participants in both,
    less one: where all are, that is the paired t test. (A value for each stimulus would need a slope for each
    participant as well: Barr et al. 2013, Journal of Memory and Language 68, 255-278.)

    second  bool ``(N,)``, whether the value is of the second condition
    """
    frame_of = need("pandas", "study").DataFrame
    formulas = need("statsmodels.formula.api", "study")
    table = frame_of({"value": values, "second": second.astype(float), "person": list(people)})
    both = len(people) - len(set(people))
    difference = float(values[second].mean() - values[~second].mean()) if 0 < second.sum() < len(second) else None
    if both < 3 or difference is None or np.ptp(values) == 0:
        return Compared(difference, note="too few participants in both conditions, or no value differs")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what they say is asked of the fit
        try:
            fit: Any = formulas.mixedlm("value ~ second", table, groups="person").fit(reml=True)
        except (np.linalg.LinAlgError, ValueError) as error:
            return Compared(difference, note=f"the model could not be fitted ({error})")
    estimate, spread = float(fit.params["second"]), float(fit.bse["second"])
    if not fit.converged or not np.isfinite(spread) or spread <= 0:
        return Compared(estimate, note="the model did not converge")
    reach = _quantile(both - 1) * spread
    p = 2 * float(need("scipy.stats", "study").t.sf(abs(estimate) / spread, both - 1))
    return Compared(estimate, estimate - reach, estimate + reach, p)


def holm(ps: Sequence[float | None]) -> list[float | None]:
    """Adjusted p values, None where there is none; the chance that any true null hypothesis falls stays under alpha."""
    known = sorted((p, i) for i, p in enumerate(ps) if p is not None)
    adjusted: list[float | None] = [None] * len(ps)
    largest = 0.0
    for rank, (p, i) in enumerate(known):
        largest = max(largest, min(1.0, (len(known) - rank) * p))
        adjusted[i] = largest
    return adjusted


def interval(values: Array) -> tuple[float | None, float | None]:
    """Student's 95 % interval of the mean of ``values`` ``(n,)``; None with fewer than two."""
    n = len(values)
    if n < 2:
        return None, None
    reach = _quantile(n - 1) * float(values.std(ddof=1)) / n**0.5
    mean = float(values.mean())
    return mean - reach, mean + reach


def _welch_interval(a: Array, b: Array) -> tuple[float, float]:
    u, v = a.var(ddof=1) / len(a), b.var(ddof=1) / len(b)
    difference = float(b.mean() - a.mean())
    if u + v == 0:
        return difference, difference
    freedom = float((u + v) ** 2 / (u**2 / (len(a) - 1) + v**2 / (len(b) - 1)))
    reach = _quantile(freedom) * float(np.sqrt(u + v))
    return difference - reach, difference + reach


def _quantile(freedom: float) -> float:
    return float(need("scipy.stats", "study").t.ppf(0.975, freedom))


def _welch(rows: Array, n: int) -> Array:
    """Welch's t of each row ``(R, n + m)``; 0 where nothing differs."""
    a, b = rows[:, :n], rows[:, n:]
    spread = np.sqrt(a.var(1, ddof=1) / n + b.var(1, ddof=1) / b.shape[1])
    difference = b.mean(1) - a.mean(1)
    found: Array = np.divide(difference, spread, out=np.where(difference == 0, 0.0, np.inf), where=spread > 1e-12)
    return found


def _parts(draws: int) -> list[int]:
    return [min(_AT_ONCE, draws - i) for i in range(0, draws, _AT_ONCE)]
