"""From what a user has to what can be trained: faces at the network's size, and no head without something to learn.

:func:`prepare` finds out before the first step what would fail or be wrong after it; what it changes it says in
``notes``. Leaves out: reading and splitting data (``mien.data``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import nn

from mien.data import FaceDataset
from mien.errors import ConfigError, ModelError
from mien.models import create_model, outputs
from mien.stored import Images
from mien.training.provenance import seen
from mien.training.recipe import Distill, Recipe
from mien.training.teachers import Teacher

__all__ = ["Prepared", "check_fits", "check_teachers", "make_network", "prepare"]

_FEWEST = 2  # faces, and classes among them: batch norm and cross-entropy need two of each
_MOST_SEEN = 0.02  # of the validation faces that can be checked; sets that have grown from each other share some


@dataclass(frozen=True, eq=False)
class Prepared:
    """What is trained: the recipe as it applies, both parts at its size, and what differs from what was given."""

    recipe: Recipe
    train: FaceDataset
    val: FaceDataset
    notes: tuple[str, ...] = ()


def prepare(recipe: Recipe, train: FaceDataset, val: FaceDataset, *, taught: bool = False) -> Prepared:
    """``recipe`` and both parts as they can be trained; ``taught`` says whether there are teachers.

    Faces are resized to ``recipe.size``, rows without a label left out, and so is the second head where the data have
    no second labelling; a recipe with ``distill`` but without teachers trains from the labels alone. Raises
    :class:`ConfigError` where there is too little to learn from.
    """
    if train.names != val.names:
        raise ConfigError(
            f"train and val must have the same classes, got {', '.join(train.names)} and {', '.join(val.names)}"
        )
    recipe, notes = _applicable(recipe, train, val, taught)
    parts = []
    for part, name in ((train, "train"), (val, "validate")):
        part, said = _labelled(part, name, recipe)
        notes += said
        parts.append(part)
    train, val = parts
    _check_enough(train, val)
    missing = [n for n, count in zip(train.names, train.counts(), strict=True) if not count]
    if missing and recipe.targets == "labels":
        notes.append(f"no face to train shows {', '.join(missing)}: the network cannot learn it")
    side = recipe.size
    if sizes := sorted({part.size for part in (train, val)} - {(side, side)}):
        were = " and ".join(f"{w} x {h}" for h, w in sizes)
        notes.append(f"faces of {were} pixels are resized to {side} x {side} (--size takes another side)")
    kinds = {1: "grey", 3: "colour"}
    if wrong := sorted({part.channels for part in (train, val)} - {recipe.channels}):
        notes.append(f"faces in {kinds[wrong[0]]} are learnt in {kinds[recipe.channels]}, as the recipe has it")
    train, val = (part.with_channels(recipe.channels).resized(side) for part in (train, val))
    return Prepared(recipe, train, val, tuple(notes))


def _applicable(recipe: Recipe, train: FaceDataset, val: FaceDataset, taught: bool) -> tuple[Recipe, list[str]]:
    """The parts of ``recipe`` that data and teachers allow, and what is left out."""
    notes = []
    if recipe.votes_weight and (train.second is None or val.second is None):
        recipe = replace(recipe, votes_weight=0.0)
        notes.append("the data have no FER+ votes beside the labels (--votes FILE --target both): no second head")
    if taught:
        recipe = replace(recipe, distill=recipe.distill or Distill())
    elif recipe.distill is not None:
        recipe = replace(recipe, distill=None)
        notes.append(f"{recipe.name} follows teachers and none is given (--teacher): it learns from the labels alone")
    return recipe, notes


def _labelled(ds: FaceDataset, purpose: str, recipe: Recipe) -> tuple[FaceDataset, list[str]]:
    """The rows with something to learn or to be evaluated by."""
    if recipe.targets == "votes":
        known = np.ones(len(ds), bool) if ds.votes is None else np.asarray(ds.votes.any(1))
        what = "votes"
    else:
        known = np.zeros(len(ds), bool) if ds.labels is None else np.asarray(ds.labels >= 0)
        what = "a label"
    if known.all():
        return ds, []
    left = int((~known).sum())
    return ds.take(known), [f"{left:,} of {len(ds):,} faces to {purpose} have no {what.removeprefix('a ')}: left out"]


def _check_enough(train: FaceDataset, val: FaceDataset) -> None:
    different = _different(train.images)
    shown = int((train.counts() > 0).sum())
    if different < _FEWEST or not len(val) or (train.labels is not None and shown < _FEWEST):
        raise ConfigError(
            f"too few faces: {different} different ones of {shown} classes to train and {len(val)} to validate; "
            f"it takes at least {_FEWEST} different faces of {_FEWEST} classes to train and 1 to validate"
        )


def _different(images: Images) -> int:
    """How many different faces there are, counted no further than need be."""
    seen = set[bytes]()
    for image in images:
        seen.add(image.tobytes())
        if len(seen) >= _FEWEST:
            break
    return len(seen)


def make_network(recipe: Recipe, train: FaceDataset) -> nn.Module:
    """The untrained network of ``recipe``, with a second head and an adversary as far as ``recipe`` trains them.

    Raises :class:`ConfigError` where it cannot take faces of the recipe's size and sizes.
    """
    more: dict[str, int] = {}
    if recipe.votes_weight:
        more["second"] = len(train.second_names)
    if recipe.adversary:
        more["identities"] = 0 if train.subject is None else len(np.unique(train.subject))
    network = create_model(
        recipe.model, num_classes=len(train.names), in_chans=train.channels, **recipe.options, **more
    )
    for side in sorted({recipe.size, *(side for _, side in recipe.sizes)}):
        _classes(network, recipe.model, (side, side), train.channels)
    return network


def check_fits(network: nn.Module, train: FaceDataset, val: FaceDataset) -> None:
    """Raise :class:`ConfigError` where there is too little to learn from, or ``network`` cannot take these faces or
    gives another number of classes.
    """
    if (train.names, train.images.shape[1:]) != (val.names, val.images.shape[1:]):
        got = f"{train.names} {train.images.shape[1:]} and {val.names} {val.images.shape[1:]}"
        raise ConfigError(f"train and val must have the same classes and size, got {got}")
    _check_enough(train, val)
    found, wanted = _classes(network, type(network).__name__, train.size, train.channels), len(train.names)
    if found != wanted:
        raise ConfigError(
            f"the network tells {found} classes apart and the data have {wanted} ({', '.join(train.names)}): "
            f"make it with create_model(..., num_classes={wanted})"
        )


@torch.no_grad()
def _classes(network: nn.Module, name: str, size: tuple[int, int], channels: int) -> int:
    """How many classes ``network`` has; ConfigError where it cannot take faces of ``size``, height and width."""
    training, first = network.training, next(network.parameters(), torch.zeros(1))
    network.eval()
    try:
        return outputs(network, torch.zeros(1, channels, *size, device=first.device)).logits.shape[1]
    except (RuntimeError, ModelError) as error:
        why = f" ({error})" if isinstance(error, ModelError) else ""
        raise ConfigError(
            f"{name} cannot take faces of {size[1]} x {size[0]} pixels{why}; choose another --size, or resize the "
            "faces (dataset.resized(48)): 48 does for every network"
        ) from error
    finally:
        network.train(training)


def check_teachers(
    teachers: Sequence[Teacher], train: FaceDataset, val: FaceDataset, kind: str = "teacher"
) -> list[str]:
    """Whether a teacher, or another ``kind`` of network, has learnt faces that its student is validated on, which
    flatters every figure.

    Raises :class:`ConfigError` where it has; gives a note for each teacher whose file does not say what it learnt,
    though the data may have been split in another way for it.
    """
    notes = []
    for t in dict.fromkeys(teachers):
        if not t.learnt:
            continue
        found, checked = seen(t.learnt, val.images, train.images)
        if found > _MOST_SEEN * checked:
            split = "--split-seed" if t.seed is None else f"--split-seed {t.seed} (the seed of {t.name})"
            raise ConfigError(
                f"{kind} {t.name} has learnt faces that are to validate here: {found} of the {checked} that can be "
                f"checked; split the data as they were split for it, with {split} or --val-split"
            )
    if unknown := [t.name for t in dict.fromkeys(teachers) if not t.learnt]:
        notes.append(
            f"which faces {', '.join(dict.fromkeys(unknown))} learnt is not known: where some of them are to validate "
            "here, figures and calibration are too good"
        )
    return notes
