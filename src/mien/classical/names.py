"""The classical methods by name, and what each is; without what they are made of (``pipeline``)."""

from __future__ import annotations

__all__ = ["CLASSICAL"]

_KINDS = {
    "hog": "histograms of oriented gradients",
    "lbp": "local binary patterns in a grid",
    "sift": "a bag of dense SIFT words, one scale",
    "haar": "Haar-like features",
}
_CLASSIFIERS = {"svm": "linear SVM", "forest": "random forest", "mlp": "multilayer perceptron"}

#: Name -> what it is, in a few words.
CLASSICAL: dict[str, str] = {
    **{f"{k}-{c}": f"{what}, {how}" for k, what in _KINDS.items() for c, how in _CLASSIFIERS.items()},
    "bow-svm": "presence of visual words at several scales in a pyramid, linear SVM (Ionescu et al. 2013)",
    "bow-svm-local": "the same words, for each face a linear SVM of its neighbours (Ionescu et al. 2013)",
}
