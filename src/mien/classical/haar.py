"""Haar-like features: differences of the light in neighbouring rectangles, a seeded choice of them.

Source: Viola & Jones 2001, "Rapid Object Detection using a Boosted Cascade of Simple Features" (CVPR): rectangles
summed through the integral image, faces brought to mean 0 and spread 1 first. Which features there are, scikit-image
says (``haar_like_feature_coord``). Deviations: no boosting: ``features`` of them are drawn, evenly over the five types,
and the classifier that follows weighs them; the face is brought to ``side`` pixels a side by averaging, because on
48 x 48 pixels there are millions of features that differ little.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from skimage.feature import haar_like_feature_coord
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from mien.classical.faces import check_faces, check_number
from mien.classical.progress import in_blocks
from mien.errors import ConfigError

__all__ = ["Haar"]

_TYPES = ("type-2-x", "type-2-y", "type-3-x", "type-3-y", "type-4")


class Haar(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Faces uint8 ``(N, H, W)`` to float32 ``(N, features)``: signed sums over rectangles of the standardised face.

    features  how many, drawn without repetition; at most as many as there are (162,336 for ``side`` 24)
    side      pixels a side of the reduced face, 4..32, at most the face's own
    seed      which features are drawn; equal seeds, equal features
    n_jobs    processes, as joblib counts them

    A face of one grey gives zeros. After ``fit``, ``rectangles_`` holds each feature's rectangles, int64
    ``(features, 4, 4)``: top, left, bottom, right (the last two inside); -1 where a feature has fewer than four.
    Raises :class:`ConfigError` for values and faces outside these rules.
    """

    def __init__(self, features: int = 3000, side: int = 24, seed: int = 0, n_jobs: int | None = 1) -> None:
        self.features = features
        self.side = side
        self.seed = seed
        self.n_jobs = n_jobs

    def fit(self, X: Any, y: Any = None) -> Haar:
        """Draw the features."""
        height, width = check_faces(X).shape[1:]
        check_number("features", self.features, 1)
        check_number("side", self.side, 4, 32)
        check_number("seed", self.seed, 0)
        if min(height, width) < self.side:
            raise ConfigError(
                f"side must be at most the face's own {min(height, width)} pixels, got {self.side}: "
                "choose a smaller side, or larger faces"
            )
        self.rectangles_ = _draw(self.features, self.side, self.seed)
        self.size_ = (height, width)
        return self

    def transform(self, X: Any) -> NDArray[np.float32]:
        """The features of each face, type by type, in the order of ``rectangles_``."""
        check_is_fitted(self)
        work = partial(_haar, side=self.side, corners=_corners(self.rectangles_, self.side))
        return np.concatenate(in_blocks(work, check_faces(X, self.size_), step="haar", n_jobs=self.n_jobs))


def _draw(features: int, side: int, seed: int) -> NDArray[np.int64]:
    """The rectangles of ``features`` features, spread evenly over the five types."""
    rng = np.random.default_rng(seed)
    there = [haar_like_feature_coord(side, side, kind)[0] for kind in _TYPES]
    most = sum(len(t) for t in there)
    if features > most:
        raise ConfigError(f"features must be at most the {most} that a face of side {side} has, got {features}")
    shares = np.zeros(len(there), np.int64)
    while shares.sum() < features:  # what a type cannot give goes to the others
        open_ = np.flatnonzero(shares < [len(t) for t in there])
        left = features - shares.sum()
        extra = np.full(len(open_), left // len(open_))
        extra[: left % len(open_)] += 1
        shares[open_] = np.minimum(shares[open_] + extra, [len(there[i]) for i in open_])
    rectangles = np.full((features, 4, 4), -1, np.int64)
    drawn = [t[i] for t, n in zip(there, shares, strict=True) for i in np.sort(rng.permutation(len(t))[:n])]
    for row, feature in zip(rectangles, drawn, strict=True):
        row[: len(feature)] = np.reshape(feature, (-1, 4))
    return rectangles


def _corners(rectangles: NDArray[np.int64], side: int) -> csr_array:
    """``((side + 1)², features)``: the weight of each corner of the integral image in each feature.

    The first rectangle counts negative, the second positive, and so on, as in scikit-image.
    """
    feature, place = np.nonzero(rectangles[:, :, 0] >= 0)
    top, left, bottom, right = rectangles[feature, place].T
    sign = np.where(place % 2, 1.0, -1.0)
    wide = side + 1
    cells = np.concatenate(
        [top * wide + left, (bottom + 1) * wide + right + 1, top * wide + right + 1, (bottom + 1) * wide + left]
    )
    weights = np.concatenate([sign, sign, -sign, -sign])
    return csr_array((weights, (cells, np.tile(feature, 4))), shape=(wide * wide, len(rectangles)))


def _haar(faces: NDArray[np.uint8], side: int, corners: csr_array) -> NDArray[np.float32]:
    small = np.stack([cv2.resize(f, (side, side), interpolation=cv2.INTER_AREA) for f in faces.astype(np.float64)])
    small -= small.mean((1, 2), keepdims=True)
    spread = small.std((1, 2), keepdims=True)
    small /= np.where(spread > 1e-6, spread, 1.0)
    sums = np.pad(small.cumsum(1).cumsum(2), ((0, 0), (1, 0), (1, 0))).reshape(len(faces), -1)
    features: NDArray[np.float32] = (sums @ corners).astype(np.float32)
    return features
