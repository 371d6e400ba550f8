"""Calibration: a temperature for honest probabilities, and prediction sets that hold the truth as often as promised.

:func:`calibrate` fits both on held-out faces and measures by cross-fit what they are worth on other faces. numpy only.
Leaves out: asking a model for its logits and putting what was found into its spec (``calibrated``).
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mien.errors import ConfigError
from mien.evaluation.metrics import expected_calibration_error
from mien.preprocessing import log_softmax

__all__ = ["MIN_ROWS", "Calibration", "calibrate", "conformal_threshold", "fit_temperature"]

#: Fewest faces that :func:`calibrate` takes.
MIN_ROWS = 20

_LOW, _HIGH = 0.05, 20.0  # temperatures beyond these say that the data do not determine one


@dataclass(frozen=True)
class Calibration:
    """What :func:`calibrate` found; ``before`` means at temperature 1.

    temperature      logits are divided by it before softmax; fitted on all rows
    threshold        smallest probability of a class in the prediction set, 0..1; fitted on all rows
    coverage_target  share of faces whose set shall hold the true class, 0..1
    n, folds         rows, and the number of parts of the cross-fit by which all that follows was measured
    ece_before, ece  expected calibration error in 15 bins, 0..1
    log_loss_before, log_loss   mean negative log probability of the true class, nats
    coverage         share of faces whose set held the true class, 0..1
    mean_size        mean number of classes in a prediction set
    singles          share of faces whose prediction set is one class, 0..1
    singles_accuracy share of these whose class is the true one, 0..1; None where there are none
    """

    temperature: float
    threshold: float
    coverage_target: float
    n: int
    folds: int
    ece_before: float
    ece: float
    log_loss_before: float
    log_loss: float
    coverage: float
    mean_size: float
    singles: float
    singles_accuracy: float | None

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers, ready for JSON."""
        return asdict(self)


def calibrate(logits: ArrayLike, labels: ArrayLike, *, coverage: float = 0.9, seed: int = 0) -> Calibration:
    """Fit temperature and threshold on all rows, and measure them by two-fold cross-fit.

    logits    ``(N, K)``, or ``(V, N, K)`` of V test-time views whose probabilities are averaged; finite, N at least
              ``MIN_ROWS``; log probabilities serve as well, softmax is shift invariant. A mean over views is less sure
              than one view, so each number of views has a temperature and a threshold of its own.
    labels    int ``(N,)`` in ``0..K-1``
    coverage  share of faces whose prediction set shall hold the true class, between 0 and 1
    seed      of the random halves, which hold equally many rows of each class, give or take one

    For the figures, each half is measured with the temperature and threshold that were fitted on the other one, and the
    rows of both are counted together. Raises ConfigError where an argument breaks its rule.
    """
    z, y = _checked("logits", logits, labels)
    if len(y) < MIN_ROWS:
        raise ConfigError(f"labels must hold at least {MIN_ROWS} rows, got {len(y)}; calibrate on more faces")
    temperature, threshold = _fit(z, y, coverage)
    log_p, least = np.empty_like(z[0]), np.empty((len(y), 1))
    halves = _halves(y, seed)
    for fitted, held in (halves, halves[::-1]):
        t, least[held] = _fit(z[:, fitted], y[fitted], coverage)
        log_p[held] = _log_mean(z[:, held], t)
    p, rows = np.exp(log_p), np.arange(len(y))
    inside = p >= least
    inside[rows, p.argmax(1)] = True
    size, held_true = inside.sum(1), inside[rows, y]
    single, before = size == 1, _log_mean(z, 1.0)
    return Calibration(
        temperature=temperature,
        threshold=threshold,
        coverage_target=float(coverage),
        n=len(y),
        folds=len(halves),
        ece_before=expected_calibration_error(np.exp(before), y),
        ece=expected_calibration_error(p, y),
        log_loss_before=float(-before[rows, y].mean()),
        log_loss=float(-log_p[rows, y].mean()),
        coverage=float(held_true.mean()),
        mean_size=float(size.mean()),
        singles=float(single.mean()),
        singles_accuracy=float(held_true[single].mean()) if single.any() else None,
    )


