"""One answer from two heads that were taught by two labellings of the same faces, and what each weight is worth.

The answer is the weighted geometric mean of both heads' probabilities over the classes that they share (a logarithmic
opinion pool, Genest & Zidek 1986, Statistical Science 1, section 3). Leaves out: the layer that computes it
(``models.heads``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.errors import ConfigError
from mien.evaluation.calibrated import VIEWS, HeldOut
from mien.evaluation.calibration import Calibration, calibrate, fit_temperature
from mien.preprocessing import log_softmax
from mien.spec import ModelSpec

__all__ = ["Mean", "calibrate_mean", "choose_mean", "joined", "mean_of_heads", "shared_classes"]

_WEIGHTS = np.round(np.linspace(0, 1, 21), 2)


@dataclass(frozen=True)
class Mean:
    """The mean of two heads that :func:`choose_mean` found best.

    weight       of the first head, 0..1; the second has the rest
    curve        for each weight tried: weight, accuracy by the first and by the second labelling, macro recall by each,
                 0..1, and the mean of the log losses by both, nats
    """

    weight: float
    curve: tuple[tuple[float, ...], ...]


def shared_classes(first: Sequence[str], second: Sequence[str]) -> list[int]:
    """For each class of ``first`` its number in ``second``; ConfigError where one is missing there."""
    if lacking := [name for name in first if name not in second]:
        raise ConfigError(f"both heads must know the first one's classes, the second lacks {', '.join(lacking)}")
    return [list(second).index(name) for name in first]


def mean_of_heads(
    first: NDArray[np.floating[Any]], second: NDArray[np.floating[Any]], columns: Sequence[int], weight: float
) -> NDArray[np.float64]:
    """``weight * log p1 + (1 - weight) * log p2`` from logits ``(..., K1)`` and ``(..., K2)``: ``(..., K1)``, up to a
    constant for each face; ``columns`` as :func:`shared_classes` gives them.
    """
    own, other = log_softmax(first), log_softmax(second)[..., list(columns)]
    return np.asarray(weight * own + (1 - weight) * other)


def choose_mean(
    first: NDArray[np.floating[Any]],
    second: NDArray[np.floating[Any]],
    columns: Sequence[int],
    labels: NDArray[np.int64],
    others: NDArray[np.int64],
) -> Mean:
    """The weight whose mean has the least log loss on both labellings, each counting half.

    The log loss is a proper score (Gneiting & Raftery 2007, JASA 102, section 4): it asks for honest probabilities of
    both labellings. By accuracy alone the weight would give up rare classes, by macro recall alone it would follow a
    few dozen faces. Each weight is tried at the temperature that suits it.

    first, second  logits ``(V, N, K1)`` and ``(V, N, K2)`` of both heads for V test-time views of faces that neither
                   learnt, each divided by its own temperature; the first view is what the weight is chosen on
    labels         the first labelling, int ``(N,)``, 0..K1-1
    others         the second labelling in the first one's classes; -1 for a face without a clear one
    """
    clear = others >= 0
    if not clear.any():
        raise ConfigError("others must label at least one face, got none")
    curve = []
    for weight in _WEIGHTS.tolist():
        z = mean_of_heads(first[0], second[0], columns, weight)
        said, log_p = z.argmax(1), log_softmax(z / fit_temperature(*_both(z[None], labels, others)))
        rows = [float((said == labels).mean()), float((said == others)[clear].mean())]
        rows += [_macro_recall(said, truth) for truth in (labels, others)]
        losses = [-log_p[np.arange(len(labels)), labels].mean(), -log_p[clear, others[clear]].mean()]
        curve.append((weight, *rows, float(np.mean(losses))))
    best = min(curve, key=lambda row: row[-1])[0]
    return Mean(best, tuple(curve))


def calibrate_mean(
    first: NDArray[np.floating[Any]],
    second: NDArray[np.floating[Any]],
    columns: Sequence[int],
    labels: NDArray[np.int64],
    others: NDArray[np.int64],
    weight: float,
    corrupted: tuple[NDArray[np.float64], NDArray[np.float64]] | None = None,
) -> Calibration:
    """Temperature and threshold of the mean with this ``weight``; arguments as for :func:`choose_mean`.

    Both are fitted on every face with its label and, where there is one, again with its other label: a right answer is
    what one of both labellings says.

    corrupted  logits of both heads for the same faces moderately corrupted; the threshold then keeps a promise of them
    """
    z, y = _both(mean_of_heads(first, second, columns, weight), labels, others)
    q = None if corrupted is None else _both(mean_of_heads(*corrupted, columns, weight), labels, others)[0]
    return calibrate(z, y, corrupted=q)


def joined(
    spec: ModelSpec, said: tuple[HeldOut, HeldOut], labels: NDArray[np.int64], others: NDArray[np.int64]
) -> ModelSpec:
    """``spec`` with the mean of its first two heads that :func:`choose_mean` finds best, which answers then, and the
    calibration of that answer for each number of test-time views.

    said            by each head, calibrated, of faces that neither has learnt, in as many views as ``VIEWS`` has
    labels, others  as for choose_mean
    """
    columns = shared_classes(spec.heads[0].labels, spec.heads[1].labels)
    (z1, q1), (z2, q2) = said
    found = choose_mean(z1, z2, columns, labels, others)

    def figures(v: int) -> dict[str, Any]:
        corrupted = None if q1 is None or q2 is None else (q1[:v], q2[:v])
        return calibrate_mean(z1[:v], z2[:v], columns, labels, others, found.weight, corrupted).to_dict()

    one = figures(1)
    return replace(
        spec,
        temperature=one["temperature"],
        calibration={**one, "views": {str(v): figures(v) for v in VIEWS if v > 1}},
        answer={
            "heads": [h.name for h in spec.heads[:2]],
            "weights": [found.weight, round(1 - found.weight, 2)],
            "curve": found.curve,
        },
    )


def _both(
    z: NDArray[np.float64], labels: NDArray[np.int64], others: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Logits ``(V, N, K)`` and labels of every face, and again those of faces with another label."""
    clear = others >= 0
    return np.concatenate([z, z[:, clear]], 1), np.concatenate([labels, others[clear]])


def _macro_recall(said: NDArray[np.int64], truth: NDArray[np.int64]) -> float:
    """Mean recall of the classes that ``truth`` holds; -1 is no class."""
    return float(np.mean([(said[truth == k] == k).mean() for k in np.unique(truth[truth >= 0])]))
