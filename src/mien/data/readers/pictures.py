"""Pictures by plan: which file becomes which row, and the faces that they decode to.

Leaves out: what makes a plan (``folders``, ``layouts``, ``sequences``, ``export_index``), decoding (``mien.images``).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.data.dataset import FaceDataset, Form, Kept
from mien.data.readers.archives import BROKEN, entries, reason
from mien.data.readers.classes import class_order
from mien.data.readers.problems import Problems
from mien.data.splits import split_rank
from mien.errors import DataError
from mien.images import MAX_BYTES, decode, resize
from mien.labels import FER2013
from mien.stored import Images

__all__ = ["UNLABELLED", "Box", "Faces", "Picture", "Plan", "plan_of", "read_pictures"]

#: Left, top, width and height in pixels of where in a picture the face is.
Box = tuple[float, float, float, float]

UNLABELLED = "unlabelled"  # the folder of pictures without a label
_LARGEST = 2  # times the picture's side that a face's box may be
_SPARE = 8  # times the size that is asked for is decoded at least, so that its pixels are what they would be


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
    boxes: tuple[Box | None, ...] | None = None


@dataclass(frozen=True)
class Picture:
    """What is known of one picture: its file, class ("" or "unlabelled" for none), split, who is on it, and where in it
    the face is, unless it is all of it.
    """

    file: str
    name: str = ""
    split: str = ""
    subject: str = ""
    box: Box | None = None


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
        boxes=tuple(p.box for p in found) if any(p.box for p in found) else None,
    )


def read_pictures(path: Path, kind: str, plan: Plan, form: Form, problems: Problems) -> FaceDataset:
    """Decode every picture of ``plan``, as ``form`` says."""
    faces = Faces(form)
    _decode_all(path, kind, plan, faces, problems)
    for i, name in enumerate(plan.files):
        if i not in faces.images and name not in faces.failed:
            problems.report("the picture is missing; restore it or take it out of the index", f"{path}/{name}")
    kept = np.array(sorted(faces.images), dtype=np.int64)
    if not len(kept):
        raise problems.nothing_left(str(path))
    return FaceDataset(
        images=faces.together(kept.tolist()),
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

    Where a side is given each picture is resized as it comes, so that no more than one is held at its own size, and
    a large JPEG is decoded no larger than that needs. In colour they are RGB.
    """

    def __init__(self, form: Form) -> None:
        self.size, self.mixed, self.colour = form.side, form.mixed, form.colour
        self._enough = None if form.side is None else _SPARE * form.side  # not one found later: the order would matter
        self.images: dict[int, NDArray[np.uint8]] | Kept = {} if form.kept is None else form.kept
        self.failed: set[str] = set()

    def read(self, place: int, data: bytes, where: str, box: Box | None = None) -> None:
        """Decode a picture and keep it, or the square around ``box``, at ``place``; DataError where that fails."""
        image = decode(data, where, colour=self.colour, enough=None if box else self._enough)
        image = image if box is None else _square(image, box, where)
        self.add(place, np.ascontiguousarray(image[..., ::-1]) if self.colour else image)

    def add(self, place: int, image: NDArray[np.uint8]) -> None:
        """Keep ``image``, uint8 ``(H, W)`` or ``(H, W, 3)``, at ``place``."""
        held = self.images
        if isinstance(held, dict) and self.size is None and held and image.shape != next(iter(held.values())).shape:
            self.size = self.mixed
            self.images = held = {i: resize(face, self.size) for i, face in held.items()}
        held[place] = image if self.size is None else resize(image, self.size)

    def together(self, order: Sequence[int]) -> Images:
        """The faces at the places ``order``, one after the other."""
        held = self.images
        return np.stack([held[i] for i in order]) if isinstance(held, dict) else held.images(order)


def _square(image: NDArray[np.uint8], box: Box, where: str) -> NDArray[np.uint8]:
    """The square around ``box``, as large as its longer side; what lies beyond the picture repeats its edge."""
    (left, top, width, height), side = box, max(1, round(max(box[2:])))
    x, y = round(left + width / 2 - side / 2), round(top + height / 2 - side / 2)
    part = image[max(y, 0) : max(y + side, 0), max(x, 0) : max(x + side, 0)]
    if not part.size or side > _LARGEST * max(image.shape[:2]):
        raise DataError(f"the face at {box} lies beyond its {image.shape[1]} x {image.shape[0]} pixels", where)
    above, before = max(-y, 0), max(-x, 0)
    sides = (above, side - above - len(part), before, side - before - part.shape[1])
    return np.asarray(cv2.copyMakeBorder(part, *sides, cv2.BORDER_REPLICATE), np.uint8)


def _decode_all(path: Path, kind: str, plan: Plan, faces: Faces, problems: Problems) -> None:
    place = {name: i for i, name in enumerate(plan.files)}
    try:
        with closing(entries(path, kind)) as files:
            for entry in files:
                if entry.name not in place or place[entry.name] in faces.images:
                    continue
                try:
                    i = place[entry.name]
                    faces.read(i, entry.read(MAX_BYTES), entry.where, plan.boxes[i] if plan.boxes else None)
                except (DataError, *BROKEN) as error:
                    faces.failed.add(entry.name)
                    message = error.message if isinstance(error, DataError) else f"cannot be read: {reason(error)}"
                    problems.report(message, entry.where)
    except BROKEN as error:
        problems.report(f"reading stopped: {reason(error)}", str(path))
