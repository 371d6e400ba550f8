"""What a network looks at in each expression, on average: mean face and mean maps per class, as the 2019 paper shows.

The paper (arXiv 1902.01019, section V.C) shows single faces; a mean over many says whether it holds for the class.
One pass, in batches; only sums are kept. Leaves out: reading data and drawing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mien.errors import ConfigError
from mien.explain.face import Answer
from mien.explain.occlusion import occlusion
from mien.runtime.attention_window import laid_back, window

__all__ = ["ClassMeans", "mean_maps"]

_BATCH = 64


@dataclass(frozen=True, eq=False)
class ClassMeans:
    """Means over the faces of each of K classes; a class without faces has n 0 and NaN everywhere.

    labels     the class names
    n          int64 ``(K,)``, faces; ``recall`` float64 ``(K,)``, the share of them that was answered rightly
    face       float32 ``(K, S, S)``, 0..255
    occlusion  float32 ``(K, S, S)``: mean drop of the probability of the class that the faces are labelled with,
               rightly answered or not; None where it was left out
    attention  float32 ``(K, S, S)``, on the crop's pixels, in units of an even share; None for a net without
    window     float32 ``(K, 4, 2)``, corners in the crop's pixels; None for a net without
    """

    labels: tuple[str, ...]
    n: NDArray[np.int64]
    recall: NDArray[np.float64]
    face: NDArray[np.float32]
    occlusion: NDArray[np.float32] | None = None
    attention: NDArray[np.float32] | None = None
    window: NDArray[np.float32] | None = None

    def arrays(self) -> dict[str, NDArray[np.generic]]:
        """All of it by key, for ``np.savez``: the names of the fields; a part that is None has no key."""
        names = ("n", "recall", "face", "occlusion", "attention", "window")
        found = {name: np.asarray(getattr(self, name)) for name in names if getattr(self, name) is not None}
        return {"labels": np.array(self.labels), **found}


def mean_maps(
    answer: Answer,
    images: NDArray[np.uint8],
    targets: NDArray[np.int64],
    labels: tuple[str, ...],
    *,
    occlude: bool = True,
    size: int = 8,
    stride: int = 4,
    on_faces: Callable[[int, int], None] | None = None,
) -> ClassMeans:
    """Mean maps of each class.

    answer    faces -> :class:`~mien.explain.Look`
    images    uint8 ``(N, S, S)``, grey; ``targets`` int ``(N,)``, the class of each, in ``0..len(labels)-1``
    occlude   False leaves the occlusion maps out, which are most of the work; ``size`` and ``stride`` are theirs
    on_faces  called after each batch with the number of faces done and of all
    """
    if len(images) != len(targets) or not len(images):
        raise ConfigError(f"targets must name the class of each image, got {len(targets)} for {len(images)} images")
    if targets.min() < 0 or targets.max() >= len(labels):
        raise ConfigError(f"targets must lie in 0..{len(labels) - 1}, got {targets.min()}..{targets.max()}")
    sums: dict[str, NDArray[np.float64]] = {}

    def predict(faces: NDArray[np.uint8]) -> NDArray[np.floating]:
        return answer(faces).probabilities

    def add(name: str, target: int, value: NDArray[np.generic] | float) -> None:
        values = np.asarray(value, np.float64)
        sums.setdefault(name, np.zeros((len(labels), *values.shape)))[target] += values

    for start in range(0, len(images), _BATCH):
        faces, classes = images[start : start + _BATCH], targets[start : start + _BATCH]
        look = answer(faces)
        for i, (face, target) in enumerate(zip(faces, classes.tolist(), strict=True)):
            theta = None if look.theta is None else look.theta[i]
            add("face", target, face)
            add("recall", target, float(look.probabilities[i].argmax() == target))
            if look.attention is not None:
                add("attention", target, laid_back(look.attention[i] * look.attention[i].size, theta, len(face)))
            if theta is not None:
                add("window", target, window(theta, len(face)))
            if occlude:
                add("occlusion", target, occlusion(predict, face, size, stride, target=target))
        if on_faces is not None:
            on_faces(min(start + _BATCH, len(images)), len(images))
    n = np.bincount(targets, minlength=len(labels)).astype(np.int64)
    return _means(labels, n, sums)


def _means(labels: tuple[str, ...], n: NDArray[np.int64], sums: dict[str, NDArray[np.float64]]) -> ClassMeans:
    count = np.where(n > 0, n, np.nan)
    mean = {name: (s.T / count).T for name, s in sums.items()}
    optional = {name: mean[name].astype(np.float32) for name in ("occlusion", "attention", "window") if name in mean}
    return ClassMeans(labels, n, mean["recall"], mean["face"].astype(np.float32), **optional)
