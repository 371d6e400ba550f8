"""Is one model better than another? Both predicted the same faces, so each face is a pair: right or wrong, twice.

Two intervals that overlap say little about two models on one set of faces: where both are right or both are wrong
nothing is learnt. :func:`compare_pairs` looks at the faces that tell them apart: McNemar's exact test, and an interval
of the difference by a bootstrap over faces. :func:`holm` corrects the p values of many such questions. numpy only.
Leaves out: groups of faces (``homogeneity``), and the spread of one recipe over seeds, which no test on one pair of
models can show.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mien.errors import ConfigError

__all__ = ["LEVEL", "Paired", "compare_pairs", "holm", "mcnemar", "p_words"]

#: Below this p value a difference is called shown.
LEVEL = 0.05
#: With fewer faces that tell two models apart, McNemar's exact p value cannot fall below 0.05: 2 / 2**5 = 0.0625.
_FEWEST = 6


@dataclass(frozen=True)
class Paired:
    """Two models on the same ``n`` faces.

    accuracy_a, accuracy_b  shares of faces that each gets right, 0..1
    difference              ``accuracy_a - accuracy_b``
    ci95                    its 95 % interval ``(low, high)``, by a bootstrap over faces
    only_a, only_b          faces that only one of them gets right
    p_value                 of McNemar's exact test, two-sided: how often ``only_a`` and ``only_b`` would lie at least
                            as far apart if each face were as likely to favour either model
    p_corrected             the same by :func:`holm` where it is one of several comparisons; None where it is the only
                            one. What is said follows it where there is one.
    """

    n: int
    accuracy_a: float
    accuracy_b: float
    difference: float
    ci95: tuple[float, float]
    only_a: int
    only_b: int
    p_value: float
    p_corrected: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain lists and numbers, ready for JSON; :meth:`from_dict` reads them back."""
        return {**asdict(self), "ci95": list(self.ci95)}

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> Paired:
        """Read what :meth:`to_dict` wrote; missing and unknown keys are errors."""
        known = {f.name for f in fields(cls)}
        raw = {"p_corrected": None, **raw}  # records of 0.1 have none
        if wrong := sorted(set(raw) ^ known):
            raise ConfigError(f"paired must have the keys {', '.join(sorted(known))}; missing or unknown: {wrong}")
        low, high = raw["ci95"]
        return cls(**{**raw, "ci95": (float(low), float(high))})

    def sentence(self, a: str = "A", b: str = "B") -> str:
        """What was found, in one sentence that claims no more than the test shows; ``a`` and ``b`` name the models."""
        more = self.only_a - self.only_b
        word = "more" if more > 0 else "fewer"
        said = (
            f"{a} is right on {abs(more):,} {word} faces of {self.n:,} than {b}"
            if more
            else f"{a} and {b} are right on equally many of {self.n:,} faces"
        )
        return (
            f"{said}: {100 * self.difference:+.1f} points (95 % interval {self.interval}), "
            f"McNemar p {self.p}: {self._verdict(a)}"
        )

    @property
    def interval(self) -> str:
        """``ci95`` in points, in words."""
        low, high = (100 * v for v in self.ci95)
        return f"{low:+.1f} to {high:+.1f}"

    @property
    def p(self) -> str:
        """The p value that decides, in words, see :func:`p_words`."""
        return p_words(self.decisive)

    @property
    def decisive(self) -> float:
        """The corrected p value where there is one, else the plain one."""
        return self.p_value if self.p_corrected is None else self.p_corrected

    def _verdict(self, a: str) -> str:
        apart = self.only_a + self.only_b
        if apart < _FEWEST:
            return f"no difference shown ({apart} faces tell them apart, this test needs {_FEWEST} or more)"
        if self.decisive >= LEVEL:
            return "no difference shown"
        return f"{a} is {'better' if self.difference > 0 else 'worse'} on faces like these"

    def __str__(self) -> str:
        return self.sentence()


