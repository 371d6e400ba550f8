"""Which files a command means: paths, folders and patterns -> files, each once.

Leaves out: the walk through a folder (``mien.picture_files``), and which of its files are meant (``predict_paths``,
``video_paths``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mien.errors import ConfigError, DataError
from mien.picture_files import PassedOver, matching
from mien.results.cells import printable

__all__ = ["GivenFiles", "find_given"]


@dataclass
class GivenFiles:
    """The files that are meant.

    names   path as it is shown and written -> path of the file, each once
    passed  what lay in the folders and is not meant
    errors  path -> what is wrong with a folder that stands for itself
    """

    names: dict[str, str] = field(default_factory=dict)
    passed: PassedOver = field(default_factory=PassedOver)
    errors: dict[str, str] = field(default_factory=dict)


def find_given(
    given: Sequence[str], argument: str, what: str, inside: Callable[[str, PassedOver], Iterator[Path]]
) -> GivenFiles:
    """Folders and patterns -> files; what names nothing stays, so that reading it says what is wrong.

    argument  its name in errors
    what      the plural of what is looked for
    inside    the files of a folder that are meant; counts the others

    ConfigError for an empty name.
    """
    found = GivenFiles()
    for item in given:
        if not item:
            raise ConfigError(f"{argument} must not be empty: '' is no name; for the current folder give '.'")
        for one in matching(item):
            for path in _of_folder(one, what, inside, found) if Path(one).is_dir() else [one]:
                found.names.setdefault(printable(path), path)
    return found


def _of_folder(
    folder: str, what: str, inside: Callable[[str, PassedOver], Iterator[Path]], found: GivenFiles
) -> list[str]:
    """The files in a folder; the folder itself, with what is wrong, where there are none."""
    files, why = list[str](), f"a folder without {what}"
    try:
        files.extend(str(file) for file in inside(folder, found.passed))
    except DataError as error:
        why = error.message
    if not files:
        found.errors[folder] = why
    return files or [folder]
