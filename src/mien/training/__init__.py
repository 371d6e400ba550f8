"""From a recipe and faces to a trained network: ``train(recipe, train, val)``. Needs the extra ``train``."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mien.training.recipe import Recipe, list_recipes, load_recipe
    from mien.training.run import train
    from mien.training.trained import TrainedModel

__all__ = ["Recipe", "TrainedModel", "list_recipes", "load_recipe", "train"]

_PLACES = {
    "Recipe": "recipe",
    "TrainedModel": "trained",
    "list_recipes": "recipe",
    "load_recipe": "recipe",
    "train": "run",
}


def __getattr__(name: str) -> Any:
    """Import what is asked for on first use (PEP 562): recipes need no torch."""
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    need = importlib.import_module("mien.errors").need
    need("msgspec" if _PLACES[name] == "recipe" else "torch", "train")
    return getattr(importlib.import_module(f"{__name__}.{_PLACES[name]}"), name)
