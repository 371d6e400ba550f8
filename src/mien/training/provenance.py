"""Which faces a network has learnt, in a few kilobytes that travel with its weights, and whether others are among them.

:func:`sketch` keeps the smallest hashes of the pixels (a bottom-k sketch, Cohen & Kaplan 2007, "Summarizing data using
bottom-k sketches"): of any other faces those with hashes as small can be checked, one by one, and the sample does not
depend on what was learnt. Leaves out: near copies (``mien.data.duplicates``).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from mien.stored import Images

__all__ = ["merged", "seen", "sketch"]

_KEPT = 256  # hashes: 1 % of FER2013's Training, so some 30 of 3,589 other faces can be checked
_DIGITS = 12


def sketch(images: Images) -> str:
    """The sketch of faces uint8 ``(N, ...)``: the hashes, smallest first, 12 hex digits each; ``.`` ends a part that
    holds all of them.
    """
    hashes = sorted(_hashes(images))
    return "".join(hashes[:_KEPT]) + ("." if len(hashes) <= _KEPT else "")


def merged(*learnt: str) -> str:
    """The sketch of faces that were learnt one set after the other, from the sketch of each; "" for an unknown one is
    left out.
    """
    known = [text for text in learnt if text]
    hashes = [_kept(text) for text in known]
    largest = min((max(kept) for kept, text in zip(hashes, known, strict=True) if not text.endswith(".")), default="g")
    every = sorted(h for h in set().union(*hashes) if h <= largest)
    whole = largest == "g" and len(every) <= _KEPT
    return "".join(every[:_KEPT]) + ("." if whole else "")


def seen(learnt: str, images: Images, known: Images | None = None) -> tuple[int, int]:
    """How many of the faces ``images`` were learnt according to a sketch, and how many could be checked.

    known  faces that do not count although they are among ``images``, since whoever asks learns them anyway
    """
    kept = _kept(learnt)
    largest = "g" if learnt.endswith(".") or not kept else max(kept)  # "g" follows every hex digit
    own = set(_hashes(images)) - (set() if known is None else set(_hashes(known)))
    checked = {h for h in own if h <= largest}
    return len(checked & kept), len(checked)


def _kept(learnt: str) -> set[str]:
    digits = learnt.rstrip(".")
    return {digits[i : i + _DIGITS] for i in range(0, len(digits), _DIGITS)}


def _hashes(images: Iterable[NDArray[np.uint8]]) -> set[str]:
    return {hashlib.blake2b(repr(i.shape).encode() + i.tobytes(), digest_size=_DIGITS // 2).hexdigest() for i in images}
