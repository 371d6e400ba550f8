"""Does a map show what the answer rests on? Deletion and insertion curves, against random orders.

Petsiuk et al. 2018, "RISE" (arXiv 1806.07421), section 4.1: take the parts away in the order of the map and the class's
probability should fall fast (small area under the curve); bring them back onto a blurred picture and it should rise
fast (large area). Deviates: the order is of square cells, not pixels, because single grey pixels are noise to a small
network whatever they hide; deleted cells get the picture's mean; every map is set against two controls of the same
cells, without which an area says nothing: random orders, and "the middle first", which knows that faces are centred but
not this face. Leaves out: making maps.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.errors import ConfigError
from mien.explain.occlusion import BATCH, Predict, check_target

__all__ = ["Curves", "Faithfulness", "curves", "faithfulness"]

_BLUR = 0.1  # of the picture's side: standard deviation of the blur that insertion starts from


@dataclass(frozen=True, eq=False)
class Curves:
    """The class's probability while a picture is taken away and brought back; all float64 ``(T,)``.

    shares     of the pixels that are deleted or inserted, from 0 to 1
    deletion   probability with that share replaced by the picture's mean
    insertion  probability with that share sharp, the rest blurred
    """

    shares: NDArray[np.float64]
    deletion: NDArray[np.float64]
    insertion: NDArray[np.float64]

    @property
    def deletion_area(self) -> float:
        """Area under the deletion curve, 0..1: the smaller, the more faithful the order."""
        return _area(self.shares, self.deletion)

    @property
    def insertion_area(self) -> float:
        """Area under the insertion curve, 0..1: the larger, the more faithful the order."""
        return _area(self.shares, self.insertion)


@dataclass(frozen=True, eq=False)
class Faithfulness:
    """The curves of maps by name, of random orders and of the middle first, for one picture and class."""

    maps: Mapping[str, Curves]
    random: tuple[Curves, ...]
    centre: Curves

    def beaten(self, name: str) -> tuple[int, int]:
        """How many of the random orders the map beats: by a smaller deletion area, by a larger insertion area."""
        own = self.maps[name]
        return (
            sum(own.deletion_area < r.deletion_area for r in self.random),
            sum(own.insertion_area > r.insertion_area for r in self.random),
        )


def curves(
    predict: Predict,
    image: NDArray[np.uint8],
    heat: NDArray[np.float32],
    *,
    cell: int = 4,
    steps: int = 24,
    target: int | None = None,
    seed: int = 0,
) -> Curves:
    """Deletion and insertion for one map; cells of equal heat come in an order that ``seed`` draws.

    predict  uint8 ``(N, H, W)`` -> probabilities ``(N, K)``
    image    uint8 ``(H, W)`` grey, or ``(H, W, 3)``
    heat     float ``(H, W)``, says the order: the hottest cell goes first
    cell     side of a cell in pixels; steps, how many points the curves have beside the first
    target   number of the class that is followed; None for the most probable one
    """
    ranks = _ranks(_cell_means(_checked(image, heat), cell), np.random.default_rng(seed))
    return _curves(predict, image, [ranks], cell, steps, target)[0]


def faithfulness(
    predict: Predict,
    image: NDArray[np.uint8],
    maps: Mapping[str, NDArray[np.float32]],
    *,
    orders: int = 10,
    cell: int = 4,
    steps: int = 24,
    target: int | None = None,
    seed: int = 0,
) -> Faithfulness:
    """The curves of several maps of one picture, of ``orders`` random orders and of the middle first.

    Arguments as for :func:`curves`.
    """
    if orders < 1:
        raise ConfigError(f"orders must be 1 or more, got {orders}")
    rng = np.random.default_rng(seed)
    heats = [*maps.values(), _middle(image.shape[:2]), *[np.zeros(image.shape[:2], np.float32)] * orders]
    ranks = [_ranks(_cell_means(_checked(image, heat), cell), rng) for heat in heats]
    found = _curves(predict, image, ranks, cell, steps, target)
    n = len(maps)
    return Faithfulness(dict(zip(maps, found[:n], strict=True)), tuple(found[n + 1 :]), found[n])


def _middle(shape: tuple[int, ...]) -> NDArray[np.float32]:
    """A map that is hottest in the picture's middle."""
    y, x = (np.arange(n) - (n - 1) / 2 for n in shape)
    return np.asarray(-np.hypot(x[None, :], y[:, None]), np.float32)


def _checked(image: NDArray[np.uint8], heat: NDArray[np.float32]) -> NDArray[np.float64]:
    if heat.shape != image.shape[:2] or not np.isfinite(heat).all():
        raise ConfigError(f"heat must be finite numbers of the image's shape {image.shape[:2]}, got {heat.shape}")
    return heat.astype(np.float64)


def _cell_means(heat: NDArray[np.float64], cell: int) -> NDArray[np.float64]:
    """Mean of each cell, ``(rows, columns)``; the last ones are smaller where ``cell`` does not divide the sides."""
    if not 1 <= cell <= min(heat.shape):
        raise ConfigError(f"cell must lie in 1..{min(heat.shape)} pixels for an image of {heat.shape}, got {cell}")
    edges = [np.arange(0, n, cell) for n in heat.shape]
    sums = np.add.reduceat(np.add.reduceat(heat, edges[0], axis=0), edges[1], axis=1)
    rows, columns = (np.diff(np.append(e, n)) for e, n in zip(edges, heat.shape, strict=True))
    return np.asarray(sums / np.outer(rows, columns), np.float64)


def _ranks(means: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.int64]:
    """Each cell's place in the order, 0 for the hottest; ties are drawn."""
    drawn = rng.permutation(means.size)
    order = drawn[np.argsort(-means.ravel()[drawn], kind="stable")]
    ranks = np.empty(means.size, np.int64)
    ranks[order] = np.arange(means.size)
    return ranks.reshape(means.shape)


def _curves(
    predict: Predict,
    image: NDArray[np.uint8],
    ranks: list[NDArray[np.int64]],
    cell: int,
    steps: int,
    target: int | None,
) -> list[Curves]:
    if steps < 1:
        raise ConfigError(f"steps must be 1 or more, got {steps}")
    height, width = image.shape[:2]
    cuts = np.unique(np.round(np.linspace(0, ranks[0].size, steps + 1)).astype(int))
    mean = np.full_like(image, round(float(image.mean())))
    blurred = np.asarray(cv2.GaussianBlur(image, (0, 0), _BLUR * max(height, width)), np.uint8)
    found, best = [], target
    for rank in ranks:
        pixels = np.repeat(np.repeat(rank, cell, axis=0), cell, axis=1)[:height, :width]
        touched = pixels[None] < cuts[:, None, None]
        where = touched.reshape(*touched.shape, *[1] * (image.ndim - 2))  # all channels of a pixel
        versions = np.concatenate([np.where(where, mean, image), np.where(where, image, blurred)])
        answers = np.concatenate(
            [np.asarray(predict(versions[i : i + BATCH]), np.float64) for i in range(0, len(versions), BATCH)]
        )
        best = int(answers[0].argmax()) if best is None else check_target(best, answers.shape[1])
        followed = answers[:, best]
        found.append(Curves(touched.mean(axis=(1, 2)), followed[: len(cuts)], followed[len(cuts) :]))
    return found


def _area(x: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    """By trapezoids."""
    return float(np.sum(np.diff(x) * (y[1:] + y[:-1]) / 2))
