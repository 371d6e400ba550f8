"""Corrections as lines of a file that only grows: each can be undone and applied again, and none is ever lost.

The first line says which recording and which run they belong to. Each other is a correction with its number, or says
that one is undone or applied again. A last line that a crash cut short is passed over.
Leaves out: what corrections do (``corrections``).
"""

from __future__ import annotations

import codecs
import contextlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from mien.errors import ConfigError, DataError, OutputError
from mien.files import reported
from mien.results.cells import json_line
from mien.study.corrections import Correction, Found, Reviewed, as_found, correct, new_person, parse_correction

__all__ = ["FORMAT", "Entry", "History", "Journal", "read_history"]

#: Number of the file's format.
FORMAT = 1

_BELONGING = {"sha256": "another film", "run": "a table of another run, whose persons have other numbers"}


@dataclass(frozen=True)
class Entry:
    """A correction with its number, from 1, and whether it counts."""

    id: int
    correction: Correction
    at: str = ""
    undone: bool = False


@dataclass(frozen=True)
class History:
    """All corrections of a recording in their order, and which were undone last.

    entries  in the order of their numbers
    gone     numbers of those that are undone, the newest last
    """

    entries: tuple[Entry, ...] = ()
    gone: tuple[int, ...] = ()

    def add(self, correction: Correction, at: str = "") -> History:
        """With one more."""
        return History((*self.entries, Entry(len(self.entries) + 1, correction, at)), self.gone)

    def undo(self, number: int | None = None) -> History:
        """Without one of them, None: the newest that counts. ConfigError where there is none."""
        counting = [e.id for e in self.entries if not e.undone]
        number = _chosen(number, counting, "undone", "counts")
        return History(self._with(number, undone=True), (*self.gone, number))

    def redo(self, number: int | None = None) -> History:
        """With one that was undone, at its old place; None: the one that was undone last."""
        number = _chosen(number, list(self.gone), "applied again", "is undone")
        return History(self._with(number, undone=False), tuple(n for n in self.gone if n != number))

    def replay(self, found: Found) -> Reviewed:
        """What the corrections that count make of what was found; ConfigError names the one that cannot be made."""
        now = as_found(found)
        for entry in self.entries:
            if not entry.undone:
                try:
                    now = correct(found, now, entry.correction)
                except ConfigError as error:
                    raise ConfigError(f"correction {entry.id} ({entry.correction.do}): {error}") from error
        return now

    def new_person(self, found: Found) -> int:
        """A number for somebody new, which undone corrections do not use either."""
        return new_person(found, [n for e in self.entries for n in (e.correction.into,) if n is not None])

    def _with(self, number: int, *, undone: bool) -> tuple[Entry, ...]:
        return tuple(Entry(e.id, e.correction, e.at, undone) if e.id == number else e for e in self.entries)


def _chosen(number: int | None, possible: Sequence[int], done: str, state: str) -> int:
    if number is None and not possible:
        raise ConfigError(f"nothing can be {done}: there is no correction that {state}")
    if number is not None and (type(number) is not int or number not in possible):
        raise ConfigError(f"correction {number} cannot be {done}: there is none of this number that {state}")
    return possible[-1] if number is None else number


