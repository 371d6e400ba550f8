"""mien: facial expression recognition, from a data file to a labelled photo.

Importing it is cheap and has no side effects; torch is needed only by what trains and evaluates.

    from mien import Predictor
    Predictor().predict("photo.jpg")
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mien.data import FaceDataset, read_faces
    from mien.errors import ConfigError, DataError, MienError, MissingExtra, ModelError, OutputError
    from mien.evaluation import evaluate
    from mien.faces import Face, Photo
    from mien.models import create_model
    from mien.runtime import Predictor
    from mien.training import load_recipe, train

__all__ = [
    "ConfigError",
    "DataError",
    "Face",
    "FaceDataset",
    "MienError",
    "MissingExtra",
    "ModelError",
    "OutputError",
    "Photo",
    "Predictor",
    "__version__",
    "create_model",
    "evaluate",
    "load_recipe",
    "read_faces",
    "train",
]

__version__ = "0.2.0"

_PLACES = {
    **dict.fromkeys(("ConfigError", "DataError", "MienError", "MissingExtra", "ModelError", "OutputError"), "errors"),
    **dict.fromkeys(("Face", "Photo"), "faces"),
    **dict.fromkeys(("FaceDataset", "read_faces"), "data"),
    "Predictor": "runtime",
    "create_model": "models",
    "evaluate": "evaluation",
    **dict.fromkeys(("load_recipe", "train"), "training"),
}
_TORCH = {"create_model", "evaluate", "train"}


def __getattr__(name: str) -> Any:
    """Import what is asked for on first use (PEP 562), so that ``import mien`` stays cheap."""
    if name not in _PLACES:
        raise AttributeError(f"module 'mien' has no attribute {name!r}")
    if name in _TORCH:
        importlib.import_module("mien.errors").need("torch", "train")
    return getattr(importlib.import_module(f"mien.{_PLACES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
