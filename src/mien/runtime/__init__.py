"""Prediction without torch: a face detector and an exported network on onnxruntime, and pictures of what they saw.

Predictor().predict("photo.jpg") -> Photo with faces: Face(label="happy", confidence=0.93, ...)
"""

from mien.runtime.classifier import (
    DEFAULT_MODEL,
    Classifier,
    accuracy_line,
    find_head,
    find_model,
    find_weights,
    shipped_models,
)
from mien.runtime.detector import CenterFace, Detector, WholeImage, YuNet, make_detector
from mien.runtime.predictor import Found, Predictor
from mien.runtime.session import open_session

__all__ = [
    "DEFAULT_MODEL",
    "CenterFace",
    "Classifier",
    "Detector",
    "Found",
    "Predictor",
    "WholeImage",
    "YuNet",
    "accuracy_line",
    "find_head",
    "find_model",
    "find_weights",
    "make_detector",
    "open_session",
    "shipped_models",
]
