"""Do groups of faces differ in accuracy, or is it chance? One test for all of them, and which of them stand apart.

Many groups make large gaps by chance alone: of ten equal groups, the best and the worst have intervals that do not
overlap in 10 of 100 draws, of forty in 71 (``results/groups.json``). :func:`compare_groups` asks once whether accuracy
depends on the group at all, and only then which groups differ from all the others, corrected for their number. numpy
only. Leaves out: scores (``groups``), and dependence within a group: several pictures of one person make any such test
too sure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.errors import ConfigError
from mien.evaluation.significance import LEVEL, holm, p_words

__all__ = ["Homogeneity", "compare_groups", "hypergeometric_p"]


@dataclass(frozen=True)
class Homogeneity:
    """What :func:`compare_groups` found.

    groups   names of the groups that were compared
    p_value  of the test of homogeneity: how often groups would differ at least as much if all had one accuracy
    against_rest  p value of each group against all others together, corrected by Holm for their number
    draws    random tables that ``p_value`` was counted from
    """

    groups: tuple[str, ...]
    p_value: float
    against_rest: tuple[float, ...]
    draws: int

    @property
    def differ(self) -> bool:
        """Whether a difference between the groups is shown."""
        return self.p_value < LEVEL

    @property
    def apart(self) -> tuple[str, ...]:
        """The groups that differ from the rest; none where the groups as a whole are not shown to differ."""
        if not self.differ:
            return ()
        return tuple(g for g, p in zip(self.groups, self.against_rest, strict=True) if p < LEVEL)

    def to_dict(self) -> dict[str, Any]:
        """Plain lists and numbers, ready for JSON; :meth:`from_dict` reads them back."""
        return {**asdict(self), "groups": list(self.groups), "against_rest": list(self.against_rest)}

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> Homogeneity:
        """Read what :meth:`to_dict` wrote; missing and unknown keys are errors."""
        known = {f.name for f in fields(cls)}
        if wrong := sorted(set(raw) ^ known):
            raise ConfigError(f"homogeneity must have the keys {', '.join(sorted(known))}; missing or unknown: {wrong}")
        return cls(**{**raw, "groups": tuple(raw["groups"]), "against_rest": tuple(raw["against_rest"])})

    def __str__(self) -> str:
        said = f"over {len(self.groups)} groups, p {p_words(self.p_value)}"
        if not self.differ:
            return f"no difference shown: chance may account for it (test of homogeneity {said})"
        apart = ", ".join(self.apart) or "none by itself"
        return f"the groups differ (test of homogeneity {said}); apart from the rest, corrected by Holm: {apart}"


def compare_groups(
    right: Sequence[int], totals: Sequence[int], groups: Sequence[str], *, seed: int = 0, draws: int = 9_999
) -> Homogeneity:
    """Test whether ``groups`` differ in accuracy.

    right   faces of each group that the model gets right
    totals  faces of each group, 1 or more; two groups or more
    seed, draws  of the random tables, 99 or more

    Pearson's chi-square statistic of the table of right and wrong by group. Its p value is counted from random tables
    with the same sums instead of read from the chi-square curve (Hope 1968, J. R. Statist. Soc. B 30, 582-598), so that
    it holds for small groups and for models that are nearly always right. Each group against the rest is Fisher's exact
    test, two-sided. Raises ConfigError where an argument breaks its rule.
    """
    hits, n = np.asarray(right, np.int64), np.asarray(totals, np.int64)
    if len(n) < 2 or not len(hits) == len(n) == len(groups):
        raise ConfigError(f"right, totals and groups must name two groups or more, got {len(hits)}, {len(n)}, {groups}")
    if (n < 1).any() or (hits < 0).any() or (hits > n).any():
        raise ConfigError(f"right must lie in 0..totals and totals be 1 or more, got {hits.tolist()} of {n.tolist()}")
    if seed < 0 or draws < 99:
        raise ConfigError(f"seed must be 0 or more and draws 99 or more, got seed = {seed}, draws = {draws}")
    whole, total = int(hits.sum()), int(n.sum())
    rest = holm([hypergeometric_p(int(h), int(m), whole, total) for h, m in zip(hits, n, strict=True)])
    p = 1.0
    if 0 < whole < total:  # else all groups are the same
        tables = np.random.default_rng(seed).multivariate_hypergeometric(n, whole, size=draws, method="marginals")
        # a touch below, so that rounding takes no table for a lesser one that is the same
        reached = _spread(tables, n) >= _spread(hits[None], n)[0] * (1 - 1e-12)
        p = float((1 + reached.sum()) / (1 + draws))
    return Homogeneity(tuple(groups), p, tuple(rest), draws)


def _spread(hits: NDArray[np.int64], n: NDArray[np.int64]) -> NDArray[np.float64]:
    """What Pearson's statistic of tables ``(T, G)`` with one sum of hits grows with: ``sum(hits^2 / n)``."""
    expected = hits.sum(1, keepdims=True) * (n / n.sum())
    return np.asarray(((hits - expected) ** 2 / n).sum(1))


def hypergeometric_p(right: int, n: int, whole: int, total: int) -> float:
    """Fisher's exact two-sided p value: ``right`` of ``n`` faces of a group, ``whole`` of ``total`` over all groups.

    The sum of the probabilities of all counts that are no more probable than this one.
    """
    logs = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, total + 1)))])
    k = np.arange(max(0, whole - (total - n)), min(n, whole) + 1)
    inside = logs[whole] - logs[k] - logs[whole - k]
    outside = logs[total - whole] - logs[n - k] - logs[total - whole - n + k]
    weights = inside + outside
    p = np.exp(weights - weights.max())
    return float(min(1.0, p[p <= p[right - k[0]] * (1 + 1e-7)].sum() / p.sum()))
