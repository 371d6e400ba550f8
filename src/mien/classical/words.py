"""Bags of visual words: which kinds of patches a face has, and where, as one sparse vector.

Sources: Lazebnik, Schmid & Ponce 2006, "Beyond Bags of Features: Spatial Pyramid Matching" (CVPR), for the pyramid;
Ionescu, Popescu & Grozea 2013, "Local Learning to Improve Bag of Visual Words Model for Facial Expression Recognition"
(ICML workshop on challenges in representation learning), for what suits faces: dense SIFT at several scales, thousands
of words by k-means, a pyramid of presence vectors (is the word there or not, instead of how often), each vector brought
to length 1. Deviations: the vocabulary comes from mini-batches (Sculley 2010) of a seeded sample of descriptors; the
levels of the pyramid have one weight; patches of one grey get no word at all.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.cluster import MiniBatchKMeans
from sklearn.preprocessing import normalize
from sklearn.utils.validation import check_is_fitted

from mien.classical.faces import check_faces, check_number
from mien.classical.progress import in_blocks, tell
from mien.classical.sift import DIMENSIONS, describe, points
from mien.errors import ConfigError

__all__ = ["BagOfWords", "InverseFrequency"]

_SAMPLED_FACES = 3000  # the vocabulary's sample is spread over so many faces at most
_BATCH = 10_000
_STEPS = 60  # mini-batches in all, at least one pass over the sample
_ROWS = 256  # descriptors compared with all words at a time: their products stay in the processor's cache


class BagOfWords(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Faces uint8 ``(N, H, W)`` to CSR float32 ``(N, F)``, rows of length 1; F = words * sum of squares of ``levels``.

    words    size of the vocabulary
    patches  sides of the patches in pixels, at most the face's own
    stride   pixels from one patch to the next
    levels   the pyramid: for each number L, one bag for each of L x L cells
    weight   "presence" (1 for a word that is there) or "sqrt" (the root of how often it is there)
    roots    compare roots of the descriptors' shares (Arandjelović & Zisserman 2012) instead of the descriptors
    blur     pixels (standard deviation) by which a face is blurred in all before SIFT
    sample   descriptors that the vocabulary is made from
    seed     of the sample and of k-means; equal seeds, equal vocabulary
    n_jobs   processes, as joblib counts them

    A face of one grey gives an empty row. After ``fit``, ``vocabulary_`` holds the words, float32 ``(words, 128)``.
    A face of 48 x 48 pixels has 1,152 patches. Most of the time goes into comparing descriptors with words, and grows
    with both.
    Raises :class:`ConfigError` for values and faces outside these rules.
    """

    def __init__(
        self,
        words: int = 8000,
        patches: Sequence[float] = (12, 20),
        stride: int = 2,
        levels: Sequence[int] = (1, 2, 3),
        weight: str = "presence",
        roots: bool = False,
        blur: float = 0.5,
        sample: int = 150_000,
        seed: int = 0,
        n_jobs: int | None = 1,
    ) -> None:
        self.words = words
        self.patches = patches
        self.stride = stride
        self.levels = levels
        self.weight = weight
        self.roots = roots
        self.blur = blur
        self.sample = sample
        self.seed = seed
        self.n_jobs = n_jobs

    def fit(self, X: Any, y: Any = None) -> BagOfWords:
        """Make the vocabulary."""
        faces = check_faces(X)
        size = faces.shape[1:]
        self._check(size)
        where = points(size, self.patches, self.stride)
        found = _as_points(self._sample(faces, where), self.roots)
        if len(found) < self.words:
            raise ConfigError(
                f"words must be at most the {len(found)} patches sampled that aren't of one grey, got {self.words}: "
                "choose fewer words, a larger sample, or more faces"
            )
        tell("vocabulary", 0, self.words)
        batch = min(_BATCH, len(found))
        passes = max(1, round(_STEPS * batch / len(found)))
        means = MiniBatchKMeans(
            self.words,
            init="random",
            n_init=1,
            batch_size=batch,
            max_iter=passes,
            max_no_improvement=None,
            compute_labels=False,
            random_state=self.seed,
        )
        self.vocabulary_: NDArray[np.float32] = means.fit(found).cluster_centers_.astype(np.float32)
        tell("vocabulary", self.words, self.words)
        self.size_ = size
        return self

    def transform(self, X: Any) -> sparse.csr_matrix:
        """The bags of each face: level by level, cell by cell in reading order, word by word."""
        check_is_fitted(self)
        faces = check_faces(X, self.size_)
        where = points(self.size_, self.patches, self.stride)
        work = partial(
            _bags,
            where=where,
            cells=_cells(where, self.size_, self.levels),
            count=sum(level**2 for level in self.levels),
            vocabulary=self.vocabulary_,
            weight=self.weight,
            roots=self.roots,
            blur=self.blur,
        )
        return sparse.vstack(in_blocks(work, faces, step="words", n_jobs=self.n_jobs), format="csr")

    def _sample(self, faces: NDArray[np.uint8], where: NDArray[np.float32]) -> NDArray[np.uint8]:
        """Descriptors of seeded patches of seeded faces, those of one grey left out."""
        rng = np.random.default_rng(self.seed)
        chosen = np.sort(rng.permutation(len(faces))[:_SAMPLED_FACES])
        each = min(len(where), -(-self.sample // len(chosen)))
        picks = np.argsort(rng.random((len(chosen), len(where))), axis=1)[:, :each]
        work = partial(_picked, where=where, blur=self.blur)
        found = np.concatenate(in_blocks(work, faces[chosen], picks, step="sample", n_jobs=self.n_jobs))
        return found[found.any(1)]

    def _check(self, size: tuple[int, int]) -> None:
        for name, low in (("words", 2), ("stride", 1), ("sample", 1), ("seed", 0)):
            check_number(name, getattr(self, name), low)
        for name in ("patches", "levels"):
            if not len(getattr(self, name)):
                raise ConfigError(f"{name} must hold at least one number, got none")
        for patch in self.patches:
            check_number("patches", patch, 4, min(size), whole=False)
        for level in self.levels:
            check_number("levels", level, 1, min(size))
        check_number("blur", self.blur, 0.5, whole=False)
        if self.weight not in ("presence", "sqrt"):
            raise ConfigError(f"weight must be presence or sqrt, got {self.weight!r}")


class InverseFrequency(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Bags ``(N, F)`` to bags in which rare words count more, rows of length 1 again.

    An entry is multiplied by log(faces / faces that have it), both counted at ``fit`` (inverse document frequency;
    Sivic & Zisserman 2003, "Video Google", ICCV, section 4). What every face has, or none had, counts nothing.
    After ``fit``, ``factors_`` holds the factors, float32 ``(F,)``.
    """

    def fit(self, X: Any, y: Any = None) -> InverseFrequency:
        """Count in how many rows an entry is."""
        rows = sparse.csr_matrix(X)
        count = np.bincount(rows.indices, minlength=rows.shape[1])
        factors = np.log(rows.shape[0] / np.maximum(count, 1))
        self.factors_: NDArray[np.float32] = np.where(count > 0, factors, 0).astype(np.float32)
        return self

    def transform(self, X: Any) -> sparse.csr_matrix:
        """The weighted rows."""
        check_is_fitted(self)
        rows = sparse.csr_matrix(X)
        if rows.shape[1] != len(self.factors_):
            raise ConfigError(f"X must have {len(self.factors_)} features, as at fit, got {rows.shape[1]}")
        weighted = rows.multiply(self.factors_[None]).tocsr()
        return normalize(weighted, copy=False)


def _picked(
    faces: NDArray[np.uint8], picks: NDArray[np.int64], where: NDArray[np.float32], blur: float
) -> NDArray[np.uint8]:
    """The descriptors of each face at its own points."""
    parts = [describe(face[None], where[pick], blur)[0] for face, pick in zip(faces, picks, strict=True)]
    return np.concatenate(parts)


def _as_points(descriptors: NDArray[np.uint8], roots: bool) -> NDArray[np.float32]:
    """Descriptors ``(M, 128)`` as points whose distances count: of length 1, or roots of their shares."""
    points_ = descriptors.astype(np.float32)
    if not roots:
        points_ /= np.float32(512)
        return points_
    points_ /= np.maximum(points_.sum(1, keepdims=True), 1)
    return np.sqrt(points_)


def _cells(where: NDArray[np.float32], size: tuple[int, int], levels: Sequence[int]) -> NDArray[np.int64]:
    """The cell of each point on each level, ``(levels, P)``; cells are numbered through all levels."""
    found, before = [], 0
    for level in levels:
        row, column = (np.floor(where[:, i] * level / size[i]).astype(np.int64) for i in (0, 1))
        found.append(before + row * level + column)
        before += level**2
    return np.stack(found)


def _nearest(descriptors: NDArray[np.uint8], vocabulary: NDArray[np.float32], roots: bool) -> NDArray[np.int64]:
    """The nearest word of each descriptor ``(M, 128)``, -1 for a patch of one grey.

    |d - w|² is least where d·w - |w|²/2 is greatest: one product of matrices, with a column for |w|²/2.
    """
    half = -0.5 * (vocabulary**2).sum(1, keepdims=True)
    table = np.concatenate([vocabulary, half], axis=1).T
    products = np.empty((_ROWS, len(vocabulary)), np.float32)
    nearest = np.empty(len(descriptors), np.int64)
    for i in range(0, len(descriptors), _ROWS):
        found = _as_points(descriptors[i : i + _ROWS], roots)
        found = np.concatenate([found, np.ones((len(found), 1), np.float32)], axis=1)
        nearest[i : i + _ROWS] = np.matmul(found, table, out=products[: len(found)]).argmax(1)
    nearest[~descriptors.any(1)] = -1
    return nearest


def _bags(
    faces: NDArray[np.uint8],
    where: NDArray[np.float32],
    cells: NDArray[np.int64],
    count: int,
    vocabulary: NDArray[np.float32],
    weight: str,
    roots: bool,
    blur: float,
) -> sparse.csr_matrix:
    """Rows of the matrix for a block of faces; ``count`` cells in all."""
    n, words = len(faces), len(vocabulary)
    word = _nearest(describe(faces, where, blur).reshape(-1, DIMENSIONS), vocabulary, roots).reshape(n, 1, -1)
    width = count * words
    keys = np.arange(n)[:, None, None] * width + cells[None] * words + word
    there, often = np.unique(keys[np.broadcast_to(word >= 0, keys.shape)], return_counts=True)
    values = np.ones(len(there)) if weight == "presence" else np.sqrt(often)
    row = there // width
    length = np.sqrt(np.bincount(row, values**2, minlength=n))
    entries = (values / length[row]).astype(np.float32)
    starts = np.concatenate([[0], np.bincount(row, minlength=n).cumsum()])
    return sparse.csr_matrix((entries, (there % width).astype(np.int32), starts.astype(np.int32)), shape=(n, width))
