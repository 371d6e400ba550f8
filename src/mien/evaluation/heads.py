"""One answer from two heads that were taught by two labellings of the same faces, and what other weights are worth.

The answer is the weighted geometric mean of both heads' probabilities over the classes that they share (a logarithmic
opinion pool, Genest & Zidek 1986, Statistical Science 1, section 3), in which rare classes are somewhat preferred
(``class_scaling.rare_first``). Leaves out: the layer that computes it (``models.heads``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.errors import ConfigError
from mien.evaluation.calibrated import VIEWS, HeldOut
from mien.evaluation.calibration import Calibration, calibrate
from mien.evaluation.class_scaling import rare_first
from mien.preprocessing import log_softmax
from mien.spec import ModelSpec

__all__ = [
    "BALANCE",
    "WEIGHT",
    "calibrate_mean",
    "class_shift",
    "joined",
    "mean_of_heads",
    "shared_classes",
    "tried",
]

#: Of the first head in the mean; the second has the rest. Both count alike, since neither labelling is the truth.
WEIGHT = 0.5
#: How far rare classes are preferred (``class_scaling.rare_first``), by a head that learnt votes and once more by the
#: mean: 0 asks for the labellings' own mix of classes, 1 takes all for equally likely. In votes rare classes share a
#: face with common ones, so that such a head seldom names them, and which mix a user has nobody knows. So much costs
#: no accuracy of that head, and half a point of the mean's where both labellings agree, for recall of rare classes.
BALANCE = 0.2


def shared_classes(first: Sequence[str], second: Sequence[str]) -> list[int]:
    """For each class of ``first`` its number in ``second``; ConfigError where one is missing there."""
    if lacking := [name for name in first if name not in second]:
        raise ConfigError(f"both heads must know the first one's classes, the second lacks {', '.join(lacking)}")
    return [list(second).index(name) for name in first]


def class_shift(
    labels: NDArray[np.int64], others: NDArray[np.int64], classes: int, weight: float = WEIGHT, balance: float = BALANCE
) -> NDArray[np.float64]:
    """What is added to each class's part of the mean, ``(classes,)`` with a mean of 0: less for common classes.

    labels, others  of the same faces in both labellings, int ``(N,)``; -1 for a face without one
    """
    own, other = (rare_first(y, classes, balance) for y in (labels, others))
    return np.asarray(weight * own + (1 - weight) * other)


def mean_of_heads(
    first: NDArray[np.floating[Any]],
    second: NDArray[np.floating[Any]],
    columns: Sequence[int],
    weight: float = WEIGHT,
    shift: NDArray[np.float64] | float = 0.0,
) -> NDArray[np.float64]:
    """``weight * log p1 + (1 - weight) * log p2 + shift`` from logits ``(..., K1)`` and ``(..., K2)``: ``(..., K1)``,
    up to a constant for each face; ``columns`` and ``shift`` as :func:`shared_classes` and :func:`class_shift` give.
    """
    own, other = log_softmax(first), log_softmax(second)[..., list(columns)]
    return np.asarray(weight * own + (1 - weight) * other + shift)


def tried(
    first: NDArray[np.floating[Any]],
    second: NDArray[np.floating[Any]],
    columns: Sequence[int],
    labels: NDArray[np.int64],
    others: NDArray[np.int64],
) -> list[dict[str, float]]:
    """What the mean says right with other weights and with other balances, each tried beside the one that is taken.

    first, second  logits ``(N, K1)`` and ``(N, K2)`` of both heads for faces that neither learnt, each divided by its
                   own temperature
    labels         the first labelling, int ``(N,)``, 0..K1-1
    others         the second labelling in the first one's classes; -1 for a face without a clear one

    A row has ``weight``, ``balance``, the accuracy by ``labels``, by ``others`` and where both ``agree``, 0..1, and the
    mean recall of classes by each, ``recall_labels``, ``recall_others`` and ``recall_agree``.
    """
    agree = np.where(labels == others, labels, -1)
    if not (agree >= 0).any():
        raise ConfigError("others must agree with labels about at least one face, got none")
    rows = []
    for weight, balance in _settings():
        shift = class_shift(labels, others, first.shape[-1], weight, balance)
        said = mean_of_heads(first, second, columns, weight, shift).argmax(1)
        row = {"weight": weight, "balance": balance}
        for name, truth in (("labels", labels), ("others", others), ("agree", agree)):
            known = truth >= 0
            row[name] = float((said == truth)[known].mean())
            row[f"recall_{name}"] = _macro_recall(said, truth)
        rows.append(row)
    return rows


def _settings() -> list[tuple[float, float]]:
    weights = {(round(0.1 * i, 1), BALANCE) for i in range(11)}
    return sorted({*weights, *((WEIGHT, b) for b in (0.0, 0.1, 0.2, 0.3, 0.5, 1.0))})


def calibrate_mean(
    first: NDArray[np.floating[Any]],
    second: NDArray[np.floating[Any]],
    columns: Sequence[int],
    labels: NDArray[np.int64],
    others: NDArray[np.int64],
    corrupted: tuple[NDArray[np.float64], NDArray[np.float64]] | None = None,
) -> Calibration:
    """Temperature and threshold of the mean as it is taken; ``labels`` and ``others`` as for :func:`tried`.

    Both are fitted on every face with its label and, where there is one, again with its other label: a right answer is
    what one of both labellings says.

    first, second  logits ``(V, N, K1)`` and ``(V, N, K2)`` for V test-time views
    corrupted      the same of these faces moderately corrupted; the threshold then keeps a promise of them
    """
    shift = class_shift(labels, others, first.shape[-1])
    z, y = _both(mean_of_heads(first, second, columns, WEIGHT, shift), labels, others)
    q = None if corrupted is None else _both(mean_of_heads(*corrupted, columns, WEIGHT, shift), labels, others)[0]
    return calibrate(z, y, corrupted=q)


def joined(
    spec: ModelSpec, said: tuple[HeldOut, HeldOut], labels: NDArray[np.int64], others: NDArray[np.int64]
) -> ModelSpec:
    """``spec`` with the mean of its first two heads, which answers then, what other means are worth, and the
    calibration of that answer for each number of test-time views.

    said            by each head, calibrated, of faces that neither has learnt, in as many views as ``VIEWS`` has
    labels, others  as for :func:`tried`
    """
    columns = shared_classes(spec.heads[0].labels, spec.heads[1].labels)
    (z1, q1), (z2, q2) = said

    def figures(v: int) -> dict[str, Any]:
        corrupted = None if q1 is None or q2 is None else (q1[:v], q2[:v])
        return calibrate_mean(z1[:v], z2[:v], columns, labels, others, corrupted).to_dict()

    one = figures(1)
    return replace(
        spec,
        temperature=one["temperature"],
        calibration={**one, "views": {str(v): figures(v) for v in VIEWS if v > 1}},
        answer={
            "heads": [h.name for h in spec.heads[:2]],
            "weights": [WEIGHT, 1 - WEIGHT],
            "balance": BALANCE,
            "shift": class_shift(labels, others, len(spec.labels)).tolist(),
            "tried": tried(z1[0], z2[0], columns, labels, others),
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
