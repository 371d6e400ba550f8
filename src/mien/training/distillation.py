"""Teachers: what trained models predict about the training faces, computed once, and the soft targets made of it.

:func:`soft_targets` gives what ``loop.fit`` takes. Predictions are kept in the user's cache folder, one file for each
teacher and data set (and augmentation, where they are about augmented views), keyed by the content of each;
:func:`save_predictions` writes those of several teachers to one file, which takes the place of their weights.
Leaves out: the loss (``mien.training.loop``) and which models teach (whoever trains).
"""

from __future__ import annotations

import hashlib
import io
import logging
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import nn

from mien.data import FaceDataset
from mien.data.cache import cache_folder
from mien.errors import ConfigError, ModelError, OutputError
from mien.evaluation.model import Loaded, open_model
from mien.files import replace_file
from mien.models.inference import predict
from mien.models.weights import read_spec
from mien.preprocessing import channels_first, channels_last
from mien.stored import Images, blocks
from mien.training import transforms
from mien.training.devices import autocast, pick_device
from mien.training.ranks import ALONE, Ranks
from mien.training.recipe import Augment, Distill

__all__ = ["Predictions", "SoftTargets", "Teacher", "predict_faces", "save_predictions", "soft_targets"]

_log = logging.getLogger(__name__)

Labels = tuple[str, ...]
Array = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Teacher:
    """A teacher: its name and seed as its spec says; ``key``, 32 hex digits of all that decides what it predicts; and
    ``learnt``, the sketch of what it learnt, "" where its file does not say.
    """

    name: str
    key: str
    learnt: str = ""
    seed: int | None = None


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

    A folder of a run with two heads predicts both labellings. ``device`` is where networks run; models in ONNX run on
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
    said, teachers = _said_by_models(models, _Question(faces, distill, augment, ranks), device)
    mixed = {k: _mean([_tempered(v, distill.temperature) for v in every]) for k, every in said.items()}
    return SoftTargets({k: _softened(v, 1.0).astype(np.float16) for k, v in mixed.items()}, teachers)


def predict_faces(
    models: Sequence[str], faces: FaceDataset, *, views: int = 1, device: str = "cpu", ranks: Ranks = ALONE
) -> Predictions:
    """What ``models``, named as for :func:`soft_targets`, predict about ``faces`` themselves."""
    question = _Question(faces, Distill(views=views), Augment(), ranks)
    said: dict[Labels, list[Array]] = {}
    teachers: list[Teacher] = []
    for model in (m.strip() for m in models):
        if model.endswith(".npz"):
            kept = _load(Path(model), faces)
            found: Mapping[Labels, Sequence[Array]] = {k: list(v) for k, v in kept.log_probabilities.items()}
            who = kept.teachers
        else:
            found, who = _said_by_models([model], question, device)
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


def _said_by_models(
    models: Sequence[str], question: _Question, device: str
) -> tuple[dict[Labels, list[Array]], tuple[Teacher, ...]]:
    """What each model predicts, by its class names, and who they are."""
    where, faces = pick_device(device), question.faces
    said: dict[Labels, list[Array]] = {}
    teachers = []
    for model in (m.strip() for m in models):
        for source in _heads_of(model, faces):
            loaded = open_model(source)
            spec = loaded.spec
            if spec.labels not in (faces.names, faces.second_names):
                raise ConfigError(
                    f"teacher {source} names {', '.join(spec.labels)}; "
                    f"the data have {', '.join(faces.names)}: teacher and data must have the same classes in one order"
                )
            if isinstance(loaded.forward, nn.Module):
                loaded.forward.to(where)
            key = question.key(loaded)
            said.setdefault(spec.labels, []).append(question.put(loaded, key))
            teachers.append(Teacher(spec.name, key, spec.data.get("learnt", ""), spec.recipe.get("seed")))
    return said, tuple(teachers)


