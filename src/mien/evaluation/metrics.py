"""Figures of an evaluation: accuracy with its interval, macro-F1, per class, confusion, log loss, calibration.

:func:`score` turns probabilities and labels into a :class:`Report`, which the code writes to JSON and into model cards;
:class:`Robustness` holds what is left of the accuracy on corrupted images.
numpy only; the arithmetic is checked against scikit-learn in the tests. Leaves out: running a network
(``models.inference``) and drawing (``reporting``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mien.errors import ConfigError

__all__ = ["Report", "Robustness", "expected_calibration_error", "mean_and_spread", "reliability", "score", "wilson"]

#: 97.5 % point of the standard normal distribution: two-sided 95 % intervals.
_Z95 = 1.959963984540054
_BINS = 15
#: Keys that ``mien evaluate --json`` writes beside those of a report.
_BESIDE = ("against", "groups", "robustness")


@dataclass(frozen=True)
class Report:
    """What an evaluation found, on one split, with the conditions under which it holds.

    names          class names in class order, ``K`` of them
    n              labelled images counted
    accuracy       0..1, with its 95 % score interval ``accuracy_ci95 = (low, high)``
    macro_f1       mean of the K classes' F1; a class without images or predictions counts as 0
    per_class      name -> precision, recall, f1 (0..1) and n (images of that class)
    confusion      ``K x K`` counts, rows true, columns predicted
    log_loss       mean negative log probability of the true class, nats
    brier          mean squared distance of the probabilities from the one-hot label, 0..2 (Brier 1950)
    ece            expected calibration error, 0..1
    reliability    for each of 15 bins of confidence: n, mean confidence, accuracy (empty bins left out)
    split          official name of the part that was scored
    clean          the same figures on the rows without a near-duplicate in Training; ``None`` where that isn't known
    conditions     views, model, data fingerprint, device, versions, date ... as the caller knows them
    """

    names: tuple[str, ...]
    n: int
    accuracy: float
    accuracy_ci95: tuple[float, float]
    macro_f1: float
    per_class: dict[str, dict[str, float]]
    confusion: tuple[tuple[int, ...], ...]
    log_loss: float
    brier: float
    ece: float
    reliability: tuple[tuple[int, float, float], ...]
    split: str = ""
    clean: Report | None = None
    conditions: dict[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Plain lists, dicts and numbers, ready for JSON; :meth:`from_dict` reads them back."""
        raw = asdict(self)
        raw.update(
            names=list(self.names),
            accuracy_ci95=list(self.accuracy_ci95),
            confusion=[list(row) for row in self.confusion],
            reliability=[list(row) for row in self.reliability],
            clean=None if self.clean is None else self.clean.to_dict(),
        )
        return raw

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> Report:
        """Read what :meth:`to_dict` or ``mien evaluate --json`` wrote; missing and unknown keys are errors."""
        known = {f.name for f in fields(cls)}
        raw = {k: v for k, v in raw.items() if k not in _BESIDE}
        wrong = sorted(set(raw) - known) + sorted(known - {"split", "clean", "conditions"} - set(raw))
        if wrong:
            raise ConfigError(f"a report must have the keys {', '.join(sorted(known))}; missing or unknown: {wrong}")
        low, high = raw["accuracy_ci95"]
        clean = raw.get("clean")
        changed = {
            "names": tuple(raw["names"]),
            "accuracy_ci95": (float(low), float(high)),
            "confusion": tuple(tuple(int(c) for c in row) for row in raw["confusion"]),
            "reliability": tuple((int(n), float(c), float(a)) for n, c, a in raw["reliability"]),
            "clean": None if clean is None else cls.from_dict(clean),
        }
        return cls(**{**raw, **changed})

    def __str__(self) -> str:
        low, high = self.accuracy_ci95
        return f"{self.split or 'accuracy'} {self.accuracy:.2%} (95 % interval {low:.1%} to {high:.1%}, n {self.n:,})"


