"""Do groups differ: seldom where they are equal, surely where a gap is planted; the parts against scipy."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy.stats import chi2_contingency, fisher_exact

from mien.errors import ConfigError
from mien.evaluation.homogeneity import Homogeneity, compare_groups, hypergeometric_p
from mien.evaluation.significance import holm

DRAWS = 300


def names(count: int) -> list[str]:
    return [f"g{i}" for i in range(count)]


def share_called_real(accuracy: np.ndarray, n: int, seed: int, trials: int) -> float:
    """How often groups of these accuracies, ``n`` faces each, are said to differ."""
    rng = np.random.default_rng(seed)
    found = [
        compare_groups(rng.binomial(n, accuracy), [n] * len(accuracy), names(len(accuracy)), seed=i, draws=99)
        for i in range(trials)
    ]
    for f in found:
        assert not f.apart or f.differ
    return float(np.mean([f.differ for f in found]))


@pytest.mark.parametrize(("groups", "accuracy"), [(10, 0.7), (40, 0.7), (40, 0.99), (2, 0.5)])
def test_equal_groups_are_seldom_called_different(groups: int, accuracy: float) -> None:
    # five in a hundred, and three standard errors of that
    limit = 0.05 + 3 * np.sqrt(0.05 * 0.95 / DRAWS)
    assert share_called_real(np.full(groups, accuracy), 50, groups, DRAWS) <= limit


@pytest.mark.parametrize(("groups", "n"), [(10, 60), (40, 60)])
def test_a_planted_gap_is_found_and_named(groups: int, n: int) -> None:
    accuracy = np.full(groups, 0.8)
    accuracy[3] = 0.4
    assert share_called_real(accuracy, n, 0, 50) > 0.9
    found = compare_groups([round(a * n) for a in accuracy], [n] * groups, names(groups))
    assert found.apart == ("g3",)
    assert "the groups differ" in str(found)


def test_p_agrees_with_the_chi_square_of_large_tables() -> None:
    rng = np.random.default_rng(5)
    for _ in range(5):
        n = rng.integers(300, 900, 6)
        right = rng.binomial(n, 0.6 + 0.03 * rng.standard_normal(6))
        expected = chi2_contingency(np.stack([right, n - right]), correction=False).pvalue
        assert compare_groups(right, n, names(6)).p_value == pytest.approx(expected, abs=0.02)


@pytest.mark.parametrize("table", [(3, 10, 12, 40), (0, 5, 3, 50), (5, 5, 7, 9), (50, 80, 200, 400), (1, 1, 1, 2)])
def test_the_exact_p_agrees_with_scipy(table: tuple[int, int, int, int]) -> None:
    right, n, whole, total = table
    other = [[right, n - right], [whole - right, (total - n) - (whole - right)]]
    assert hypergeometric_p(*table) == pytest.approx(fisher_exact(other).pvalue, rel=1e-6)


def test_all_right_all_wrong_and_two_alike() -> None:
    for right in ([40, 50], [0, 0]):
        found = compare_groups(right, [40, 50], ["a", "b"])
        assert (found.p_value, found.against_rest, found.apart) == (1.0, (1.0, 1.0), ())
    assert compare_groups([20, 20], [40, 40], ["a", "b"]).p_value == 1.0


def test_seed_decides_and_it_survives_json() -> None:
    found = compare_groups([30, 10, 25], [40, 40, 40], ["a", "b", "c"], seed=4)
    assert found == compare_groups([30, 10, 25], [40, 40, 40], ["a", "b", "c"], seed=4)
    raw = json.loads(json.dumps(found.to_dict()))
    assert Homogeneity.from_dict(raw) == found
    with pytest.raises(ConfigError, match=r"homogeneity must have .*\['x'\]"):
        Homogeneity.from_dict({**raw, "x": 1})


def test_holm_is_the_worked_example_and_keeps_the_order() -> None:
    # 0.01 * 4; 0.005 * 5 would be first, then 0.03 * 3 and so on, never falling
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []
    assert holm([0.4, 0.9]) == pytest.approx([0.8, 0.9])
    with pytest.raises(ConfigError, match=r"p_values must lie in 0\.\.1"):
        holm([0.5, 1.5])


@pytest.mark.parametrize(
    ("right", "totals", "words"),
    [
        ([1], [2], "two groups or more"),
        ([1, 2], [2], "two groups or more"),
        ([3, 1], [2, 2], r"right must lie in 0\.\.totals"),
        ([0, 0], [0, 2], "totals be 1 or more"),
    ],
)
def test_wrong_arguments_are_named(right: list[int], totals: list[int], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        compare_groups(right, totals, names(len(totals)))