def compare_pairs(right_a: ArrayLike, right_b: ArrayLike, *, seed: int = 0, draws: int = 10_000) -> Paired:
    """Compare two models by which of the same N faces each gets right, bool ``(N,)`` each, N at least 1.

    seed   of the bootstrap, 0 or more
    draws  resamples of the faces, 100 or more

    The interval is the percentile interval of the bootstrap (Efron & Tibshirani 1993, chapter 13): faces are drawn with
    replacement, each with both its predictions. What a draw holds of each kind of face is multinomial, so whole draws
    cost a few numbers. It takes the faces as independent: several pictures of one person make it too narrow.
    Raises ConfigError where an argument breaks its rule.
    """
    a, b = _checked("right_a", right_a), _checked("right_b", right_b)
    if len(a) != len(b):
        raise ConfigError(f"right_a and right_b must be about the same faces, got {len(a):,} and {len(b):,} of them")
    if seed < 0 or draws < 100:
        raise ConfigError(f"seed must be 0 or more and draws 100 or more, got seed = {seed}, draws = {draws}")
    n = len(a)
    cells = np.array([(a & ~b).sum(), (b & ~a).sum(), (a & b).sum(), (~a & ~b).sum()])
    drawn = np.random.default_rng(seed).multinomial(n, cells / n, size=draws)
    low, high = np.quantile((drawn[:, 0] - drawn[:, 1]) / n, [0.025, 0.975])
    only_a, only_b = int(cells[0]), int(cells[1])
    return Paired(
        n=n,
        accuracy_a=float(a.mean()),
        accuracy_b=float(b.mean()),
        difference=(only_a - only_b) / n,
        ci95=(float(low), float(high)),
        only_a=only_a,
        only_b=only_b,
        p_value=mcnemar(only_a, only_b),
    )


def mcnemar(only_a: int, only_b: int) -> float:
    """Two-sided exact p value for the two counts of discordant pairs (McNemar 1947, Psychometrika 12, 153-157).

    Under "no difference" each discordant pair is a fair coin: twice the lower binomial tail, 1 at most. The largest
    term of the tail comes from ``lgamma``, the others from the ratios between neighbours, so that any count is exact
    to rounding and none overflows. Raises ConfigError for negative counts.
    """
    if only_a < 0 or only_b < 0:
        raise ConfigError(f"only_a and only_b must be counts of 0 or more, got {only_a} and {only_b}")
    m, k = only_a + only_b, min(only_a, only_b)
    if only_a == only_b:
        return 1.0
    largest = math.lgamma(m + 1) - math.lgamma(k + 1) - math.lgamma(m - k + 1) - m * math.log(2)
    down = np.arange(k, 0, -1, dtype=np.float64)
    others = float(np.cumprod(down / (m - down + 1)).sum())
    return min(1.0, 2 * math.exp(largest) * (1 + others))


def holm(p_values: Sequence[float]) -> list[float]:
    """P values of m questions, corrected so that all claims together err with at most the level of one.

    Holm 1979, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of Statistics 6, 65-70:
    the smallest times m, the next times m - 1, and so on; never below one that comes before it, 1 at most; in the order
    given. It asks for no independence. Raises ConfigError for a value outside 0..1.
    """
    p = np.asarray(p_values, dtype=np.float64)
    if not ((p >= 0) & (p <= 1)).all():
        raise ConfigError(f"p_values must lie in 0..1, got {p.tolist()}")
    order = np.argsort(p, kind="stable")
    raised = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    corrected = np.empty_like(p)
    corrected[order] = np.minimum(raised, 1)
    return [float(v) for v in corrected]


def p_words(p: float) -> str:
    """A p value in words: ``= 0.13``; three digits near the level, where two would blur on which side it lies."""
    if p < 0.001:
        return "< 0.001"
    return f"= {p:.3f}" if 0.045 <= p < 0.055 else f"= {p:.2g}"


def _checked(name: str, values: ArrayLike) -> NDArray[np.bool_]:
    v = np.asarray(values)
    if v.dtype != np.bool_ or v.ndim != 1 or not len(v):
        raise ConfigError(f"{name} must be bool of shape (N,) with N >= 1, got {v.dtype} {v.shape}")
    return v
