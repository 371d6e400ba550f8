"""Trees of pictures: ``<split>/<class>/*``, ``<class>/*`` or ``<class>/<person>/*``, on disk or in an archive.

Row numbers are places in the sorted list of pictures (splits in the order train, validation, test, then by name; then
classes; then file names), the same on disk and in any archive. Leaves out: the trees of single data sets, whose names
tell who is on a picture (``layouts``), and reading the pictures (``pictures``).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import PurePosixPath

from mien.data.readers.classes import class_words
from mien.data.readers.pictures import Picture, Plan, plan_of
from mien.data.readers.problems import Problems
from mien.data.splits import split_rank
from mien.errors import DataError
from mien.images import is_picture
from mien.labels import FERPLUS, canonical, plain

__all__ = ["plan_folders"]


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
    return Picture(str(path), name, plain(split), subject)


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
        notes.append(
            f"the outer folders are taken for splits, though none is known as one: {shown}; people belong inside the "
            "classes, <class>/<person>/"
        )
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
