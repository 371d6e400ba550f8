"""The arithmetic of agreement: against scikit-learn and krippendorff, planted values, chance, intervals."""

from __future__ import annotations

import numpy as np
import pytest

from mien.study.agreement import (
    coincidences,
    confusions,
    figures,
    kappa,
    krippendorff_alpha,
    pair_measures,
)

LABELS = ("angry", "happy", "sad", "neutral")


def planted(n, share, seed, k=4, run=1):
    """Two coders: the second copies the first in a ``share`` of the runs, else picks at random: kappa is ``share``."""
    rng = np.random.default_rng(seed)
    first, copied, other = rng.integers(0, k, n), rng.random(n) < share, rng.integers(0, k, n)
    second = np.where(copied, first, other)
    return np.repeat(first, run), np.repeat(second, run)


def with_gaps(codes, seed):
    return np.where(np.random.default_rng(seed).random(codes.shape) < 0.1, -1, codes)


@pytest.mark.parametrize("seed", range(4))
def test_kappa_f1_and_percent_are_those_of_scikit_learn(seed):
    metrics = pytest.importorskip("sklearn.metrics")
    a, b = (with_gaps(c, i) for i, c in enumerate(planted(500, 0.4, seed)))
    both = (a >= 0) & (b >= 0)
    found = pair_measures(confusions(a, b, 4)[0], LABELS)
    assert found["kappa"] == pytest.approx(metrics.cohen_kappa_score(a[both], b[both]))
    assert found["percent"] == pytest.approx(100 * metrics.accuracy_score(a[both], b[both]))
    expected = metrics.f1_score(a[both], b[both], average=None)
    assert [found[f"f1 {name}"] for name in LABELS] == pytest.approx(expected)
    np.testing.assert_array_equal(confusions(a, b, 4)[0], metrics.confusion_matrix(a[both], b[both]))


@pytest.mark.parametrize("coders", [2, 3, 5])
def test_alpha_is_that_of_krippendorff(coders):
    krippendorff = pytest.importorskip("krippendorff")
    codes = np.stack([with_gaps(planted(300, 0.5, 7)[i % 2], 20 + i) for i in range(coders)])
    data = np.where(codes < 0, np.nan, codes.astype(float))
    expected = krippendorff.alpha(reliability_data=data, level_of_measurement="nominal")
    assert krippendorff_alpha(coincidences(codes, 4)[0]) == pytest.approx(expected)
    if coders == 2:
        assert pair_measures(confusions(*codes, 4)[0], LABELS)["alpha"] == pytest.approx(expected)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.8, 1.0])
def test_a_planted_agreement_is_recovered_and_chance_gives_0(share):
    counts = confusions(*planted(40_000, share, 3), 4)[0]
    found = pair_measures(counts, LABELS)
    assert found["kappa"] == pytest.approx(share, abs=0.015)
    assert found["alpha"] == pytest.approx(share, abs=0.015)
    assert found["percent"] == pytest.approx(100 * (share + (1 - share) / 4), abs=1.2)


def test_blocks_add_up_to_the_whole():
    a, b = planted(1000, 0.5, 1)
    blocks = np.arange(1000) // 37
    np.testing.assert_array_equal(confusions(a, b, 4, blocks).sum(0), confusions(a, b, 4)[0])
    codes = np.stack([a, b, with_gaps(a, 2)])
    np.testing.assert_allclose(coincidences(codes, 4, blocks).sum(0), coincidences(codes, 4)[0])


def test_what_is_undefined_is_none_and_no_number():
    same = np.zeros(50, np.int64)
    found = figures(lambda c: pair_measures(c, LABELS), [confusions(same, same, 4)])
    assert found["percent"].value == 100
    assert found["kappa"].value is None
    assert found["alpha"].value is None
    assert found["f1 happy"].value is None
    assert np.isnan(kappa(np.zeros((4, 4))))


def test_too_few_blocks_give_no_interval():
    a, b = planted(700, 0.5, 1)
    measure = lambda c: pair_measures(c, LABELS)  # noqa: E731
    seven, eight = (figures(measure, [confusions(a, b, 4, np.arange(700) * n // 700)])["kappa"] for n in (7, 8))
    assert seven.low is None
    assert eight.low < eight.value < eight.high


def coverage(over, seed=0, films=200):
    """How often the interval of kappa holds the planted 0.5, where codes last for 10 frames."""
    hits = 0
    for film in range(films):
        a, b = planted(120, 0.5, seed + film, run=10)
        parts = [
            confusions(x, y, 4, np.arange(len(x)) // 50) for x, y in zip(np.split(a, 12), np.split(b, 12), strict=True)
        ]
        if over == "time":
            parts = [confusions(a, b, 4, np.arange(1200) // 50)]
        found = figures(lambda c: {"kappa": kappa(c)}, parts, over=over, draws=300)["kappa"]
        hits += found.low <= 0.5 <= found.high
    return hits / films


@pytest.mark.parametrize("over", ["time", "recordings"])
def test_intervals_hold_the_planted_value_as_often_as_they_say(over):
    assert 0.87 <= coverage(over) <= 0.99


def test_frames_taken_for_independent_would_promise_too_much():
    a, b = planted(120, 0.5, 5, run=10)
    measure = lambda c: {"kappa": kappa(c)}  # noqa: E731
    blocks = figures(measure, [confusions(a, b, 4, np.arange(1200) // 50)])["kappa"]
    alone = figures(measure, [confusions(a, b, 4, np.arange(1200))])["kappa"]
    assert blocks.high - blocks.low > 2 * (alone.high - alone.low)
