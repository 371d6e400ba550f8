"""Teachers: who they are, and what they predict about faces or augmented views of them, asked once.

The heads of one file are asked together, views are made and looked at on the device, and what was said is kept in the
user's cache folder by the content of all that decides it. Leaves out: soft targets made of it, and files of predictions
that take the place of teachers (``mien.training.distillation``).
"""

from __future__ import annotations

import hashlib
import logging
import zipfile
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from mien.data import FaceDataset
from mien.data.cache import cache_folder
from mien.errors import ConfigError, OutputError
from mien.evaluation.model import Loaded, open_model, together
from mien.files import replace_file
from mien.models.inference import Forward, logits_of_views
from mien.preprocessing import channels_first, channels_last
from mien.spec import ModelSpec
from mien.stored import blocks
from mien.training import transforms
from mien.training.devices import autocast, pick_device
from mien.training.ranks import ALONE, Ranks
from mien.training.recipe import Augment, Distill

__all__ = ["Array", "Labels", "Question", "Teacher", "said_by_models"]

_log = logging.getLogger(__name__)

Labels = tuple[str, ...]
Array = NDArray[np.floating[Any]]

_AT_ONCE = 512  # faces


@dataclass(frozen=True)
class Teacher:
    """A teacher: its name and seed as its spec says; ``key``, 32 hex digits of all that decides what it predicts; and
    ``learnt``, the sketch of what it learnt, "" where its file does not say.
    """

    name: str
    key: str
    learnt: str = ""
    seed: int | None = None


def said_by_models(
    models: Sequence[str], question: Question, device: str
) -> tuple[dict[Labels, list[Array]], tuple[Teacher, ...]]:
    """What each model predicts, by its class names, and who they are; heads of one file are asked together."""
    faces = question.faces
    opened = [open_model(source) for model in models for source in _heads_of(model.strip(), faces)]
    for spec in (loaded.spec for loaded in opened):
        if spec.labels not in (faces.names, faces.second_names):
            raise ConfigError(
                f"teacher {spec.name} names {', '.join(spec.labels)}; the data have {', '.join(faces.names)}: "
                "teacher and data must have the same classes in one order"
            )
    said: dict[Labels, list[Array]] = {}
    teachers = []
    for _, group in groupby(opened, lambda loaded: loaded.file):
        heads = [(question.key(loaded), loaded) for loaded in group]
        answers = question.put(dict(heads), pick_device(device))
        for key, loaded in heads:
            said.setdefault(loaded.labels, []).append(answers[key])
            teachers.append(
                Teacher(loaded.name, key, loaded.spec.data.get("learnt", ""), loaded.spec.recipe.get("seed"))
            )
    return said, tuple(teachers)


def _heads_of(model: str, faces: FaceDataset) -> list[str]:
    """``model``; of one with a head for the classes of ``faces``, ``MODEL:HEAD`` for that and for their second
    labelling's.
    """
    older = Path(model) / "second.safetensors"  # runs of mien 0.1.0 had a file for each head
    if older.is_file() and faces.second is not None:
        return [model, str(older)]
    wanted = [faces.names] if faces.second is None else [faces.names, faces.second_names]
    found = [h for h in open_model(model).spec.heads if h.labels in wanted]
    return [f"{model}:{h.name}" for h in found] if faces.names in [h.labels for h in found] else [model]


