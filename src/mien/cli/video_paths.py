"""Which videos ``mien video`` means: paths, folders and patterns -> files, and how their results are called.

Leaves out: the walk through a folder (``mien.picture_files``).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from mien.cli.given_files import GivenFiles, find_given
from mien.errors import ConfigError
from mien.picture_files import PassedOver, walk_files
from mien.results.recordings import RESERVED

__all__ = ["VIDEO_SUFFIXES", "find_videos", "result_names"]

#: Endings by which a file in a folder is taken for a video; one that is named is read whatever its ending is.
VIDEO_SUFFIXES = frozenset(
    f".{ending}"
    for ending in (
        *("3gp", "asf", "avi", "divx", "dv", "f4v", "flv", "m2t", "m2ts", "m4v", "mkv", "mov", "mp4", "mpeg", "mpg"),
        *("mts", "mxf", "ogm", "ogv", "qt", "rm", "rmvb", "ts", "vob", "webm", "wmv", "y4m"),
    )
)


def find_videos(given: Sequence[str]) -> GivenFiles:
    """The recordings that are meant, see :func:`find_given`; ConfigError for a camera, which is followed alone."""
    for item in given:
        if item.isdecimal() and not Path(item).exists():
            raise ConfigError(f"camera {item} cannot be one of several recordings: give it alone")
    return find_given(given, "SOURCES", "videos", _inside)


def _inside(folder: str, passed: PassedOver) -> Iterator[Path]:
    for file in walk_files(folder, passed):
        if file.suffix.lower() in VIDEO_SUFFIXES:
            yield file
        else:
            passed.add("other_ending", file)


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
    return {lower, *(f"{lower}-{kind}" for kind in ("segments", "relative-segments", "timeline"))}