@dataclass(frozen=True)
class Robustness:
    """Accuracy on corrupted images, on one split, with the conditions under which it holds.

    n           labelled images counted, the same in every figure
    clean       accuracy on the images as they are, 0..1
    accuracies  kind of corruption -> accuracy at each severity, slight to severe; at least one kind, all of one length
    clean_coverage, coverages  the same for the share of images whose prediction set holds the true class; None and
                empty for a model without a calibrated threshold
    split       official name of the part that was scored
    conditions  those of a :class:`Report`, the seed, and what the severities mean
    """

    n: int
    clean: float
    accuracies: dict[str, tuple[float, ...]]
    split: str = ""
    conditions: dict[str, Any] = field(default_factory=dict)
    clean_coverage: float | None = None
    coverages: dict[str, tuple[float, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        lengths = {kind: len(row) for kind, row in self.accuracies.items()}
        if len(set(lengths.values())) != 1 or 0 in lengths.values():
            raise ConfigError(f"accuracies must hold one kind or more with equally many severities, got {lengths}")
        wrong = [a for a in (self.clean, *(a for row in self.accuracies.values() for a in row)) if not 0 <= a <= 1]
        if wrong:
            raise ConfigError(f"clean and accuracies must lie in 0..1, got {wrong[0]}")

    @property
    def by_kind(self) -> dict[str, float]:
        """Mean over the severities of each kind."""
        return {kind: float(np.mean(row)) for kind, row in self.accuracies.items()}

    @property
    def by_severity(self) -> tuple[float, ...]:
        """Mean over the kinds at each severity."""
        return tuple(float(v) for v in np.mean(list(self.accuracies.values()), 0))

    @property
    def mean(self) -> float:
        """Mean over kinds and severities."""
        return float(np.mean(list(self.by_kind.values())))

    @property
    def coverage(self) -> str:
        """How often prediction sets hold the true class, in a sentence; "" where the model has none."""
        if self.clean_coverage is None or not self.coverages:
            return ""
        (kind, severity), least = min(
            (((kind, i), v) for kind, row in self.coverages.items() for i, v in enumerate(row, 1)), key=lambda x: x[1]
        )
        mean = float(np.mean(list(self.coverages.values())))
        return (
            f"prediction sets hold the true class of {self.clean_coverage:.1%} of the images as they are, "
            f"of {mean:.1%} over all corruptions, of {least:.1%} at the least "
            f"({kind.replace('_', ' ')}, severity {severity})"
        )

    @property
    def relative(self) -> float:
        """What is left of the clean accuracy: ``mean / clean``, 0 where ``clean`` is 0."""
        return self.mean / self.clean if self.clean else 0.0

    def rows(self) -> list[tuple[str, list[float]]]:
        """The table: a name, the accuracy at each severity, their mean and its drop against clean; means come last."""
        lines = [(kind.replace("_", " "), row, self.by_kind[kind]) for kind, row in self.accuracies.items()]
        lines.append(("mean", self.by_severity, self.mean))
        # rounded, so that a drop of nothing is not a negative zero
        return [(name, [*row, mean, round(self.clean - mean, 12) + 0.0]) for name, row, mean in lines]

    def to_dict(self) -> dict[str, Any]:
        """Plain lists, dicts and numbers with the means, ready for JSON; :meth:`from_dict` reads them back."""
        rows, sets = ({kind: list(row) for kind, row in v.items()} for v in (self.accuracies, self.coverages))
        means = {k: getattr(self, k) for k in ("by_kind", "mean", "relative")}
        return {**asdict(self), "accuracies": rows, "coverages": sets, "by_severity": list(self.by_severity), **means}

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> Robustness:
        """Read what :meth:`to_dict` wrote; missing and unknown keys are errors, the means are worked out anew."""
        raw = _severity_for_strength(raw)
        known, means = {f.name for f in fields(cls)}, {"by_kind", "by_severity", "mean", "relative"}
        wrong = sorted(set(raw) - known - means) + sorted({"n", "clean", "accuracies"} - set(raw))
        if wrong:
            raise ConfigError(f"robustness must have the keys {', '.join(sorted(known))}; missing or unknown: {wrong}")
        rows, sets = (
            {kind: tuple(float(a) for a in row) for kind, row in raw.get(key, {}).items()}
            for key in ("accuracies", "coverages")
        )
        return cls(**{**{k: v for k, v in raw.items() if k in known}, "accuracies": rows, "coverages": sets})

    def __str__(self) -> str:
        return (
            f"corrupted {self.mean:.2%}, {self.relative:.1%} of {self.clean:.2%} clean "
            f"({self.split or 'one part'}, n {self.n:,})"
        )


def _severity_for_strength(raw: Mapping[str, Any]) -> dict[str, Any]:
    """A record as it is written now; those of 0.1 called a severity a strength."""
    renamed = {{"by_strength": "by_severity"}.get(k, k): v for k, v in raw.items()}
    conditions = {{"strengths": "severities"}.get(k, k): v for k, v in renamed.get("conditions", {}).items()}
    return {**renamed, "conditions": conditions}


def score(
    probabilities: ArrayLike,
    labels: ArrayLike,
    names: Sequence[str],
    *,
    clean: ArrayLike | None = None,
    split: str = "",
    conditions: Mapping[str, Any] | None = None,
) -> Report:
    """Score predictions against labels.

    probabilities  ``(N, K)``, each row sums to 1 (within 1e-3; divided by its sum before use)
    labels         int ``(N,)`` in ``0..K-1``
    names          the K class names
    clean          bool ``(N,)``, True where the image has NO near-duplicate in Training; ``None`` where nobody knows

    Raises ConfigError where an argument breaks its rule.
    """
    names = tuple(names)
    p, y = _checked(probabilities, labels, len(names))
    whole = _figures(p, y, names, split)
    inner = None
    if clean is not None:
        mask = np.asarray(clean)
        if mask.dtype != np.bool_ or mask.shape != y.shape:
            raise ConfigError(f"clean must be bool of shape {y.shape}, got {mask.dtype} {mask.shape}")
        inner = Report(**_figures(p[mask], y[mask], names, split)) if mask.any() else None
    return Report(**whole, clean=inner, conditions=dict(conditions or {}))


def _figures(p: NDArray[np.float64], y: NDArray[np.int64], names: tuple[str, ...], split: str) -> dict[str, Any]:
    n, k = p.shape
    table = np.bincount(y * k + p.argmax(1), minlength=k * k).reshape(k, k)
    hits, true, said = table.diagonal(), table.sum(1), table.sum(0)
    precision, recall = _ratio(hits, said), _ratio(hits, true)
    f1 = _ratio(2 * hits, said + true)
    columns = zip(names, precision, recall, f1, true, strict=True)
    count, confidence, accuracy = reliability(p, y)
    return {
        "names": names,
        "n": n,
        "accuracy": float(hits.sum() / n),
        "accuracy_ci95": wilson(int(hits.sum()), n),
        "macro_f1": float(f1.mean()),
        "per_class": {
            c: {"precision": float(a), "recall": float(b), "f1": float(f), "n": int(m)} for c, a, b, f, m in columns
        },
        "confusion": tuple(tuple(int(c) for c in row) for row in table),
        "log_loss": float(-np.log(p[np.arange(n), y].clip(np.finfo(np.float64).eps)).mean()),
        "brier": float(((p - np.eye(k)[y]) ** 2).sum(1).mean()),
        "ece": expected_calibration_error(p, y),
        "reliability": tuple(
            (int(m), float(c), float(a)) for m, c, a in zip(count, confidence, accuracy, strict=True) if m
        ),
        "split": split,
    }


def _ratio(top: NDArray[Any], bottom: NDArray[Any]) -> NDArray[np.float64]:
    """``top / bottom``, 0 where ``bottom`` is 0."""
    out: NDArray[np.float64] = np.divide(top, bottom, out=np.zeros(len(top)), where=bottom > 0)
    return out


def _checked(probabilities: ArrayLike, labels: ArrayLike, k: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    p, y = np.asarray(probabilities, dtype=np.float64), np.asarray(labels)
    if p.ndim != 2 or p.shape[1] != k or len(p) == 0:
        raise ConfigError(f"probabilities must have shape (N, {k}) with N >= 1 (K = number of names), got {p.shape}")
    if not np.isfinite(p).all() or p.min() < 0:
        row = int(np.argmin((np.isfinite(p) & (p >= 0)).all(1)))
        raise ConfigError(f"probabilities must be finite and not negative, row {row} is {p[row].tolist()}")
    total = p.sum(1)
    if (worst := np.abs(total - 1)).max() > 1e-3:
        row = int(worst.argmax())
        raise ConfigError(
            f"probabilities must sum to 1 in each row (softmax, not logits), row {row} sums to {total[row]:.4g}"
        )
    if y.shape != (len(p),) or not np.issubdtype(y.dtype, np.integer):
        raise ConfigError(f"labels must be whole numbers of shape ({len(p)},), got {y.dtype} {y.shape}")
    if y.min() < 0 or y.max() >= k:
        raise ConfigError(f"labels must lie in 0..{k - 1}, got {y.min()}..{y.max()}; leave out rows without a label")
    return p / total[:, None], y.astype(np.int64)


def wilson(k: int, n: int) -> tuple[float, float]:
    """95 % score interval for a proportion of ``k`` hits in ``n`` trials (Wilson 1927, JASA 22, 209-212).

    No trials give ``(0, 1)``: nothing is known.
    """
    if not 0 <= k <= n:
        raise ConfigError(f"k must lie in 0..n, got k = {k}, n = {n}")
    if n == 0:
        return 0.0, 1.0
    share, z2 = k / n, _Z95 * _Z95 / n
    middle = (share + z2 / 2) / (1 + z2)
    half = _Z95 / (1 + z2) * float(np.sqrt(share * (1 - share) / n + z2 / (4 * n)))
    return (0.0 if k == 0 else middle - half), (1.0 if k == n else middle + half)


def reliability(
    probabilities: ArrayLike, labels: ArrayLike, bins: int = _BINS
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
    """Count, mean confidence and accuracy in ``bins`` equal-width bins of confidence, ``(low, high]``; 0 in empty bins.

    Confidence is the largest probability of a row (Guo et al. 2017, arXiv 1706.04599, section 2).
    """
    if bins < 1:
        raise ConfigError(f"bins must be 1 or more, got {bins}")
    p, y = _checked(probabilities, labels, np.shape(probabilities)[-1])
    confidence = p.max(1)
    place = np.clip(np.ceil(confidence * bins).astype(np.int64) - 1, 0, bins - 1)
    count = np.bincount(place, minlength=bins)
    mean = _ratio(np.bincount(place, weights=confidence, minlength=bins), count)
    hits = _ratio(np.bincount(place, weights=p.argmax(1) == y, minlength=bins), count)
    return count.astype(np.int64), mean, hits


def expected_calibration_error(probabilities: ArrayLike, labels: ArrayLike, bins: int = _BINS) -> float:
    """Mean gap between confidence and accuracy over the bins, weighted by count, 0..1 (Guo et al. 2017, equation 3)."""
    count, confidence, accuracy = reliability(probabilities, labels, bins)
    return float((count * np.abs(accuracy - confidence)).sum() / count.sum())


def mean_and_spread(values: Sequence[float]) -> tuple[float, float | None]:
    """Mean and sample standard deviation (n - 1) over seeds; a single value has no spread, ``None``."""
    if len(values) == 0:
        raise ConfigError("values must hold at least one number, got none")
    v = np.asarray(values, dtype=np.float64)
    return float(v.mean()), float(v.std(ddof=1)) if len(v) > 1 else None
