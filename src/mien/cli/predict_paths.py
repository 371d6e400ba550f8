"""Which photos ``mien predict`` means: paths, folders and patterns -> files, and how their drawings are called.

Leaves out: the walk through a folder (``mien.picture_files``).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from mien.cli.given_files import GivenFiles, find_given
from mien.picture_files import PassedOver, find_pictures

__all__ = ["drawing_names", "find_photos"]

_DRAWN = re.compile(r"-mien(-\d+)?\.png$")


def find_photos(given: Sequence[str]) -> GivenFiles:
    """The photos that are meant, see :func:`find_given`; the drawings that ``--draw`` wrote are passed over."""
    return find_given(given, "PHOTOS", "pictures", _inside)


def _inside(folder: str, passed: PassedOver) -> Iterator[Path]:
    for file in find_pictures(folder, passed):
        if _DRAWN.search(file.name):
            passed.add("drawing", file)
        else:
            yield file


def drawing_names(paths: Iterable[str]) -> dict[str, str]:
    """``party/anna.jpg`` -> ``anna-mien.png``, never the photo's own name; a second one gets a number."""
    names, taken = dict[str, str](), set[str]()
    for path in paths:
        stem = Path(path).stem
        name, number = f"{stem}-mien.png", 2
        while name.lower() in taken:  # file systems that ignore case
            name, number = f"{stem}-mien-{number}.png", number + 1
        taken.add(name.lower())
        names[path] = name
    return names
