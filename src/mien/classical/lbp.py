"""Local binary patterns: what each pixel's neighbours are, darker or brighter, counted in a grid of cells.

Sources: Ojala, Pietikäinen & Mäenpää 2002, "Multiresolution Gray-Scale and Rotation Invariant Texture Classification
with Local Binary Patterns" (PAMI), for the patterns, computed by scikit-image; Shan, Gong & McOwan 2009, "Facial
Expression Recognition Based on Local Binary Patterns: A Comprehensive Study" (Image and Vision Computing), for the grid
of histograms of uniform patterns (59 bins for 8 neighbours). Deviations: several radii side by side; square grids for
square faces (theirs is 6 x 7 on 110 x 150 pixels, as remembered); roots of the shares instead of counts, which makes a
linear machine compare histograms by their Hellinger distance where the paper takes chi square.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from skimage.feature import local_binary_pattern
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from mien.classical.faces import check_faces, check_number
from mien.classical.progress import in_blocks
from mien.errors import ConfigError

__all__ = ["Lbp"]

_NEIGHBOURS = 8
_BINS = _NEIGHBOURS * (_NEIGHBOURS - 1) + 3  # uniform patterns, and one bin for the others


class Lbp(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Faces uint8 ``(N, H, W)`` to float32 ``(N, len(radii) * cells² * 59)``, 0..1: roots of shares, 1 a cell in all.

    cells   cells a side
    radii   distances of the 8 neighbours in pixels, one set of histograms each
    n_jobs  processes, as joblib counts them

    ``fit`` learns the size of the faces alone. Raises :class:`ConfigError` for values and faces outside these rules.
    """

    def __init__(self, cells: int = 6, radii: Sequence[float] = (1, 2), n_jobs: int | None = 1) -> None:
        self.cells = cells
        self.radii = radii
        self.n_jobs = n_jobs

    def fit(self, X: Any, y: Any = None) -> Lbp:
        """Check the settings against the size of the faces."""
        height, width = check_faces(X).shape[1:]
        check_number("cells", self.cells, 1)
        if not len(self.radii):
            raise ConfigError("radii must hold at least one distance in pixels, got none: give for example (1, 2)")
        for radius in self.radii:
            check_number("radii", radius, 1, min(height, width) // 2, whole=False)
        if min(height, width) < self.cells:
            raise ConfigError(
                f"cells must be at most the {min(height, width)} pixels of a side, got {self.cells} on faces of "
                f"{height} x {width}: choose fewer cells, or larger faces"
            )
        self.size_ = (height, width)
        return self

    def transform(self, X: Any) -> NDArray[np.float32]:
        """The histograms of each face, radius by radius, cell by cell in reading order."""
        check_is_fitted(self)
        work = partial(_lbp, cells=self.cells, radii=tuple(self.radii))
        return np.concatenate(in_blocks(work, check_faces(X, self.size_), step="lbp", n_jobs=self.n_jobs))


def _lbp(faces: NDArray[np.uint8], cells: int, radii: tuple[float, ...]) -> NDArray[np.float32]:
    """Codes by scikit-image, counted for all cells of all faces at once."""
    n, height, width = faces.shape
    rows, columns = np.arange(height) * cells // height, np.arange(width) * cells // width
    cell = (rows[:, None] * cells + columns) + np.arange(n)[:, None, None] * cells**2
    sides = []
    for radius in radii:
        codes = np.stack([local_binary_pattern(face, _NEIGHBOURS, radius, "nri_uniform") for face in faces])
        bins = (cell * _BINS + codes.astype(np.int64)).ravel()
        counts = np.bincount(bins, minlength=n * cells**2 * _BINS).reshape(n, cells**2, _BINS)
        sides.append(np.sqrt(counts / counts.sum(2, keepdims=True)).reshape(n, -1))
    return np.concatenate(sides, axis=1).astype(np.float32)