def fit_temperature(logits: ArrayLike, labels: ArrayLike) -> float:
    """The temperature T in 0.05..20 that minimises the mean log loss of ``softmax(logits / T)``.

    Guo et al. 2017, arXiv 1706.04599, section 4.2. The loss is convex in 1 / T, so its slope has one change of sign,
    which is halved down to; so it is with the mean of several views as far as it was tried. A bound is the answer where
    the loss still falls there, as it does at 0.05 where every row is right. Logits that are the same for all classes
    say nothing: T is 1.

    logits  ``(N, K)`` or ``(V, N, K)``, finite; labels int ``(N,)`` in ``0..K-1``. Raises ConfigError where they break
            their rule.
    """
    z, y = _checked("logits", logits, labels)
    z = z - z.max(-1, keepdims=True)
    if not z.any():
        return 1.0
    rows = np.arange(len(y))
    low, high = math.log(_LOW), math.log(_HIGH)
    for _ in range(50):
        middle = (low + high) / 2
        log_p = log_softmax(z * math.exp(-middle))
        own = log_p[:, rows, y]
        share = np.exp(own - np.logaddexp.reduce(own, axis=0))  # of each view in the true class's probability
        # slope of the loss by 1 / T: the expected logit less the true class's
        slope = (share * ((np.exp(log_p) * z).sum(-1) - z[:, rows, y])).sum(0).mean()
        low, high = (middle, high) if slope > 0 else (low, middle)
    return min(max(math.exp((low + high) / 2), _LOW), _HIGH)


def conformal_threshold(probabilities: ArrayLike, labels: ArrayLike, coverage: float = 0.9) -> float:
    """The smallest probability that a class must have to be in the prediction set, 0..1.

    Split conformal prediction with the score ``1 - p_true``, whose sets are the smallest on average (Sadinle et al.
    2019, arXiv 1609.00451). Sets made with it hold the true class of a new face with a probability of at least
    ``coverage``, on average over faces that come from where these came from, whatever the network (Angelopoulos & Bates
    2021, arXiv 2107.07511, section 1, for the quantile ``ceil((n + 1) * coverage) / n``); not for each class or person.
    0, which lets every class in, where there are too few rows for this ``coverage``.

    probabilities  ``(N, K)``, 0..1; labels int ``(N,)`` in ``0..K-1``. Raises ConfigError where they break their rule.
    """
    (p, *_), y = _checked("probabilities", probabilities, labels)
    if p.min() < 0 or p.max() > 1:
        raise ConfigError(f"probabilities must lie in 0..1, got {p.min():.4g}..{p.max():.4g}; take softmax of logits")
    if not 0 < coverage < 1:
        raise ConfigError(f"coverage must lie between 0 and 1, got {coverage}; 0.9 is usual")
    n = len(y)
    rank = math.ceil((n + 1) * coverage - 1e-9)  # less what rounding adds to a whole number
    return float(np.sort(p[np.arange(n), y])[n - rank]) if rank <= n else 0.0


def _fit(z: NDArray[np.float64], y: NDArray[np.int64], coverage: float) -> tuple[float, float]:
    """Temperature, and the threshold for probabilities at that temperature."""
    t = fit_temperature(z, y)
    return t, conformal_threshold(np.exp(_log_mean(z, t)), y, coverage)


def _halves(y: NDArray[np.int64], seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Row numbers of two random halves: shuffled, sorted by class, and dealt out in turn."""
    order = np.random.default_rng(seed).permutation(len(y))
    order = order[np.argsort(y[order], kind="stable")]
    return order[0::2], order[1::2]


def _log_mean(z: NDArray[np.float64], temperature: float) -> NDArray[np.float64]:
    """Log of the mean over views of ``softmax(z / temperature)``: ``(V, N, K)`` -> ``(N, K)``."""
    return np.asarray(np.logaddexp.reduce(log_softmax(z / temperature), axis=0) - math.log(len(z)))


def _checked(name: str, values: ArrayLike, labels: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """``(V, N, K)``, V 1 for values of one view, and labels ``(N,)``."""
    v, y = np.asarray(values, dtype=np.float64), np.asarray(labels)
    v = v[None] if v.ndim == 2 else v
    if v.ndim != 3 or not v.size:
        raise ConfigError(
            f"{name} must have shape (N, K) or (V, N, K) with N, K >= 1, got {np.shape(values)}; give one row a face"
        )
    if not np.isfinite(v).all():
        view, row = np.argwhere(~np.isfinite(v).all(2))[0]
        raise ConfigError(f"{name} must be finite, row {row} is {v[view, row].tolist()}; leave out such rows")
    if y.shape != v.shape[1:2] or not np.issubdtype(y.dtype, np.integer):
        raise ConfigError(
            f"labels must be whole numbers of shape ({v.shape[1]},), one a row of {name}, got {y.dtype} {y.shape}"
        )
    if y.min() < 0 or y.max() >= v.shape[2]:
        raise ConfigError(
            f"labels must lie in 0..{v.shape[2] - 1}, got {y.min()}..{y.max()}; leave out rows without a label"
        )
    return v, y.astype(np.int64)
