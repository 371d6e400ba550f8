"""A multilayer perceptron that stops by itself and says how far it is.

Scikit-learn's ``MLPClassifier`` does the arithmetic of an epoch (one hidden layer of rectified units, Adam); this one
goes round it: a share of the faces is held out, training ends when their log loss hasn't fallen for ``patience``
epochs, and the weights of the best epoch are kept. Differs from ``MLPClassifier(early_stopping=True)`` by what is
watched (log loss, which makes for honest probabilities, instead of accuracy), by working on small sets too, and by
keeping nothing but the weights.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.neural_network import MLPClassifier
from sklearn.utils.validation import check_is_fitted

from mien.classical.faces import check_labels, check_number
from mien.classical.progress import tell
from mien.classical.svm import held_out
from mien.errors import ConfigError
from mien.preprocessing import softmax

__all__ = ["Mlp"]


class Mlp(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Vectors ``(N, F)``, dense or CSR, of values around 1, to one of K classes.

    hidden    units of the hidden layer
    alpha     weight of the squared weights in the loss
    rate      Adam's step
    epochs    passes over the training data at most
    patience  epochs without a lower log loss after which training ends
    held_out  share of each class that is watched, 0..0.5; where nothing is held out, the last epoch is kept
    seed      of the first weights, the order of rows and what is held out

    After ``fit``: ``weights_`` and ``biases_``, two arrays each, ``epochs_`` (the epoch kept) and ``classes_``.
    """

    def __init__(
        self,
        hidden: int = 256,
        alpha: float = 1.0,
        rate: float = 3e-4,
        epochs: int = 100,
        patience: int = 8,
        held_out: float = 0.1,
        seed: int = 0,
    ) -> None:
        self.hidden = hidden
        self.alpha = alpha
        self.rate = rate
        self.epochs = epochs
        self.patience = patience
        self.held_out = held_out
        self.seed = seed

    def fit(self, X: Any, y: Any, groups: Any = None) -> Mlp:
        """Learn from ``y``, a class number or name a row; rows with equal ``groups`` are held out together."""
        self._check()
        y = check_labels(y, X.shape[0])
        self.classes_, number = np.unique(y, return_inverse=True)
        self.n_features_in_ = int(X.shape[1])
        apart = held_out(number, groups, self.held_out, self.seed)
        inner = MLPClassifier(
            (self.hidden,),
            alpha=self.alpha,
            learning_rate_init=self.rate,
            random_state=np.random.RandomState(self.seed),  # one stream for all epochs: each has its own order
        )
        own, own_number, watched = X[~apart], number[~apart], X[apart]
        least = np.inf
        for epoch in range(self.epochs):
            tell("mlp", epoch, self.epochs)
            inner.partial_fit(own, own_number, classes=np.arange(len(self.classes_)))
            loss = (
                _log_loss(_forward(watched, inner.coefs_, inner.intercepts_), number[apart]) if apart.any() else -epoch
            )
            if loss < least:
                least, self.epochs_ = loss, epoch + 1
                self.weights_ = [w.copy() for w in inner.coefs_]
                self.biases_ = [b.copy() for b in inner.intercepts_]
            elif epoch + 1 - self.epochs_ >= self.patience:
                break
        tell("mlp", self.epochs, self.epochs)
        return self

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Probabilities ``(N, K)``, in the order of ``classes_``."""
        check_is_fitted(self)
        if X.shape[1] != self.n_features_in_:
            raise ConfigError(f"X must have {self.n_features_in_} features, as at fit, got {X.shape[1]}")
        return softmax(_forward(X, self.weights_, self.biases_))

    def predict(self, X: Any) -> NDArray[Any]:
        """The most probable class."""
        found: NDArray[Any] = self.classes_[self.predict_proba(X).argmax(1)]
        return found

    def _check(self) -> None:
        for name in ("hidden", "epochs", "patience"):
            check_number(name, getattr(self, name), 1)
        check_number("alpha", self.alpha, 0, whole=False)
        check_number("rate", self.rate, 1e-9, 1, whole=False)
        check_number("held_out", self.held_out, 0, 0.5, whole=False)
        check_number("seed", self.seed, 0)


def _forward(X: Any, weights: Any, biases: Any) -> NDArray[np.float64]:
    """Logits of K classes; of two classes the network has one output, the second's."""
    hidden = np.maximum(X @ weights[0] + biases[0], 0)
    logits = (hidden @ weights[1] + biases[1]).astype(np.float64)
    return np.column_stack([np.zeros(len(logits)), logits]) if logits.shape[1] == 1 else logits


def _log_loss(logits: NDArray[np.float64], number: NDArray[np.int64]) -> float:
    own = softmax(logits)[np.arange(len(number)), number]
    return float(-np.log(np.maximum(own, 1e-300)).mean())
