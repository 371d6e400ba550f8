"""The classical methods by name: features from the faces, then a classifier, as one scikit-learn pipeline.

``make_classical`` gives a pipeline for ``fit``, ``predict``, ``predict_proba``,
``cross_val_score`` and ``GridSearchCV``, whose steps are called as in the name ("hog", then "svm"). Settings suit faces
of 48 x 48 pixels. Leaves out: the names (``names``), files (``store``) and scores (``mien.evaluation.metrics``).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestClassifier
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import MaxAbsScaler, StandardScaler
from sklearn.utils.validation import check_is_fitted, has_fit_parameter

from mien.classical.faces import check_faces, check_labels, mirrored
from mien.classical.haar import Haar
from mien.classical.hog import Hog
from mien.classical.lbp import Lbp
from mien.classical.local import LocalSVC
from mien.classical.mlp import Mlp
from mien.classical.names import CLASSICAL
from mien.classical.svm import LinearSVM
from mien.classical.words import BagOfWords, InverseFrequency
from mien.errors import ConfigError, ModelError

__all__ = ["FacePipeline", "class_probabilities", "feature_size", "make_classical"]

_FEATURES: dict[str, Callable[[int, int | None], Any]] = {
    "hog": lambda seed, n_jobs: Hog(n_jobs=n_jobs),
    "lbp": lambda seed, n_jobs: Lbp(n_jobs=n_jobs),
    "haar": lambda seed, n_jobs: Haar(seed=seed, n_jobs=n_jobs),
    "sift": lambda seed, n_jobs: BagOfWords(2000, (12,), stride=3, levels=(1, 2), seed=seed, n_jobs=n_jobs),
    "bow": lambda seed, n_jobs: BagOfWords(seed=seed, n_jobs=n_jobs),
}
# C of the linear machines; Haar-like features come standardised, the others, which lie in 0..1, as they are
_C = {"hog": 0.03, "lbp": 0.01, "haar": 1e-5, "sift": 0.3, "bow": 0.3}


class FacePipeline(Pipeline):  # type: ignore[misc]
    """A scikit-learn pipeline from faces uint8 ``(N, H, W)`` to classes, that checks what it is given.

    mirror  learn from the training faces' mirror images too; doubles the training set. Twins stay on one side of what
            the classifier holds out.

    ``fit``, ``predict`` and the others raise :class:`ConfigError` for faces and labels that aren't such.
    """

    def __init__(self, steps: Any, *, mirror: bool = False, memory: Any = None, verbose: bool = False) -> None:
        self.mirror = mirror
        super().__init__(steps, memory=memory, verbose=verbose)

    def fit(self, X: Any, y: Any = None, **params: Any) -> FacePipeline:
        """Fit all steps to faces ``X`` and ``y``, a class number (>= 0) or name for each."""
        faces = check_faces(X)
        labels = check_labels(y, len(faces))
        if self.mirror:
            last, classifier = self.steps[-1]
            if has_fit_parameter(classifier, "groups"):
                params[f"{last}__groups"] = np.tile(np.arange(len(faces)), 2)
            faces, labels = mirrored(faces, labels)
        super().fit(faces, labels, **params)
        return self


def make_classical(name: str, *, seed: int = 0, n_jobs: int | None = 1, mirror: bool = False) -> FacePipeline:
    """The unfitted pipeline of one of the methods in :data:`CLASSICAL`.

    seed    of everything drawn; equal seeds, faces and labels give equal predictions
    n_jobs  processes, as joblib counts them; changes no result
    mirror  see :class:`FacePipeline`

    Raises :class:`ModelError` for an unknown name.
    """
    if name not in CLASSICAL:
        raise ModelError(f"model must be one of {', '.join(CLASSICAL)}, got {name!r}")
    kind, how, *local = name.split("-")
    steps = [(kind, _FEATURES[kind](seed, n_jobs))]
    if local:
        return FacePipeline([*steps, ("svm", LocalSVC(C=_C[kind], seed=seed, n_jobs=n_jobs))], mirror=mirror)
    words = kind in ("sift", "bow")
    if how == "svm":
        between = {"haar": [("scale", StandardScaler())], "bow": [("idf", InverseFrequency())]}.get(kind, [])
        return FacePipeline([*steps, *between, ("svm", LinearSVM(C=_C[kind], seed=seed))], mirror=mirror)
    if how == "mlp":
        scaler = MaxAbsScaler() if words else StandardScaler()
        return FacePipeline([*steps, ("scale", scaler), ("mlp", Mlp(seed=seed))], mirror=mirror)
    forest = RandomForestClassifier(300, min_samples_leaf=2, n_jobs=n_jobs, random_state=seed)
    return FacePipeline([*steps, ("forest", forest)], mirror=mirror)


def feature_size(pipeline: Pipeline) -> int:
    """How many numbers the classifier of a fitted pipeline sees for each face."""
    check_is_fitted(pipeline)
    found = getattr(pipeline.steps[-1][1], "n_features_in_", None)
    if found is None:
        raise ConfigError(f"pipeline must end in a fitted classifier, got {pipeline.steps[-1][1]!r}: fit it first")
    return int(found)


def class_probabilities(pipeline: Pipeline, X: Any, classes: int) -> NDArray[np.float64]:
    """``predict_proba`` of a pipeline fitted to class numbers, a column for each of ``classes``: 0 for one that it has
    not seen.
    """
    p = np.zeros((len(X), classes))
    p[:, pipeline.classes_] = pipeline.predict_proba(X)
    return p
