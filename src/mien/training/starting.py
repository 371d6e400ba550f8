"""Training that starts from weights: which ones, on which network, and what becomes of their heads.

The trunk is taken over as it is; a head starts from the rows of the classes that were known already. Batch norm, which
deployed weights have no more, is made anew on the faces at hand (``models.unfuse``), so that training begins with the
very answers that the weights gave. Leaves out: the loop, and what is kept of the old heads (``finishing``).
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import nn

from mien.data import FaceDataset
from mien.errors import ConfigError
from mien.files import sha256_of
from mien.models import fuse, unfuse
from mien.models.heads import answering, classifier, head_layers
from mien.models.weights import load_network, published_weights
from mien.preprocessing import channels_first, normalise
from mien.runtime import shipped_models
from mien.spec import ModelSpec
from mien.training.optim import HEADS
from mien.training.recipe import Recipe
from mien.training.teachers import Teacher

__all__ = ["Start", "as_it_starts", "averaged", "begin", "open_start"]

_FACES, _BATCH = 4096, 256  # that batch norm is made on


@dataclass(frozen=True, eq=False)
class Start:
    """Weights to start from: the deployed network with all its heads, its spec, and the content of its file."""

    network: nn.Module
    spec: ModelSpec
    key: str

    @property
    def learnt(self) -> Teacher:
        """Who learnt what, as ``preparation.check_teachers`` takes it."""
        return Teacher(self.spec.name, self.key, self.spec.data.get("learnt", ""), self.spec.recipe.get("seed"))

    @property
    def words(self) -> str:
        """Name and data for the spec of what is trained from it, so that its terms go with it."""
        data = ", ".join(str(v) for k in ("source", "second labelling") if (v := self.spec.data.get(k)))
        return self.spec.name + (f", which learnt {data}" if data else "")


def open_start(weights: str) -> Start:
    """Published weights by name, a run's folder or a ``model.safetensors``; ConfigError for anything else."""
    published, path = published_weights(), Path(weights)
    if weights in published:
        path = published[weights]
    elif path.is_dir():
        path = path / "model.safetensors"
    if path.suffix != ".safetensors" or not path.is_file():
        why = " (an exported file cannot be trained on)" if path.suffix == ".onnx" else ""
        if weights in shipped_models():
            why = f" (the wheel is without its float weights: give the file {weights}.safetensors of the repository)"
        raise ConfigError(
            f"init must be one of {', '.join(published)}, the folder of a finished run or a model.safetensors, "
            f"got {weights!r}{why}"
        )
    network, spec = load_network(path)
    classifier(network)  # there must be one
    return Start(network, spec, sha256_of(path))


def as_it_starts(recipe: Recipe, start: Start, size: int | None) -> Recipe:
    """``recipe`` for the network that the weights belong to, in its colours, at its size unless another is wanted."""
    model = dict(start.spec.model)
    name = model.pop("name")
    if "dropout" in recipe.options:
        model["dropout"] = recipe.options["dropout"]
    own = {"model": name, "options": model, "channels": start.spec.channels}
    return replace(recipe, **own).override(size=size or start.spec.size)


def begin(network: nn.Module, start: Start, recipe: Recipe, train: FaceDataset) -> tuple[nn.Module, str]:
    """``network``, fresh, with the weights of ``start``, and a note on its heads; frozen where ``recipe`` says so."""
    if recipe.freeze == "trunk":
        network = fuse(network).train()
    rows = np.random.default_rng(recipe.seed).permutation(len(train))[:_FACES]
    faces = channels_first(np.asarray(train.images[np.sort(rows)]))
    x = normalise(torch.from_numpy(faces.astype(np.float32)), start.spec)
    unfuse(network, start.network, torch.split(x, _BATCH), but=[h.rstrip(".") for h in HEADS])
    second = getattr(network, "second", None)
    said = _begin_head(classifier(network), start, train.names, alone=second is None)
    if second is not None:
        said += "; " + _begin_head(second, start, train.second_names, alone=False)
    if recipe.freeze == "trunk":
        for name, p in network.named_parameters():
            p.requires_grad_(name.startswith(HEADS))
    return network, said


def averaged(began: nn.Module, trained: nn.Module, share: float) -> nn.Module:
    """A copy of ``trained`` with a ``share`` of the weights of ``began``, the rest its own; both are fused."""
    made, old = copy.deepcopy(trained), began.state_dict()
    made.load_state_dict({k: torch.lerp(v, old[k].to(v), share) for k, v in trained.state_dict().items()})
    return made


@torch.no_grad()
def _begin_head(layer: nn.Linear, start: Start, names: Sequence[str], *, alone: bool) -> str:
    """Fill ``layer`` with what ``start`` knows of the classes ``names``; a class it does not know starts at zero.

    Of several heads that one is asked that knows most of the classes and fewest others. The default answer comes first
    for a head that answers ``alone``; one of two goes on from its own kind, or both would say the same of a labelling.
    """
    network, spec = start.network, start.spec
    found = [(spec.labels, classifier(answering(network, spec)))] if alone or not spec.heads else []
    found += [(h.labels, own) for h, own in zip(spec.heads, head_layers(network, spec).values(), strict=True)]
    labels, old = max(found, key=lambda f: (len({*names} & {*f[0]}), -len(f[0])))
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    known = [name for name in names if name in labels]
    for name in known:
        layer.weight[names.index(name)] = old.weight[labels.index(name)]
        layer.bias[names.index(name)] = old.bias[labels.index(name)]
    if len(known) == len(names):
        return f"the head for {', '.join(names)} goes on from {spec.name}'s"
    new = ", ".join(n for n in names if n not in known)
    return f"new to {spec.name}: {new}" + (f"; its head goes on for {', '.join(known)}" if known else "")
