"""Which values of a study are compared with which, and what came of it, corrected for all of them together.

Leaves out: the tests themselves (``inference``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

import numpy as np

from mien.study.analysis.cells import values
from mien.study.analysis.inference import Compared, holm, mixed, permute_groups, sign_flip
from mien.study.analysis.measures import Measured

__all__ = ["COLUMNS", "TESTS", "Comparison", "compare_conditions"]

#: Columns of ``tests.csv``.
COLUMNS = (
    *("measure", "scores", "label", "first", "second", "test", "participants", "left_out", "mean_first", "mean_second"),
    *("difference", "low", "high", "effect", "p", "p_holm", "real", "note"),
)

TESTS = ("permutation", "mixed")

Cells = Mapping[tuple[str, ...], Measured]


@dataclass(frozen=True)
class Comparison:
    """One label in two conditions.

    test          ``sign-flip``, ``permutation`` (between participants) or ``mixed model``
    participants  that were compared; ``left_out`` were in one of the conditions only, or have no value there
    p_holm        corrected for all comparisons of the study
    """

    measure: str
    label: str
    first: str
    second: str
    test: str
    participants: int
    left_out: int
    means: tuple[float | None, float | None]
    found: Compared
    p_holm: float | None = None
    scores: str = "plain"

    def real(self, alpha: float) -> bool | None:
        """Whether the difference is called real; None where it could not be tested."""
        return None if self.p_holm is None else self.p_holm <= alpha

    def row(self, alpha: float) -> dict[str, Any]:
        """For the table, see :data:`COLUMNS`."""
        f = self.found
        told = {name: _rounded(getattr(f, name)) for name in ("difference", "low", "high", "effect", "p")}
        means = {"mean_first": _rounded(self.means[0]), "mean_second": _rounded(self.means[1])}
        names = ("measure", "scores", "label", "first", "second", "test", "participants", "left_out")
        own = {name: getattr(self, name) for name in names}
        real = self.real(alpha)
        return {
            **own,
            **means,
            **told,
            "p_holm": _rounded(self.p_holm),
            "real": None if real is None else int(real),
            "note": f.note or None,
        }


def compare_conditions(
    by_condition: Cells,
    conditions: Sequence[str],
    labels: Sequence[str],
    measures: Sequence[str],
    *,
    test: str = "permutation",
    scores: str = "plain",
    draws: int = 10_000,
    seed: int = 0,
) -> list[Comparison]:
    """All labels in all pairs of conditions, corrected together by Holm's method.

    by_condition  (participant, condition) -> measured
    """
    found = list[Comparison]()
    for measure in measures:
        table = _values(by_condition, measure)
        for first, second in combinations(conditions, 2):
            if test == "mixed":
                found += _mixed(table, first, second, labels, measure)
            else:
                found += _permuted(table, first, second, labels, measure, draws, seed)
    adjusted = holm([c.found.p for c in found])
    return [replace(c, p_holm=p, scores=scores) for c, p in zip(found, adjusted, strict=True)]


def _values(cells: Cells, measure: str) -> dict[tuple[str, ...], Any]:
    return {key: values(m)[measure] for key, m in cells.items()}


def _permuted(
    table: Mapping[tuple[str, ...], Any],
    first: str,
    second: str,
    labels: Sequence[str],
    measure: str,
    draws: int,
    seed: int,
) -> Iterator[Comparison]:
    people = [{who: v for (who, condition), v in table.items() if condition == name} for name in (first, second)]
    within = bool(set(people[0]) & set(people[1]))
    everybody = len(set(people[0]) | set(people[1]))
    for k, label in enumerate(labels):
        a, b = ({who: float(v[k]) for who, v in group.items() if np.isfinite(v[k])} for group in people)
        if within:
            both = [who for who in a if who in b]
            x, y = np.array([a[w] for w in both]), np.array([b[w] for w in both])
            result, n = sign_flip(y - x, draws=draws, seed=seed), len(both)
        else:
            x, y = np.array(list(a.values())), np.array(list(b.values()))
            result, n = permute_groups(x, y, draws=draws, seed=seed), len(x) + len(y)
        name = "sign-flip" if within else "permutation"
        yield Comparison(measure, label, first, second, name, n, everybody - n, (_mean(x), _mean(y)), result)


def _mixed(
    table: Mapping[tuple[str, ...], Any], first: str, second: str, labels: Sequence[str], measure: str
) -> Iterator[Comparison]:
    keys = [key for key in table if key[1] in (first, second)]
    for k, label in enumerate(labels):
        told = [key for key in keys if np.isfinite(table[key][k])]
        v = np.array([table[key][k] for key in told], np.float64)
        is_second = np.array([key[1] == second for key in told], bool)
        people = [key[0] for key in told]
        n, everybody = len(set(people)), len({key[0] for key in keys})
        means = (_mean(v[~is_second]), _mean(v[is_second]))
        yield Comparison(
            measure, label, first, second, "mixed model", n, everybody - n, means, mixed(v, is_second, people)
        )


def _mean(x: Any) -> float | None:
    return float(x.mean()) if len(x) else None


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 6)
