"""Fitted pipelines on disk: skops files, in which nothing is executable. Nothing is pickled.

A file holds the pipeline, what the caller says about it, and the versions it was made with. Reading admits those of
scikit-learn's, numpy's and scipy's types that skops admits, the types listed here, and no other; trees and
sparse rows, which compiled code follows without looking, are checked first. Leaves out: networks (``models.weights``).
"""

from __future__ import annotations

import json
import logging
import zipfile
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import Pipeline

from mien.classical.pipeline import feature_size
from mien.errors import ConfigError, ModelError, need
from mien.files import replace_file

__all__ = ["TRUSTED", "load_estimator", "save_estimator"]

_log = logging.getLogger(__name__)

#: Types that a file may hold besides the plain ones of scikit-learn, numpy and scipy that skops admits by itself.
TRUSTED = frozenset(
    {
        "mien.classical.haar.Haar",
        "mien.classical.hog.Hog",
        "mien.classical.lbp.Lbp",
        "mien.classical.local.LocalSVC",
        "mien.classical.mlp.Mlp",
        "mien.classical.pipeline.FacePipeline",
        "mien.classical.svm.LinearSVM",
        "mien.classical.words.BagOfWords",
        "mien.classical.words.InverseFrequency",
        "scipy.sparse._csr.csr_matrix",
        "sklearn.tree._tree.Tree",
    }
)

_FORMAT = "mien-classical-1"
_VERSIONS = {name: version(name) for name in ("scikit-learn", "scikit-image", "numpy")}


def save_estimator(path: str | Path, pipeline: Pipeline, *, about: Mapping[str, Any]) -> None:
    """Write a fitted pipeline and ``about`` (what JSON can hold: class names, scores ...) to ``path``.

    Raises :class:`ConfigError` for a pipeline that isn't fitted or holds types that reading would refuse, and for an
    ``about`` that JSON can't hold; :class:`OutputError` where ``path`` can't be written.
    """
    if not isinstance(pipeline, Pipeline):
        raise ConfigError(f"pipeline must be a scikit-learn Pipeline, got {type(pipeline).__name__}")
    try:
        feature_size(pipeline)
    except NotFittedError as error:
        raise ConfigError("pipeline must be fitted before it is saved: call fit first") from error
    try:
        said = json.dumps(dict(about))
    except (TypeError, ValueError) as error:
        raise ConfigError(f"about must hold what JSON can hold, numbers, texts, lists and dicts: {error}") from error
    whole = {"format": _FORMAT, "about": said, "versions": _VERSIONS, "pipeline": pipeline}

    def write(temporary: Path) -> None:
        _skops().dump(whole, temporary, compression=zipfile.ZIP_DEFLATED, compresslevel=1)
        foreign = _foreign(temporary)
        if foreign:
            raise ConfigError(f"pipeline holds {', '.join(foreign)}, which load_estimator doesn't admit: take it out")

    replace_file(Path(path), write)


def load_estimator(path: str | Path) -> tuple[Pipeline, dict[str, Any]]:
    """Read what :func:`save_estimator` wrote: the pipeline, which predicts exactly as before, and ``about``.

    Raises :class:`ModelError` for a file that is missing, damaged, of another kind, or with a type that isn't admitted;
    logs a warning where scikit-learn's, scikit-image's or numpy's version differs.
    """
    path = Path(path)
    if not path.is_file():
        raise ModelError(f"{path}: no such file; give a file that save_estimator wrote")
    try:
        foreign = _foreign(path)
        whole = None if foreign else _skops().load(path, trusted=sorted(TRUSTED))
    except Exception as error:  # a damaged file breaks skops, numpy and scikit-learn in every way
        raise ModelError(f"{path}: is no skops file, or damaged ({error}); copy it again or fit anew") from error
    if foreign:
        raise ModelError(
            f"{path}: holds the type {', '.join(foreign)}, which mien doesn't admit, since a file could misuse it: "
            "open only files that save_estimator wrote"
        )
    if not isinstance(whole, dict) or whole.get("format") != _FORMAT or not isinstance(whole["pipeline"], Pipeline):
        raise ModelError(f"{path}: is a skops file, but not one that save_estimator wrote; give one that it wrote")
    for name, made in whole["versions"].items():
        if _VERSIONS.get(name) != made:
            _log.warning("%s: was made with %s %s, this is %s", path, name, made, _VERSIONS.get(name))
    if not _is_sound(whole["pipeline"].steps[-1][1]):
        raise ModelError(f"{path}: holds numbers that point nowhere, so it is damaged; copy it again or fit anew")
    return whole["pipeline"], json.loads(whole["about"])


def _skops() -> Any:
    """Imported on use: it looks through all of scikit-learn, which takes seconds and imports torch where it is."""
    return need("skops.io", "classical")


def _foreign(path: Path) -> list[str]:
    """The types in a file that are not admitted."""
    return sorted(set(_skops().get_untrusted_types(file=path)) - TRUSTED)


def _is_sound(classifier: Any) -> bool:
    """Whether compiled code can follow the numbers of the classifier without leaving its arrays.

    In a tree a child comes after its parent and is there, and a feature is one of the vector's; in the rows of a local
    machine every entry lies in a column that is there.
    """
    rows: Any = getattr(classifier, "rows_", None)
    if sparse.issparse(rows):
        try:
            rows.check_format(full_check=True)
        except ValueError:
            return False
    trees = [e.tree_ for e in np.ravel(getattr(classifier, "estimators_", [])) if hasattr(e, "tree_")]
    return all(_leads_on(tree, classifier.n_features_in_) for tree in trees)


def _leads_on(tree: Any, features: int) -> bool:
    inner = np.flatnonzero(tree.children_left != -1)
    children = np.stack([tree.children_left[inner], tree.children_right[inner]])
    feature = tree.feature[inner]
    there = (children > inner).all() and (children < tree.node_count).all()
    return bool(there and (feature >= 0).all() and (feature < features).all())
