"""Teachers for distillation: what trained models say about the training faces, computed once and kept on disk.

``ask`` gives the answers that ``engine.fit`` takes. They are kept in the user's cache folder, one file for each teacher
and data set (and augmentation, where they are about copies), keyed by the content of each; ``save`` writes the mean of
several teachers to a file of its own, which takes the place of their weights. Leaves out: the loss (``engine``) and
which models to ask (``cli``).
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
from numpy.typing import NDArray
from torch import nn

from mien.data import FaceDataset
from mien.data.cache import cache_folder
from mien.errors import ConfigError, ModelError, OutputError
from mien.evaluation.scoring import Loaded, open_model
from mien.files import replace_file
from mien.models.inference import predict
from mien.training import transforms
from mien.training.devices import autocast, pick_device
from mien.training.recipe import Augment, Distill

__all__ = ["Teacher", "ask", "save"]

_log = logging.getLogger(__name__)

Answers = NDArray[np.floating[Any]]


@dataclass(frozen=True, eq=False)
class Teacher:
    """What T teachers say about N faces.

    answers  class names -> log probabilities float ``(T, N, K)``, the mean over views taken before the logarithm; about
             R augmented copies of each face ``(R, N, K)``, the mean over teachers too
    names    the teachers' names, as their specs say
    keys     the content of each teacher's file and of the data, 32 hex digits; equal keys, equal answers
    """

    answers: Mapping[tuple[str, ...], Answers]
    names: tuple[str, ...]
    keys: tuple[str, ...]


def ask(
    models: Sequence[str],
    faces: FaceDataset,
    distill: Distill,
    augment: Augment = Augment(),  # noqa: B008
    *,
    device: str = "cpu",
) -> Teacher:
    """Ask ``models`` (folders of runs, files, names of shipped models, .npz files of :func:`save`) about ``faces``, or
    about copies that ``augment`` makes of them, as ``distill`` says.

    A folder of a run with two heads answers for both labellings. ``device`` is where networks run: auto, cpu, cuda or
    mps; models in ONNX run on the CPU. Raises :class:`ConfigError` where a model's classes
    are neither those of ``faces`` nor of their second labelling.
    """
    where = pick_device(device)
    question = _Question(faces, distill, augment)
    answers: dict[tuple[str, ...], list[Answers]] = {}
    names: list[str] = []
    keys: list[str] = []
    for model in (m.strip() for m in models):
        if model.endswith(".npz"):
            if distill.copies:
                raise ConfigError(
                    f"{model}: holds answers about the faces themselves, not about copies; name the teachers' runs, or "
                    f"set distill.copies to 0, got {distill.copies}"
                )
            kept = _load(Path(model), faces)
            for labels, answer in kept.answers.items():
                answers.setdefault(labels, []).extend(answer)
            names += kept.names
            keys += kept.keys
            continue
        second = Path(model) / "second.safetensors"
        for source in (model, second) if second.is_file() and faces.second is not None else (model,):
            loaded = open_model(source)
            if loaded.spec.labels not in (faces.names, faces.second_names):
                raise ConfigError(
                    f"teacher {source} names {', '.join(loaded.spec.labels)}; "
                    f"the data have {', '.join(faces.names)}: teacher and data must have the same classes in one order"
                )
            if isinstance(loaded.forward, nn.Module):
                loaded.forward.to(where)
            key = question.key(loaded)
            answers.setdefault(loaded.spec.labels, []).append(question.answer(loaded, key))
            names.append(loaded.spec.name)
            keys.append(key)
    if distill.copies:
        return Teacher({k: _mean(v) for k, v in answers.items()}, tuple(names), tuple(keys))
    return Teacher({k: np.stack(v) for k, v in answers.items()}, tuple(names), tuple(keys))


def save(teacher: Teacher, faces: FaceDataset, path: Path) -> None:
    """Write the mean of a teacher's answers about ``faces`` to an .npz file, in half precision."""
    heads = list(teacher.answers.items())
    arrays = {f"answer{i}": _mean(a).astype(np.float16) for i, (_, a) in enumerate(heads)}
    labels = {f"labels{i}": np.array(names, np.str_) for i, (names, _) in enumerate(heads)}
    words = {"fingerprint": np.array(faces.fingerprint), "names": np.array(teacher.names, np.str_)}
    replace_file(path, lambda p: np.savez_compressed(p, allow_pickle=False, **arrays, **labels, **words))


