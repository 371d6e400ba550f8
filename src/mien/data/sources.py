"""Read faces from anything that holds them: one call, and what the source is is seen from its content.

A CSV of the FER2013 family, plain, compressed or in a zip or tar; pictures in folders, on disk or in an archive, the
trees of FERG, CK+ and JAFFE among them; Parquet, one file or many; what ``mien data images`` or ``mien data pack``
wrote; or the word ``synthetic``. Leaves out: the formats themselves (``readers``).
"""

from __future__ import annotations

import logging
import os
import re
from dataclasses import replace
from pathlib import Path

from mien.data import cache as _cache
from mien.data.dataset import MAX_SIDE, FaceDataset, Form, Kept
from mien.data.packed import is_packed, open_packed
from mien.data.readers.archives import BROKEN, kind_of, reason, unpacked
from mien.data.readers.csv_table import read_csv
from mien.data.readers.problems import Problems, Reading
from mien.data.readers.votes_table import read_votes
from mien.data.votes import Target, with_votes
from mien.errors import ConfigError, DataError
from mien.wording import counted

__all__ = ["read_faces", "read_source"]

_log = logging.getLogger(__name__)


def read_faces(
    path: str | Path,
    *,
    votes: str | Path | None = None,
    target: Target | None = None,
    skip_bad: bool = False,
    size: int | None = None,
    colour: bool = False,
    cache: bool = True,
) -> FaceDataset:
    """The faces at ``path`` as one data set; :func:`read_source` also returns what was skipped.

    path      a file, folder or archive, or ``"synthetic"``, ``"synthetic:500"``, ``"synthetic:500,seed=3"``; the faces
              of a folder that ``mien data pack`` wrote stay on the disk, in the form in which they were packed
    votes     ``fer2013new.csv`` of FER+, each face joined to its own row: marks rows that are not a face
    target    what is made of the votes instead: "majority", "argmax", "soft" or "both", see ``with_votes``
    skip_bad  leave out rows and pictures that cannot be read, and log each as a warning; otherwise the first one raises
    size      side in pixels that every face is resized to; its own size where ``None`` (48 for pictures of mixed sizes)
    colour    RGB, where the source has colours, instead of grey; grey faces three times
    cache     keep what one file held in the user's cache folder, for next time

    ``subject`` is set where the source names people: FERG, CK+ and JAFFE, an export, a column of a Parquet file.
    Raises :class:`DataError` with file and line.
    """
    reading = read_source(path, votes=votes, target=target, skip_bad=skip_bad, size=size, colour=colour, cache=cache)
    for problem in reading.skipped:
        _log.warning("skipped %s", problem)
    if reading.skipped:
        _log.warning("skipped: %s of %s", counted(len(reading.skipped), "row or picture", "rows or pictures"), path)
    if reading.passed:
        _log.warning("%s: %s", path, reading.passed)
    return reading.dataset


def read_source(
    path: str | Path,
    *,
    votes: str | Path | None = None,
    target: Target | None = None,
    skip_bad: bool = False,
    size: int | None = None,
    mixed: int = 48,
    colour: bool = False,
    kept: Kept | None = None,
    cache: bool = True,
) -> Reading:
    """Like :func:`read_faces`, but returns a :class:`Reading`: the data set, every problem skipped, and notes.

    mixed  side in pixels for pictures of mixed sizes, where no ``size`` is given
    kept   keeps the faces of pictures and of Parquet as they are read, one at a time; tables are read as a whole
    """
    for side in (size, mixed):
        if side is not None and not 1 <= side <= MAX_SIDE:
            raise ConfigError(f"size must lie in 1..{MAX_SIDE} pixels, got {side}")
    text = str(path)
    if not os.fspath(path):
        raise ConfigError("data must be a file, a folder, an archive or synthetic, got ''")
    if target is not None and votes is None:
        raise ConfigError(f"target {target!r} needs votes: give fer2013new.csv of FER+")
    if votes is not None and text.startswith("synthetic"):
        raise ConfigError("votes belong to FER2013, not to synthetic faces: leave them out")
    reading = _read_as(text, votes, target, skip_bad, Form(size, mixed, colour, kept), cache)
    return replace(reading, dataset=reading.dataset.with_channels(3)) if colour else reading


def _read_as(
    text: str, votes: str | Path | None, target: Target | None, skip_bad: bool, form: Form, cache: bool
) -> Reading:
    if re.match(r"synthetic(:|$)", text):
        return _synthetic(text, form.side)
    if votes is None:
        return _from_disk(Path(text), skip_bad, form, cache)
    # faces are known by their grey pixels: resized afterwards
    reading = _from_disk(Path(text), skip_bad, Form(None, form.mixed), cache)
    faces = with_votes(reading.dataset, read_votes(votes), target)
    return replace(reading, dataset=faces if form.side is None else faces.resized(form.side))


def _synthetic(text: str, size: int | None) -> Reading:
    found = re.fullmatch(r"synthetic(?::(\d{1,9}))?(?:[:,]seed=(\d{1,18}))?", text)
    if found is None:
        raise ConfigError(
            f"synthetic faces are asked for as synthetic, synthetic:500 or synthetic:500,seed=3; got {text!r}"
        )
    from mien.data.synthetic.generate import generate

    return Reading(generate(int(found[1] or 4000), seed=int(found[2] or 0), size=size or 48))


def _from_disk(path: Path, skip_bad: bool, form: Form, cache: bool) -> Reading:
    if is_packed(path):
        return _sized(open_packed(path), form)
    kind = kind_of(path)
    key = _key(path, kind, form) if cache and kind != "folder" else None
    if key and (found := _cache.load(key, str(path))):
        return found
    problems = Problems(skip_bad)
    reading = _sized(replace(_read(path, kind, form, problems), skipped=tuple(problems.found)), form)
    if key and form.kept is None and not problems.found and "heic_without_extra" not in reading.passed.counts:
        _cache.store(key, reading)
    return reading


def _sized(reading: Reading, form: Form) -> Reading:
    return reading if form.side is None else replace(reading, dataset=reading.dataset.resized(form.side))


def _key(path: Path, kind: str, form: Form) -> str:
    more = ("" if form.mixed == Form.mixed else f"-mixed{form.mixed}") + "-colour" * form.colour
    try:
        return f"{_cache.key_of(path, form.side)}{_named_split(path) if kind == 'parquet' else ''}{more}"
    except OSError as error:
        raise DataError(f"cannot be read: {reason(error)}", str(path)) from error


def _named_split(path: Path) -> str:
    """What a Parquet file's name adds to the key, since it, too, decides what is read."""
    from mien.data.readers.parquet import split_of

    return f"-{split_of(path.name)}"


def _read(path: Path, kind: str, form: Form, problems: Problems) -> Reading:
    if kind == "file":
        return _single(path, problems)
    if kind == "parquet":
        from mien.data.readers.parquet import read_parquet

        ds, notes = read_parquet(path, kind, (), form, problems)
        return Reading(ds, notes=notes)
    from mien.data.readers.containers import read_container

    return read_container(path, kind, form, problems)


def _single(path: Path, problems: Problems) -> Reading:
    try:
        with path.open("rb") as raw, unpacked(raw, str(path)) as stream:
            ds, notes = read_csv(stream, str(path), problems)
            return Reading(ds, notes=notes)
    except BROKEN as error:
        raise DataError(f"cannot be read: {reason(error)}", str(path)) from error