@dataclass(frozen=True, eq=False)
class Question:
    """What each teacher predicts: all ``faces``, or views that ``augment`` makes of them, shared out over ``ranks``."""

    faces: FaceDataset
    distill: Distill
    augment: Augment
    ranks: Ranks = ALONE

    def key(self, teacher: Loaded) -> str:
        """32 hex digits of all that decides the prediction."""
        content = hashlib.sha256(Path(teacher.file).read_bytes())
        content.update(f"{self.faces.fingerprint} {self.distill.views}".encode())
        if ":" in teacher.spec.name:  # one head of a file with several
            content.update(teacher.spec.name.encode())
        if self.distill.augmented_views:
            content.update(f"{self.distill.augmented_views} {self.augment}".encode())
        return content.hexdigest()[:32]

    def put(self, heads: Mapping[str, Loaded], device: torch.device) -> dict[str, Array]:
        """Log probabilities by the key of each of ``heads``, which lie in one file: from the cache folder, or predicted
        now.
        """
        count = self.distill.augmented_views
        kept: dict[str, Array] = {}
        for key, head in heads.items():
            found = _kept(_file(key), ((count,) if count else ()) + (len(self.faces), len(head.labels)))
            kept |= {} if found is None else {key: found}
        if not self.ranks.any(len(kept) < len(heads)):
            return kept
        _log.info("%s predicts %d faces", ", ".join(h.name for h in heads.values()), len(self.faces))
        said = dict(zip(heads, self._said(list(heads.values()), device), strict=True))
        for key, own in said.items():
            try:
                _file(key).parent.mkdir(parents=True, exist_ok=True)
                replace_file(_file(key), partial(np.savez, allow_pickle=False, log_probabilities=own))
            except (OSError, OutputError) as error:
                _log.debug("teacher's predictions cannot be kept: %s", error)
        return said

    def _said(self, heads: Sequence[Loaded], device: torch.device) -> list[Array]:
        """Predicted now, by each rank for its share of the faces."""
        n, count, forward = len(self.faces), self.distill.augmented_views, together(heads)
        rows = self.ranks.rows(n) if n >= self.ranks.count else slice(0, n)
        if isinstance(forward, nn.Module):
            forward.to(device)
        else:  # ONNX runs on the CPU
            device = torch.device("cpu")
        ask = partial(self._answers, heads, forward, rows, device)
        views = transforms.augmented_views(n, count)[:, rows] if count else ()
        own = torch.stack([ask(draws).half() for draws in views], 1) if count else ask(None)
        if len(own) < n:
            own = self.ranks.whole(own.float(), n).to(own.dtype)
        parts = torch.split(own, [len(h.labels) for h in heads], -1)
        return [(p.transpose(0, 1) if count else p).contiguous().numpy() for p in parts]

    def _answers(
        self, heads: Sequence[Loaded], forward: Forward, rows: slice, device: torch.device, draws: Tensor | None
    ) -> Tensor:
        """Log probabilities ``(n, sum of K)`` of ``heads`` for the faces at ``rows``, or for the view of each that
        ``draws`` makes, rounded to whole grey values; nothing leaves the device before the last face.
        """
        spec, views, done, start = heads[0].spec, self.distill.views, [], 0
        with torch.no_grad():
            for block in blocks(self.faces.images[rows], _AT_ONCE):
                x = torch.from_numpy(np.ascontiguousarray(channels_first(block))).to(device).float()
                if draws is not None:
                    own = draws[start : start + len(x)].to(device)
                    x = transforms.augment(x, self.augment, iter(own.unbind(1)), self.faces.size[0]).round()
                    start += len(x)
                with autocast(device) if draws is not None else nullcontext():
                    logits = logits_of_views(forward, _as_input(x, spec), spec, views).float()
                parts = torch.split(logits, [len(h.labels) for h in heads], 2)
                done.append(
                    torch.cat([_log_mean(z, h.temperature(views)) for z, h in zip(parts, heads, strict=True)], 1)
                )
        return torch.cat(done).cpu()


def _log_mean(logits: Tensor, temperature: float) -> Tensor:
    """The logarithm of the mean probabilities over views, ``(views, n, K)`` -> ``(n, K)``."""
    return F.softmax(logits / temperature, 2).mean(0).clamp_min(1e-6).log()


def _as_input(x: Tensor, spec: ModelSpec) -> Tensor:
    """Whole grey values ``(n, C, S, S)`` with the channels and of the size that a model takes."""
    if x.shape[1] == spec.channels and x.shape[2] == spec.size:
        return x
    faces = FaceDataset(channels_last(x.byte().cpu().numpy()), ("",)).with_channels(spec.channels).resized(spec.size)
    return torch.from_numpy(np.ascontiguousarray(channels_first(np.asarray(faces.images)))).to(x.device).float()


def _file(key: str) -> Path:
    return cache_folder() / f"teacher-{key}.npz"


def _kept(file: Path, shape: tuple[int, ...]) -> Array | None:
    """What the cache folder has of a teacher, None where that is nothing of this shape."""
    try:
        with file.open("rb") as raw, np.load(raw, allow_pickle=False) as kept:
            found: Array = kept["log_probabilities"]
            return found if found.shape == shape else None
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        _log.debug("teacher's predictions are computed anew: %s", error)
        return None
