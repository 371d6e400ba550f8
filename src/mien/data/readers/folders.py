"""Pictures in ``<split>/<class>/*``, ``<class>/*`` or ``<class>/<person>/*``, on disk or in an archive; and the index
of ``mien data images``.

Row numbers are places in the sorted list of pictures (splits in the order train, validation, test, then by name; then
classes; then file names), the same on disk and in any archive. Leaves out: the trees of single data sets, whose names
tell who is on a picture (``layouts``), decoding (``mien.images``), writing (``save_images``).
"""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from mien.data.dataset import FaceDataset
from mien.data.readers.archives import BROKEN, entries, reason
from mien.data.readers.classes import class_order, class_words
from mien.data.readers.problems import Problems
from mien.data.splits import split_rank
from mien.errors import DataError
from mien.images import MAX_BYTES, decode, is_picture, resize
from mien.labels import FER2013, FERPLUS, canonical, plain

__all__ = [
    "INDEX",
    "UNLABELLED",
    "Faces",
    "Picture",
    "Plan",
    "plan_folders",
    "plan_index",
    "plan_of",
    "read_pictures",
]

INDEX = "index"  # index.csv and index.json, written by ``save_images``
UNLABELLED = "unlabelled"  # the folder of pictures without a label
_SPARE = 8  # times the size that is asked for is decoded at least, so that its pixels are what they would be
_DEFAULT_SIZE = 48  # pixels, for pictures of mixed sizes


@dataclass(frozen=True)
class Plan:
    """Which entry becomes which row: one item a picture, in row order."""

    files: tuple[str, ...]
    names: tuple[str, ...]
    labels: tuple[int, ...] | None
    split: tuple[str, ...]
    rows: tuple[int, ...]
    subject: tuple[str, ...] | None = None
    votes: tuple[tuple[float, ...], ...] | None = None


@dataclass(frozen=True)
class Picture:
    """What the place of one picture says: its file, class ("" or "unlabelled" for none), split and who is on it."""

    file: str
    name: str = ""
    split: str = ""
    subject: str = ""


def plan_of(pictures: Iterable[Picture]) -> Plan:
    """The plan that puts ``pictures`` in row order; the classes are those that occur, by :func:`class_order`."""
    found = list(pictures)
    classes = class_order({p.name for p in found} - {UNLABELLED, ""})
    number = {name: i for i, name in enumerate(classes)}
    found.sort(key=lambda p: (split_rank(p.split), p.split, number.get(p.name, -1), p.file))
    return Plan(
        files=tuple(p.file for p in found),
        names=classes or FER2013.names,
        labels=tuple(number.get(p.name, -1) for p in found) if classes else None,
        split=tuple(p.split for p in found),
        rows=tuple(range(len(found))),
        subject=tuple(p.subject for p in found) if any(p.subject for p in found) else None,
    )


def plan_folders(names: Sequence[str], where: str, problems: Problems) -> tuple[Plan, tuple[str, ...]]:
    """The plan for a tree of pictures, from the names of its files, and notes on what folders were taken for.

    ``[<split>/]<class>/*``, or ``[<split>/]<class>/<person>/*`` where the outer folders are named as expressions and
    the inner ones are not. Pictures off the common depth go to ``problems``.
    """
    paths = [PurePosixPath(n) for n in names if is_picture(n)]
    depth = Counter(len(p.parts) for p in paths).most_common(1)[0][0]
    for path in paths:
        if len(path.parts) != depth:
            problems.report(
                "lies at another depth than most pictures; all must lie in <split>/<class>/ or in <class>/: move it",
                f"{where}/{path}",
            )
    paths = [p for p in paths if len(p.parts) == depth]
    wrapped = _wrapping([p.parts[:-1] for p in paths])
    levels = {p: p.parts[wrapped:-1] for p in paths}
    people = _has_people(list(levels.values()))
    if depth - 1 - wrapped > 2 + people:
        raise DataError(
            "lies too deep; pictures must lie in <split>/<class>/, <class>/ or <class>/<person>/", f"{where}/{paths[0]}"
        )
    found = [_placed(path, parts, people) for path, parts in levels.items()]
    by_split: dict[str, set[str]] = {}
    for picture in sorted(found, key=lambda p: (split_rank(p.split), p.split)):
        by_split.setdefault(picture.split, set()).add(picture.name)
    words = class_words(by_split)
    return plan_of(replace(p, name=words[p.split, p.name]) for p in found), _notes(sorted(by_split), people)


def _placed(path: PurePosixPath, folders: tuple[str, ...], people: bool) -> Picture:
    """What a picture's folders say, the wrapping ones left out."""
    rest, subject = (folders[:-1], plain(folders[-1])) if people else (folders, "")
    split, name = ("", "", *rest)[-2:]
    return Picture(str(path), name, split, subject)


def _has_people(folders: list[tuple[str, ...]]) -> bool:
    """Whether the innermost of two levels, or three under known splits, are people: only the other is expressions."""
    inside = [f[1:] if len(f) == 3 and split_rank(f[0]) < split_rank("?") else f for f in folders]
    if any(len(f) != 2 or split_rank(f[0]) < split_rank("?") for f in inside):
        return False
    outer, inner = ({f[level] for f in inside} for level in (0, 1))
    return _expressions(outer) and not _expressions(inner)


def _expressions(words: set[str]) -> bool:
    """Whether most of the words name expressions."""
    return 2 * sum(canonical(w) in FERPLUS.names for w in words) > len(words)


