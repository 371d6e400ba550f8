"""Older methods of expression recognition, in two steps: features from the faces, then a classifier (scikit-learn).

Needs the extra "classical" (scikit-learn, scikit-image, skops, joblib), never torch; their names need nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

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
    "CLASSICAL": "names",
    "BagOfWords": "words",
    "FacePipeline": "pipeline",
    "Haar": "haar",
    "Hog": "hog",
    "InverseFrequency": "words",
    "Lbp": "lbp",
    "LinearSVM": "svm",
    "LocalSVC": "local",
    "Mlp": "mlp",
    "class_probabilities": "pipeline",
    "feature_size": "pipeline",
    "load_estimator": "store",
    "make_classical": "pipeline",
    "report_progress": "progress",
    "save_estimator": "store",
}


def __getattr__(name: str) -> Any:
    """Import what is asked for on first use (PEP 562): the names need no scikit-learn."""
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name != "CLASSICAL":
        need = importlib.import_module("mien.errors").need
        for module in ("sklearn", "skimage", "skops", "joblib"):
            need(module, "classical")
    return getattr(importlib.import_module(f"{__name__}.{_PLACES[name]}"), name)
