"""Local learning: for every face its own support vector machine, trained on the training faces most like it.

Source: Ionescu, Popescu & Grozea 2013, "Local Learning to Improve Bag of Visual Words Model for Facial Expression
Recognition" (ICML workshop), after Bottou & Vapnik 1992, "Local Learning Algorithms" (Neural Computation): the nearest
training faces by the kernel, 1,000 as remembered, then a linear machine on these alone. Deviations: probabilities, by
one number fitted on training faces that are left out in turn (as in ``svm``); the solver stops earlier, since a machine
serves one face.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.svm import LinearSVC
from sklearn.utils.validation import check_is_fitted

from mien.classical.faces import check_labels, check_number
from mien.classical.progress import in_blocks
from mien.classical.svm import decisions, fit_scale
from mien.errors import ConfigError
from mien.preprocessing import softmax

__all__ = ["LocalSVC"]

_FACES = 16  # in a block: their similarities to all training faces are held at once
_MOST_STEPS = 20_000


class LocalSVC(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Vectors ``(N, F)``, dense or CSR, to one of K classes; similar means a great product of the vectors.

    neighbours  training rows that each row's machine learns from; all of them where there are fewer
    C           what an error costs in these machines
    calibrate   seeded training rows that the probabilities are fitted on, each without itself; 0 takes decisions as
                they are
    tol         when the solver stops, as in ``LinearSVC``
    seed        of the rows to calibrate on and the solver
    n_jobs      processes over the rows to predict, as joblib counts them

    ``fit`` keeps the training rows and costs ``calibrate`` predictions. A prediction finds the neighbours, a few
    milliseconds, and fits K machines to them: with 1,000 neighbours of 1,800 entries and 7 classes about 0.3 seconds on
    one core; the search grows with the training rows. The estimator holds, and a file of it stores, all training rows.
    """

    def __init__(
        self,
        neighbours: int = 1000,
        C: float = 1.0,
        calibrate: int = 200,
        tol: float = 1e-2,
        seed: int = 0,
        n_jobs: int | None = 1,
    ) -> None:
        self.neighbours = neighbours
        self.C = C
        self.calibrate = calibrate
        self.tol = tol
        self.seed = seed
        self.n_jobs = n_jobs

    def fit(self, X: Any, y: Any, groups: Any = None) -> LocalSVC:
        """Keep the rows and their labels; rows with equal ``groups`` (mirrors) are left out together to calibrate."""
        check_number("neighbours", self.neighbours, 2)
        check_number("C", self.C, 1e-9, whole=False)
        check_number("calibrate", self.calibrate, 0)
        check_number("tol", self.tol, 1e-9, 1, whole=False)
        check_number("seed", self.seed, 0)
        y = check_labels(y, X.shape[0])
        self.classes_, self.number_ = np.unique(y, return_inverse=True)
        self.rows_ = sparse.csr_matrix(X) if sparse.issparse(X) else np.asarray(X)
        self.n_features_in_ = int(X.shape[1])
        self.scale_ = 1.0
        group = np.arange(len(y)) if groups is None else np.asarray(groups)
        if group.shape != y.shape:
            raise ConfigError(f"groups must hold one value a row, got shape {group.shape} for {len(y)} rows")
        chosen = np.sort(np.random.default_rng(self.seed).permutation(len(y))[: self.calibrate])
        if len(chosen):
            decided = self._decide(self.rows_[chosen], group, group[chosen])
            self.scale_ = fit_scale(decided, self.number_[chosen])
        return self

    def decision_function(self, X: Any) -> NDArray[np.float64]:
        """What each row's own machine decides, ``(N, K)``; a class without a neighbour comes last, at -1 or below."""
        check_is_fitted(self)
        if X.shape[1] != self.n_features_in_:
            raise ConfigError(f"X must have {self.n_features_in_} features, as at fit, got {X.shape[1]}")
        rows = sparse.csr_matrix(X) if sparse.issparse(X) else np.asarray(X)
        nobody = np.arange(-len(self.number_), 0)
        return self._decide(rows, nobody, np.zeros(X.shape[0], np.int64))

    def predict(self, X: Any) -> NDArray[Any]:
        """The class that each row's own machine decides for."""
        found: NDArray[Any] = self.classes_[self.decision_function(X).argmax(1)]
        return found

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Probabilities ``(N, K)``, in the order of ``classes_``."""
        return softmax(self.scale_ * self.decision_function(X))

    def _decide(self, rows: Any, group: NDArray[Any], own: NDArray[Any]) -> NDArray[np.float64]:
        """Decisions for ``rows``, of which training rows of the same group are no neighbours."""
        turned: Any = self.rows_.T
        work = partial(
            _decided,
            train=self.rows_,
            columns=turned.tocsr() if sparse.issparse(turned) else turned,
            number=self.number_,
            group=group,
            classes=len(self.classes_),
            neighbours=self.neighbours,
            settings={"C": self.C, "tol": self.tol, "random_state": self.seed},
        )
        return np.concatenate(in_blocks(work, rows, own, step="local svm", n_jobs=self.n_jobs, block=_FACES))


def _decided(
    rows: Any,
    own: NDArray[Any],
    train: Any,
    columns: Any,
    number: NDArray[np.int64],
    group: NDArray[Any],
    classes: int,
    neighbours: int,
    settings: dict[str, Any],
) -> NDArray[np.float64]:
    """The decisions of each row's own machine; ``columns`` is ``train`` turned round."""
    alike = rows @ columns
    alike = np.asarray(alike.todense() if sparse.issparse(alike) else alike)
    alike[own[:, None] == group] = -np.inf
    decided = np.empty((rows.shape[0], classes))
    for i, similar in enumerate(alike):
        near = np.sort(np.argsort(-similar, kind="stable")[: min(neighbours, int((similar > -np.inf).sum()))])
        decided[i] = _one(rows[i : i + 1], train[near], number[near], classes, settings)
    return decided


def _one(row: Any, near: Any, number: NDArray[np.int64], classes: int, settings: dict[str, Any]) -> NDArray[np.float64]:
    """One machine on the neighbours ``near``, and what it decides for ``row``."""
    there = np.unique(number)
    decided = np.full(classes, -1.0)
    if len(there) == 1:
        decided[there] = 1.0
        return decided
    svm = LinearSVC(dual=True, max_iter=_MOST_STEPS, **settings).fit(near, number)
    found = decisions(svm, row)[0]
    decided[:] = min(-1.0, float(found.min()))
    decided[there] = found
    return decided
