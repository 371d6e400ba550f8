"""Calibration: a temperature for honest probabilities, and prediction sets that hold the truth as often as promised.

:func:`calibrate` fits both on held-out faces and measures by cross-fit what they are worth on other faces. numpy only.
Leaves out: asking a model for its logits and putting what was found into its spec (``calibrated``), and a scale and
shift for each class (``class_scaling``).
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mien.errors import ConfigError
from mien.evaluation.class_scaling import Scaling, fit_scaling
from mien.evaluation.metrics import expected_calibration_error
from mien.preprocessing import log_softmax

__all__ = ["MIN_ROWS", "Calibration", "calibrate", "conformal_threshold", "ece_by_chance", "fit_temperature"]

#: Fewest faces that :func:`calibrate` takes.
MIN_ROWS = 20

_LOW, _HIGH = 0.05, 20.0  # temperatures beyond these say that the data do not determine one


@dataclass(frozen=True)
class Calibration:
    """What :func:`calibrate` found; ``before`` means at temperature 1.

    scale, shift     for each class, by which its logit is multiplied and what is then added; fitted on all rows; empty
                     where none were asked for
    temperature      what comes of it is divided by it before softmax; fitted on all rows
    threshold        smallest probability of a class in the prediction set, 0..1; fitted on all rows
    coverage_target  share of faces whose set shall hold the true class, 0..1
    n, folds         rows, and the number of parts of the cross-fit by which all that follows was measured
    accuracy_before, accuracy   share of rows whose most probable class is the true one, 0..1
    ece_before, ece  expected calibration error in 15 bins, 0..1
    ece_by_chance    what ``ece`` is on average where these very probabilities are right, and its 95 % quantile: n
                     faces cannot show less, see :func:`ece_by_chance`
    log_loss_before, log_loss   mean negative log probability of the true class, nats
    coverage         share of faces whose set held the true class, 0..1
    mean_size        mean number of classes in a prediction set
    plain_size       the same for the largest threshold that keeps ``coverage_target`` alone
    corrupted        for the same faces moderately corrupted: the share whose set shall hold the true class, the share
                     whose set did, and the mean number of classes in a set; empty where none were given
    singles          share of faces whose prediction set is one class, 0..1
    singles_accuracy share of these whose class is the true one, 0..1; None where there are none
    """

    scale: tuple[float, ...]
    shift: tuple[float, ...]
    temperature: float
    threshold: float
    coverage_target: float
    n: int
    folds: int
    accuracy_before: float
    accuracy: float
    ece_before: float
    ece: float
    ece_by_chance: tuple[float, float]
    log_loss_before: float
    log_loss: float
    coverage: float
    mean_size: float
    plain_size: float
    corrupted: dict[str, float]
    singles: float
    singles_accuracy: float | None

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers and lists, ready for JSON."""
        return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}


