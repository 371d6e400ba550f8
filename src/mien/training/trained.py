"""A trained network with all that belongs to it: its spec, calibration, history and validation report.

Leaves out: how it was trained (``mien.training.run``).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import nn

from mien.data import FaceDataset
from mien.evaluation.metrics import Report
from mien.evaluation.model import Loaded
from mien.evaluation.scoring import evaluate, versions
from mien.export.onnx import export_onnx
from mien.models.heads import answering
from mien.models.weights import save_model
from mien.spec import ModelSpec
from mien.training.loop import Epoch
from mien.training.provenance import merged, sketch
from mien.training.recipe import Recipe
from mien.training.starting import Start

__all__ = ["TrainedModel", "make_spec"]


@dataclass(frozen=True, eq=False)
class TrainedModel:
    """What ``train`` gives.

    network  in eval mode, fused, on the CPU; gives the logits of the answer
    spec     labels, normalisation, calibration, scores, recipe and data
    history  the figures of every epoch
    report   on the validation part, with ``clean`` figures: without the faces that have a near copy in Training
    whole    the network with all its heads' logits side by side, where it has several (``spec.heads``)
    """

    network: nn.Module
    spec: ModelSpec
    history: list[Epoch]
    report: Report
    whole: nn.Module | None = None

    @property
    def loaded(self) -> Loaded:
        """As ``mien.evaluation`` takes it."""
        return Loaded(self.network, self.spec, self.spec.name)

    def head(self, name: str) -> Loaded:
        """One of several heads alone, as ``mien.evaluate`` takes it; ModelError names those there are."""
        spec = self.spec.of_head(name)
        return Loaded(answering(self.whole or self.network, self.spec, name), spec, spec.name)

    def predict(self, images: NDArray[np.uint8], *, views: int = 1) -> NDArray[np.float64]:
        """Probabilities ``(N, K)`` in the order of ``spec.labels`` for faces of any size, uint8 ``(N, H, W)`` grey or
        ``(N, H, W, 3)`` RGB, whichever the network takes.

        views  test-time views whose mean is taken, 1..10
        """
        faces = FaceDataset(images, ("",)).with_channels(self.spec.channels).resized(self.spec.size)
        return self.loaded.predict(faces.array, views=views)

    def evaluate(self, faces: FaceDataset, *, train: FaceDataset | None = None, views: int = 1) -> Report:
        """Score it on labelled faces of any size; ``train`` and ``views`` as for ``mien.evaluate``."""
        return evaluate(self.loaded, faces, train=train, views=views)

    def save(self, path: str | Path) -> None:
        """Write the weights with their spec, as safetensors; ``mien evaluate`` and ``mien export`` read them."""
        save_model(Path(path), self.whole or self.network, self.spec)

    def export(self, path: str | Path) -> float:
        """Write it, with all its heads, as ONNX, which ``Predictor`` and ``mien predict`` take; the largest difference
        from torch.
        """
        return export_onnx(self.whole or self.network, self.spec, Path(path))


def make_spec(
    recipe: Recipe,
    train: FaceDataset,
    val: FaceDataset | None = None,
    *,
    teachers: Sequence[str] = (),
    start: Start | None = None,
    name: str = "",
) -> ModelSpec:
    """The spec of a model that learnt ``train`` by ``recipe``; scores are added by whoever evaluates it.

    train, val  as they were before faces were resized, so that ``fingerprint`` and ``learnt`` are those of the data
    start       the weights that it started from, whose normalisation it keeps
    name        of the model, instead of the recipe's
    """
    if start:
        mean, std = start.spec.mean, start.spec.std
    else:
        mean, std = train.with_channels(recipe.channels).resized(recipe.size).statistics
    learnt = sketch(train.images)
    return ModelSpec(
        name=name or recipe.name,
        labels=train.names,
        size=recipe.size,
        channels=recipe.channels,
        mean=mean,
        std=std,
        model={"name": recipe.model, **recipe.options},
        recipe=recipe.to_dict(),
        data={
            "source": Path(train.source).name,
            "fingerprint": train.fingerprint,
            "n": len(train),
            **({} if val is None else {"validation": val.fingerprint}),
            **({} if val is None else {"learnt": merged(start.learnt.learnt, learnt) if start else learnt}),
            **({"started from": start.words} if start else {}),
            **({"second labelling": "FER+ votes"} if recipe.votes_weight else {}),
            **({"teachers": _counted(teachers)} if teachers else {}),
        },
        versions=versions(),
        licence=start.spec.licence if start else "",
    )


def _counted(names: Sequence[str]) -> str:
    return ", ".join(f"{n} x {name}" if n > 1 else name for name, n in Counter(names).items())
