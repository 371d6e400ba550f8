"""The trees of single data sets, known by their names alone: FERG, CK+ and JAFFE, with who is on each picture.

FERG_DB_256   ``aia/aia_anger/aia_anger_12.png``: character, expression. Aneja et al. 2016, ACCV. 55,767 pictures of 256
              pixels: give a size, or they take 3.7 GB.
CK+           ``anger/S010_004_00000017.png``, class folders of single frames, as they are often handed on; or the
              original sequences with their codes (``sequences``). Lucey et al. 2010, CVPR workshops.
RAF-DB, AffectNet   pictures with a list, or with arrays: ``raf_db`` and ``affectnet``; AffectNet's older form, with
              tables, goes to ``affectnet_table``.
JAFFE         ``KA.AN1.39.tiff``, all in one folder: subject, expression and take, number. Lyons et al. 1998, FG.

More than half of the pictures must follow a layout for the tree to be taken for it; the others are then problems, since
one picture of an unknown person would spoil every split by people. Folders may be wrapped in others. A tree that is
none of these goes to ``folders``, which reads no identity from a file's name. Leaves out: decoding. The details of the
layouts are as remembered, not checked against the archives, which may not be handed on.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence, Sized
from dataclasses import replace
from pathlib import PurePosixPath

from mien.data.readers.affectnet import is_expression, plan_affectnet
from mien.data.readers.folders import plan_folders
from mien.data.readers.pictures import Picture, Plan, plan_of
from mien.data.readers.problems import Problems
from mien.data.readers.raf_db import is_list, plan_raf_db
from mien.data.readers.sequences import plan_sequences
from mien.errors import DataError
from mien.images import is_picture
from mien.labels import FER2013, canonical

__all__ = ["plan_layout"]

_CHARACTERS = ("aia", "bonnie", "jules", "malcolm", "mery", "ray")  # FERG's six
_CK_NAME = re.compile(r"(S\d{3})_\d{3}_\d{8}", re.IGNORECASE)
_JAFFE_NAME = re.compile(r"([A-Z]{2})\.(AN|DI|FE|HA|SA|SU|NE)\d+\.\d+", re.IGNORECASE)
_CLASSES = (*FER2013.names, "contempt")


def plan_layout(
    names: Sequence[str], codes: Mapping[str, bytes | DataError], where: str, problems: Problems
) -> tuple[Plan, tuple[str, ...]] | None:
    """The plan of a tree in one of the layouts above, and notes on how it was read; ``None`` for any other tree.

    names  every file of the tree; pictures are picked by their suffix
    codes  the content of CK+'s ``*_emotion.txt``, RAF-DB's list and AffectNet's ``*_exp.npy`` by file name, or why it
           could not be read
    where  the tree, for messages

    Pictures that do not follow the layout that the others follow, and codes that cannot be read, go to ``problems``.
    """
    paths = [PurePosixPath(n) for n in dict.fromkeys(names) if is_picture(n)]
    lists = {name: content for name, content in codes.items() if is_list(name)}
    arrays = {name: content for name, content in codes.items() if is_expression(name)}
    if known := plan_raf_db(paths, lists, where, problems) or plan_affectnet(paths, arrays, where, problems):
        return known
    found = _ferg(paths, where, problems) or _ck_folders(paths, where, problems) or _jaffe(paths, where, problems)
    return found or plan_sequences(paths, codes, where, problems)


def _ferg(paths: list[PurePosixPath], where: str, problems: Problems) -> tuple[Plan, tuple[str, ...]] | None:
    found = {p: face for p in paths if (face := _ferg_face(p))}
    if not _most(found, paths):
        return None
    _report(paths, found, "FERG's character/character_expression/character_expression_number.png", where, problems)
    plan = plan_of(Picture(str(p), word, subject=who) for p, (who, word) in found.items())
    return plan, (f"read as FERG: the subject is the character ({_people(plan)})",)


def _ferg_face(path: PurePosixPath) -> tuple[str, str] | None:
    """Character and expression of a picture, or ``None`` where its folders are not FERG's."""
    parent, folder = ("", "", *path.parts[:-1])[-2:]
    who, _, word = folder.lower().rpartition("_")
    known = parent.lower() == who if parent else who in _CHARACTERS  # one character's folder may be given alone
    if not who or not known or canonical(word) not in FER2013.names:
        return None
    return (who, canonical(word)) if path.name.lower().startswith(f"{who}_{word}_") else None


def _ck_folders(paths: list[PurePosixPath], where: str, problems: Problems) -> tuple[Plan, tuple[str, ...]] | None:
    found = {p: _CK_NAME.fullmatch(p.stem) for p in paths if canonical(p.parent.name) in _CLASSES}
    who = {str(p): match[1].upper() for p, match in found.items() if match}
    if not _most(who, paths):
        return None
    _report(paths, [p for p in paths if str(p) in who], "CK+'s expression/S010_004_00000017.png", where, problems)
    plan, _ = plan_folders(list(who), where, problems)
    plan = replace(plan, subject=tuple(who[f] for f in plan.files))
    return plan, (f"read as CK+ in class folders: the subject is the S-number of the file name ({_people(plan)})",)


def _jaffe(paths: list[PurePosixPath], where: str, problems: Problems) -> tuple[Plan, tuple[str, ...]] | None:
    named = {p: match for p in paths if (match := _JAFFE_NAME.fullmatch(p.stem))}
    if not named:
        return None
    folder = Counter(p.parent for p in named).most_common(1)[0][0]
    found = {p: match for p, match in named.items() if p.parent == folder}
    if not _most(found, paths):
        return None
    _report(paths, found, "JAFFE's KA.AN1.39.tiff (subject.expression take.number), all in one folder", where, problems)
    plan = plan_of(Picture(str(p), canonical(m[2]), subject=m[1].upper()) for p, m in found.items())
    return plan, (f"read as JAFFE: the subject is the first two letters of the file name ({_people(plan)})",)


def _most(found: Sized, paths: Sized) -> bool:
    return 2 * len(found) > len(paths)


def _report(
    paths: Sequence[PurePosixPath],
    found: Collection[PurePosixPath],
    rule: str,
    where: str,
    problems: Problems,
) -> None:
    """Every picture that is not among ``found`` is a problem."""
    kept = set(found)
    for path in paths:
        if path not in kept:
            problems.report(
                f"does not follow the layout of the other pictures, {rule}, so nobody knows who it shows: rename it or "
                "take it out",
                f"{where}/{path}",
            )


def _people(plan: Plan) -> str:
    count = len(set(plan.subject or ()))
    return f"{count} subject{'s' * (count != 1)}"
