"""Any Python function as a model: faces in, probabilities, class numbers or class names out.

Leaves out: making a good function. It runs in this process, with all its rights: name only code that you trust.
"""

from __future__ import annotations

import importlib
import inspect
import os
import re
import sys
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.errors import ModelError
from mien.evaluation.external import Rival, class_names
from mien.labels import FER2013, canonical

__all__ = ["open_callable"]


def open_callable(name: str, labels: str | Sequence[str] | None = None, size: int | None = None) -> Rival:
    """The function that ``name``, ``"module:function"``, names. The current folder comes first, as in ``python -m``.

    It takes grey faces uint8 ``(N, H, W)``, 256 at most, and returns probabilities ``(N, K)`` whose rows sum to 1, or
    class numbers ``(N,)``, or class names ``(N,)``; numbers and names count as certain, and the report's conditions say
    ``answers: labels only``.

    labels  class names in class order, see :func:`class_names`; else the function's attribute ``labels``; else
            FER2013's seven, where it returns seven probabilities or their names
    size    side in pixels of the faces that it needs; None where it takes any

    Raises ModelError where there is no such function; asking it raises ModelError where it fails or its answers break
    a rule, with the place of the faces.
    """
    found, file = _import(name)
    given = labels if labels is not None else getattr(found, "labels", None)
    notes: dict[str, Any] = {} if given is not None else {"labels": "taken to be FER2013's"}
    names = class_names(given) if given is not None else FER2013.names
    return Rival(name, names, size, file, _Asked(name, found, names, given is not None, notes), notes)


def _import(name: str) -> tuple[Callable[..., Any], str]:
    """The function and the file of its module."""
    if not re.fullmatch(r"[^\W\d][\w.]*:[^\W\d][\w.]*", name):
        raise ModelError(f"callable must be module:function, such as my_model:predict, got {name!r}")
    module, _, path = name.partition(":")
    here = os.getcwd()
    if here not in sys.path:  # stays there: the function may import its neighbours when it is called
        sys.path.insert(0, here)
    try:
        found: Any = importlib.import_module(module)
    except (Exception, SystemExit) as error:  # whatever somebody's module does when it is imported
        if isinstance(error, ModuleNotFoundError):
            how = f"no module {error.name!r} in {here} nor installed; start mien where it lies, or install it"
        else:
            how = f"importing {module} failed with {_told(error)}; try python -c 'import {module}'"
        raise ModelError(f"callable {name}: {how}") from error
    file = str(getattr(found, "__file__", None) or "")
    for part in path.split("."):
        if not hasattr(found, part):
            there = ", ".join(n for n, v in getattr(found, "__dict__", {}).items() if n[0] != "_" and callable(v))
            raise ModelError(f"callable {name}: there is no {part}; there are {there or 'no functions'}")
        found = getattr(found, part)
    if not callable(found) or inspect.isclass(found):
        kind = "a class" if inspect.isclass(found) else f"a {type(found).__name__}"
        raise ModelError(f"callable {name}: is {kind}, not a function; name a function, or an object that is called")
    return found, file


class _Asked:
    """Calls the function and checks what comes back; ``known`` says that somebody named the labels."""

    def __init__(
        self, name: str, function: Callable[..., Any], labels: tuple[str, ...], known: bool, notes: dict[str, Any]
    ) -> None:
        self.name, self.function, self.labels, self.known, self.notes = name, function, labels, known, notes

    def __call__(self, faces: NDArray[np.uint8], first: int) -> NDArray[np.float64]:
        where = f"callable {self.name}, faces {first}..{first + len(faces) - 1}"
        try:
            answer = _array(self.function(faces))
        except Exception as error:  # whatever somebody's function raises
            raise ModelError(
                f"{where} (uint8 {faces.shape}): failed with {_told(error)}; call it with such an array to see where"
            ) from error
        if answer.ndim not in (1, 2) or len(answer) != len(faces):
            raise ModelError(
                f"{where}: must return probabilities ({len(faces)}, K), or class numbers or names ({len(faces)},); "
                f"got {answer.dtype} {answer.shape}"
            )
        if answer.ndim == 2:
            return self._probabilities(answer, where)
        self.notes["answers"] = "labels only"
        place = self._names(answer, where) if answer.dtype.kind in "UOS" else self._numbers(answer, where)
        return np.eye(len(self.labels))[place]

    def _probabilities(self, answer: NDArray[Any], where: str) -> NDArray[np.float64]:
        k = len(self.labels)
        if answer.dtype.kind not in "fiu":
            raise ModelError(f"{where}: probabilities must be numbers, got {answer.dtype}")
        if answer.shape[1] != k:
            why = f"for the {k} labels {', '.join(self.labels)}" if self.known else "and nobody said what they mean"
            raise ModelError(
                f"{where}: returned {answer.shape[1]} probabilities a face {why}; name its classes in order with "
                "--labels, or as the function's attribute labels"
            )
        p = answer.astype(np.float64)
        wrong = ~np.isfinite(p).all(1) | (p < 0).any(1) | (np.abs(p.sum(1) - 1) > 1e-3)
        if wrong.any():
            row = int(wrong.argmax())
            shown = ", ".join(f"{v:.4g}" for v in p[row])
            raise ModelError(
                f"{where}: each row must be finite, not negative and sum to 1; row {row} is [{shown}]: apply softmax "
                "to logits, or return class numbers"
            )
        return np.asarray(p / p.sum(1, keepdims=True))

    def _numbers(self, answer: NDArray[Any], where: str) -> NDArray[np.int64]:
        if answer.dtype.kind not in "iu":
            raise ModelError(f"{where}: class numbers must be whole numbers (int), got {answer.dtype}")
        if not self.known:
            raise ModelError(
                f"{where}: returned class numbers, and nobody said what they mean; name the classes in order with "
                "--labels, or as the function's attribute labels"
            )
        wrong = (answer < 0) | (answer >= len(self.labels))
        if wrong.any():
            row = int(wrong.argmax())
            raise ModelError(
                f"{where}: class numbers must lie in 0..{len(self.labels) - 1}, row {row} is {answer[row]}; a face "
                "without an answer must get some class, since every model is asked about every face"
            )
        return answer.astype(np.int64)

    def _names(self, answer: NDArray[Any], where: str) -> NDArray[np.int64]:
        place = {name: i for i, name in enumerate(self.labels)}
        out = []
        for row, word in enumerate(answer.tolist()):
            name = word if word in place else canonical(word) if isinstance(word, str) else None
            if name not in place:
                raise ModelError(
                    f"{where}: row {row} is {word!r}, which is none of {', '.join(self.labels)}; return one of these, "
                    "or name the classes with --labels"
                )
            out.append(place[name])
        return np.array(out, dtype=np.int64)


def _array(answer: Any) -> NDArray[Any]:
    """What was returned as an array; a tensor of torch may hold gradients or lie on another device."""
    if hasattr(answer, "detach"):
        answer = answer.detach().cpu()
    return np.asarray(answer)


def _told(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