class Journal:
    """The file of a recording's corrections and what it holds; it is made with the first one.

    about  what it belongs to: ``video``, ``sha256`` and ``run``. DataError where the file is of another recording

    ``notes`` says what was passed over; ``lines`` counts those that were read or written since it was opened.
    """

    def __init__(self, path: Path, about: Mapping[str, Any]) -> None:
        self.path, self.about = path, dict(about)
        self.history, self.notes = History(), list[str]()
        self.lines, self._size, self._headed = 0, 0, False
        if path.exists():
            self.history, head, self.notes = read_history(path)
            self._size, self._headed = path.stat().st_size, bool(head)
            self.lines = path.read_bytes().count(b"\n")
            for name, what in _BELONGING.items():
                if head.get(name) != self.about.get(name) and head.get(name) and self.about.get(name):
                    raise DataError(
                        f"these corrections belong to {what}: move the file away or name its table", str(path)
                    )

    def add(self, found: Found, correction: Correction) -> Reviewed:
        """One more correction: into the file, and the recording as it is then. ConfigError leaves both as they are."""
        now, history = correct(found, self.history.replay(found), correction), self.history.add(correction, _time())
        newest = history.entries[-1]
        self._append({"id": newest.id, "at": newest.at, **correction.to_dict()})
        self.history = history
        return now

    def undo(self, found: Found, number: int | None = None) -> Reviewed:
        """See :meth:`History.undo`."""
        return self._turn(found, self.history.undo(number), "undo")

    def redo(self, found: Found, number: int | None = None) -> Reviewed:
        """See :meth:`History.redo`."""
        return self._turn(found, self.history.redo(number), "redo")

    def _turn(self, found: Found, history: History, do: str) -> Reviewed:
        now = history.replay(found)
        (number,) = set(history.gone) ^ set(self.history.gone)
        self._append({"at": _time(), "do": do, "of": number})
        self.history = history
        return now

    def _append(self, line: Mapping[str, Any]) -> None:
        """Write a line through to the disk, or nothing at all; another program that wrote meanwhile is an error."""
        size = self.path.stat().st_size if self.path.exists() else 0
        if size != self._size:
            raise DataError("another program has written it meanwhile: start the review again", str(self.path))
        head = {"mien": "corrections", "format": FORMAT, **self.about}
        text = ("" if self._headed else json_line(head)) + json_line(line)
        try:
            with reported(self.path):
                self._size = _appended(self.path, text.encode())
        except OutputError:  # a full disk may have taken a part of it
            with contextlib.suppress(OSError):
                os.truncate(self.path, size)
            raise
        self._headed, self.lines = True, self.lines + 1


def _appended(path: Path, data: bytes) -> int:
    """The file's new size."""
    with path.open("ab+") as file:
        if file.tell():
            file.seek(-1, os.SEEK_END)
            data = data if file.read() == b"\n" else b"\n" + data  # behind a line that a crash cut short
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
        return file.tell()


def _time() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="seconds")


def read_history(path: Path) -> tuple[History, dict[str, Any], list[str]]:
    """The corrections of a file, its first line, and what was passed over; DataError with the line of what is wrong."""
    try:
        lines = path.read_bytes().removeprefix(codecs.BOM_UTF8).split(b"\n")
    except OSError as error:
        raise DataError(f"no file of corrections ({error})", str(path)) from error
    history, head, notes = History(), dict[str, Any](), list[str]()
    for i, text in enumerate(lines, 1):
        if not text.strip():
            continue
        try:
            read = json.loads(text.decode("utf-8"))
        except (ValueError, RecursionError):
            notes.append(f"{path.name}, line {i}: cut short, passed over")
            continue
        try:
            if not head:
                head = _head(read)
            else:
                history = _after(history, read)
        except ConfigError as error:
            raise DataError(str(error), f"{path}:{i}") from error
    if len(notes) > 1 and not head:
        raise DataError("no file of corrections: none of its lines can be read", str(path))
    return history, head, notes


def _head(read: Any) -> dict[str, Any]:
    if not isinstance(read, dict) or read.get("mien") != "corrections":
        raise ConfigError('no file of corrections: its first line must have "mien": "corrections"')
    if read.get("format") != FORMAT:
        raise ConfigError(f"format must be {FORMAT}, got {read.get('format')!r}: a newer mien has written it")
    return read


def _after(history: History, read: Any) -> History:
    """The history with what one more line says."""
    if not isinstance(read, dict):
        raise ConfigError("a line must be an object")
    if read.get("do") in ("undo", "redo"):
        if (number := read.get("of")) is None:
            raise ConfigError(f"{read['do']} needs of, the number of a correction")
        return history.undo(number) if read["do"] == "undo" else history.redo(number)
    if read.get("id") != len(history.entries) + 1:
        raise ConfigError(f"id must be {len(history.entries) + 1}, got {read.get('id')!r}: a line is missing")
    correction = parse_correction({k: v for k, v in read.items() if k not in ("id", "at")})
    return history.add(correction, str(read.get("at", "")))
