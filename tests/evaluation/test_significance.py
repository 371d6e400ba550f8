"""The paired test against scipy and a naive bootstrap, and what its sentence claims."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from mien.errors import ConfigError
from mien.evaluation.significance import Paired, compare_pairs, mcnemar


def faces_of(both: int, only_a: int, only_b: int, neither: int) -> tuple[np.ndarray, np.ndarray]:
    counts = [both, only_a, only_b, neither]
    return np.repeat([True, True, False, False], counts), np.repeat([True, False, True, False], counts)


@given(st.integers(0, 3000), st.integers(0, 3000))
@settings(max_examples=80, deadline=None)
def test_p_agrees_with_scipy(only_a: int, only_b: int) -> None:
    wanted = binomtest(only_a, only_a + only_b).pvalue if only_a + only_b else 1.0
    assert mcnemar(only_a, only_b) == pytest.approx(wanted, rel=1e-8, abs=1e-250)


@pytest.mark.parametrize(("only_a", "only_b"), [(1_000_000, 1_003_000), (2_000_000, 2_000_001), (5, 40_000)])
def test_p_of_many_faces_neither_overflows_nor_drifts(only_a: int, only_b: int) -> None:
    wanted = binomtest(only_a, only_a + only_b).pvalue
    assert mcnemar(only_a, only_b) == pytest.approx(wanted, rel=1e-6, abs=1e-290)


def test_counts_accuracies_and_difference() -> None:
    found = compare_pairs(*faces_of(50, 12, 7, 31))
    assert (found.n, found.only_a, found.only_b) == (100, 12, 7)
    assert (found.accuracy_a, found.accuracy_b) == (0.62, 0.57)
    assert found.difference == pytest.approx(0.05)
    assert found.p_value == pytest.approx(binomtest(7, 19).pvalue)
    other = compare_pairs(*faces_of(50, 7, 12, 31))
    assert (other.difference, other.p_value) == (-found.difference, found.p_value)


def test_interval_agrees_with_a_naive_bootstrap() -> None:
    a, b = faces_of(210, 60, 30, 100)
    rng = np.random.default_rng(5)
    naive = []
    for _ in range(4000):
        rows = rng.integers(0, len(a), len(a))
        naive.append(a[rows].mean() - b[rows].mean())
    low, high = np.quantile(naive, [0.025, 0.975])
    found = compare_pairs(a, b)
    # 4,000 draws fix a 2.5 % quantile to about 0.06 of a standard deviation (0.023 here)
    assert found.ci95 == pytest.approx((low, high), abs=0.006)
    assert found.ci95[0] < found.difference < found.ci95[1]
    assert compare_pairs(a, b, seed=1, draws=200).ci95 != found.ci95
    assert compare_pairs(a, b) == found


def test_order_of_faces_does_not_matter_but_pairing_does() -> None:
    a, b = faces_of(30, 9, 2, 9)
    order = np.random.default_rng(0).permutation(len(a))
    assert compare_pairs(a[order], b[order]) == compare_pairs(a, b)
    assert compare_pairs(a[order], b) != compare_pairs(a, b)


@pytest.mark.parametrize(
    ("cells", "sentence"),
    [
        ((2400, 361, 327, 501), r"A is right on 34 more faces of 3,589 than B: \+0\.9 points .*p = 0\.21: no diff"),
        ((2400, 327, 361, 501), r"A is right on 34 fewer faces of 3,589 than B: -0\.9 points .*no difference shown$"),
        ((2400, 400, 300, 489), r"\(95 % interval \+1\.\d to \+4\.\d\), McNemar p < 0\.001: A is better on faces like"),
        ((10, 0, 9, 10), r"p = 0\.0039: A is worse on faces like these$"),
        ((10, 7, 7, 10), r"A and B are right on equally many of 34 faces: \+0\.0 points .*p = 1: no difference shown$"),
        ((10, 5, 0, 10), r"no difference shown \(5 faces tell them apart, this test needs 6 or more\)$"),
        ((10, 0, 0, 10), r"interval \+0\.0 to \+0\.0\).*no difference shown \(0 faces tell"),
    ],
)
def test_the_sentence_claims_what_the_test_shows(cells: tuple[int, int, int, int], sentence: str) -> None:
    import re

    assert re.search(sentence, str(compare_pairs(*faces_of(*cells))))


def test_the_sentence_names_the_models_and_keeps_the_side_of_the_level() -> None:
    said = compare_pairs(*faces_of(10, 1, 8, 2)).sentence("mine", "theirs")
    assert said.startswith("mine is right on 7 fewer faces of 21 than theirs")
    assert said.endswith("p = 0.039: mine is worse on faces like these")
    near = Paired(100, 0.5, 0.4, 0.1, (0.0, 0.2), 20, 10, 0.0497)
    assert "p = 0.050: A is better" in str(near)


def test_it_survives_json_and_refuses_other_keys() -> None:
    found = compare_pairs(*faces_of(5, 4, 3, 2))
    raw = json.loads(json.dumps(found.to_dict()))
    assert Paired.from_dict(raw) == found
    with pytest.raises(ConfigError, match=r"unknown: \['x'\]"):
        Paired.from_dict({**raw, "x": 1})
    with pytest.raises(ConfigError, match=r"unknown: \['n'\]"):
        Paired.from_dict({k: v for k, v in raw.items() if k != "n"})


def test_wrong_arguments_are_named() -> None:
    good = np.array([True, False])
    with pytest.raises(ConfigError, match="right_b must be bool"):
        compare_pairs(good, [0.5, 1.0])
    with pytest.raises(ConfigError, match=r"right_a must be bool of shape \(N,\) with N >= 1"):
        compare_pairs(np.zeros(0, bool), good)
    with pytest.raises(ConfigError, match="same faces, got 2 and 3"):
        compare_pairs(good, [True, False, True])
    with pytest.raises(ConfigError, match="draws 100 or more"):
        compare_pairs(good, good, draws=5)
    with pytest.raises(ConfigError, match="seed"):
        compare_pairs(good, good, seed=-1)
    with pytest.raises(ConfigError, match="counts of 0 or more"):
        mcnemar(-1, 2)
