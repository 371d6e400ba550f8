"""Teachers for distillation: what trained models say about the training faces, computed once and kept on disk.

``ask`` gives the answers that ``engine.fit`` takes. They are kept in the user's cache folder, one file for each teacher
and data set, keyed by the content of both; ``save`` writes the mean of several teachers to a file of its own, which
takes the place of their weights. Leaves out: the loss (``engine``) and which models to ask (``cli``).
"""

from __future__ import annotations

import hashlib
import io
import logging
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import nn

from mien.data import FaceDataset
from mien.data.cache import cache_folder
from mien.devices import pick_device
from mien.engine import predict
from mien.errors import ConfigError, ModelError, OutputError
from mien.evaluation import Loaded, open_model
from mien.files import replace_file

__all__ = ["Teacher", "ask", "save"]

_log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Teacher:
    """What T teachers say about N faces.

    answers  class names -> log probabilities float32 ``(T, N, K)``, the mean over views taken before the logarithm
    names    the teachers' names, as their specs say
    keys     the content of each teacher's file and of the data, 32 hex digits; equal keys, equal answers
    """

    answers: Mapping[tuple[str, ...], NDArray[np.float32]]
    names: tuple[str, ...]
    keys: tuple[str, ...]


def ask(models: Sequence[str], faces: FaceDataset, *, views: int = 2, device: str = "cpu") -> Teacher:
    """Ask ``models`` (folders of runs, files, names of shipped models, .npz files of :func:`save`) about ``faces``.

    A folder of a run with two heads answers for both labellings. ``device`` is where networks run: auto, cpu, cuda or
    mps; models in ONNX run on the CPU. Raises :class:`ConfigError` where a model's classes
    are neither those of ``faces`` nor of their second labelling.
    """
    where = pick_device(device)
    answers: dict[tuple[str, ...], list[NDArray[np.float32]]] = {}
    names: list[str] = []
    keys: list[str] = []
    for model in (m.strip() for m in models):
        if model.endswith(".npz"):
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
            key = _key(loaded, faces, views)
            answers.setdefault(loaded.spec.labels, []).append(_answer(loaded, faces, views, key))
            names.append(loaded.spec.name)
            keys.append(key)
    return Teacher({k: np.stack(v) for k, v in answers.items()}, tuple(names), tuple(keys))


def save(teacher: Teacher, faces: FaceDataset, path: Path) -> None:
    """Write the mean of a teacher's answers about ``faces`` to an .npz file, in half precision."""
    heads = list(teacher.answers.items())
    arrays = {f"answer{i}": np.log(np.exp(a).mean(0)).astype(np.float16) for i, (_, a) in enumerate(heads)}
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


def _key(teacher: Loaded, faces: FaceDataset, views: int) -> str:
    content = hashlib.sha256(Path(teacher.file).read_bytes())
    content.update(f"{faces.fingerprint} {views}".encode())
    return content.hexdigest()[:32]


def _answer(teacher: Loaded, faces: FaceDataset, views: int, key: str) -> NDArray[np.float32]:
    file = cache_folder() / f"teacher-{key}.npz"
    try:
        with file.open("rb") as raw, np.load(raw, allow_pickle=False) as kept:
            found: NDArray[np.float32] = kept["log_probabilities"]
        if found.shape == (len(faces), len(teacher.spec.labels)):
            return found
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        _log.debug("teacher's answers are computed anew: %s", error)
    spec = teacher.spec
    _log.info("asking %s about %d faces", spec.name, len(faces))
    p = predict(teacher.forward, faces.images, mean=spec.mean, std=spec.std, views=views, temperature=spec.temperature)
    answer = np.log(np.clip(p, 1e-6, None)).astype(np.float32)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        replace_file(file, lambda p: np.savez(p, allow_pickle=False, log_probabilities=answer))
    except (OSError, OutputError) as error:
        _log.debug("teacher's answers cannot be kept: %s", error)
    return answer
