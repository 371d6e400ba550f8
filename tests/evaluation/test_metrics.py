"""metrics against scikit-learn, against slow loops, and on its own rules."""

from __future__ import annotations

import json

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from mien.errors import ConfigError
from mien.evaluation.metrics import Report, expected_calibration_error, mean_and_spread, reliability, score, wilson

NAMES = ("angry", "happy", "sad", "neutral", "fear")


def _softmax(logits):
    e = np.exp(logits - logits.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


@st.composite
def predictions(draw):
    k = draw(st.integers(2, 5))
    n = draw(st.integers(1, 40))
    logits = draw(hnp.arrays(np.float64, (n, k), elements=st.floats(-12, 12)))
    labels = draw(hnp.arrays(np.int64, n, elements=st.integers(0, k - 1)))
    return _softmax(logits), labels, NAMES[:k]


@given(predictions())
@settings(max_examples=60, deadline=None)
def test_agrees_with_scikit_learn(case):
    p, y, names = case
    k, said = len(names), p.argmax(1)
    every = list(range(k))
    report = score(p, y, names)
    assert report.accuracy == pytest.approx(sk.accuracy_score(y, said))
    assert report.macro_f1 == pytest.approx(sk.f1_score(y, said, labels=every, average="macro", zero_division=0))
    assert np.array_equal(report.confusion, sk.confusion_matrix(y, said, labels=every))
    assert report.log_loss == pytest.approx(sk.log_loss(y, p, labels=every))
    columns = sk.precision_recall_fscore_support(y, said, labels=every, zero_division=0)
    for name, *wanted in zip(names, *columns, strict=True):
        row = report.per_class[name]
        assert [row["precision"], row["recall"], row["f1"], row["n"]] == pytest.approx(wanted)


@given(predictions(), st.integers(1, 20))
@settings(max_examples=60, deadline=None)
def test_calibration_agrees_with_a_slow_loop(case, bins):
    p, y, _ = case
    confidence, hit = p.max(1), p.argmax(1) == y
    place = np.array([next(b for b in range(bins) if c <= (b + 1) / bins + 1e-12) for c in confidence])
    wanted = 0.0
    for b in range(bins):
        chosen = place == b
        if chosen.any():
            wanted += chosen.mean() * abs(hit[chosen].mean() - confidence[chosen].mean())
    # a confidence within rounding of a bin's edge may fall on either side
    if np.abs(confidence * bins - np.round(confidence * bins)).min() > 1e-9:
        assert expected_calibration_error(p, y, bins) == pytest.approx(wanted)
    assert reliability(p, y, bins)[0].sum() == len(y)


@given(predictions())
@settings(max_examples=30, deadline=None)
def test_report_survives_json(case):
    p, y, names = case
    report = score(p, y, names, clean=np.arange(len(y)) % 2 == 0, split="PublicTest", conditions={"views": 2})
    assert Report.from_dict(json.loads(json.dumps(report.to_dict()))) == report


def test_brier_agrees_with_a_slow_loop():
    p, y = _softmax(np.random.default_rng(0).normal(size=(50, 5))), np.arange(50) % 5
    wanted = np.mean([sum((p[i, c] - (y[i] == c)) ** 2 for c in range(5)) for i in range(50)])
    assert score(p, y, NAMES).brier == pytest.approx(wanted)


def test_overconfidence_is_measured():
    p = np.tile([0.9, 0.1], (10, 1))
    y = np.array([0] * 6 + [1] * 4)
    assert expected_calibration_error(p, y) == pytest.approx(0.3)
    assert score(p, y, NAMES[:2]).reliability == ((10, pytest.approx(0.9), pytest.approx(0.6)),)


def test_class_without_images_counts_as_zero():
    report = score(np.eye(3)[[0, 1]], np.array([0, 1]), NAMES[:3])
    assert report.accuracy == 1.0
    assert report.macro_f1 == pytest.approx(2 / 3)
    assert report.per_class["sad"] == {"precision": 0.0, "recall": 0.0, "f1": 0.0, "n": 0}


def test_clean_counts_only_rows_without_a_near_duplicate():
    p, y = np.eye(2)[[0, 0, 1, 1]], np.array([0, 1, 1, 0])
    mask = np.array([True, True, True, False])
    report = score(p, y, NAMES[:2], clean=mask)
    assert report.accuracy == 0.5
    assert report.clean is not None
    assert (report.clean.n, report.clean.accuracy) == (3, pytest.approx(2 / 3))
    assert report.clean == score(p[mask], y[mask], NAMES[:2])
    assert score(p, y, NAMES[:2]).clean is None
    assert score(p, y, NAMES[:2], clean=np.zeros(4, bool)).clean is None


def test_float32_softmax_is_accepted_and_divided_by_its_sum():
    p = np.array([[0.6, 0.4005]], dtype=np.float32)
    assert score(p, np.array([0]), NAMES[:2]).log_loss == pytest.approx(-np.log(0.6 / 1.0005), rel=1e-5)


@pytest.mark.parametrize(
    ("k", "n", "low", "high"),
    # the score interval of Wilson solves (share - p)^2 = z^2 p (1 - p) / n; two values from Newcombe 1998, table I
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_matches_published_intervals(k, n, low, high):
    assert wilson(k, n) == (pytest.approx(low, abs=5e-5), pytest.approx(high, abs=5e-5))


@given(st.integers(1, 5000), st.floats(0, 1))
def test_wilson_ends_solve_their_equation(n, share):
    k = round(share * n)
    for end in wilson(k, n):
        assert 0 <= end <= 1
        assert (k / n - end) ** 2 == pytest.approx(1.959964**2 * end * (1 - end) / n, abs=1e-7)


def test_wilson_knows_nothing_without_trials():
    assert wilson(0, 0) == (0.0, 1.0)
    with pytest.raises(ConfigError, match="k = 3, n = 2"):
        wilson(3, 2)


def test_mean_and_spread():
    assert mean_and_spread([0.70, 0.71, 0.72]) == (pytest.approx(0.71), pytest.approx(0.01))
    assert mean_and_spread([0.7]) == (0.7, None)
    with pytest.raises(ConfigError, match="values"):
        mean_and_spread([])


@pytest.mark.parametrize(
    ("p", "y", "words"),
    [
        (np.ones((2, 3)) / 3, [0, 1], r"probabilities must have shape \(N, 2\).*\(2, 3\)"),
        (np.zeros((0, 2)), np.zeros(0, int), "N >= 1"),
        ([[0.5, 0.5], [np.nan, 1]], [0, 1], "row 1"),
        ([[1.5, -0.5]], [0], "not negative, row 0"),
        ([[0.5, 0.5], [3.0, 4.0]], [0, 1], "row 1 sums to 7"),
        ([[0.5, 0.5]], [0, 1], r"labels must be whole numbers of shape \(1,\)"),
        ([[0.5, 0.5]], [0.0], "labels must be whole numbers"),
        ([[0.5, 0.5]], [2], r"labels must lie in 0..1, got 2..2"),
        ([[0.5, 0.5]], [-1], "leave out rows without a label"),
    ],
)
def test_errors_name_the_argument(p, y, words):
    with pytest.raises(ConfigError, match=words):
        score(np.asarray(p), np.asarray(y), NAMES[:2])


def test_other_arguments_are_checked():
    p, y = np.array([[0.5, 0.5]]), np.array([0])
    with pytest.raises(ConfigError, match="clean must be bool"):
        score(p, y, NAMES[:2], clean=[1])
    with pytest.raises(ConfigError, match="bins"):
        reliability(p, y, 0)
    raw = score(p, y, NAMES[:2]).to_dict()
    del raw["ece"]
    with pytest.raises(ConfigError, match=r"\['x', 'ece'\]"):
        Report.from_dict({**raw, "x": 1})


def test_text_carries_interval_and_n():
    report = score(np.eye(2)[[0, 0, 1, 1]], np.array([0, 1, 1, 0]), NAMES[:2], split="PrivateTest")
    assert str(report) == "PrivateTest 50.00% (95 % interval 15.0% to 85.0%, n 4)"
