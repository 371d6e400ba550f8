"""Writing files so that nothing is ever half there: fill a temporary file, flush it, rename it.

Leaves out: what is written. A process killed at any moment leaves the old file or the new one.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from mien.errors import ConfigError, OutputError

__all__ = [
    "check_new",
    "check_writable",
    "plain_name",
    "replace_file",
    "reported",
    "safe_name",
    "sha256_of",
    "temporary_name",
    "write_text",
]

_LONGEST = 40  # characters of a name that come from data
# what Windows keeps for itself, with any ending
_RESERVED = {"con", "prn", "aux", "nul", *(f"{p}{i}" for p in ("com", "lpt") for i in range(1, 10))}


def check_new(path: Path, *, force: bool = False, remedy: str = "--force overwrites it") -> None:
    """Make the folder of ``path`` and refuse what lies there already, unless with ``force``.

    The one rule of every command that writes a file a user has named. ConfigError holds the ``remedy``.
    """
    check_writable(path.parent)
    if path.is_dir():
        raise ConfigError(f"{path} is a folder: give the name of a file")
    if not force and os.path.lexists(path):
        raise ConfigError(f"{path} is there already: {remedy}, or choose another name")


def safe_name(text: str, number: int) -> str:
    """The name of a file or folder for something that data call ``text``, the ``number``-th of its kind.

    ``0007-Ann_Lee``: letters, digits, ``-`` and ``_`` of ASCII stay, everything else becomes ``_``, and at most 40
    characters are kept. It names no other folder, whatever ``text`` holds, fits every file system, and is one of its
    own for every number, also where two texts differ in what was replaced.
    """
    kept = re.sub(r"[^A-Za-z0-9_-]+", "_", text)[:_LONGEST].strip("_")
    return f"{number:04}-{kept}" if kept else f"{number:04}"


def plain_name(text: str, number: int) -> str:
    """``text`` itself where every file system takes it as a name, so that it reads back; else its :func:`safe_name`."""
    plain = re.fullmatch(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*", text) and len(text) <= _LONGEST
    return text if plain and text.lower().split(".")[0] not in _RESERVED else safe_name(text, number)


def sha256_of(path: str | os.PathLike[str]) -> str:
    """The SHA-256 of a file, 64 hexadecimal digits; "" for one that cannot be read."""
    found = hashlib.sha256()
    try:
        with open(path, "rb") as file:
            while block := file.read(1 << 20):
                found.update(block)
    except (OSError, ValueError):
        return ""
    return found.hexdigest()


def check_writable(folder: Path, need_bytes: int = 0) -> None:
    """Make ``folder`` and prove that a file can be written and ``need_bytes`` are free; raises :class:`OutputError`."""
    probe = folder / f".probe-{os.getpid()}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.write_bytes(b"mien")
        probe.unlink()
        free = shutil.disk_usage(folder).free
    except OSError as error:
        raise OutputError(f"{folder}: cannot be written ({error.strerror}); choose another folder") from error
    if free < need_bytes:
        raise OutputError(
            f"{folder}: {free / 1e6:.0f} MB free, {need_bytes / 1e6:.0f} MB needed; make room or choose another folder"
        )


def replace_file(path: Path, write: Callable[[Path], Any]) -> None:
    """Let ``write`` fill a temporary file beside ``path`` (same suffix), flush it to the disk and rename it."""
    temporary = temporary_name(path)
    try:
        with reported(path):
            write(temporary)
            with open(temporary, "rb+") as f:
                os.fsync(f.fileno())
            os.replace(temporary, path)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def temporary_name(path: Path) -> Path:
    """Where a file lies until it is whole: beside ``path``, with the same suffix."""
    return path.with_name(f".{os.getpid()}-{path.name}")


@contextlib.contextmanager
def reported(path: Path, *kinds: type[Exception]) -> Iterator[None]:
    """Turn an OSError, or an error of ``kinds``, into an :class:`OutputError` that names ``path``."""
    caught: tuple[type[Exception], ...] = (OSError, *kinds)
    try:
        yield
    except caught as error:
        why = getattr(error, "strerror", None) or error
        raise OutputError(f"{path}: cannot be written ({why}); make room or choose another folder") from error


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text through :func:`replace_file`; a name in it that is no text is escaped, as JSON does."""
    replace_file(path, lambda p: p.write_text(text, encoding="utf-8", errors="backslashreplace"))
