"""Networks with their weights, from where a model lies: shipped, a run, a folder of the hub, or the hub itself.

Leaves out: prediction on photos (``mien.runtime``), which needs no torch.
"""

from __future__ import annotations

import os
from pathlib import Path

from torch import nn

from mien.hub_files import HUB, hub_file, is_hub_folder
from mien.models.weights import load_network, published_weights
from mien.spec import ModelSpec

__all__ = ["from_pretrained"]


def from_pretrained(model: str | os.PathLike[str]) -> tuple[nn.Module, ModelSpec]:
    """The network, in eval mode with the rows of all its heads, and its spec.

    model  name of a shipped model, a run's folder, a model.safetensors, a folder that ``mien hub pack`` wrote, or
           ``hf://owner/name@revision`` (extra ``hub``)

    ModelError for what is none, or whose weights are not what its ``config.json`` names. The input is normalised by
    ``mien.preprocessing.normalise(images, spec)``, float ``(N, 1, S, S)``.
    """
    word = os.fspath(model)
    if word in (published := published_weights()):
        return load_network(published[word])
    path = Path(word)
    if word.startswith(HUB) or is_hub_folder(path):
        return load_network(hub_file(word, "model.safetensors"))
    return load_network(path / "model.safetensors" if path.is_dir() else path)
