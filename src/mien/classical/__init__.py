"""Older methods of expression recognition, in two steps: features from the faces, then a classifier (scikit-learn).

Needs the extra "classical" (scikit-learn, scikit-image, skops, joblib), never torch; their names need nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mien.lazy import lazy_names

if TYPE_CHECKING:
    from mien.classical.haar import Haar
    from mien.classical.hog import Hog
    from mien.classical.lbp import Lbp
    from mien.classical.local import LocalSVC
    from mien.classical.mlp import Mlp
    from mien.classical.names import CLASSICAL
    from mien.classical.pipeline import FacePipeline, class_probabilities, feature_size, make_classical
    from mien.classical.progress import report_progress
    from mien.classical.store import load_estimator, save_estimator
    from mien.classical.svm import LinearSVM
    from mien.classical.words import BagOfWords, InverseFrequency

__all__ = [
    "CLASSICAL",
    "BagOfWords",
    "FacePipeline",
    "Haar",
    "Hog",
    "InverseFrequency",
    "Lbp",
    "LinearSVM",
    "LocalSVC",
    "Mlp",
    "class_probabilities",
    "feature_size",
    "load_estimator",
    "make_classical",
    "report_progress",
    "save_estimator",
]

_PLACES = {
    "names": ("CLASSICAL",),
    "words": ("BagOfWords", "InverseFrequency"),
    "pipeline": ("FacePipeline", "class_probabilities", "feature_size", "make_classical"),
    "haar": ("Haar",),
    "hog": ("Hog",),
    "lbp": ("Lbp",),
    "svm": ("LinearSVM",),
    "local": ("LocalSVC",),
    "mlp": ("Mlp",),
    "store": ("load_estimator", "save_estimator"),
    "progress": ("report_progress",),
}
_EXTRA = ("sklearn", "skimage", "skops", "joblib")

__getattr__, __dir__ = lazy_names(
    __name__, _PLACES, needs={module: _EXTRA for module in _PLACES if module != "names"}, extra="classical"
)
