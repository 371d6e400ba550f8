"""What a function may return for N faces, as probabilities: arrays, class numbers, class names, or dictionaries.

Leaves out: calling it (``external_callable``).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.errors import ModelError
from mien.labels import canonical

__all__ = ["FORMS", "Reader"]

#: What a function may return, in words, for errors and help.
FORMS = (
    "probabilities (N, K), class numbers (N,), class names (N,), or one dictionary a face: class -> probability or "
    "percentage, as it is or under 'emotion' or 'emotions'"
)
_UNDER = ("emotion", "emotions")  # where deepface and FER keep the dictionary of a face
_NAME_THEM = "name the classes in order with --labels, or as the function's attribute labels"
_SOME_CLASS = "a face without a prediction must get some class, since every model is evaluated on every face"


@dataclass(frozen=True)
class Reader:
    """Reads what a function returned, for classes ``labels``; ``known`` says that somebody named them."""

    labels: tuple[str, ...]
    known: bool

    def read(self, returned: Any, n: int, where: str) -> tuple[NDArray[np.float64], bool]:
        """Probabilities ``(n, K)``, and whether only labels were returned; ModelError, with ``where``, for all else."""
        rows = _dictionaries(returned, n)
        if rows is not None:
            if len(rows) != n:
                raise ModelError(f"{where}: returned {len(rows)} dictionaries for {n} faces; return one a face")
            return np.stack([self._shares(row, f"{where}, row {i}") for i, row in enumerate(rows)]), False
        values = _array(returned)
        if values.ndim not in (1, 2) or len(values) != n or (values.dtype == object and not _words(values)):
            kind = type(returned).__name__ if values.dtype == object else f"{values.dtype} {values.shape}"
            raise ModelError(f"{where}: must return {FORMS}, with N = {n}; got {kind}")
        if values.ndim == 2:
            return self._probabilities(values, where), False
        place = self._names(values, where) if values.dtype.kind in "UOS" else self._numbers(values, where)
        return np.eye(len(self.labels))[place], True

    def _probabilities(self, values: NDArray[Any], where: str) -> NDArray[np.float64]:
        k = len(self.labels)
        if values.dtype.kind not in "fiu":
            raise ModelError(f"{where}: probabilities must be numbers, got {values.dtype}; must return {FORMS}")
        if values.shape[1] != k:
            why = f"for the {k} labels {', '.join(self.labels)}" if self.known else "and nobody said what they mean"
            raise ModelError(f"{where}: returned {values.shape[1]} probabilities a face {why}; {_NAME_THEM}")
        p = values.astype(np.float64)
        total = p.sum(1)
        whole = np.where(np.abs(total - 100) <= 0.1, 100.0, 1.0)  # percentages, or shares
        wrong = ~np.isfinite(p).all(1) | (p < 0).any(1) | (np.abs(total / whole - 1) > 1e-3)
        if wrong.any():
            row = int(wrong.argmax())
            shown = ", ".join(f"{v:.4g}" for v in p[row])
            raise ModelError(
                f"{where}: each row must be finite, not negative and sum to 1 (or 100); row {row} is [{shown}]: apply "
                "softmax to logits, or return class numbers"
            )
        return np.asarray(p / total[:, None])

    def _shares(self, row: Any, where: str) -> NDArray[np.float64]:
        """The probabilities of one face from its dictionary."""
        out: dict[str, float] = {}
        for word, value in _scores(row, where).items():
            name = self._class(word)
            if name is None:
                raise ModelError(f"{where}: names the class {word!r}, none of {', '.join(self.labels)}; {_NAME_THEM}")
            if not _is_number(value) or not math.isfinite(value) or value < 0 or name in out:
                why = "is there twice" if name in out else f"has the value {value!r}, not a number of 0 or more"
                raise ModelError(f"{where}: the class {word!r} {why}; return one probability or percentage a class")
            out[name] = float(value)
        total = sum(out.values())
        if abs(total - 1) > 0.04 and abs(total - 100) > 4:  # some round each share to two digits
            raise ModelError(
                f"{where}: its shares sum to {total:.4g}; those of all classes sum to 1, or to 100 as percentages. "
                f"A function may return {FORMS}"
            )
        return np.array([out.get(name, 0.0) for name in self.labels]) / total

    def _numbers(self, values: NDArray[Any], where: str) -> NDArray[np.int64]:
        if values.dtype.kind not in "iu":
            raise ModelError(f"{where}: class numbers must be whole numbers (int), got {values.dtype}")
        if not self.known:
            raise ModelError(f"{where}: returned class numbers, and nobody said what they mean; {_NAME_THEM}")
        wrong = (values < 0) | (values >= len(self.labels))
        if wrong.any():
            row = int(wrong.argmax())
            raise ModelError(
                f"{where}: class numbers must lie in 0..{len(self.labels) - 1}, row {row} is {values[row]}; "
                f"{_SOME_CLASS}"
            )
        return values.astype(np.int64)

    def _names(self, values: NDArray[Any], where: str) -> NDArray[np.int64]:
        out = []
        for row, word in enumerate(values.tolist()):
            name = self._class(word)
            if name is None:
                raise ModelError(
                    f"{where}: row {row} is {word!r}, which is none of {', '.join(self.labels)}; return one of these, "
                    "or name the classes with --labels"
                )
            out.append(self.labels.index(name))
        return np.array(out, dtype=np.int64)

    def _class(self, word: Any) -> str | None:
        """The class that a word names, as ``labels`` spells it."""
        name = word if word in self.labels else canonical(word) if isinstance(word, str) else None
        return name if name in self.labels else None


def _dictionaries(returned: Any, n: int) -> Sequence[Any] | None:
    """One item a face where dictionaries were returned, whatever they hold; None for everything else."""
    if isinstance(returned, Mapping):
        columns = [v for v in returned.values() if hasattr(v, "__len__") and not isinstance(v, str | Mapping)]
        if returned and len(columns) == len(returned) and all(len(v) == n for v in columns):
            return [dict(zip(returned, row, strict=True)) for row in zip(*columns, strict=True)]
        return [returned]
    if isinstance(returned, list | tuple) and any(_holds_mapping(item) for item in returned):
        return returned
    return None


def _holds_mapping(item: Any) -> bool:
    return isinstance(item, Mapping) or (isinstance(item, list | tuple) and any(isinstance(v, Mapping) for v in item))


def _scores(row: Any, where: str) -> Mapping[Any, Any]:
    """Class -> share of one face: a dictionary, one under ``emotion``, a list of the single face found in it, or a list
    of ``{"label": ..., "score": ...}``."""
    if isinstance(row, list | tuple):
        if row and all(isinstance(v, Mapping) and {"label", "score"} <= set(v) for v in row):
            return {v["label"]: v["score"] for v in row}
        if len(row) != 1:
            found = f"holds {len(row)} faces; return the largest one's" if row else f"holds no face; {_SOME_CLASS}"
            raise ModelError(f"{where}: {found}, or switch its detection off: these faces are cropped already")
        row = row[0]
    if isinstance(row, Mapping):
        inner = next((row[key] for key in _UNDER if isinstance(row.get(key), Mapping)), row)
        if inner and all(isinstance(key, str) and _is_number(value) for key, value in inner.items()):
            return dict(inner)
    shown = f"a dictionary with {', '.join(map(repr, list(row)[:5]))}" if isinstance(row, Mapping) else repr(row)[:60]
    raise ModelError(f"{where}: is {shown}; must be {FORMS}")


def _is_number(value: Any) -> bool:
    if isinstance(value, Real | np.number) and not isinstance(value, bool):
        return True
    return getattr(value, "ndim", None) == 0 and getattr(value, "dtype", None) is not None  # a scalar of torch or numpy


def _words(values: NDArray[Any]) -> bool:
    return values.ndim == 1 and not any(isinstance(v, Mapping | list | tuple) for v in values)


def _array(returned: Any) -> NDArray[Any]:
    """What was returned as an array; a tensor of torch may hold gradients or lie on another device."""
    if hasattr(returned, "detach"):
        returned = returned.detach().cpu()
    return np.asarray(returned)
