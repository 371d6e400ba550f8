"""How far two or more codings of the same moments agree: percent, Cohen's kappa, Krippendorff's alpha, F1 of a class.

All come from tables of counts, and counts of blocks of time add up, so that a bootstrap over blocks or recordings costs
one product of matrices. numpy only; checked in the tests against scikit-learn and the krippendorff package.
Leaves out: reading files, and which moments are compared (``comparison``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.errors import ConfigError

__all__ = ["FEWEST", "Figure", "coincidences", "confusions", "figures", "kappa", "krippendorff_alpha", "pair_measures"]

#: A bootstrap needs so many blocks or recordings at least; with fewer there is no interval.
FEWEST = 8

Array = NDArray[np.float64]
Codes = NDArray[np.int64]


@dataclass(frozen=True)
class Figure:
    """A measure with its 95 % interval; None where it is undefined or where there is too little for an interval."""

    value: float | None
    low: float | None = None
    high: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return {"value": self.value, "low": self.low, "high": self.high}


def confusions(a: Codes, b: Codes, k: int, blocks: Codes | None = None) -> Array:
    """Counts ``(B, k, k)`` of each block, rows ``a``, columns ``b``; moments without both codes are left out.

    a, b    ``(N,)`` class numbers, negative where there is none
    blocks  ``(N,)`` from 0; None is one block
    """
    where = np.zeros(len(a), np.int64) if blocks is None else blocks
    count = int(where.max(initial=0)) + 1
    both = (a >= 0) & (b >= 0)
    cells = (where[both] * k + a[both]) * k + b[both]
    return np.bincount(cells, minlength=count * k * k).reshape(count, k, k).astype(np.float64)


def coincidences(codes: Codes, k: int, blocks: Codes | None = None) -> Array:
    """Krippendorff's coincidences ``(B, k, k)`` of ``R`` coders ``(R, N)``; moments with one code are left out.

    Krippendorff 2019, "Content analysis", 4th edition, section 12.3: each pair of codes of a moment counts
    ``1 / (m - 1)``, where ``m`` is the number of its codes.
    """
    where = np.zeros(codes.shape[1], np.int64) if blocks is None else blocks
    said = np.stack([(codes == c).sum(0) for c in range(k)], 1).astype(np.float64)
    m = said.sum(1)
    said, m, kept = said[m >= 2], m[m >= 2], where[m >= 2]
    out = np.zeros((int(where.max(initial=0)) + 1, k, k))
    weighted = said / (m - 1)[:, None]
    for block in np.unique(kept):
        rows = kept == block
        out[block] = weighted[rows].T @ said[rows] - np.diag(weighted[rows].sum(0))
    return out


def kappa(counts: Array) -> Array:
    """Cohen's kappa of tables ``(..., k, k)``; NaN where it is undefined, because both say one and the same always.

    Cohen 1960, Educational and Psychological Measurement 20, 37-46.
    """
    n = counts.sum((-2, -1))
    with np.errstate(invalid="ignore", divide="ignore"):
        agreed = np.trace(counts, axis1=-2, axis2=-1) / n
        chance = (counts.sum(-1) * counts.sum(-2)).sum(-1) / n**2
        return np.where(chance < 1, (agreed - chance) / (1 - chance), np.nan)


def krippendorff_alpha(coincidence: Array) -> Array:
    """Krippendorff's alpha for nominal codes, of :func:`coincidences` ``(..., k, k)``; NaN where it is undefined."""
    each = coincidence.sum(-1)
    n = each.sum(-1)
    expected = n**2 - (each**2).sum(-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        apart = n - np.trace(coincidence, axis1=-2, axis2=-1)
        return np.where(expected > 0, 1 - (n - 1) * apart / expected, np.nan)


def pair_measures(counts: Array, labels: Sequence[str]) -> dict[str, Array]:
    """Every measure of two coders from tables ``(..., k, k)``; NaN where one is undefined.

    ``percent`` is 0..100, the others reach 1 at most; ``f1 LABEL`` is ``2 both / (first + second)``, the same from
    either side, so no coder is taken for the truth.
    """
    both = np.diagonal(counts, axis1=-2, axis2=-1)
    told = counts.sum(-1) + counts.sum(-2)
    with np.errstate(invalid="ignore", divide="ignore"):
        f1 = 2 * both / told
        percent = 100 * both.sum(-1) / counts.sum((-2, -1))
    alpha = krippendorff_alpha(counts + np.swapaxes(counts, -1, -2))
    whole = {"percent": percent, "kappa": kappa(counts), "alpha": alpha}
    return {**whole, **{f"f1 {label}": f1[..., i] for i, label in enumerate(labels)}}


def figures(
    measure: Any, parts: Sequence[Array], *, over: str = "time", draws: int = 2000, seed: int = 0
) -> dict[str, Figure]:
    """Measures of all parts together, with 95 % percentile intervals of a block bootstrap.

    measure  from a table ``(..., k, k)`` to name -> values ``(...)``
    parts    of each recording the tables ``(B, k, k)`` of its blocks of time
    over     ``time``: each recording's blocks are drawn with replacement (Carlstein 1986, Annals of Statistics 14,
             1171-1179; blocks, because neighbouring frames say the same); ``recordings``: whole recordings are drawn
    draws    resamples; those in which a measure is undefined are left out of its interval, and if they are more than
             half there is none. With fewer than :data:`FEWEST` blocks or recordings that hold anything there is none.
    """
    if over not in ("time", "recordings"):
        raise ConfigError(f"over must be time or recordings, got {over!r}")
    filled = [p[p.sum((1, 2)) > 0] for p in parts]
    values = measure(np.sum([p.sum(0) for p in parts], 0))
    units = (
        [np.stack([p.sum(0) for p in filled if len(p)])] if over == "recordings" and any(map(len, filled)) else filled
    )
    if sum(map(len, units)) < FEWEST:
        return {name: Figure(_number(v)) for name, v in values.items()}
    drawn = measure(_resample(units, draws, np.random.default_rng(seed)))
    return {name: Figure(_number(v), *_interval(drawn[name])) for name, v in values.items()}


def _resample(units: Sequence[Array], draws: int, rng: np.random.Generator) -> Array:
    """Sums ``(draws, k, k)`` of tables drawn with replacement, from each of ``units`` as many as it has."""
    k = units[0].shape[-1]
    total = np.zeros((draws, k * k))
    for tables in units:
        if n := len(tables):
            total += rng.multinomial(n, np.full(n, 1 / n), size=draws) @ tables.reshape(n, -1)
    return total.reshape(draws, k, k)


def _interval(drawn: Array) -> tuple[float | None, float | None]:
    kept = drawn[np.isfinite(drawn)]
    if len(kept) * 2 < len(drawn):
        return None, None
    low, high = np.quantile(kept, [0.025, 0.975])
    return float(low), float(high)


def _number(value: Any) -> float | None:
    return float(value) if np.isfinite(value) else None
