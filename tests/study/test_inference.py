"""Tests between conditions: against scipy and statsmodels, Holm, and what studies find over many draws."""

from __future__ import annotations

import numpy as np
import pytest

from bench.study.effects import measure, simulate
from mien.study.analysis.inference import holm, interval, mixed, permute_groups, sign_flip

stats = pytest.importorskip("scipy.stats")


@pytest.mark.parametrize(("n", "shift"), [(6, 0.8), (9, 0.3), (20, 0.5)])
def test_sign_flips_agree_with_scipy(n, shift):
    d = np.random.default_rng(n).normal(shift, 1, n)
    how = np.inf if n < 15 else 20_000
    expected = stats.permutation_test((d,), np.mean, permutation_type="samples", n_resamples=how, random_state=1)
    found = sign_flip(d, draws=20_000)
    assert found.p == pytest.approx(expected.pvalue, abs=1e-9 if n < 15 else 0.01)
    assert found.effect == pytest.approx(d.mean() / d.std(ddof=1))
    low, high = stats.ttest_1samp(d, 0).confidence_interval()
    assert (found.low, found.high) == (pytest.approx(low), pytest.approx(high))
    assert interval(d) == (found.low, found.high)


def test_shuffled_groups_agree_with_scipy():
    rng = np.random.default_rng(3)
    a, b = rng.normal(0, 1, 5), rng.normal(1.2, 2, 6)

    def welch(x, y, axis):
        return np.abs(stats.ttest_ind(y, x, equal_var=False, axis=axis).statistic)

    expected = stats.permutation_test((a, b), welch, vectorized=True, alternative="greater")  # all of them
    found = permute_groups(a, b, draws=20_000)
    assert found.p == pytest.approx(expected.pvalue, abs=0.01)
    low, high = stats.ttest_ind(b, a, equal_var=False).confidence_interval()
    assert (found.low, found.high) == (pytest.approx(low), pytest.approx(high))


def test_what_cannot_be_tested_says_so():
    assert sign_flip(np.array([0.3])).p is None
    assert sign_flip(np.zeros(5)).p == 1.0
    assert permute_groups(np.array([1.0]), np.array([1.0, 2.0])).note
    assert permute_groups(np.ones(4), np.ones(4)).p == 1.0
    assert mixed(np.ones(6), np.array([True, False] * 3), list("aabbcc")).p is None


def test_a_mixed_model_agrees_with_the_paired_test():
    pytest.importorskip("statsmodels")
    rng = np.random.default_rng(5)
    people, second = np.repeat(np.arange(20), 2), np.array([False, True] * 20)
    v = rng.normal(0, 1, 20)[people] + 0.5 * second + rng.normal(0, 0.5, 40)
    found = mixed(v, second, [f"p{i}" for i in people])
    d = v[second] - v[~second]
    assert found.difference == pytest.approx(d.mean(), abs=1e-6)
    expected = stats.ttest_1samp(d, 0)
    assert found.p == pytest.approx(expected.pvalue, rel=0.01)
    assert (found.low, found.high) == pytest.approx(expected.confidence_interval(), abs=1e-3)
    assert mixed(v[second], second[second], people[second].astype(str)).p is None  # nobody is in both


def test_holm():
    assert holm([0.01, None, 0.04, 0.03]) == [pytest.approx(0.03), None, pytest.approx(0.06), pytest.approx(0.06)]
    assert holm([0.6, 0.9]) == [1.0, 1.0]


@pytest.mark.parametrize("ties", [False, True])
def test_of_all_sign_flips_of_a_table_at_most_one_in_twenty_calls_any_label_real(ties):
    # under the null hypothesis each of them is as likely as the data: this is the test's own rate, not an estimate
    table = np.random.default_rng(4).normal(0, 1, (9, 4))
    table -= table.mean(1, keepdims=True)  # shares sum to 1: where one rises others fall
    table = np.round(table, 1) if ties else table
    half = [1 - 2 * (np.array([0, *(n >> np.arange(8) & 1)])) for n in range(256)]  # the other half says the same
    real = [min(holm([sign_flip(flips * column).p for column in table.T])) <= 0.05 for flips in half]
    assert 0.02 < np.mean(real) <= 0.05


def test_drawn_permutations_keep_their_level_and_count_the_data_among_the_draws():
    rng = np.random.default_rng(5)
    flips = [sign_flip(rng.normal(0, 1, 15), draws=19, seed=i).p for i in range(400)]
    groups = [permute_groups(rng.normal(0, 1, 6), rng.normal(0, 1, 9), draws=19, seed=i).p for i in range(400)]
    for ps in (np.array(flips), np.array(groups)):
        assert ps.min() == pytest.approx(0.05)  # never 0: (1 + 0) / (1 + 19)
        assert (ps <= 0.05).mean() < 0.05 + 3 * (0.05 * 0.95 / 400) ** 0.5


def test_a_planted_effect_is_found_and_without_one_hardly_anything_is():
    found = measure(2, 2.0, people=20)
    assert found["planted_found"]["share"] == 1.0
    # 6 of 24 would come by chance in one of thousands where 5 % are called real
    assert measure(24, 0.0, people=12)["called_real"]["share"] < 6 / 24


def test_between_participants_nobody_is_in_both_conditions():
    study = simulate(0, 2.5, people=24, between=True)
    happy = next(c for c in study.comparisons if c.label == "happy")
    assert (happy.test, happy.participants) == ("permutation", 24)
    assert happy.real(0.05)
