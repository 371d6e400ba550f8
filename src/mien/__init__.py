"""mien: facial expression recognition, from a data file to a labelled photo.

Importing it is cheap and has no side effects; torch is needed only by what trains.

    from mien import Predictor
    Predictor().predict("photo.jpg")
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mien.runtime import Face, Photo, Predictor

__all__ = ["Face", "Photo", "Predictor", "__version__"]

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """Import what is asked for on first use (PEP 562), so that ``import mien`` stays cheap."""
    if name in ("Face", "Photo", "Predictor"):
        from mien import runtime

        return getattr(runtime, name)
    raise AttributeError(f"module 'mien' has no attribute {name!r}")
