"""Histograms of oriented gradients: the directions of edges in a grid of cells, evened out over blocks of cells.

Source: Dalal & Triggs 2005, "Histograms of Oriented Gradients for Human Detection" (CVPR), as scikit-image computes
them. Deviations: square roots of the grey values by default off (the paper finds little difference); cells are counted
(``cells`` a side) instead of given in pixels, so that one setting serves faces of every size: a cell has ``height //
cells`` by ``width // cells`` pixels, and what is left over at the right and the bottom is cut off.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from skimage.feature import hog
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from mien.classical.faces import check_faces, check_number
from mien.classical.progress import in_blocks
from mien.errors import ConfigError

__all__ = ["Hog"]

_LEAST = 3  # pixels a side: a cell of fewer has no edge in it


class Hog(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Faces uint8 ``(N, H, W)`` to float32 ``(N, F)``, 0..1; F = (cells - block + 1)² * block² * orientations.

    cells         cells a side, of at least 3 pixels each
    block         cells a side of a block, evened out together (L2, cut at 0.2, L2 again)
    orientations  directions of edges told apart, over half a turn
    n_jobs        processes, as joblib counts them

    ``fit`` learns the size of the faces alone. Raises :class:`ConfigError` for values and faces outside these rules.
    """

    def __init__(self, cells: int = 8, block: int = 2, orientations: int = 9, n_jobs: int | None = 1) -> None:
        self.cells = cells
        self.block = block
        self.orientations = orientations
        self.n_jobs = n_jobs

    def fit(self, X: Any, y: Any = None) -> Hog:
        """Check the settings against the size of the faces."""
        height, width = check_faces(X).shape[1:]
        check_number("cells", self.cells, 1)
        check_number("block", self.block, 1)
        check_number("orientations", self.orientations, 1, 180)
        if self.block > self.cells:
            raise ConfigError(f"block must be at most cells = {self.cells}, got {self.block}: choose a smaller block")
        if min(height, width) < _LEAST * self.cells:
            raise ConfigError(
                f"cells must have {_LEAST} pixels a side at least, got {self.cells} cells on faces of {height} x "
                f"{width}: choose at most {min(height, width) // _LEAST} cells, or larger faces"
            )
        self.size_ = (height, width)
        return self

    def transform(self, X: Any) -> NDArray[np.float32]:
        """The histograms of each face, cell by cell of block by block."""
        check_is_fitted(self)
        work = partial(_hog, cells=self.cells, block=self.block, orientations=self.orientations)
        return np.concatenate(in_blocks(work, check_faces(X, self.size_), step="hog", n_jobs=self.n_jobs))


def _hog(faces: NDArray[np.uint8], cells: int, block: int, orientations: int) -> NDArray[np.float32]:
    height, width = faces.shape[1] // cells, faces.shape[2] // cells
    cut = faces[:, : height * cells, : width * cells]
    shape = {"pixels_per_cell": (height, width), "cells_per_block": (block, block), "orientations": orientations}
    return np.stack([hog(face, block_norm="L2-Hys", **shape) for face in cut]).astype(np.float32)
