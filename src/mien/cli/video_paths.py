"""Which videos ``mien video`` means: paths, folders and patterns -> files, and how their results are called.

Leaves out: the walk through a folder (``mien.picture_files``).
"""

from __future__ import annotations

import glob
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mien.errors import ConfigError, DataError
from mien.picture_files import PassedOver, walk_files
from mien.results.cells import printable
from mien.results.recordings import RESERVED

__all__ = ["VIDEO_SUFFIXES", "FoundVideos", "find_videos", "result_names"]

#: Endings by which a file in a folder is taken for a video; one that is named is read whatever its ending is.
VIDEO_SUFFIXES = frozenset(
    (
        *(".3gp", ".asf", ".avi", ".divx", ".dv", ".f4v", ".flv", ".m2t", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4"),
        *(
            ".mpeg",
            ".mpg",
            ".mts",
            ".mxf",
            ".ogm",
            ".ogv",
            ".qt",
            ".rm",
            ".rmvb",
            ".ts",
            ".vob",
            ".webm",
            ".wmv",
            ".y4m",
        ),
    )
)


@dataclass
class FoundVideos:
    """The recordings that are meant.

    names   path as it is shown and written -> path of the file, each once
    passed  what lay in the folders and is no video
    errors  path -> what is wrong with a folder that stands for itself
    """

    names: dict[str, str] = field(default_factory=dict)
    passed: PassedOver = field(default_factory=PassedOver)
    errors: dict[str, str] = field(default_factory=dict)


def find_videos(given: Sequence[str]) -> FoundVideos:
    """Folders and patterns -> videos, each once; what names nothing stays, so that reading it says what is wrong.

    ConfigError for an empty name and for a camera, which is followed alone.
    """
    found = FoundVideos()
    for item in given:
        if not item:
            raise ConfigError("SOURCES must not be empty: '' is no name; for the current folder give '.'")
        if item.isdecimal() and not Path(item).exists():
            raise ConfigError(f"camera {item} cannot be one of several recordings: give it alone")
        is_pattern = glob.has_magic(item) and not Path(item).exists()
        for one in (sorted(glob.glob(item, recursive=True)) if is_pattern else []) or [item]:
            for path in _inside(one, found) if Path(one).is_dir() else [one]:
                found.names.setdefault(printable(path), path)
    return found


def _inside(folder: str, found: FoundVideos) -> list[str]:
    """The videos in a folder; the folder itself, with what is wrong, where there are none."""
    videos, why = list[str](), "a folder without videos"
    try:
        for file in walk_files(folder, found.passed):
            if file.suffix.lower() in VIDEO_SUFFIXES:
                videos.append(str(file))
            else:
                found.passed.add("other_ending", file)
    except DataError as error:
        why = error.message
    if not videos:
        found.errors[printable(folder)] = why
    return videos or [folder]


def result_names(paths: Iterable[str]) -> dict[str, str]:
    """``day1/talk.mp4`` -> ``talk``, by which its results are called; a second one gets a number.

    No name is another one's ``NAME-segments`` or one of the tables of all, also where case is ignored.
    """
    taken, names = set(RESERVED), dict[str, str]()
    for path in paths:
        stem = Path(path.rstrip("/")).stem or "recording"
        name, number = stem, 2
        while taken & _files(name):
            name, number = f"{stem}-{number}", number + 1
        taken |= _files(name)
        names[path] = name
    return names


def _files(name: str) -> set[str]:
    lower = name.lower()
    return {lower, f"{lower}-segments", f"{lower}-timeline"}
