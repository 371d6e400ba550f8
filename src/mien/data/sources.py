"""Read faces from anything that holds them: one call, and what the source is is seen from its content.

A CSV of the FER2013 family, plain, compressed or in a zip or tar; pictures in folders, on disk or in an archive; an
export of ``mien data images``; or the word ``synthetic``. Leaves out: the formats themselves (``csv_source``,
``folders``, ``archives``).
"""

from __future__ import annotations

import logging
import re
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

import numpy as np

from mien.data import cache as _cache
from mien.data.archives import BROKEN, Entry, entries, kind_of, reason, unpacked
from mien.data.csv_source import MAX_LINE, Layout, read_csv, sniff
from mien.data.dataset import FaceDataset
from mien.data.problems import Problem, Problems
from mien.data.votes import read_votes, with_votes
from mien.errors import ConfigError, DataError

__all__ = ["Reading", "read_faces", "read_source"]

_INDEX_BYTES = 1 << 30
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Reading:
    """A data set, the rows and pictures that were skipped on the way, and what the reader chose or left out."""

    dataset: FaceDataset
    skipped: tuple[Problem, ...] = ()
    notes: tuple[str, ...] = ()


def read_faces(
    path: str | Path,
    *,
    votes: str | Path | None = None,
    skip_bad: bool = False,
    size: int | None = None,
    cache: bool = True,
) -> FaceDataset:
    """The faces at ``path`` as one data set; :func:`read_source` also returns what was skipped.

    path      a file, folder or archive, or ``"synthetic"``, ``"synthetic:500"``, ``"synthetic:500,seed=3"``
    votes     ``fer2013new.csv`` of FER+, joined by row number: marks rows that are not a face
    skip_bad  leave out rows and pictures that cannot be read, and log each as a warning; otherwise the first one raises
    size      side in pixels that every face is resized to; its own size where ``None`` (48 for pictures of mixed sizes)
    cache     keep what one file held in the user's cache folder, for next time

    Raises :class:`DataError` with file and line.
    """
    reading = read_source(path, votes=votes, skip_bad=skip_bad, size=size, cache=cache)
    for problem in reading.skipped:
        _log.warning("skipped %s", problem)
    if reading.skipped:
        _log.warning("%d rows or pictures of %s were skipped", len(reading.skipped), path)
    return reading.dataset


def read_source(
    path: str | Path,
    *,
    votes: str | Path | None = None,
    skip_bad: bool = False,
    size: int | None = None,
    cache: bool = True,
) -> Reading:
    """Like :func:`read_faces`, but returns a :class:`Reading`: the data set, every problem skipped, and notes."""
    if size is not None and not 1 <= size <= 4096:
        raise ConfigError(f"size must lie in 1..4096 pixels, got {size}")
    text = str(path)
    if votes is not None and text.startswith("synthetic"):
        raise ConfigError("votes belong to FER2013, not to synthetic faces: leave them out")
    reading = (
        _synthetic(text, size) if re.match(r"synthetic(:|$)", text) else _from_disk(Path(path), skip_bad, size, cache)
    )
    if votes is not None:
        reading = replace(reading, dataset=with_votes(reading.dataset, read_votes(votes)))
    return reading


def _synthetic(text: str, size: int | None) -> Reading:
    found = re.fullmatch(r"synthetic(?::(\d{1,9}))?(?:[:,]seed=(\d{1,18}))?", text)
    if found is None:
        raise ConfigError(
            f"synthetic faces are asked for as synthetic, synthetic:500 or synthetic:500,seed=3; got {text!r}"
        )
    from mien.data.synthetic import generate

    return Reading(generate(int(found[1] or 4000), seed=int(found[2] or 0), size=size or 48))


def _from_disk(path: Path, skip_bad: bool, size: int | None, cache: bool) -> Reading:
    kind = kind_of(path)
    key = _key(path, size) if cache and kind != "folder" else None
    if key and (kept := _cache.load(key, str(path))):
        return Reading(kept[0], notes=kept[1])
    problems = Problems(skip_bad)
    reading = _single(path, problems) if kind == "file" else _container(path, kind, size, problems)
    reading = replace(reading, dataset=_resized(reading.dataset, size), skipped=tuple(problems.found))
    if key and not problems.found:
        _cache.store(key, reading.dataset, reading.notes)
    return reading


def _key(path: Path, size: int | None) -> str:
    try:
        return _cache.key_of(path, size)
    except OSError as error:
        raise DataError(f"cannot be read: {reason(error)}", str(path)) from error


def _single(path: Path, problems: Problems) -> Reading:
    try:
        with path.open("rb") as raw, unpacked(raw, str(path)) as stream:
            return Reading(read_csv(stream, str(path), problems))
    except BROKEN as error:
        raise DataError(f"cannot be read: {reason(error)}", str(path)) from error


