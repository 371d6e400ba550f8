"""classical, classifiers: against scikit-learn's and slow loops, what they hold out, what they refuse."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse
from sklearn.neural_network import MLPClassifier
from sklearn.svm import LinearSVC

from mien.classical import LinearSVM, LocalSVC, Mlp, local, mlp, report_progress, svm
from mien.errors import ConfigError


def vectors(n=120, k=3, features=20, seed=0):
    """Overlapping clouds, one a class."""
    rng = np.random.default_rng(seed)
    y = np.arange(n) % k
    return rng.normal(0, 1, (n, features)) + 1.2 * np.eye(k, features)[y], y


@pytest.mark.parametrize("k", [2, 3])
@pytest.mark.parametrize("form", [np.asarray, sparse.csr_matrix])
@pytest.mark.parametrize("dual", [True, False])
def test_linear_svm_answers_as_linear_svc(k, form, dual):
    x, y = vectors(k=k)
    ours = LinearSVM(C=0.5, dual=False, tol=1e-5).fit(form(x), y)
    theirs = LinearSVC(C=0.5, tol=1e-5, dual=dual, random_state=0).fit(form(x), y)
    np.testing.assert_array_equal(ours.predict(form(x)), theirs.predict(form(x)))
    decided = theirs.decision_function(form(x))
    np.testing.assert_allclose(ours.decision_function(form(x))[:, -1], decided if k == 2 else decided[:, -1], atol=1e-3)
    np.testing.assert_array_equal(ours.predict_proba(form(x)).argmax(1), ours.decision_function(form(x)).argmax(1))


def test_the_scale_has_the_least_loss_on_what_is_held_out():
    x, y = vectors(300)
    apart = svm.held_out(y, None, 0.2, 0)
    made = LinearSVM(C=100, dual=False).fit(x, y)
    partly = LinearSVC(C=100, tol=1e-2, dual=False, random_state=0).fit(x[~apart], y[~apart])
    decided = partly.decision_function(x[apart])

    def loss(scale):
        return -np.log(svm.softmax(scale * decided)[np.arange(apart.sum()), y[apart]]).mean()

    grid = np.geomspace(0.01, 100, 2000)
    assert made.scale_ == pytest.approx(grid[np.argmin([loss(s) for s in grid])], rel=0.02)
    assert LinearSVM(held_out=0).fit(x, y).scale_ == 1


def test_held_out_takes_a_share_of_each_class_and_keeps_twins_together():
    y = np.array([0] * 10 + [1] * 25 + [2])
    assert np.bincount(y[svm.held_out(y, None, 0.2, 3)], minlength=3).tolist() == [2, 5, 0]
    both, twins = np.tile(y, 2), np.tile(np.arange(36), 2)
    apart = svm.held_out(both, twins, 0.2, 3)
    np.testing.assert_array_equal(apart[:36], apart[36:])
    assert np.bincount(both[apart]).tolist() == [4, 10]


def local_by_hand(x, y, row, neighbours, settings):
    order = sorted(range(len(x)), key=lambda i: (-(x[i] @ row), i))[:neighbours]
    near = sorted(order)
    return (
        LinearSVC(dual=True, max_iter=20_000, random_state=0, **settings)
        .fit(x[near], y[near])
        .decision_function(row[None])[0]
    )


@pytest.mark.parametrize("form", [np.asarray, sparse.csr_matrix])
def test_local_svc_is_a_machine_of_the_neighbours(form):
    x, y = vectors(150)
    made = LocalSVC(neighbours=60, C=0.7, tol=1e-3, calibrate=0).fit(form(x[:120]), y[:120])
    found = made.decision_function(form(x[120:]))
    slow = [local_by_hand(x[:120], y[:120], row, 60, {"C": 0.7, "tol": 1e-3}) for row in x[120:]]
    np.testing.assert_allclose(found, slow, atol=1e-5)
    np.testing.assert_array_equal(made.predict(form(x[120:])), np.argmax(slow, 1))


def test_local_svc_with_fewer_rows_than_neighbours_is_one_machine():
    x, y = vectors()
    one = LinearSVC(C=0.7, tol=1e-2, dual=True, random_state=0).fit(x, y)
    made = LocalSVC(neighbours=1000, C=0.7, calibrate=5).fit(x, y)
    np.testing.assert_allclose(made.decision_function(x[:4]), one.decision_function(x[:4]), atol=1e-9)


def test_local_svc_where_neighbours_are_of_one_class_or_lack_one():
    x = np.concatenate([np.eye(3)[[0] * 8], np.eye(3)[[1] * 8], np.eye(3)[[1] * 2]])
    x[:, 2] = np.arange(18) / 100
    y = np.array(["a"] * 8 + ["b"] * 8 + ["c"] * 2)
    made = LocalSVC(neighbours=4, calibrate=0).fit(x, y)
    assert made.decision_function(np.array([[1.0, 0, 0]])).tolist() == [[1, -1, -1]]
    assert made.predict(np.array([[1.0, 0, 0]])).tolist() == ["a"]
    decided = LocalSVC(neighbours=10, calibrate=0).fit(x, y).decision_function(np.array([[0, 1.0, 0]]))[0]
    assert decided[0] == min(-1, decided[1:].min())


def test_local_svc_leaves_a_row_and_its_twin_out_of_their_own_calibration(monkeypatch):
    x, y = vectors(40)
    seen = []
    real = local._decided
    monkeypatch.setattr(local, "_one", lambda row, near, *rest: seen.append((row[0], near)) or np.zeros(3))
    LocalSVC(neighbours=100, calibrate=6).fit(np.tile(x, (2, 1)), np.tile(y, 2), groups=np.tile(np.arange(40), 2))
    assert real is local._decided
    assert len(seen) == 6
    for row, near in seen:
        assert len(near) == 78
        assert not (near == row).all(1).any()


@pytest.mark.parametrize("k", [2, 4])
def test_mlp_multiplies_as_scikit_learns(k):
    x, y = vectors(80, k)
    theirs = MLPClassifier((9,), random_state=0)
    for _ in range(5):
        theirs.partial_fit(x, y, classes=np.arange(k))
    for form in (np.asarray, sparse.csr_matrix):
        logits = mlp._forward(form(x), theirs.coefs_, theirs.intercepts_)
        np.testing.assert_allclose(svm.softmax(logits), theirs.predict_proba(x), atol=1e-12)


def test_mlp_stops_by_itself_and_keeps_the_best_epoch():
    x, y = vectors(200)
    heard = []
    with report_progress(lambda *step: heard.append(step)):
        made = Mlp(hidden=30, rate=0.02, epochs=300, patience=4).fit(x, y)
    assert made.epochs_ + 4 == len(heard) - 1 < 300
    apart = svm.held_out(y, None, 0.1, 0)
    best = mlp._log_loss(np.log(made.predict_proba(x[apart])), y[apart])
    again = Mlp(hidden=30, rate=0.02, epochs=made.epochs_).fit(x, y)
    np.testing.assert_array_equal(made.weights_[0], again.weights_[0])
    fewer = Mlp(hidden=30, rate=0.02, epochs=made.epochs_ - 1).fit(x, y)
    assert best < mlp._log_loss(np.log(fewer.predict_proba(x[apart])), y[apart])
    assert Mlp(epochs=3, held_out=0).fit(x, y).epochs_ == 3


@pytest.mark.parametrize(
    ("classifier", "message"),
    [
        (LinearSVM(C=0), "C must be"),
        (LinearSVM(held_out=0.9), "held_out must be a number from 0 to 0.5"),
        (LocalSVC(neighbours=1), "neighbours must be a whole number from 2"),
        (LocalSVC(calibrate=-1), "calibrate"),
        (Mlp(epochs=0), "epochs must be a whole number from 1"),
        (Mlp(rate=0), "rate"),
    ],
)
def test_settings_of_classifiers_outside_their_rules_are_refused(classifier, message):
    with pytest.raises(ConfigError, match=message):
        classifier.fit(*vectors())


def test_vectors_of_another_length_are_refused():
    x, y = vectors()
    for made in (LocalSVC(calibrate=0), Mlp(epochs=1)):
        with pytest.raises(ConfigError, match="20 features, as at fit, got 19"):
            made.fit(x, y).predict(x[:, :19])
    with pytest.raises(ConfigError, match=r"groups must hold one value a row, got shape \(2,\)"):
        LocalSVC().fit(x, y, groups=[1, 2])