def _heads_of(model: str, faces: FaceDataset) -> list[str]:
    """``model``, or, of a run with a head for the classes of ``faces``, ``RUN:HEAD`` for that and for their second
    labelling's.
    """
    path = Path(model)
    older = path / "second.safetensors"  # runs of mien 0.1.0 had a file for each head
    if older.is_file() and faces.second is not None:
        return [model, str(older)]
    if not (path / "model.safetensors").is_file():
        return [model]
    wanted = [faces.names] if faces.second is None else [faces.names, faces.second_names]
    found = [h for h in read_spec(path / "model.safetensors").heads if h.labels in wanted]
    return [f"{model}:{h.name}" for h in found] if faces.names in [h.labels for h in found] else [model]


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


@dataclass(frozen=True, eq=False)
class _Question:
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

    def put(self, teacher: Loaded, key: str) -> Array:
        """Log probabilities, from the cache folder or predicted now."""
        file, spec, count = cache_folder() / f"teacher-{key}.npz", teacher.spec, self.distill.augmented_views
        shape = ((count,) if count else ()) + (len(self.faces), len(spec.labels))
        kept = _kept(file, shape)
        if not self.ranks.any(kept is None):
            return np.asarray(kept)
        _log.info("%s predicts %d faces", spec.name, len(self.faces))
        said = self._said(teacher)
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            replace_file(file, lambda p: np.savez(p, allow_pickle=False, log_probabilities=said))
        except (OSError, OutputError) as error:
            _log.debug("teacher's predictions cannot be kept: %s", error)
        return said

    def _said(self, teacher: Loaded) -> Array:
        """Predicted now, by each rank for its share of the faces."""
        n = len(self.faces)
        rows = self.ranks.rows(n) if n >= self.ranks.count else slice(0, n)
        if not self.distill.augmented_views:
            own = self._predict(teacher, self.faces.images[rows]).astype(np.float32)
            return own if len(own) == n else self.ranks.whole(torch.from_numpy(own), n).numpy()
        own = self._views(teacher, rows)
        if own.shape[1] == n:
            return own
        faces_first = torch.from_numpy(own).transpose(0, 1).float().contiguous()
        return self.ranks.whole(faces_first, n).transpose(0, 1).half().numpy()

    def _views(self, teacher: Loaded, rows: slice) -> Array:
        """Float16 ``(augmented_views, n, K)``; the views are rounded to whole grey values."""
        where = next(teacher.forward.parameters()).device if isinstance(teacher.forward, nn.Module) else "cpu"
        faces = self.faces.images[rows]
        out = []
        for draws in transforms.augmented_views(len(self.faces), self.distill.augmented_views)[:, rows]:
            parts = []
            for block, own in zip(blocks(faces, 512), torch.split(draws, 512), strict=True):
                x = torch.from_numpy(np.ascontiguousarray(channels_first(block))).to(where).float()
                turned = transforms.augment(x, self.augment, iter(own.to(where).unbind(1)), self.faces.size[0])
                seen = turned.round().byte().cpu().numpy()
                with autocast(torch.device(where)):
                    parts.append(self._predict(teacher, channels_last(seen)))
            out.append(np.concatenate(parts).astype(np.float16))
        return np.stack(out)

    def _predict(self, teacher: Loaded, images: Images) -> NDArray[np.float64]:
        s, views = teacher.spec, self.distill.views
        faces = FaceDataset(images, ("",)).with_channels(s.channels).resized(s.size)
        p = predict(
            teacher.forward, faces.images, mean=s.mean, std=s.std, views=views, temperature=teacher.temperature(views)
        )
        return np.log(np.clip(p, 1e-6, None))


def _kept(file: Path, shape: tuple[int, ...]) -> Array | None:
    """What the cache folder has of a teacher, None where that is nothing of this shape."""
    try:
        with file.open("rb") as raw, np.load(raw, allow_pickle=False) as kept:
            found: Array = kept["log_probabilities"]
            return found if found.shape == shape else None
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        _log.debug("teacher's predictions are computed anew: %s", error)
        return None
