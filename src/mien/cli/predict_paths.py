"""Which photos ``mien predict`` means: paths, folders and patterns -> files, and how their drawings are called.

Leaves out: the walk through a folder (``mien.picture_files``).
"""

from __future__ import annotations

import glob
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mien.errors import ConfigError, DataError
from mien.picture_files import PassedOver, find_pictures
from mien.results.cells import printable

__all__ = ["FoundPhotos", "drawing_names", "find_photos"]

_DRAWN = re.compile(r"-mien(-\d+)?\.png$")


@dataclass
class FoundPhotos:
    """The photos that are meant.

    names   path as it is shown and written -> path of the file, each once
    passed  what lay in the folders and is no photo
    errors  path -> what is wrong with a folder that stands for itself
    """

    names: dict[str, str] = field(default_factory=dict)
    passed: PassedOver = field(default_factory=PassedOver)
    errors: dict[str, str] = field(default_factory=dict)


def find_photos(given: Sequence[str]) -> FoundPhotos:
    """Folders and patterns -> files, each once; what names nothing stays, so that reading it says what is wrong.

    A search through a folder passes over the drawings that ``--save`` wrote there. ConfigError for an empty name.
    """
    found = FoundPhotos()
    for item in given:
        if not item:
            raise ConfigError("PHOTOS must not be empty: '' is no name; for the current folder give '.'")
        is_pattern = glob.has_magic(item) and not Path(item).exists()
        for one in (sorted(glob.glob(item, recursive=True)) if is_pattern else []) or [item]:
            for path in _inside(one, found) if Path(one).is_dir() else [one]:
                found.names.setdefault(printable(path), path)
    return found


def _inside(folder: str, found: FoundPhotos) -> list[str]:
    """The photos in a folder; the folder itself, with what is wrong, where there are none."""
    photos, why = list[str](), "a folder without pictures"
    try:
        for file in find_pictures(folder, found.passed):
            if _DRAWN.search(file.name):
                found.passed.add("drawing", file)
            else:
                photos.append(str(file))
    except DataError as error:
        why = error.message
    if not photos:
        found.errors[folder] = why
    return photos or [folder]


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
