"""A linear support vector machine with probabilities that never change what it predicts.

One machine against the rest for each class: scikit-learn's ``LinearSVC``, squared hinge loss (Fan et al. 2008,
"LIBLINEAR: A Library for Large Linear Classification", JMLR). Probabilities: the softmax of the decisions times one
number, which is fitted on faces held out (temperature scaling, Guo et al. 2017, "On Calibration of Modern Neural
Networks", ICML). Deviation from the usual Platt scaling (one sigmoid a class, as ``CalibratedClassifierCV`` does): a
single number keeps the order of the classes, so the most probable class is the machine's prediction; and one further
fit on four fifths of the faces is enough.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.svm import LinearSVC
from sklearn.utils.validation import check_is_fitted

from mien.classical.faces import check_labels, check_number
from mien.classical.progress import tell
from mien.errors import ConfigError
from mien.preprocessing import softmax

__all__ = ["LinearSVM", "decisions", "fit_scale", "held_out"]

_MOST_STEPS = 20_000
_SCALES = (1e-2, 1e2)  # where the number that decisions are multiplied with is sought


class LinearSVM(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Vectors ``(N, F)``, dense or CSR, to one of K classes.

    C         what an error costs: the larger, the closer to the training data
    held_out  share of each class that the probabilities are fitted on, 0..0.5; 0 takes the decisions as they are
    dual      how ``LinearSVC`` solves it: true is quicker for such small C as suits many features (6,000 faces, 1,764
              features: 1.1 s at tol 0.01, where false took 4.6 s at tol 0.001, equal accuracy); false is sure to end
              for a large C
    tol       when the solver stops, as in ``LinearSVC``
    seed      of the held-out faces and the solver

    After ``fit``: ``svm_`` (trained on everything), ``scale_`` (the number) and ``classes_``.
    """

    def __init__(
        self, C: float = 1.0, held_out: float = 0.2, dual: bool = True, tol: float = 1e-2, seed: int = 0
    ) -> None:
        self.C = C
        self.held_out = held_out
        self.dual = dual
        self.tol = tol
        self.seed = seed

    def fit(self, X: Any, y: Any, groups: Any = None) -> LinearSVM:
        """Learn from ``y``, a class number or name a row; rows with equal ``groups`` are held out together."""
        check_number("C", self.C, 1e-9, whole=False)
        check_number("held_out", self.held_out, 0, 0.5, whole=False)
        check_number("tol", self.tol, 1e-9, 1, whole=False)
        check_number("seed", self.seed, 0)
        y = check_labels(y, X.shape[0])
        self.classes_, number = np.unique(y, return_inverse=True)
        self.n_features_in_ = int(X.shape[1])
        tell("svm", 0, 2)
        apart = held_out(number, groups, self.held_out, self.seed)
        self.scale_ = 1.0
        if apart.any():
            partly = self._new().fit(X[~apart], number[~apart])
            self.scale_ = fit_scale(decisions(partly, X[apart]), number[apart])
        tell("svm", 1, 2)
        self.svm_ = self._new().fit(X, number)
        tell("svm", 2, 2)
        return self

    def decision_function(self, X: Any) -> NDArray[np.float64]:
        """How far on each class's side a row lies, ``(N, K)``; also for two classes, unlike scikit-learn's own."""
        check_is_fitted(self)
        return decisions(self.svm_, X)

    def predict(self, X: Any) -> NDArray[Any]:
        """The class with the greatest decision."""
        found: NDArray[Any] = self.classes_[self.decision_function(X).argmax(1)]
        return found

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Probabilities ``(N, K)``, in the order of ``classes_``."""
        return softmax(self.scale_ * self.decision_function(X))

    def _new(self) -> Any:
        return LinearSVC(C=self.C, tol=self.tol, dual=self.dual, max_iter=_MOST_STEPS, random_state=self.seed)


def decisions(svm: Any, X: Any) -> NDArray[np.float64]:
    """The decisions of a fitted ``LinearSVC``, one column a class also where there are two."""
    found: NDArray[np.float64] = svm.decision_function(X)
    return np.column_stack([-found, found]) if found.ndim == 1 else found


def fit_scale(decided: NDArray[np.float64], number: NDArray[np.int64]) -> float:
    """The number between 0.01 and 100 that gives ``softmax(number * decided)`` the least log loss."""

    def loss(log_scale: float) -> float:
        logits = np.exp(log_scale) * decided
        logits = logits - logits.max(1, keepdims=True)
        own = logits[np.arange(len(number)), number]
        return float((np.log(np.exp(logits).sum(1)) - own).mean())

    low, high = np.log(_SCALES)
    return float(np.exp(minimize_scalar(loss, bounds=(low, high), method="bounded").x))


def held_out(number: NDArray[np.int64], groups: Any, share: float, seed: int) -> NDArray[np.bool_]:
    """Marks ``share`` of each class's groups, rounded down: every class keeps a group to learn from."""
    group = np.arange(len(number)) if groups is None else np.asarray(groups)
    if group.shape != number.shape:
        raise ConfigError(f"groups must hold one value a row, got shape {group.shape} for {len(number)} rows")
    _, first, inverse = np.unique(group, return_index=True, return_inverse=True)
    kind = number[first]
    order = np.random.default_rng(seed).permutation(len(first))
    apart = np.zeros(len(first), bool)
    for k in np.unique(kind):
        own = order[kind[order] == k]
        apart[own[: int(share * len(own))]] = True
    return apart[inverse]
