"""From a recipe and faces to a trained network: ``train(recipe, train, val)``. Needs the extra ``train``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mien.lazy import lazy_names

if TYPE_CHECKING:
    from mien.training.recipe import Recipe, list_recipes, load_recipe
    from mien.training.run import train
    from mien.training.trained import TrainedModel

__all__ = ["Recipe", "TrainedModel", "list_recipes", "load_recipe", "train"]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "recipe": ("Recipe", "list_recipes", "load_recipe"),
        "trained": ("TrainedModel",),
        "run": ("train",),
    },
    needs={"recipe": ("msgspec",), "run": ("torch",), "trained": ("torch",)},
    extra="train",
)
