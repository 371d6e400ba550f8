"""Prediction without torch: a face detector and an exported network on onnxruntime, and pictures of what they saw.

Predictor().predict("photo.jpg") -> Photo with faces: Face(label="happy", confidence=0.93, ...)
"""

from mien.runtime.classifier import DEFAULT_MODEL, Classifier, accuracy_line, find_model, shipped_models
from mien.runtime.detector import CenterFace, Detection, Detector, WholeImage, YuNet, make_detector
from mien.runtime.faces import Face, Photo
from mien.runtime.overlay import draw
from mien.runtime.predictor import Found, Predictor
from mien.runtime.quality import Quality
from mien.runtime.session import open_session
from mien.runtime.table import rows, to_pandas

__all__ = [
    "DEFAULT_MODEL",
    "CenterFace",
    "Classifier",
    "Detection",
    "Detector",
    "Face",
    "Found",
    "Photo",
    "Predictor",
    "Quality",
    "WholeImage",
    "YuNet",
    "accuracy_line",
    "draw",
    "find_model",
    "make_detector",
    "open_session",
    "rows",
    "shipped_models",
    "to_pandas",
]
