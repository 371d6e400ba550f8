"""Distillation: the soft targets that are made of what teachers predict, as ``loop.fit`` takes them.

:func:`save_predictions` writes the predictions of several teachers to one file, which takes the place of their weights.
Leaves out: how teachers are asked (``mien.training.teachers``), the loss (``mien.training.loop``), and which models
teach (whoever trains).
"""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from mien.data import FaceDataset
from mien.errors import ConfigError, ModelError
from mien.files import replace_file
from mien.training.ranks import ALONE, Ranks
from mien.training.recipe import Augment, Distill
from mien.training.teachers import Array, Labels, Question, Teacher, said_by_models

__all__ = ["Predictions", "SoftTargets", "predict_faces", "save_predictions", "soft_targets"]


@dataclass(frozen=True, eq=False)
class Predictions:
    """What teachers predict about N faces.

    log_probabilities  class names -> float ``(T, N, K)`` for T teachers, the mean over test-time views taken before the
                       logarithm
    teachers           who they are, those of all class names together
    """

    log_probabilities: Mapping[Labels, Array]
    teachers: tuple[Teacher, ...] = ()


@dataclass(frozen=True, eq=False)
class SoftTargets:
    """What a network that follows teachers is told about N faces.

    targets   class names -> shares float ``(R, N, K)``, softened by the temperature of the recipe, then the mean over
              teachers; R = 1, or the number of augmented views
    teachers  who they are; equal keys, equal targets
    """

    targets: Mapping[Labels, Array]
    teachers: tuple[Teacher, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """The teachers' names."""
        return tuple(t.name for t in self.teachers)

    @property
    def keys(self) -> tuple[str, ...]:
        """The content of the teachers' files and of the data."""
        return tuple(t.key for t in self.teachers)


def soft_targets(
    models: Sequence[str],
    faces: FaceDataset,
    distill: Distill,
    augment: Augment = Augment(),  # noqa: B008
    *,
    device: str = "cpu",
    ranks: Ranks = ALONE,
) -> SoftTargets:
    """The soft targets that ``models`` (folders of runs, files, names of shipped models, .npz files of
    :func:`save_predictions`) give for ``faces``, or for the views that ``augment`` makes of them, as ``distill`` says.

    A model with heads for both labellings predicts both. ``device`` is where networks run; models in ONNX run on
    the CPU. Each of ``ranks`` predicts a share of the faces. Raises :class:`ConfigError` where a model's classes are
    neither those of ``faces`` nor of their second labelling.
    """
    if not distill.augmented_views:
        found = predict_faces(models, faces, views=distill.views, device=device, ranks=ranks)
        targets = {k: _softened(v, distill.temperature).mean(0, keepdims=True) for k, v in _arrays(found)}
        return SoftTargets(targets, found.teachers)
    if files := [m for m in models if m.endswith(".npz")]:
        raise ConfigError(
            f"{files[0]}: holds predictions of the faces themselves, not of augmented views; name the teachers' runs, "
            f"or set distill.augmented_views to 0, got {distill.augmented_views}"
        )
    said, teachers = said_by_models(models, Question(faces, distill, augment, ranks), device)
    mixed = {k: _mean([_tempered(v, distill.temperature) for v in every]) for k, every in said.items()}
    return SoftTargets({k: _softened(v, 1.0).astype(np.float16) for k, v in mixed.items()}, teachers)


def predict_faces(
    models: Sequence[str], faces: FaceDataset, *, views: int = 1, device: str = "cpu", ranks: Ranks = ALONE
) -> Predictions:
    """What ``models``, named as for :func:`soft_targets`, predict about ``faces`` themselves."""
    question = Question(faces, Distill(views=views), Augment(), ranks)
    said: dict[Labels, list[Array]] = {}
    teachers: list[Teacher] = []
    for model in (m.strip() for m in models):
        if model.endswith(".npz"):
            kept = _load(Path(model), faces)
            found: Mapping[Labels, Sequence[Array]] = {k: list(v) for k, v in kept.log_probabilities.items()}
            who = kept.teachers
        else:
            found, who = said_by_models([model], question, device)
        for labels, every in found.items():
            said.setdefault(labels, []).extend(every)
        teachers += who
    return Predictions({k: np.stack(v) for k, v in said.items()}, tuple(teachers))


def save_predictions(predictions: Predictions, faces: FaceDataset, path: Path) -> None:
    """Write predictions about ``faces`` to an .npz file, each teacher's own, in half precision."""
    heads = list(predictions.log_probabilities.items())
    arrays = {f"predictions{i}": a.astype(np.float16) for i, (_, a) in enumerate(heads)}
    labels = {f"labels{i}": np.array(names, np.str_) for i, (names, _) in enumerate(heads)}
    words = {
        "fingerprint": np.array(faces.fingerprint),
        "names": np.array([t.name for t in predictions.teachers], np.str_),
        "learnt": np.array([t.learnt for t in predictions.teachers], np.str_),
    }
    replace_file(path, lambda p: np.savez_compressed(p, allow_pickle=False, **arrays, **labels, **words))


def _load(path: Path, faces: FaceDataset) -> Predictions:
    try:
        content = path.read_bytes()
        with np.load(io.BytesIO(content), allow_pickle=False) as file:
            names = tuple(file["names"].tolist())
            learnt = file["learnt"].tolist() if "learnt" in file else [""] * len(names)
            said = _heads(file, len(names))
            fingerprint = str(file["fingerprint"])
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise ModelError(
            f"{path}: is no file of teachers' predictions ({error}); write it with distillation.save_predictions"
        ) from error
    wrong = [a.shape for labels, a in said.items() if a.shape[1:] != (len(faces), len(labels))]
    if fingerprint != faces.fingerprint or wrong:
        raise ConfigError(
            f"{path}: holds predictions of other faces (fingerprint {fingerprint}, the data have {faces.fingerprint}"
            f"{f'; {wrong[0][-2]:,} rows for {len(faces):,} faces' if wrong else ''}); "
            "use the data, --votes and --target that it was made with"
        )
    key = hashlib.sha256(content).hexdigest()[:32]
    return Predictions(said, tuple(Teacher(n, key, own) for n, own in zip(names, learnt, strict=True)))


def _heads(file: Mapping[str, NDArray[Any]], names: int) -> dict[Labels, Array]:
    """Class names -> log probabilities ``(T, N, K)``.

    Files of mien 0.1.0 hold ``answer0`` ``(N, K)``, the mean of the teachers: it counts as many times as these were.
    """
    old = "answer0" in file
    numbers = [int(k[len("answer") if old else len("predictions") :]) for k in file if k[:6] in ("answer", "predic")]
    teachers = max(1, names // max(1, len(numbers)))
    said = {}
    for i in numbers:
        own = file[f"answer{i}" if old else f"predictions{i}"].astype(np.float32)
        said[tuple(file[f"labels{i}"].tolist())] = np.repeat(own[None], teachers, 0) if old else own
    return said


def _arrays(found: Predictions) -> list[tuple[Labels, Array]]:
    return list(found.log_probabilities.items())


def _softened(log_probabilities: Array, temperature: float) -> NDArray[np.float32]:
    """Shares that sum to 1, float32."""
    shares = F.softmax(torch.from_numpy(log_probabilities).float() / temperature, -1)
    return np.asarray(shares.numpy())


def _tempered(log_probabilities: Array, temperature: float) -> Array:
    """Log probabilities of the softened distribution, in the precision they came in."""
    if temperature == 1:
        return log_probabilities
    return np.log(_softened(log_probabilities, temperature)).astype(log_probabilities.dtype)


def _mean(log_probabilities: Sequence[Array]) -> Array:
    """The logarithm of the mean probabilities, one teacher at a time: many augmented views are large."""
    total = sum(np.exp(a, dtype=np.float32) for a in log_probabilities) / len(log_probabilities)
    return np.log(total).astype(log_probabilities[0].dtype)
