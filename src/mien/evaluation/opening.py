"""One word for any model, ours or external, by what it names. Leaves out: the kinds themselves."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from mien.errors import ConfigError, ModelError
from mien.evaluation.external import ExternalModel
from mien.evaluation.external_callable import open_callable
from mien.evaluation.external_onnx import open_onnx
from mien.evaluation.model import Model, open_model
from mien.runtime import open_session, shipped_models
from mien.spec import SPEC_KEY

__all__ = ["CALLABLE", "as_model", "open_models"]

#: Stands before ``module:function`` where a model is named by one word.
CALLABLE = "callable:"


def as_model(
    model: Any,
    *,
    labels: str | Sequence[str] | None = None,
    pixels: str | None = None,
    layout: str | None = None,
) -> Model:
    """A model to score, from what names it or holds it.

    model  a word or path: a run's folder, a ``model.safetensors`` or ``model.skops``, the name of a shipped model, an
           ``.onnx`` file of ours or of anybody else, or ``callable:module:function``; or what ``mien.training.train``
           gave; or a :class:`Model`, which is given back

    The options are those of :func:`open_onnx` and :func:`open_callable`. Raises ConfigError where one is given that the
    model has no use for, and for anything else than such a model, ModelError for an ONNX file without our spec where
    ``labels`` are missing.
    """
    held = getattr(model, "loaded", model)
    if not isinstance(model, str | os.PathLike):
        if labels or pixels or layout or not all(hasattr(held, part) for part in ("name", "labels", "size", "predict")):
            raise ConfigError(
                "model must be the name of a shipped model, a path or a model that has been opened or trained, without "
                f"labels, pixels and layout, got {type(model).__name__}"
            )
        return cast(Model, held)
    return open_models([os.fspath(model)], labels=labels, pixels=pixels, layout=layout)[0]


def open_models(
    models: Sequence[str | Path],
    *,
    labels: str | Sequence[str] | None = None,
    pixels: str | None = None,
    layout: str | None = None,
) -> list[Model]:
    """Like :func:`as_model` for several; each takes what it has use for, and every option must be of use to one."""
    options = {"labels": labels, "pixels": pixels, "layout": layout}
    given = {k: v for k, v in options.items() if v is not None}
    used = [_options(str(m)) for m in models]
    if idle := [f"--{k}" for k in given if not any(k in u for u in used)]:
        raise ConfigError(
            f"{', '.join(idle)}: {' and '.join(map(str, models))} cannot take it: a file with a mien spec says all of "
            "that itself, and a function takes faces as they are; leave it out"
        )
    return [_open(m, {k: v for k, v in given.items() if k in u}) for m, u in zip(models, used, strict=True)]


def _options(word: str) -> tuple[str, ...]:
    """The options that the model named by ``word`` has use for."""
    if word.startswith(CALLABLE):
        return ("labels",)
    return ("labels", "pixels", "layout") if _is_foreign(word) else ()


def _is_foreign(word: str) -> bool:
    if word in shipped_models() or not word.endswith(".onnx") or not Path(word).is_file():
        return False
    return SPEC_KEY not in open_session(word).get_modelmeta().custom_metadata_map


def _open(model: str | Path, options: Mapping[str, str | Sequence[str]]) -> Model:
    word, labels = str(model), options.get("labels")
    if word.startswith(CALLABLE):
        return open_callable(word.removeprefix(CALLABLE), labels)
    if file := _classical(Path(word)):
        return _open_classical(file)
    if not _is_foreign(word):
        return open_model(model)
    try:
        return open_onnx(word, **options)  # type: ignore[arg-type]  # pixels and layout are words
    except ConfigError as error:
        if labels is not None:
            raise
        raise ModelError(
            f"{word}: holds no mien spec; write it with `mien train` or `mien export`, or, if another project made it, "
            f"say what it gives and takes: --labels, and --pixels unless it takes grey values 0..255 ({error})"
        ) from error


def _classical(path: Path) -> Path | None:
    """The file of a classical method, also where a folder holds it and no network."""
    if path.is_dir() and not (path / "model.safetensors").exists():
        path = path / "model.skops"
    return path if path.suffix == ".skops" and path.is_file() else None


def _open_classical(file: Path) -> ExternalModel:
    from mien.classical import class_probabilities, load_estimator

    pipeline, about = load_estimator(file)
    names = tuple(str(n) for n in about.get("names", ()))
    if not names:
        raise ModelError(f"{file}: does not say its classes; save it with about={{'names': [...]}}")
    name = str(about.get("name", file.stem))
    return ExternalModel(
        name, names, None, str(file), lambda faces, first: class_probabilities(pipeline, faces, len(names))
    )
