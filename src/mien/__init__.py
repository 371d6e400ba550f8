"""mien: facial expression recognition, from a data file to a labelled photo.

Importing it is cheap and has no side effects; torch is needed only by what trains.

    from mien import Predictor
    Predictor().predict("photo.jpg")
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mien.faces import Face, Photo
    from mien.runtime import Predictor

__all__ = ["Face", "Photo", "Predictor", "__version__"]

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """Import what is asked for on first use (PEP 562), so that ``import mien`` stays cheap."""
    if name in ("Face", "Photo"):
        from mien import faces

        return getattr(faces, name)
    if name == "Predictor":
        from mien import runtime

        return runtime.Predictor
    raise AttributeError(f"module 'mien' has no attribute {name!r}")