def calibrate(
    logits: ArrayLike,
    labels: ArrayLike,
    *,
    coverage: float = 0.9,
    corrupted: ArrayLike | None = None,
    corrupted_coverage: float = 0.85,
    scaled: bool = False,
    balance: float = 0.0,
    seed: int = 0,
) -> Calibration:
    """Fit temperature and threshold on all rows, and measure them by two-fold cross-fit.

    logits    ``(N, K)``, or ``(V, N, K)`` of V test-time views whose probabilities are averaged; finite, N at least
              ``MIN_ROWS``; log probabilities serve as well, softmax is shift invariant. A mean over views is less sure
              than one view, so each number of views has a temperature and a threshold of its own.
    labels    int ``(N,)`` in ``0..K-1``
    coverage  share of faces whose prediction set shall hold the true class, between 0 and 1
    corrupted           logits of the same faces moderately corrupted, in the same shape; the threshold is then so low
                        that of their sets too a share of ``corrupted_coverage`` holds the true class
    scaled, balance     fit a scale and a shift of each class's logit first, on the first view, see ``class_scaling``
    seed      of the random halves, which hold equally many rows of each class, give or take one

    For the figures, each half is measured with what was fitted on the other one, and the rows of both are counted
    together. Raises ConfigError where an argument breaks its rule.
    """
    z, y = _checked("logits", logits, labels)
    z_corrupted = None if corrupted is None else _checked("corrupted", corrupted, labels)[0]
    if len(y) < MIN_ROWS:
        raise ConfigError(f"labels must hold at least {MIN_ROWS} rows, got {len(y)}; calibrate on more faces")
    promised = coverage, corrupted_coverage

    def fit(rows: NDArray[np.int64] | slice) -> _Fit:
        scaling = fit_scaling(z[0, rows], y[rows], balance) if scaled else Scaling()
        return _Fit.to(z[:, rows], None if z_corrupted is None else z_corrupted[:, rows], y[rows], promised, scaling)

    whole = fit(slice(None))
    log_p, log_q = np.empty_like(z[0]), np.empty_like(z[0])
    least, plain = np.empty((len(y), 1)), np.empty((len(y), 1))
    halves = _halves(y, seed)
    for fitted, held in (halves, halves[::-1]):
        own = fit(fitted)
        least[held], plain[held] = own.threshold, own.plain
        log_p[held] = own.log_mean(z[:, held])
        log_q[held] = log_p[held] if z_corrupted is None else own.log_mean(z_corrupted[:, held])
    p, rows, before = np.exp(log_p), np.arange(len(y)), _log_mean(z, 1.0)
    inside = _inside(p, least)
    size, held_true = inside.sum(1), inside[rows, y]
    single = size == 1
    return Calibration(
        scale=whole.scaling.scale,
        shift=whole.scaling.shift,
        temperature=whole.temperature,
        threshold=whole.threshold,
        coverage_target=float(coverage),
        n=len(y),
        folds=len(halves),
        accuracy_before=float((before.argmax(1) == y).mean()),
        accuracy=float((p.argmax(1) == y).mean()),
        ece_before=expected_calibration_error(np.exp(before), y),
        ece=expected_calibration_error(p, y),
        ece_by_chance=ece_by_chance(p),
        log_loss_before=float(-before[rows, y].mean()),
        log_loss=float(-log_p[rows, y].mean()),
        coverage=float(held_true.mean()),
        mean_size=float(size.mean()),
        plain_size=float(_inside(p, plain).sum(1).mean()),
        corrupted={} if z_corrupted is None else _on_corrupted(_inside(np.exp(log_q), least), y, corrupted_coverage),
        singles=float(single.mean()),
        singles_accuracy=float(held_true[single].mean()) if single.any() else None,
    )


@dataclass(frozen=True)
class _Fit:
    """What was fitted on some rows; ``plain`` is the threshold that the promise on faces as they are asks for."""

    scaling: Scaling
    temperature: float
    threshold: float
    plain: float

    @classmethod
    def to(
        cls,
        z: NDArray[np.float64],
        corrupted: NDArray[np.float64] | None,
        y: NDArray[np.int64],
        promised: tuple[float, float],
        scaling: Scaling,
    ) -> _Fit:
        t = fit_temperature(scaling(z), y)
        plain = least = conformal_threshold(np.exp(_log_mean(scaling(z), t)), y, promised[0])
        if corrupted is not None:
            least = min(plain, conformal_threshold(np.exp(_log_mean(scaling(corrupted), t)), y, promised[1]))
        return cls(scaling, t, least, plain)

    def log_mean(self, z: NDArray[np.float64]) -> NDArray[np.float64]:
        return _log_mean(self.scaling(z), self.temperature)


def ece_by_chance(probabilities: NDArray[np.float64], draws: int = 100, seed: int = 0) -> tuple[float, float]:
    """Mean and 95 % quantile of the calibration error in 15 bins of labels that are drawn from ``probabilities``.

    A perfectly calibrated network has that error on as many faces: its bins hold few, and their shares scatter
    (Roelofs et al. 2022, arXiv 2012.08668, section 3).
    """
    rng, sums = np.random.default_rng(seed), np.cumsum(probabilities, 1)
    sums[:, -1] = np.inf  # sums may end below 1 by rounding
    drawn = ((rng.random((len(sums), 1)) > sums).sum(1) for _ in range(draws))
    errors = [expected_calibration_error(probabilities, y) for y in drawn]
    return float(np.mean(errors)), float(np.quantile(errors, 0.95))


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


def _inside(p: NDArray[np.float64], least: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which classes are in each row's prediction set, bool ``(N, K)``."""
    inside = np.asarray(p >= least)
    inside[np.arange(len(p)), p.argmax(1)] = True
    return inside


def _on_corrupted(inside: NDArray[np.bool_], y: NDArray[np.int64], target: float) -> dict[str, float]:
    held = inside[np.arange(len(y)), y]
    return {"target": float(target), "coverage": float(held.mean()), "mean_size": float(inside.sum(1).mean())}


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
