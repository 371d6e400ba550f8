"""calibration: against a grid and a slow loop, coverage on fresh data, what the cross-fit may not see, errors."""

from __future__ import annotations

import json
import math

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mien.errors import ConfigError
from mien.evaluation import calibration
from mien.evaluation.calibration import MIN_ROWS, calibrate, conformal_threshold, ece_by_chance, fit_temperature
from mien.evaluation.class_scaling import Scaling, fit_scaling
from mien.evaluation.metrics import expected_calibration_error, score
from mien.runtime.prediction_set import prediction_set


def softmax(logits):
    e = np.exp(logits - logits.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


def drawn(n, k=7, temperature=1.0, seed=0):
    """Logits, and labels drawn from softmax(logits / temperature): that temperature is the true one."""
    rng = np.random.default_rng(seed)
    z = rng.normal(0, 3, (n, k))
    chances = softmax(z / temperature).cumsum(1)
    return z, (rng.random((n, 1)) > chances).sum(1).clip(max=k - 1)


def loss(z, y, t):
    return -np.log(softmax(z / t)[np.arange(len(y)), y]).mean()


@st.composite
def cases(draw, least=1):
    n, k = draw(st.integers(least, 60)), draw(st.integers(2, 5))
    z = draw(hnp.arrays(np.float64, (n, k), elements=st.floats(-30, 30)))
    return z, draw(hnp.arrays(np.int64, n, elements=st.integers(0, k - 1)))


@pytest.mark.parametrize("true", [0.3, 1.0, 2.5, 8.0])
def test_temperature_finds_the_one_that_labels_were_drawn_with(true):
    assert fit_temperature(*drawn(20_000, temperature=true)) == pytest.approx(true, rel=0.05)


@pytest.mark.parametrize("seed", range(4))
def test_temperature_agrees_with_a_grid(seed):
    z, y = drawn(300, k=4, temperature=0.5 + seed, seed=seed)
    grid = np.geomspace(0.05, 20, 4001)
    best = grid[np.argmin([loss(z, y, t) for t in grid])]
    assert fit_temperature(z, y) == pytest.approx(best, rel=grid[1] / grid[0] - 1)


@given(cases())
@settings(max_examples=60, deadline=None)
def test_no_temperature_in_the_range_has_a_smaller_loss(case):
    z, y = case
    t = fit_temperature(z, y)
    assert 0.05 <= t <= 20
    if np.ptp(z, axis=1).any():
        ours = calibration.log_softmax(z / t)[np.arange(len(y)), y].mean()
        for other in (0.05, 20.0, 0.99 * t, 1.01 * t):
            if 0.05 <= other <= 20:
                theirs = calibration.log_softmax(z / other)[np.arange(len(y)), y].mean()
                assert ours >= theirs - 1e-9


def test_temperature_at_its_bounds_and_where_nothing_is_said():
    z, _ = drawn(200)
    assert fit_temperature(z, z.argmax(1)) == pytest.approx(0.05)  # all right: the surer the better
    assert fit_temperature(z, z.argmin(1)) == pytest.approx(20)
    assert fit_temperature(np.full((5, 3), 2.0), np.array([0, 1, 2, 0, 1])) == 1


def test_temperature_takes_log_probabilities_for_logits():
    z, y = drawn(400, temperature=2.0)
    assert fit_temperature(np.log(softmax(z)), y) == pytest.approx(fit_temperature(z, y))


def test_threshold_is_the_quantile_of_the_formula():
    p_true = np.arange(1, 20) / 20  # 19 rows: ceil(20 * 0.9) = 18, the second smallest probability
    p = np.stack([p_true, 1 - p_true], 1)
    y = np.zeros(19, int)
    assert conformal_threshold(p, y, 0.9) == pytest.approx(0.10)
    assert conformal_threshold(p, y, 0.91) == pytest.approx(0.05)
    assert conformal_threshold(p, y, 0.96) == 0  # ceil(20 * 0.96) = 20 of 19: every class is let in
    assert conformal_threshold(p, y, 0.05) == pytest.approx(0.95)


@pytest.mark.parametrize("coverage", [0.5, 0.8, 0.9])
def test_coverage_holds_on_fresh_data_even_for_a_bad_network(coverage):
    hits = []
    for seed in range(40):
        z, y = drawn(600, temperature=3.0, seed=seed)  # far too sure of itself
        p = softmax(z)
        least = conformal_threshold(p[:300], y[:300], coverage)
        hits.append((p[300:][np.arange(300), y[300:]] >= least).mean())
    # standard error over the draws: sqrt(c (1 - c) (1/300 + 1/300) / 40) <= 0.0065
    assert np.mean(hits) == pytest.approx(coverage, abs=0.025)


@given(cases(), st.floats(0.01, 0.99), st.floats(0.01, 0.99))
@settings(max_examples=60, deadline=None)
def test_more_coverage_lowers_the_threshold_and_sets_are_nested(case, a, b):
    z, y = case
    p = softmax(z)
    low, high = (conformal_threshold(p, y, c) for c in (max(a, b), min(a, b)))
    assert 0 <= low <= high <= 1
    for row in p:
        small, large = prediction_set(row, high), prediction_set(row, low)
        assert 1 <= len(small) <= len(large)
        assert small.tolist() == large[: len(small)].tolist()
    inside = np.mean([k in prediction_set(row, low) for row, k in zip(p, y, strict=True)])
    assert inside >= max(a, b) - 1e-9  # on the rows themselves the share is at least as large


def test_sets_are_in_order_and_never_empty():
    assert prediction_set([0.2, 0.5, 0.3], 0.25).tolist() == [1, 2]
    assert prediction_set([0.2, 0.5, 0.3], 0.9).tolist() == [1]
    assert prediction_set([0.2, 0.5, 0.3], 0.0).tolist() == [1, 2, 0]
    assert prediction_set([0.25, 0.25, 0.5], 0.25).tolist() == [2, 0, 1]  # equals: the first class first
    assert prediction_set(np.array([0.3, 0.7], np.float32), 1.0).dtype == np.int64


def test_a_too_sure_network_is_brought_back():
    z, y = drawn(3000, temperature=2.5)
    found = calibrate(z, y)
    assert found.temperature == fit_temperature(z, y) == pytest.approx(2.5, rel=0.1)
    assert found.threshold == pytest.approx(conformal_threshold(softmax(z / found.temperature), y))
    assert (found.n, found.folds, found.coverage_target) == (3000, 2, 0.9)
    before = score(softmax(z), y, "abcdefg")
    assert (found.ece_before, found.log_loss_before) == pytest.approx((before.ece, before.log_loss))
    assert found.ece < 0.05 < 0.2 < found.ece_before
    assert found.log_loss < found.log_loss_before
    assert found.coverage == pytest.approx(0.9, abs=0.02)
    assert 1 < found.mean_size < 7
    assert found.singles_accuracy > 0.7
    assert calibrate(z, y) == found
    assert calibrate(z, y, seed=1).ece != found.ece


def test_a_scale_and_a_shift_for_each_class_are_found_and_few_faces_find_none():
    z, y = drawn(4000, k=4)
    scale, shift = np.array([2.0, 1.0, 0.7, 1.4]), np.array([0.5, -1.0, 0.0, 0.3])
    wrong = (z - shift) / scale
    found = fit_scaling(wrong, y)
    assert found.scale == pytest.approx(scale, rel=0.2)
    assert np.array(found.shift) - found.shift[2] == pytest.approx(shift, abs=0.25)
    best = -np.log(softmax(found(wrong))[np.arange(4000), y]).mean()
    for moved in np.eye(8) * 0.05:  # the loss with its small wish for 1 and 0 has no lower place near
        other = wrong * (found.scale + moved[:4]) + found.shift + moved[4:]
        assert -np.log(softmax(other)[np.arange(4000), y]).mean() > best - 1e-4
    one, two = calibrate(wrong, y), calibrate(wrong, y, scaled=True)
    assert two.log_loss < one.log_loss
    assert two.ece < one.ece
    assert two.ece < 2 * two.ece_by_chance[1]
    few = fit_scaling(wrong[:20], y[:20])
    assert np.abs(np.array(few.scale) - 1).max() < 1
    assert fit_scaling(-20 * z, y) == Scaling()  # turned round: nothing to scale


def test_rare_classes_are_preferred_by_a_part_of_their_share():
    z, y = drawn(4000, k=3)
    kept = (y != 2) | (np.arange(4000) % 20 == 0)
    z, y = z[kept], y[kept]
    plain, found = fit_scaling(z, y), fit_scaling(z, y, balance=0.5)
    count = np.bincount(y) + 1
    assert found.scale == plain.scale
    moved = np.array(found.shift) - plain.shift
    assert moved[2] - moved[0] == pytest.approx(0.5 * np.log(count[0] / count[2]))
    recall = [(s(z).argmax(1) == 2)[y == 2].mean() for s in (plain, found)]
    assert recall[1] > recall[0] + 0.1


def test_the_threshold_also_keeps_what_is_promised_of_corrupted_faces():
    z, y = drawn(3000)
    weak = 0.4 * z + np.random.default_rng(1).normal(0, 0.5, z.shape)
    plain, found = calibrate(z, y), calibrate(z, y, corrupted=weak, corrupted_coverage=0.97)
    assert plain.corrupted == {}
    assert plain.plain_size == plain.mean_size
    assert found.threshold < plain.threshold
    assert found.plain_size == pytest.approx(plain.mean_size)
    assert found.mean_size > found.plain_size
    assert found.corrupted["coverage"] == pytest.approx(0.97, abs=0.015)
    assert found.corrupted["mean_size"] > found.mean_size
    assert calibrate(z, y, corrupted=z, corrupted_coverage=0.5).threshold == plain.threshold


def test_few_faces_show_an_error_that_is_none():
    p = softmax(drawn(2000)[0])
    mean, high = ece_by_chance(p)
    assert 0 < mean < high < 0.06
    assert ece_by_chance(np.concatenate([p] * 9))[0] == pytest.approx(mean / 3, rel=0.25)
    rng = np.random.default_rng(7)
    drawn_once = (rng.random((2000, 1)) > p.cumsum(1)).sum(1).clip(max=6)
    assert expected_calibration_error(p, drawn_once) < 1.5 * high


def test_the_figures_are_those_of_a_slow_loop():
    z, y = drawn(101, k=4, temperature=1.7, seed=3)
    found, halves = calibrate(z, y, coverage=0.8, seed=5), calibration._halves(y, 5)
    p, sets = np.empty_like(z), {}
    for fitted, held in (halves, halves[::-1]):
        t = fit_temperature(z[fitted], y[fitted])
        least = conformal_threshold(softmax(z[fitted] / t), y[fitted], 0.8)
        p[held] = softmax(z[held] / t)
        sets |= {i: prediction_set(p[i], least).tolist() for i in held.tolist()}
    inside = [y[i] in sets[i] for i in range(101)]
    single = [i for i in range(101) if len(sets[i]) == 1]
    assert found.coverage == pytest.approx(np.mean(inside))
    assert found.mean_size == pytest.approx(np.mean([len(s) for s in sets.values()]))
    assert found.singles == pytest.approx(len(single) / 101)
    assert found.singles_accuracy == pytest.approx(np.mean([inside[i] for i in single]))
    assert found.ece == pytest.approx(expected_calibration_error(p, y))
    assert found.log_loss == pytest.approx(-np.log(p[np.arange(101), y]).mean())


def test_no_row_is_measured_by_what_was_fitted_on_it(monkeypatch):
    z, y = drawn(120)
    z[:, 0] = np.arange(120) / 1000  # each row can be told by its first logit
    seen = []

    def spy(logits, labels):
        seen.append({round(v * 1000) for v in logits[0, :, 0].tolist()})
        return 1.0 if len(labels) == 120 else 1e3 * len(seen)  # no sensible fit: measured by it, a row would show it

    monkeypatch.setattr(calibration, "fit_temperature", spy)
    calibrate(z, y)
    whole, first, second = seen
    assert whole == first | second
    assert not first & second


def test_what_is_memorised_does_not_leak():
    """Right on one half and wrong on the other: in sample the threshold would look fine, across the halves it can't."""
    y = np.arange(400) % 4
    rng = np.random.default_rng(0)
    first, _ = calibration._halves(y, 0)
    z = rng.normal(0, 0.1, (400, 4))
    z[np.arange(400), y] += 2.0
    wrong = z.copy()
    wrong[first, (y[first] + 1) % 4] += 4.0
    found = calibrate(wrong, y, seed=0)
    assert found.coverage < 0.8  # the half that is wrong is measured by a threshold that never saw it
    assert calibrate(z, y, seed=0).coverage >= 0.9


@given(cases(least=MIN_ROWS), st.integers(0, 9))
@settings(max_examples=40, deadline=None)
def test_halves_are_disjoint_and_alike_and_the_figures_plain(case, seed):
    z, y = case
    a, b = calibration._halves(y, seed)
    assert sorted([*a.tolist(), *b.tolist()]) == list(range(len(y)))
    k = z.shape[1]
    assert np.abs(np.bincount(y[a], minlength=k) - np.bincount(y[b], minlength=k)).max() <= 1
    found = calibrate(z, y, seed=seed).to_dict()
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    for key in ("threshold", "ece_before", "ece", "coverage", "singles"):
        assert 0 <= found[key] <= 1
    assert 1 <= found["mean_size"] <= k
    assert math.isfinite(found["log_loss"])
    assert (found["singles_accuracy"] is None) is (found["singles"] == 0)


Z, Y = drawn(40, k=3)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: fit_temperature(Z[0], Y), r"logits must have shape \(N, K\)"),
        (lambda: fit_temperature(np.zeros((0, 3)), Y[:0]), r"logits must have shape \(N, K\)"),
        (lambda: fit_temperature(np.where(np.arange(40)[:, None] == 4, np.nan, Z), Y), "logits must be finite, row 4"),
        (lambda: fit_temperature(Z, Y[:-1]), r"labels must be whole numbers of shape \(40,\).*got int64 \(39,\)"),
        (lambda: fit_temperature(Z, Y.astype(float)), "got float64"),
        (lambda: fit_temperature(Z, Y - 1), r"labels must lie in 0\.\.2, got -1"),
        (lambda: fit_temperature(Z, Y + 1), "leave out rows without a label"),
        (lambda: conformal_threshold(Z, Y), "probabilities must lie in 0..1.*softmax"),
        (lambda: conformal_threshold(softmax(Z), Y, 1.0), "coverage must lie between 0 and 1, got 1.0"),
        (lambda: conformal_threshold(softmax(Z), Y, math.nan), "coverage must lie between 0 and 1, got nan"),
        (lambda: calibrate(Z, Y, coverage=0), "coverage must lie between 0 and 1, got 0"),
        (lambda: calibrate(Z[:19], Y[:19]), "at least 20 rows, got 19; calibrate on more faces"),
        (lambda: prediction_set(softmax(Z), 0.5), r"shape \(K,\) with K >= 1, got \(40, 3\)"),
        (lambda: prediction_set([], 0.5), "one face at a time"),
    ],
)
def test_errors_name_argument_value_and_rule(call, words):
    with pytest.raises(ConfigError, match=words):
        call()
