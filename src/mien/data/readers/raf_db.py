"""RAF-DB's basic part as its authors hand it on: aligned pictures, and a list of all labels.

``Image/aligned/train_00001_aligned.jpg`` or ``Image/original/train_00001.jpg``, and ``list_patition_label.txt`` with
lines ``train_00001.jpg 5``: 1 surprise, 2 fear, 3 disgust, 4 happy, 5 sad, 6 angry, 7 neutral. Li, Deng & Du 2017,
CVPR. What is in the name before the number is the split: ``train``, ``test``. Where both kinds of picture are there the
aligned ones are read. Leaves out: the compound expressions and the attributes; details are as remembered.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath

from mien.data.readers.pictures import Picture, Plan, plan_of
from mien.data.readers.problems import Problems
from mien.errors import DataError
from mien.wording import counted

__all__ = ["LIST_BYTES", "is_list", "plan_raf_db"]

#: The most that is read of the list; RAF-DB's own has 0.3 MB.
LIST_BYTES = 8 << 20

_LIST = "list_patition_label.txt"  # so spelt
_WORDS = ("surprise", "fear", "disgust", "happy", "sad", "angry", "neutral")
_PICTURE = re.compile(r"((train|test)_\d+)(_aligned)?", re.IGNORECASE)
_LINE = re.compile(r"((?:train|test)_\d+)\.\w+\s+([1-7])", re.IGNORECASE)


def is_list(name: str) -> bool:
    """Whether a file is RAF-DB's list of labels, by its name."""
    return PurePosixPath(name).name.lower() == _LIST


def plan_raf_db(
    paths: Sequence[PurePosixPath], lists: Mapping[str, bytes | DataError], where: str, problems: Problems
) -> tuple[Plan, tuple[str, ...]] | None:
    """The plan of RAF-DB's tree and a note; None where there is no list. Lines that say nothing are problems, and so
    are pictures that are not in the list.
    """
    if not lists:
        return None
    name, content = next(iter(sorted(lists.items())))
    if isinstance(content, DataError):
        raise DataError(content.message, f"{where}/{name}")
    words = _words(content, f"{where}/{name}", problems)
    found = {p: match for p in paths if (match := _PICTURE.fullmatch(p.stem))}
    aligned = any(match[3] for match in found.values())
    pictures = []
    for path in paths:
        match = found.get(path)
        if match and aligned and not match[3]:
            continue  # the same person as on the aligned one
        if match is None or match[1].lower() not in words:
            problems.report(f"is not in {_LIST}: take it out, or add its line", f"{where}/{path}")
            continue
        pictures.append(Picture(str(path), words[match[1].lower()], split=match[2].lower()))
    missing = len(words) - len(pictures)
    absent = (f"not there: {missing:,} of the list's {counted(len(words), 'picture')}",) if missing > 0 else ()
    kind = "aligned" if aligned else "original"
    return plan_of(pictures), (f"read as RAF-DB: labels from {name}, {kind} pictures", *absent)


def _words(content: bytes, where: str, problems: Problems) -> dict[str, str]:
    """``train_00001`` -> expression."""
    words = {}
    for number, line in enumerate(content.decode("utf-8-sig", "replace").splitlines(), start=1):
        match = _LINE.fullmatch(line.strip())
        if match:
            words[match[1].lower()] = _WORDS[int(match[2]) - 1]
        elif line.strip():
            problems.report(f"must be a name and a number 1 to 7, got {line.strip()[:40]!r}", f"{where}:{number}")
    return words
