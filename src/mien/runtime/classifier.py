"""From cropped faces to probabilities: one exported ONNX file with its spec, and the list of models that mien ships.

Leaves out: finding and cropping faces (``detector``, ``predictor``).
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.errors import DataError, ModelError
from mien.hub_files import HUB, hub_file, is_hub_folder
from mien.preprocessing import channels_first, normalise, softmax
from mien.runtime.devices import provider_of
from mien.runtime.session import open_session
from mien.spec import SPEC_KEY, Head, ModelSpec

__all__ = [
    "DEFAULT_MODEL",
    "Classifier",
    "Outputs",
    "accuracy_line",
    "find_head",
    "find_model",
    "find_weights",
    "shipped_models",
]

#: The model that is used when none is named.
DEFAULT_MODEL = "mien-small"

_WEIGHTS = Path(__file__).parent.parent / "weights"
_DETECTORS = {"centerface", "centerface-small"}
_ANY_SIZE = "Predictor(detector='none').predict_many takes pictures of faces of any size and colour"
_BATCH = 256  # faces in one run of the network: bounds memory, costs no speed


@dataclass(frozen=True, eq=False)
class Outputs:
    """What a network says about N faces of S x S pixels.

    probabilities  float32 ``(N, K)``, rows sum to 1
    heads          name -> float32 ``(N, ...)``, what each head of the file says alone: probabilities, or values of a
                   regression; empty for a file with one
    theta          float32 ``(N, 2, 3)``, where a spatial transformer looked: position in the output -> position in the
                   crop, both -1..1 from edge to edge; None for a net without one
    attention      float32 ``(N, h, w)``, weights over positions in the transformer's output; None for a net without
    """

    probabilities: NDArray[np.float32]
    theta: NDArray[np.float32] | None = None
    attention: NDArray[np.float32] | None = None
    heads: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)


class Classifier:
    """An ONNX file written by ``mien export``, opened on ``device`` (``mien.runtime.devices``). ``spec`` says
    what it wants and how good it is, ``provider`` what runs it.

    labels  name of the head that answers, see ``ModelSpec.heads``; None for the file's default answer
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        labels: str | None = None,
        threads: int | None = None,
        device: str = "cpu",
    ) -> None:
        self.path, self._labels, self._threads, self._device = Path(path), labels, threads, device
        self._session = open_session(self.path, threads, device)
        self.provider = provider_of(self._session)
        text = self._session.get_modelmeta().custom_metadata_map.get(SPEC_KEY)
        whole = ModelSpec.from_json(text, os.fspath(path))
        self.heads = whole.heads
        self.spec = whole if labels is None else whole.of_head(labels)
        self._answer = "logits" if labels is None else whole.head(labels).output
        names = [o.name for o in self._session.get_outputs()]
        if "logits" not in names or [i.name for i in self._session.get_inputs()] != ["faces"]:
            raise ModelError(
                f"{path}: must have the input 'faces' and the output 'logits'; write it with `mien export`"
            )
        if lacking := [h.output for h in self.heads if h.output not in names]:
            raise ModelError(
                f"{path}: the spec names outputs that are not there: {', '.join(lacking)}; export it again"
            )
        wanted = (self._answer, "theta", "attention", *(h.output for h in self.heads))
        self._names = [n for n in dict.fromkeys(wanted) if n in names]

    def __reduce__(self) -> tuple[Any, ...]:
        """A classifier that travels to another process opens its file there."""
        return _opened, (self.path, self._labels, self._threads, self._device)

    def __call__(self, faces: NDArray[np.uint8] | Sequence[NDArray[np.uint8]]) -> Outputs:
        """Faces as the network was trained on, uint8 ``(N, S, S)`` grey or, where its spec has three channels,
        ``(N, S, S, 3)`` RGB, or a list of them -> :class:`Outputs`.
        """
        faces = _stacked(faces, self.spec.shape)
        if faces.dtype != np.uint8 or faces.shape[1:] != self.spec.shape:
            raise DataError(
                f"faces must be uint8 {_words(self.spec.shape)}, got {faces.dtype} {faces.shape}; {_ANY_SIZE}"
            )
        if not len(faces):
            return Outputs(np.zeros((0, len(self.spec.labels)), np.float32))
        parts = [self._run(faces[i : i + _BATCH]) for i in range(0, len(faces), _BATCH)]
        found = {name: np.concatenate([part[name] for part in parts]) for name in self._names}
        heads = {h.name: self._activated(h, found[h.output]) for h in self.heads}
        return Outputs(self._softmax(found[self._answer]), found.get("theta"), found.get("attention"), heads)

    def _run(self, faces: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
        batch = normalise(channels_first(faces).astype(np.float32), self.spec).astype(np.float32)
        return dict(zip(self._names, self._session.run(self._names, {"faces": batch}), strict=True))

    def _softmax(self, logits: NDArray[np.float32]) -> NDArray[np.float32]:
        if logits.shape[1] != len(self.spec.labels):
            raise ModelError(f"{self.path}: gives {logits.shape[1]} numbers a face for {len(self.spec.labels)} labels")
        return softmax(logits, self.spec.temperature).astype(np.float32)

    def _activated(self, head: Head, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """A head's numbers as its kind wants them."""
        if head.kind == "classification":
            return softmax(values, head.temperature).astype(np.float32)
        if head.kind == "multilabel":
            return np.asarray(1 / (1 + np.exp(-values / head.temperature)), np.float32)
        return values


def _opened(path: Path, labels: str | None, threads: int | None, device: str) -> Classifier:
    return Classifier(path, labels=labels, threads=threads, device=device)


def _words(shape: tuple[int, ...]) -> str:
    return f"(N, {', '.join(map(str, shape))})"


def _stacked(faces: Any, shape: tuple[int, ...]) -> NDArray[Any]:
    """Faces as one array; DataError where a list's faces differ in size."""
    if isinstance(faces, np.ndarray):
        return faces
    try:
        listed = [np.asarray(face) for face in faces]
        return np.stack(listed) if listed else np.zeros((0, *shape), np.uint8)
    except (TypeError, ValueError, RuntimeError) as error:
        raise DataError(
            f"faces must be uint8 {_words(shape)} or a list of such faces, got {type(faces).__name__} ({error}); "
            f"{_ANY_SIZE}"
        ) from error


def shipped_models() -> dict[str, Path]:
    """Name -> file of the models that came with mien, in alphabetical order."""
    return {file.stem: file for file in sorted(_WEIGHTS.glob("*.onnx")) if file.stem not in _DETECTORS}


def find_model(model: str | os.PathLike[str] | None) -> Path:
    """The file for a shipped model's name, a path, or None for the default; ModelError lists the names there are."""
    shipped = shipped_models()
    wanted = os.fspath(model) if model is not None else DEFAULT_MODEL
    if wanted in shipped:
        return shipped[wanted]
    if wanted.endswith(".onnx") and Path(wanted).is_file():
        return Path(wanted)
    if wanted.startswith(HUB) or is_hub_folder(Path(wanted)):
        return hub_file(wanted, "model.onnx")
    if Path(wanted).exists():
        raise ModelError(f"model must be an .onnx file written by `mien export`, got {wanted}; export it first")
    names = ", ".join(shipped) or "none, this installation came without"
    raise ModelError(f"no model {wanted!r}: it is neither a file nor one of those that came with mien ({names})")


def find_head(model: str | os.PathLike[str] | None) -> tuple[Path, str | None]:
    """The file and the head that ``MODEL:HEAD`` names, such as ``mien-small:fer+``; without a colon no head.

    ``NAME-ferplus``, which were files of their own once, are the head ``fer+`` of NAME for one release, with a warning.
    """
    wanted = os.fspath(model) if model is not None else DEFAULT_MODEL
    name, colon, head = wanted.rpartition(":")
    if colon and not Path(wanted).exists() and _is_model(name):
        return find_model(name), head
    old = wanted.removesuffix("-ferplus")
    if old != wanted and wanted not in shipped_models() and old in shipped_models():
        warnings.warn(f"{wanted} is the head fer+ of {old} now: say {old}:fer+", FutureWarning, stacklevel=2)
        return find_model(old), "fer+"
    return find_model(wanted), None


def _is_model(name: str) -> bool:
    return name in shipped_models() or Path(name).is_file() or name.startswith(HUB) or is_hub_folder(Path(name))


def find_weights(model: str | os.PathLike[str]) -> tuple[Path | None, str | None]:
    """The safetensors file and the head that ``RUN``, ``RUN:HEAD``, ``FILE`` or ``FILE:HEAD`` names; (None, None) for
    what is neither the folder of a run nor such a file.
    """
    word = os.fspath(model)
    name, colon, head = word.rpartition(":")
    for path, asked in ((Path(word), None), (Path(name), head)) if colon else ((Path(word), None),):
        if path.is_dir() or path.suffix == ".safetensors":
            return (path / "model.safetensors" if path.is_dir() else path), asked
    return None, None


def accuracy_line(spec: ModelSpec) -> str:
    """The model's own accuracy in one line, as its evaluation recorded it: ``name: 63.1 % on PublicTest (n=3,589)``.

    For an answer from two labellings it is the agreement with each.
    """
    found = {split: s for split, s in spec.scores.items() if isinstance(s, dict) and "accuracy" in s}
    plain = [s for s in found if not s.endswith("views")]  # what `mien predict` does: one view
    splits = [s for s in plain if s.startswith(("PublicTest", "PrivateTest"))] if spec.answer else []
    splits = splits or [s for s in ("PublicTest", "PrivateTest") if s in found] or plain or list(found)
    figures = [f"{100 * found[s]['accuracy']:.1f} % on {s}" + _count(found[s].get("n")) for s in splits]
    return f"{spec.name}: " + (", ".join(figures) or "its accuracy was never measured")


def _count(n: object) -> str:
    return f" (n={n:,})" if isinstance(n, int) else ""