def _load(path: Path, faces: FaceDataset) -> Teacher:
    try:
        content = path.read_bytes()
        with np.load(io.BytesIO(content), allow_pickle=False) as file:
            heads = [k.removeprefix("answer") for k in file if k.startswith("answer")]
            answers = {tuple(file[f"labels{i}"].tolist()): file[f"answer{i}"].astype(np.float32)[None] for i in heads}
            fingerprint, names = str(file["fingerprint"]), tuple(file["names"].tolist())
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise ModelError(f"{path}: is no file of a teacher's answers ({error}); write it with teachers.save") from error
    if fingerprint != faces.fingerprint:
        raise ConfigError(
            f"{path}: holds answers about other faces (fingerprint {fingerprint}, the data have {faces.fingerprint}); "
            "use the data, --votes and --target that it was made with"
        )
    return Teacher(answers, names, (hashlib.sha256(content).hexdigest()[:32],))


def _mean(answers: Sequence[Answers] | Answers) -> Answers:
    """The logarithm of the mean probabilities, one teacher at a time: answers about many copies are large."""
    total = sum(np.exp(a, dtype=np.float32) for a in answers) / len(answers)
    return np.log(total).astype(answers[0].dtype)


@dataclass(frozen=True, eq=False)
class _Question:
    """What each teacher is asked: all ``faces``, or copies that ``augment`` makes of them."""

    faces: FaceDataset
    distill: Distill
    augment: Augment

    def key(self, teacher: Loaded) -> str:
        """32 hex digits of all that decides the answer."""
        content = hashlib.sha256(Path(teacher.file).read_bytes())
        content.update(f"{self.faces.fingerprint} {self.distill.views}".encode())
        if self.distill.copies:
            content.update(f"{self.distill.copies} {self.augment}".encode())
        return content.hexdigest()[:32]

    def answer(self, teacher: Loaded, key: str) -> Answers:
        """Log probabilities, from the cache folder or asked for now."""
        file, spec, count = cache_folder() / f"teacher-{key}.npz", teacher.spec, self.distill.copies
        shape = ((count,) if count else ()) + (len(self.faces), len(spec.labels))
        try:
            with file.open("rb") as raw, np.load(raw, allow_pickle=False) as kept:
                found: Answers = kept["log_probabilities"]
            if found.shape == shape:
                return found
        except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
            _log.debug("teacher's answers are computed anew: %s", error)
        _log.info("asking %s about %d faces", spec.name, len(self.faces))
        answer = self._of_copies(teacher) if count else self._ask(teacher, self.faces.images).astype(np.float32)
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            replace_file(file, lambda p: np.savez(p, allow_pickle=False, log_probabilities=answer))
        except (OSError, OutputError) as error:
            _log.debug("teacher's answers cannot be kept: %s", error)
        return answer

    def _of_copies(self, teacher: Loaded) -> Answers:
        """Float16 ``(copies, N, K)``; the copies are rounded to whole grey values."""
        where = next(teacher.forward.parameters()).device if isinstance(teacher.forward, nn.Module) else "cpu"
        faces = torch.from_numpy(np.ascontiguousarray(self.faces.images))[:, None]
        out = []
        for draws in transforms.copies(len(faces), self.distill.copies):
            parts = []
            for x, own in zip(torch.split(faces, 512), torch.split(draws, 512), strict=True):
                source = iter(own.to(where).unbind(1))
                turned = transforms.augment(x.to(where).float(), self.augment, source, self.faces.size[0])
                parts.append(turned[:, 0].round().byte().cpu().numpy())
            with autocast(torch.device(where)):
                out.append(self._ask(teacher, np.concatenate(parts)).astype(np.float16))
        return np.stack(out)

    def _ask(self, teacher: Loaded, images: NDArray[np.uint8]) -> NDArray[np.float64]:
        s, views = teacher.spec, self.distill.views
        p = predict(teacher.forward, images, mean=s.mean, std=s.std, views=views, temperature=s.temperature)
        return np.log(np.clip(p, 1e-6, None))
