"""A scale and a shift for each class's logit, which one temperature for all cannot give: vector scaling.

Guo et al. 2017, arXiv 1706.04599, section 4.2. Both are a change of a network's last linear layer, so they cost
nothing later. Leaves out: the temperature that divides what comes of it, and what it is worth (``calibration``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.preprocessing import log_softmax

__all__ = ["Scaling", "fit_scaling", "rare_first"]

_PRIOR = 3.0  # faces that the wish for scales of 1 and shifts of 0 counts as: 0.001 of the loss with 3,000 faces
_STEPS = 50


@dataclass(frozen=True)
class Scaling:
    """``scale`` times each class's logit, plus ``shift``; empty ones change nothing."""

    scale: tuple[float, ...] = ()
    shift: tuple[float, ...] = ()

    def __call__(self, logits: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
        """Logits ``(..., K)``, scaled and shifted."""
        z = np.asarray(logits, np.float64)
        return z * self.scale + self.shift if self.scale else z


def fit_scaling(logits: NDArray[np.float64], labels: NDArray[np.int64], balance: float = 0.0) -> Scaling:
    """Scale and shift of each class that minimise the mean log loss, held towards 1 and 0 as if by a few faces.

    logits   ``(N, K)``, finite; labels int ``(N,)`` in ``0..K-1``
    balance  what is then taken from each class's shift, times the logarithm of the class's share of ``labels``: rare
             classes are named more often (logit adjustment, Menon et al. 2021, arXiv 2007.07314, section 4.1)

    What all logits of a face have in common, which softmax does not see, counts here: log probabilities are others.
    The loss is convex: Newton's method, with steps halved where they would not lower it. Where a scale would not stay
    above 0, which turns a class's meaning round, nothing is scaled.
    """
    n, classes = logits.shape
    features = np.stack([logits, np.ones_like(logits)])  # (2, N, K)
    start = np.concatenate([np.ones(classes), np.zeros(classes)])
    own, theta = np.eye(classes)[labels], start
    weight = np.full(2 * classes, _PRIOR / n)

    def loss(at: NDArray[np.float64]) -> float:
        log_p = log_softmax(logits * at[:classes] + at[classes:])
        return float(-log_p[np.arange(n), labels].mean() + (weight * (at - start) ** 2).sum())

    for _ in range(_STEPS):
        p = np.exp(log_softmax(logits * theta[:classes] + theta[classes:]))
        slope = (features * (p - own)).mean(1).ravel() + 2 * weight * (theta - start)
        spread = p[:, :, None] * (np.eye(classes) - p[:, None, :])  # (N, K, K)
        bend = np.einsum("ank,nkl,bnl->akbl", features, spread, features, optimize=True) / n
        step = np.linalg.solve(bend.reshape(2 * classes, -1) + 2 * np.diag(weight), slope)
        now, share = loss(theta), 1.0
        while share > 1e-4 and loss(theta - share * step) > now:
            share /= 2
        theta = theta - share * step
        if np.abs(step).max() < 1e-6 or share <= 1e-4:
            break
    scale, shift = theta[:classes], theta[classes:]
    if scale.min() <= 0:
        return Scaling()
    shift = shift + rare_first(labels, classes, balance)
    return Scaling(tuple(map(float, scale)), tuple(map(float, shift)))


def rare_first(labels: NDArray[np.int64], classes: int, balance: float) -> NDArray[np.float64]:
    """What logit adjustment adds to each class's logit, ``(classes,)`` with a mean of 0: the more the rarer it is.

    labels   int ``(N,)``, -1 for a face without one; each class counts one face more than it has
    balance  0 adds nothing, 1 takes all classes for equally likely
    """
    common = np.log(np.bincount(labels[labels >= 0], minlength=classes) + 1.0)
    return np.asarray(balance * (common.mean() - common))