def _resized(ds: FaceDataset, size: int | None) -> FaceDataset:
    if size is None or ds.size == (size, size):
        return ds
    from mien.images import resize

    return replace(ds, images=np.stack([resize(image, size) for image in ds.images]))


@dataclass
class _Survey:
    """What a first walk through a folder or archive found."""

    names: list[str] = field(default_factory=list)
    tables: dict[str, Layout] = field(default_factory=dict)  # CSV files that look like faces
    index: dict[str, bytes] = field(default_factory=dict)  # index.csv and index.json of an export
    broken: str = ""


def _container(path: Path, kind: str, size: int | None, problems: Problems) -> Reading:
    from mien.data.folders import plan_folders, plan_index, read_pictures
    from mien.images import is_picture

    survey = _survey(path, kind)
    for name, again in _twice(survey.names):
        problems.report(f"is there {again} times; only the first is read", f"{path}/{name}")
    root = _export(survey, str(path))
    if root is not None:
        plan, fingerprint = plan_index(
            survey.index[f"{root}index.csv"], survey.index[f"{root}index.json"], root, str(path)
        )
        ds = read_pictures(path, kind, plan, size, problems)
        changed = size is None and not problems.found and ds.fingerprint != fingerprint
        return Reading(ds, notes=(f"the images differ from those exported (then {fingerprint})",) if changed else ())
    pictures = [n for n in dict.fromkeys(survey.names) if is_picture(n)]
    if pictures:
        plan = plan_folders(pictures, str(path), problems)
        return Reading(read_pictures(path, kind, plan, size, problems), notes=_left(survey.tables, "the pictures"))
    if survey.tables:
        name = _best(survey.tables, str(path))
        return Reading(_csv_entry(path, kind, name, problems), notes=_left(survey.tables, name))
    raise DataError(
        f"holds neither pictures nor a CSV of faces ({len(survey.names)} other files"
        f"{', ' + survey.broken if survey.broken else ''}); pictures must lie in <split>/<class>/ or <class>/",
        str(path),
    )


def _survey(path: Path, kind: str) -> _Survey:
    survey = _Survey()
    try:
        with closing(entries(path, kind)) as files:
            for entry in files:
                _look(entry, survey)
    except BROKEN as error:  # what came before may still be read; the second walk reports the break itself
        survey.broken = reason(error)
    return survey


def _look(entry: Entry, survey: _Survey) -> None:
    survey.names.append(entry.name)
    base = PurePosixPath(entry.name).name.lower()
    if base in ("index.csv", "index.json"):
        survey.index[entry.name] = entry.read(_INDEX_BYTES)
    elif re.search(r"\.csv(\.(gz|bz2|xz))?$", base):
        try:
            with entry.open() as stream:
                survey.tables[entry.name] = sniff(stream.readline(MAX_LINE), entry.where)
        except (DataError, *BROKEN) as error:
            _log.debug("%s is no table of faces: %s", entry.where, error)


def _twice(names: list[str]) -> list[tuple[str, int]]:
    if len(set(names)) == len(names):
        return []
    return [(n, names.count(n)) for n in dict.fromkeys(names) if names.count(n) > 1]


def _export(survey: _Survey, where: str) -> str | None:
    """The folder (with its slash) of an export of ours: the outermost, or one folder inside it."""
    found = [
        n[: -len("index.json")]
        for n, data in survey.index.items()
        if n.endswith("index.json") and b"mien_index" in data
    ]
    roots = sorted(r for r in found if f"{r}index.csv" in survey.index and r.count("/") <= 1)
    if len(roots) > 1 and roots[0] != "":
        raise DataError(f"holds several exports: {', '.join(roots)}; give one of them", where)
    return roots[0] if roots else None


def _best(tables: dict[str, Layout], where: str) -> str:
    """The most complete table: labels and splits before labels before pixels alone; two such are an error."""
    top = max(t.rank for t in tables.values())
    best = sorted(n for n, t in tables.items() if t.rank == top)
    if len(best) > 1:
        raise DataError(f"holds several tables of faces: {', '.join(best)}; unpack it and give one of them", where)
    return best[0]


def _left(tables: dict[str, Layout], taken: str) -> tuple[str, ...]:
    left = sorted(set(tables) - {taken})
    return (f"read {taken}; left out: {', '.join(left)}",) if left else ()


def _csv_entry(path: Path, kind: str, name: str, problems: Problems) -> FaceDataset:
    try:
        with closing(entries(path, kind)) as files:
            for entry in files:
                if entry.name == name:
                    with entry.open() as stream:
                        return read_csv(stream, entry.where, problems)
    except BROKEN as error:
        raise DataError(f"cannot be read: {reason(error)}", f"{path}/{name}") from error
    raise DataError("was there and is gone; read it again", f"{path}/{name}")
