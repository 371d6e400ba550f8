"""AffectNet in its folder form: aligned pictures, and an array of one number beside each.

``train_set/images/17.jpg`` with ``train_set/annotations/17_exp.npy``, and ``val_set``: 0 neutral, 1 happy, 2 sad,
3 surprise, 4 fear, 5 disgust, 6 angry, 7 contempt. Mollahosseini, Hasani & Mahoor 2017, IEEE TAC. Valence, arousal and
landmarks, in arrays of their own, are passed over. Leaves out: the older form, tables with boxes in whole photographs
(``affectnet_table``). Details are as remembered, not checked against the archives, which may not be handed on.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath

import numpy as np

from mien.data.readers.pictures import Picture, Plan, plan_of
from mien.data.readers.problems import Problems
from mien.errors import DataError

__all__ = ["WORDS", "is_expression", "plan_affectnet"]

_END = "_exp.npy"
#: Its expressions, by their numbers.
WORDS = ("neutral", "happy", "sad", "surprise", "fear", "disgust", "angry", "contempt")
_SPLITS = {"train_set": "train", "val_set": "validation", "test_set": "test"}


def is_expression(name: str) -> bool:
    """Whether a file holds the expression of one picture, by its name."""
    path = PurePosixPath(name)
    return path.name.lower().endswith(_END) and path.parent.name.lower() == "annotations"


def plan_affectnet(
    paths: Sequence[PurePosixPath], arrays: Mapping[str, bytes | DataError], where: str, problems: Problems
) -> tuple[Plan, tuple[str, ...]] | None:
    """The plan of AffectNet's tree and a note; None where no array lies as there. Pictures without an array, and
    arrays that hold no number of 0 to 7, are problems.
    """
    if not arrays:
        return None
    content = {name.lower(): data for name, data in arrays.items()}
    pictures = []
    for path in paths:
        folder = path.parent.parent
        array = f"{folder / 'annotations' / path.stem}{_END}".lower()
        try:
            if path.parent.name.lower() != "images" or array not in content:
                raise DataError("has no array in annotations/ beside its folder: take it out")
            word = _word(content[array])
        except DataError as error:
            problems.report(error.message, f"{where}/{path}")
            continue
        pictures.append(Picture(str(path), word, split=_SPLITS.get(folder.name.lower(), folder.name)))
    return plan_of(pictures), ("read as AffectNet: labels from annotations/*_exp.npy",)


def _word(content: bytes | DataError) -> str:
    if isinstance(content, DataError):
        raise content
    try:
        number = int(np.load(io.BytesIO(content), allow_pickle=False).item())
    except (ValueError, TypeError, OverflowError, EOFError, OSError) as error:
        raise DataError(f"its {_END} cannot be read ({error})") from error
    if not 0 <= number < len(WORDS):
        raise DataError(f"its {_END} says {number}, which is no expression: it must be 0 to 7")
    return WORDS[number]