def _notes(splits: list[str], people: bool) -> tuple[str, ...]:
    unknown = [s for s in splits if s and split_rank(s) == split_rank("?")]
    notes = ["read as <class>/<person>/: the inner folders are taken for people"] if people else []
    if unknown:
        shown = ", ".join(unknown[:6]) + ", ..." * (len(unknown) > 6)
        notes.append(f"the outer folders are taken for splits, though none is known as one: {shown}")
    return tuple(notes)


def _wrapping(folders: list[tuple[str, ...]]) -> int:
    """How many outer folders only wrap the tree, as in ``fer2013/train/angry/1.png``."""
    depth = 0
    while all(len(f) > 1 for f in folders) and len({f[0] for f in folders}) == 1:
        known = split_rank(folders[0][0]) < split_rank("?") or _expressions({folders[0][0]})
        if len(folders[0]) <= 2 and known:
            break  # one known split or expression is no wrapping
        if len(folders[0]) == 3 and _has_people(folders):
            break
        folders = [f[1:] for f in folders]
        depth += 1
    return depth


def plan_index(table: bytes, record: bytes, folder: str, where: str) -> tuple[Plan, str]:
    """The plan of ``index.csv`` and ``index.json``, and the fingerprint of the data set that they were written from."""
    try:
        head = json.loads(record)
        names, labelled = tuple(str(n) for n in head["names"]), bool(head["labelled"])
        rows = list(csv.DictReader(io.StringIO(table.decode("utf-8"), newline=""), strict=True))
        labels = tuple(int(r["label"]) for r in rows)
        subject = tuple(r["subject"] for r in rows) if head["subjects"] else None
        votes = tuple(tuple(float(v) for v in r["votes"].split()) for r in rows) if head["votes"] else None
        files = tuple(str(PurePosixPath(folder) / r["path"]) for r in rows)
        split = tuple(r["split"] for r in rows)
        plan = Plan(
            files, names, labels if labelled else None, split, tuple(int(r["row"]) for r in rows), subject, votes
        )
        return plan, str(head["fingerprint"])
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, csv.Error) as error:
        raise DataError(
            f"index.csv or index.json is damaged ({type(error).__name__}: {error}); delete both to read the folders by "
            "their names, or write them again with mien data images",
            where,
        ) from error


def read_pictures(path: Path, kind: str, plan: Plan, size: int | None, problems: Problems) -> FaceDataset:
    """Decode every picture of ``plan``; all become ``size`` pixels square, or 48 if none is given and sizes differ."""
    faces = Faces(size)
    _decode_all(path, kind, {name: i for i, name in enumerate(plan.files)}, faces, problems)
    for i, name in enumerate(plan.files):
        if i not in faces.images and name not in faces.failed:
            problems.report("the picture is missing; restore it or take it out of the index", f"{path}/{name}")
    kept = np.array(sorted(faces.images), dtype=np.int64)
    if not len(kept):
        raise problems.nothing_left(str(path))
    return FaceDataset(
        images=np.stack([faces.images[i] for i in kept.tolist()]),
        names=plan.names,
        labels=None if plan.labels is None else np.array(plan.labels, dtype=np.int64)[kept],
        votes=None if plan.votes is None else np.array(plan.votes, dtype=np.float32)[kept],
        split=np.array(plan.split, dtype=np.str_)[kept],
        subject=None if plan.subject is None else np.array(plan.subject, dtype=np.str_)[kept],
        rows=np.array(plan.rows, dtype=np.int64)[kept],
        source=str(path),
    )


class Faces:
    """Pictures by place in the plan, made one size as soon as two differ; ``failed`` names those already reported.

    Where ``size`` is given each picture is resized as it comes, so that no more than one is held at its own size, and
    a large JPEG is decoded no larger than that needs.
    """

    def __init__(self, size: int | None) -> None:
        self.size = size
        self._enough = None if size is None else _SPARE * size  # not a size found later: the order would matter
        self.images: dict[int, NDArray[np.uint8]] = {}
        self.failed: set[str] = set()

    def read(self, place: int, data: bytes, where: str) -> None:
        """Decode a picture and keep it at ``place``; DataError where it cannot be read."""
        self.add(place, decode(data, where, colour=False, enough=self._enough))

    def add(self, place: int, image: NDArray[np.uint8]) -> None:
        """Keep ``image``, uint8 ``(H, W)``, at ``place``."""
        if self.size is None and self.images and image.shape != next(iter(self.images.values())).shape:
            self.size = _DEFAULT_SIZE
            self.images = {i: resize(face, self.size) for i, face in self.images.items()}
        self.images[place] = image if self.size is None else resize(image, self.size)


def _decode_all(path: Path, kind: str, place: dict[str, int], faces: Faces, problems: Problems) -> None:
    try:
        with closing(entries(path, kind)) as files:
            for entry in files:
                if entry.name not in place or place[entry.name] in faces.images:
                    continue
                try:
                    faces.read(place[entry.name], entry.read(MAX_BYTES), entry.where)
                except (DataError, *BROKEN) as error:
                    faces.failed.add(entry.name)
                    message = error.message if isinstance(error, DataError) else f"cannot be read: {reason(error)}"
                    problems.report(message, entry.where)
    except BROKEN as error:
        problems.report(f"reading stopped: {reason(error)}", str(path))
