"""Scores of groups of faces beside each other, and what may be said of their largest gap.

Leaves out: the test (``homogeneity``) and where groups come from (``group_columns``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from mien.errors import ConfigError
from mien.evaluation.homogeneity import Homogeneity, compare_groups
from mien.evaluation.metrics import score

__all__ = ["NO_GROUP", "SMALL", "GroupScore", "by_group", "homogeneity", "largest_gap"]

#: Groups with fewer faces are marked: an accuracy of 50 % is then known to 17 points either way, at best.
SMALL = 30
#: The group of faces of which nobody said to which one they belong.
NO_GROUP = "(none)"


@dataclass(frozen=True)
class GroupScore:
    """How a model does on one group of faces.

    n         labelled faces of the group
    accuracy  0..1, with its 95 % score interval ``ci95 = (low, high)``
    macro_f1  mean F1 of the classes that the group's faces are labelled with; None where that is a single class, of
              which no face can be taken for it wrongly
    small     fewer than ``SMALL`` faces: too few to compare
    """

    group: str
    n: int
    accuracy: float
    ci95: tuple[float, float]
    macro_f1: float | None
    small: bool

    def to_dict(self) -> dict[str, Any]:
        """Plain lists and numbers, ready for JSON; :meth:`from_dict` reads them back."""
        return {**asdict(self), "ci95": list(self.ci95)}

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> GroupScore:
        """Read what :meth:`to_dict` wrote; missing and unknown keys are errors."""
        known = {f.name for f in fields(cls)}
        if wrong := sorted(set(raw) ^ known):
            raise ConfigError(f"a group must have the keys {', '.join(sorted(known))}; missing or unknown: {wrong}")
        low, high = raw["ci95"]
        return cls(**{**raw, "ci95": (float(low), float(high))})


def by_group(
    probabilities: ArrayLike, labels: ArrayLike, groups: Sequence[str], names: Sequence[str]
) -> list[GroupScore]:
    """Scores of each group, the largest group first, equal ones by name.

    probabilities  ``(N, K)``, labels int ``(N,)`` in ``0..K-1``, and the K class ``names``, as for ``metrics.score``
    groups         which group each face belongs to, N of them

    Raises ConfigError where an argument breaks its rule.
    """
    whole = score(probabilities, labels, names)
    if len(groups) != whole.n:
        raise ConfigError(f"groups must name a group for each of the {whole.n:,} faces, got {len(groups):,}")
    p, y, each = np.asarray(probabilities), np.asarray(labels), np.asarray(groups, dtype=np.str_)
    found = []
    for group in np.unique(each):
        part = score(p[each == group], y[each == group], names)
        there = [c["f1"] for c in part.per_class.values() if c["n"]]
        f1 = float(np.mean(there)) if len(there) > 1 else None
        found.append(GroupScore(str(group), part.n, part.accuracy, part.accuracy_ci95, f1, part.n < SMALL))
    return sorted(found, key=lambda g: (-g.n, g.group))


def homogeneity(groups: Sequence[GroupScore], *, seed: int = 0) -> Homogeneity | None:
    """Whether the groups that are neither small nor ``NO_GROUP`` differ; None where there are fewer than two."""
    large = _comparable(groups)
    if len(large) < 2:
        return None
    return compare_groups(
        [round(g.accuracy * g.n) for g in large], [g.n for g in large], [g.group for g in large], seed=seed
    )


def _comparable(groups: Sequence[GroupScore]) -> list[GroupScore]:
    return [g for g in groups if g.group != NO_GROUP and not g.small]


def largest_gap(groups: Sequence[GroupScore], test: Homogeneity | None) -> str:
    """The largest gap in accuracy between groups that are neither small nor ``NO_GROUP``, and what ``test``, made by
    :func:`homogeneity` from the same groups, says of it, in a sentence."""
    large = _comparable(groups)
    groups = [g for g in groups if g.group != NO_GROUP]
    if len(large) < 2 or test is None:
        return f"no gap can be stated: {len(large)} of {len(groups)} groups hold {SMALL} faces or more"
    best, worst = max(large, key=lambda g: g.accuracy), min(large, key=lambda g: g.accuracy)
    gap = 100 * (best.accuracy - worst.accuracy)
    if not gap:
        return f"no gap: all {len(large)} groups of {SMALL} faces or more have the same accuracy"
    sides = " and ".join(f"{g.group} ({g.accuracy:.1%}, n {g.n:,})" for g in (best, worst))
    return f"largest gap {gap:.1f} points, between {sides}; {test}"
