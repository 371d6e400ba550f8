"""Any Python function as a model: faces in, probabilities, labels or dictionaries of them out.

Leaves out: the forms that it may return (``returned``), and making a good function. It runs in this process, with all
its rights: name only code that you trust.
"""

from __future__ import annotations

import importlib
import inspect
import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.errors import ModelError
from mien.evaluation.external import ExternalModel, class_names
from mien.evaluation.returned import FORMS, Reader
from mien.labels import FER2013

__all__ = ["open_callable"]


def open_callable(name: str, labels: str | Sequence[str] | None = None, size: int | None = None) -> ExternalModel:
    """The function that ``name``, ``"module:function"``, names. The current folder comes first, as in ``python -m``.

    It takes grey faces uint8 ``(N, H, W)``, 256 at most, and returns probabilities ``(N, K)`` whose rows sum to 1 or
    100, or class numbers ``(N,)``, or class names ``(N,)``, or a list of N dictionaries, class -> share, as they are or
    under ``emotion`` or ``emotions`` as deepface and FER have them. Numbers and names count as certain, and the
    report's conditions say ``output: labels only``.

    labels  class names in class order, see :func:`class_names`; else the function's attribute ``labels``; else
            FER2013's seven, where it returns seven probabilities or names them
    size    side in pixels of the faces that it needs; None where it takes any

    Raises ModelError where there is no such function; calling it raises ModelError where it fails or what it
    returns breaks a rule, with the place of the faces.
    """
    found, file = _import(name)
    given = labels if labels is not None else getattr(found, "labels", None)
    notes: dict[str, Any] = {} if given is not None else {"labels": "taken to be FER2013's"}
    names = class_names(given) if given is not None else FER2013.names
    return ExternalModel(
        name, names, size, file, partial(_predict, name, found, Reader(names, given is not None), notes), notes
    )


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


def _predict(
    name: str, function: Callable[..., Any], reader: Reader, notes: dict[str, Any], faces: NDArray[np.uint8], first: int
) -> NDArray[np.float64]:
    """Call the function on a block of faces, whose first one is ``first`` of all, and check what comes back."""
    where = f"callable {name}, faces {first}..{first + len(faces) - 1}"
    try:
        returned = function(faces)
        if isinstance(returned, Iterator):
            returned = list(returned)
    except Exception as error:  # whatever somebody's function raises
        raise ModelError(
            f"{where} (uint8 {faces.shape}): failed with {_told(error)}; call it with such an array to see where"
        ) from error
    try:
        p, labels_only = reader.read(returned, len(faces), where)
    except (TypeError, ValueError) as error:  # such as rows of unequal length
        raise ModelError(f"{where}: must return {FORMS}; got {_told(error)}") from error
    if labels_only:
        notes["output"] = "labels only"
    return p


def _told(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
