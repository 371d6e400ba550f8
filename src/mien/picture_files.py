"""Which files of a folder are pictures, and what was passed over on the way: counted and named by kind.

The one walk through folders that predicting and reading data share. Leaves out: what is in the files (``images``) and
archives (``data.readers.archives``), whose names :func:`kind_passed_over` tells apart too.
"""

from __future__ import annotations

import glob
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Any

from mien.errors import DataError

__all__ = ["PassedOver", "find_pictures", "is_hidden", "kind_passed_over", "matching", "walk_files"]

#: Folders that a system keeps beside yours: macOS in archives, Synology's thumbnails, waste bins, what a check left.
_OF_THE_SYSTEM = {"__MACOSX", "@eaDir", "#recycle", "$RECYCLE.BIN", "System Volume Information", "lost+found"}

_EXAMPLES = 3  # names that are kept of each kind

# kind -> how one and how several of it are called
_WORDS = {
    "other_ending": ("file of another kind", "files of other kinds"),
    "heic_without_extra": (
        "HEIC photo, which needs pip install pillow-heif",
        "HEIC photos, which need pip install pillow-heif",
    ),
    "apple_double": ("side file of macOS (._*)", "side files of macOS (._*)"),
    "hidden": ("hidden file or folder", "hidden files or folders"),
    "broken_link": ("broken link", "broken links"),
    "linked_folder": ("linked folder", "linked folders"),
    "unreadable_folder": ("folder that cannot be read", "folders that cannot be read"),
    "drawing": ("drawing of mien (-mien.png)", "drawings of mien (-mien.png)"),
    "no_file": ("socket, pipe or device", "sockets, pipes or devices"),
    "link_in_archive": ("link in an archive", "links in an archive"),
    "not_in_index": ("picture that is not in the index", "pictures that are not in the index"),
}


@dataclass
class PassedOver:
    """What a walk passed over: ``counts`` by kind, and the first few names (or, of files, endings) of each.

    Kinds: ``other_ending``, ``heic_without_extra``, ``apple_double``, ``hidden``, ``broken_link``, ``linked_folder``,
    ``unreadable_folder``, ``no_file``, ``drawing`` for what ``mien predict --draw`` wrote; in data sets also
    ``link_in_archive`` and ``not_in_index``.
    """

    counts: Counter[str] = field(default_factory=Counter)
    examples: dict[str, list[str]] = field(default_factory=dict)

    def add(self, kind: str, name: str | os.PathLike[str]) -> None:
        """Count one; ``name`` is kept where it is among the first of its kind."""
        self.counts[kind] += 1
        shown = PurePath(name).suffix.lower() or PurePath(name).name if kind == "other_ending" else os.fspath(name)
        shown = os.fsencode(shown).decode("utf-8", "replace")
        kept = self.examples.setdefault(kind, [])
        if len(kept) < _EXAMPLES and shown not in kept:
            kept.append(shown)

    def __bool__(self) -> bool:
        return bool(self.counts)

    def __str__(self) -> str:
        """``passed over: 12 files of other kinds (.mp4, .txt), 1 broken link (a.jpg)``, "" for nothing."""
        parts = [
            f"{n:,} {_WORDS[kind][n != 1]} ({', '.join(self.examples[kind])}{', ...' * (n > len(self.examples[kind]))})"
            for kind, n in sorted(self.counts.items(), key=lambda item: list(_WORDS).index(item[0]))
        ]
        return f"passed over: {', '.join(parts)}" if parts else ""

    def to_dict(self) -> dict[str, Any]:
        """``{kind: {"count": n, "examples": [...]}}``, in types that ``json.dumps`` takes."""
        return {kind: {"count": n, "examples": self.examples[kind]} for kind, n in self.counts.items()}


def is_hidden(name: str) -> bool:
    """Whether a file or folder of this name is none of the user's: ``.git``, ``@eaDir``."""
    return name.startswith(".") or name in _OF_THE_SYSTEM


def kind_passed_over(name: str | os.PathLike[str]) -> str:
    """Why a file of this name is no picture: "" for one that is, else the kind by which :class:`PassedOver` counts."""
    from mien.images import HEIF_SUFFIXES, is_picture  # OpenCV and Pillow, which tables of pixels do without

    base = PurePath(name).name
    if is_hidden(base):
        return "apple_double" if base.startswith("._") else "hidden"
    if is_picture(base):
        return ""
    return "heic_without_extra" if PurePath(base).suffix.lower() in HEIF_SUFFIXES else "other_ending"


def matching(item: str) -> list[str]:
    """What a pattern such as ``party/*.jpg`` matches, by name; ``item`` itself where it is none or matches nothing."""
    if glob.has_magic(item) and not Path(item).exists():
        return sorted(glob.glob(item, recursive=True)) or [item]
    return [item]


def find_pictures(folder: str | os.PathLike[str], passed: PassedOver | None = None) -> Iterator[Path]:
    """The pictures in ``folder`` and below it, by name; everything else is counted in ``passed``.

    Arguments and errors as for :func:`walk_files`. Whether a file is a picture is told by its name alone.
    """
    passed = PassedOver() if passed is None else passed
    for file in walk_files(folder, passed):
        if kind := kind_passed_over(file):
            passed.add(kind, file)
        else:
            yield file


def walk_files(
    folder: str | os.PathLike[str], passed: PassedOver | None = None, *, follow: bool = False
) -> Iterator[Path]:
    """Every file in ``folder`` and below it, in the order of ``sorted(paths)``, hidden ones left out.

    passed  counts what is no file or is left out; :class:`PassedOver`
    follow  enter linked folders, each target once; else they are counted. Links to files are files

    Raises :class:`DataError` where there is no such folder or it cannot be listed; one below it is counted.
    """
    passed, root = PassedOver() if passed is None else passed, Path(folder)
    if not os.fspath(folder) or not root.is_dir():
        raise DataError("no such folder; check the path", os.fspath(folder))
    try:
        waiting = _listed(root)
    except OSError as error:
        raise DataError(f"the folder cannot be read ({error.strerror})", os.fspath(folder)) from error
    entered = {_identity(root)}
    while waiting:
        entry = waiting.pop()
        if kind := _kind_of_entry(entry, entered, follow):
            passed.add(kind, entry.path)
        elif entry.is_dir():
            entered.add(_identity(entry.path))
            try:
                waiting += _listed(entry.path)
            except OSError:
                passed.add("unreadable_folder", entry.path)
        else:
            yield root / Path(entry.path).relative_to(root)


def _listed(folder: str | os.PathLike[str]) -> list[os.DirEntry[str]]:
    """What lies in a folder, last name first, to be taken from the end."""
    with os.scandir(folder) as entries:
        return sorted(entries, key=lambda entry: entry.name, reverse=True)


def _identity(folder: str | os.PathLike[str]) -> tuple[int, int]:
    found = os.stat(folder)
    return found.st_dev, found.st_ino


def _kind_of_entry(entry: os.DirEntry[str], entered: set[tuple[int, int]], follow: bool) -> str:
    """Why an entry is neither read nor entered, "" for one that is."""
    if is_hidden(entry.name):
        return kind_passed_over(entry.name)
    try:
        if entry.is_dir():
            again = entry.is_symlink() and (not follow or _identity(entry.path) in entered)
            return "linked_folder" if again else ""
        if entry.is_file():
            return ""
        return "broken_link" if entry.is_symlink() else "no_file"
    except OSError:  # a link to itself
        return "broken_link"
