"""Faces on a device with all that a network learns of them: labels or votes, a second labelling, people, teachers.

Leaves out: how they are learnt (``mien.training.loop``) and who is a teacher (``mien.training.distillation``).
"""

from __future__ import annotations

from collections.abc import Generator as Stream
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import repeat
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Generator, Tensor

from mien.data import FaceDataset
from mien.data.duplicates import copy_keys
from mien.errors import ConfigError
from mien.preprocessing import channels_first, normalise
from mien.spec import Scale
from mien.stored import Images, StoredImages
from mien.training.ahead import read_ahead
from mien.training.recipe import Distill, Recipe
from mien.training.transforms import Share, Source, augmented_views

__all__ = ["LearningSet"]

Soft = Mapping[tuple[str, ...], NDArray[np.floating[Any]]]


@dataclass(frozen=True)
class LearningSet:
    """Faces on the device, uint8 ``(N, C, H, W)``, or stored ones, which are read batch by batch; all soft targets side
    by side ``(N, ...)`` with the columns of each (logits, second, identity, teacher.logits, teacher.second), and how
    the faces are normalised.

    Where teachers have predicted R augmented views of each face, ``views`` holds the numbers that make these
    ``(R, N, 11)`` and the soft targets of each ``(R, N, ...)``, the last columns of the targets.
    """

    images: Tensor | StoredImages
    target: Tensor
    columns: dict[str, slice]
    mean: float | Tensor
    std: float | Tensor
    views: tuple[Tensor, Tensor] | None = None

    @classmethod
    def of(
        cls, ds: FaceDataset, recipe: Recipe, device: torch.device, mean: Scale, std: Scale, teacher: Soft | None
    ) -> LearningSet:
        """What ``recipe`` needs of ``ds``; ``teacher`` as for ``loop.fit``; ConfigError where it is missing."""
        parts = {"logits": _targets(ds, recipe.targets)}
        if recipe.votes_weight:
            if ds.second is None:
                raise ConfigError(
                    f"votes_weight needs FER+ votes beside the labels of {ds.source or 'the data'}: "
                    "give --votes FILE --target both, or set votes_weight to 0"
                )
            parts["second"] = torch.from_numpy(ds.second)
        if recipe.adversary:
            parts["identity"] = _identities(ds)
        count = (recipe.distill or Distill()).augmented_views
        heads = {"logits": ds.names, "second": ds.second_names}
        soft = {
            f"teacher.{head}": _soft(teacher[names], (max(1, count), len(ds), len(names)))
            for head, names in heads.items()
            if teacher and head in parts and names in teacher
        }
        if not count:
            parts |= {k: p[0] for k, p in soft.items()}
        widths = {k: p.shape[-1] for k, p in (parts | soft).items()}
        ends = np.cumsum([0, *widths.values()]).tolist()
        columns = {k: slice(i, j) for k, i, j in zip(widths, ends[:-1], ends[1:], strict=True)}
        target = torch.cat(list(parts.values()), 1).to(device)
        scale = _by_channel(mean, device), _by_channel(std, device)
        found = cls(_held(ds.images, device), target, columns, *scale)
        if not soft or not count:
            return found
        targets = torch.cat(list(soft.values()), 2).half().to(device)
        return replace(found, views=(augmented_views(len(ds), count).to(device), targets))

    def normal(self, x: Tensor) -> Tensor:
        """Pixels 0..255 as the network sees them."""
        out: Tensor = normalise(x, self)
        return out

    def __len__(self) -> int:
        return len(self.images)

    @property
    def side(self) -> int:
        """Width of the faces in pixels."""
        return int(self.images.shape[3] if isinstance(self.images, Tensor) else self.images.shape[2])

    def pixels(self, wanted: Sequence[Tensor]) -> Iterator[Tensor]:
        """uint8 ``(n, C, H, W)`` on the device for each of ``wanted``, row numbers; stored ones are read ahead."""
        device = self.target.device
        if isinstance(self.images, Tensor):
            yield from (self.images[index.to(device)] for index in wanted)
            return
        for faces in read_ahead(self.images, [index.cpu().numpy() for index in wanted], pin=device.type == "cuda"):
            yield faces.to(device, non_blocking=True)

    def ahead(self, wanted: Sequence[Tensor]) -> Stream[Tensor | None]:
        """As :meth:`pixels` of stored faces; None for each where they are on the device, and need nothing."""
        yield from repeat(None, len(wanted)) if isinstance(self.images, Tensor) else self.pixels(wanted)

    def take(self, index: Tensor) -> LearningSet:
        """The faces at ``index``."""
        own = None if self.views is None else (self.views[0][:, index], self.views[1][:, index])
        images = self.images[index if isinstance(self.images, Tensor) else index.cpu().numpy()]
        return replace(self, images=images, target=self.target[index], views=own)

    def batch(self, index: Tensor, g: Generator | Share, pixels: Tensor | None = None) -> tuple[Tensor, Tensor, Source]:
        """The faces at ``index`` as float32 ``(n, C, H, W)``, their targets, and the source of their augmentation:
        ``g``, or the views that it chooses. ``pixels``, as :meth:`pixels` gives them, of faces that are stored.
        """
        pixels = self.images[index] if pixels is None else pixels
        images, target = pixels.contiguous().float(), self.target[index]
        if self.views is None:
            return images, target, g
        draws, soft = self.views
        if isinstance(g, Share):
            chosen = torch.randint(len(draws), (g.n,), generator=g.generator, device=g.generator.device)[g.rows]
        else:
            chosen = torch.randint(len(draws), (len(index),), generator=g, device=g.device)
        chosen = chosen.to(index.device)
        return images, torch.cat((target, soft[chosen, index].float()), 1), iter(draws[chosen, index].unbind(1))

    def deduplicated(self) -> LearningSet:
        """The first of each group of faces with the same pixels."""
        images = self.images.cpu().numpy() if isinstance(self.images, Tensor) else self.images
        _, first = np.unique(copy_keys(images), return_index=True)
        return self.take(torch.from_numpy(first).to(self.target.device))


