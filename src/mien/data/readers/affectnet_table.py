"""AffectNet in its older form: whole photographs, and tables that say where in them a face is and what it shows.

``training.csv`` and ``validation.csv`` (and ``automatically_annotated.csv``) with the columns subDirectory_filePath
(``689/737db2...jpg``), face_x, face_y, face_width, face_height and expression: 0 to 7 as in the folder form, 8 none,
9 uncertain, 10 no face. Mollahosseini, Hasani & Mahoor 2017, IEEE TAC. The square around a face's box is cut out; what
lies beyond the photograph repeats its edge. Leaves out: landmarks, valence and arousal. Details are as remembered, not
checked against the archives, which may not be handed on.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import IO

from mien.data.readers.affectnet import WORDS
from mien.data.readers.pictures import Box, Picture, Plan, plan_of
from mien.data.readers.problems import Problem, Problems
from mien.data.readers.text import as_utf8
from mien.wording import counted

__all__ = ["FaceTable", "is_face_table", "plan_face_tables", "read_face_table"]

_FILE, _LABEL = "subdirectory_filepath", "expression"
_BOX = ("face_x", "face_y", "face_width", "face_height")
_NO_EXPRESSION = (8, 9, 10)
_SPLITS = {"training": "train", "validation": "validation"}


@dataclass
class FaceTable:
    """One such table: a row a face, those that say none, uncertain or no face, and what could not be understood."""

    rows: list[tuple[str, int, Box]] = field(default_factory=list)  # picture, expression, where the face is
    without: int = 0
    problems: list[Problem] = field(default_factory=list)


def is_face_table(line: bytes) -> bool:
    """Whether the first line of a CSV is that of such a table."""
    words = {w.strip().lower() for w in line.decode("utf-8", "replace").split(",")}
    return {_FILE, _LABEL, *_BOX} <= words


def read_face_table(stream: IO[bytes], where: str) -> FaceTable:
    """The rows of a table whose first line is as it should be."""
    table = FaceTable()
    text = io.TextIOWrapper(as_utf8(stream), encoding="utf-8", errors="replace", newline="")  # type: ignore[arg-type]
    lines = csv.reader(text)
    columns = [w.strip().lower() for w in next(lines)]
    places = [columns.index(c) for c in (_FILE, _LABEL, *_BOX)]
    for cells in _rows(lines, table, where):
        try:
            name, expression, *box = (cells[i].strip() for i in places)
            number, (left, top, width, height) = int(expression), map(float, box)
            if not name or width <= 0 or height <= 0 or not 0 <= number <= max(_NO_EXPRESSION):
                raise ValueError
        except (IndexError, ValueError, OverflowError):
            said = f"{_FILE}, {', '.join(_BOX)} above 0 and {_LABEL} 0 to 10"
            table.problems.append(Problem(f"{where}:{lines.line_num}", f"must hold {said}; correct or remove the row"))
            continue
        if number in _NO_EXPRESSION:
            table.without += 1
        else:
            table.rows.append((name.replace("\\", "/"), number, (left, top, width, height)))
    text.detach()
    return table


def _rows(lines: Iterator[list[str]], table: FaceTable, where: str) -> Iterator[list[str]]:
    """The rows with anything in them, up to where the table breaks off."""
    try:
        yield from (cells for cells in lines if any(cells))
    except csv.Error as error:
        table.problems.append(Problem(where, f"reading stopped after {counted(len(table.rows), 'row')}: {error}"))


def plan_face_tables(
    paths: Sequence[PurePosixPath], tables: Mapping[str, FaceTable], where: str, problems: Problems
) -> tuple[Plan, tuple[str, ...]]:
    """The plan of the pictures that ``tables`` name, by their last two folders' names, and notes: how many are named
    and not there, there and not named, or show nothing that could be learnt. Rows that cannot be understood, and
    pictures that are named again, are problems.
    """
    files = {"/".join(p.parts[-2:]): str(p) for p in paths}
    pictures: dict[str, Picture] = {}
    missing = without = 0
    for name, table in sorted(tables.items()):
        for problem in table.problems:
            problems.report(problem.message, problem.where)
        stem = PurePosixPath(name).stem.lower()
        without += table.without
        for file, number, box in table.rows:
            found = files.get("/".join(PurePosixPath(file).parts[-2:]))
            if found is None:
                missing += 1
            elif found in pictures:
                problems.report(f"names {file} a second time; remove one of both rows", f"{where}/{name}")
            else:
                pictures[found] = Picture(found, WORDS[number], split=_SPLITS.get(stem, stem), box=box)
    counts = (
        (without, "row", "of none, uncertain or no face: left out"),
        (missing, "picture", "of the tables not there"),
        (len(paths) - len(pictures), "picture", "in no table with an expression: left out"),
    )
    notes = (f"read as AffectNet: faces and labels from {', '.join(sorted(tables))}",)
    return plan_of(pictures.values()), (*notes, *(f"{counted(n, one)} {what}" for n, one, what in counts if n))
