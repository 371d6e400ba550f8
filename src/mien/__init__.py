"""mien: facial expression recognition, from a data file to a labelled photo.

Importing it is cheap and has no side effects; torch is needed only by what trains and evaluates.

    from mien import Predictor
    Predictor().predict("photo.jpg")
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mien.lazy import lazy_names

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

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "errors": ("ConfigError", "DataError", "MienError", "MissingExtra", "ModelError", "OutputError"),
        "faces": ("Face", "Photo"),
        "data": ("FaceDataset", "read_faces"),
        "runtime": ("Predictor",),
        "models": ("create_model",),
        "evaluation": ("evaluate",),
        "training": ("load_recipe", "train"),
    },
    needs={"models": ("torch",)},
    extra="train",
)