def _held(images: Images, device: torch.device) -> Tensor | StoredImages:
    if isinstance(images, StoredImages):
        return images
    return torch.from_numpy(channels_first(np.ascontiguousarray(images))).to(device)


def _by_channel(value: Scale, device: torch.device) -> float | Tensor:
    """A number as it is; one for each channel as ``(C, 1, 1)`` on the device, where a recorded step needs it."""
    return torch.tensor(value, device=device)[:, None, None] if isinstance(value, tuple) else value


def _soft(targets: NDArray[np.floating[Any]], shape: tuple[int, int, int]) -> Tensor:
    if targets.shape != shape:
        raise ConfigError(
            f"the teachers' soft targets must have the shape {shape}, augmented views by faces by classes, got "
            f"{targets.shape}; they belong to other faces, or to another distill.augmented_views"
        )
    return torch.from_numpy(targets)


def _targets(ds: FaceDataset, kind: str) -> Tensor:
    where = ds.source or "the data"
    if kind == "votes":
        if ds.votes is None:
            raise ConfigError(f"targets = 'votes' needs votes, and {where} has none; give --votes FILE")
        votes = torch.from_numpy(ds.votes).float()
        return votes / votes.sum(1, keepdim=True).clamp_min(1e-9)
    if ds.labels is None or (ds.labels < 0).any():
        raise ConfigError(f"every row to train or validate on needs a label, and {where} has rows without")
    return F.one_hot(torch.from_numpy(ds.labels), len(ds.names)).float()


def _identities(ds: FaceDataset) -> Tensor:
    people, who = np.unique([] if ds.subject is None else ds.subject, return_inverse=True)
    if len(people) < 2 or "" in people:
        raise ConfigError(
            "adversary above 0 needs to be told who is on each picture, and two people or more; "
            f"{ds.source or 'the data'} does not say it: take data with subjects, or set adversary to 0"
        )
    return F.one_hot(torch.from_numpy(who), len(people)).float()
