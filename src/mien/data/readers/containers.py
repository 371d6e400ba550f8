"""A folder or archive as one data set: what is in it decides whether an export, Parquet, pictures or a table is read.

The order is that: an export of ``mien data images`` before Parquet files, those before pictures, pictures before a
table, and of several tables the most complete. What is left out is named in the notes, and what is no face is counted
by kind. Leaves out: the walk that finds what there is (``survey``), and the formats (``parquet``, ``layouts``,
``folders``, ``csv_table``).
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import closing
from dataclasses import replace
from pathlib import Path, PurePosixPath

from mien.data.dataset import FaceDataset, Form
from mien.data.readers.affectnet_table import plan_face_tables
from mien.data.readers.archives import BROKEN, entries, reason
from mien.data.readers.csv_table import read_csv
from mien.data.readers.export_index import plan_index
from mien.data.readers.folders import plan_folders
from mien.data.readers.layouts import plan_layout
from mien.data.readers.parquet import read_parquet
from mien.data.readers.pictures import read_pictures
from mien.data.readers.problems import Problems, Reading
from mien.data.readers.survey import Survey, best_table, export_root, survey, twice
from mien.errors import DataError
from mien.picture_files import kind_passed_over
from mien.wording import counted

__all__ = ["read_container"]

_Read = tuple[FaceDataset, tuple[str, ...], set[str]]  # faces, notes, and the names of what was read or noted


def read_container(path: Path, kind: str, form: Form, problems: Problems) -> Reading:
    """The faces in the folder or archive at ``path``, with what was chosen and what was passed over.

    ``kind`` is that of ``archives.kind_of``. Raises :class:`DataError` where there is nothing to read.
    """
    found = survey(path, kind)
    for name, again in twice(found.names):
        problems.report(f"is there {again} times; only the first is read", f"{path}/{name}")
    root = export_root(found, str(path))
    if root is not None:
        ds, notes, read = _exported(path, kind, found, root, form, problems)
    elif found.shards:
        ds, notes = read_parquet(path, kind, found.shards, form, problems)
        others = (f"read Parquet files; left out: {counted(len(found.pictures), 'picture')}",) if found.pictures else ()
        notes, read = (*notes, *others, *_left(found.tables, "Parquet files")), {*found.shards, *found.pictures}
    elif found.pictures:
        ds, notes, read = _pictures(path, kind, found, form, problems)
    elif found.tables:
        name = best_table(found.tables, str(path))
        ds, notes = _table(path, kind, name, problems)
        notes, read = (*notes, *_left(found.tables, name)), set()
    else:
        raise _nothing(found, str(path))
    for name in dict.fromkeys(found.names):
        if name not in read and name not in found.tables:
            found.passed.add(kind_passed_over(name) or "not_in_index", f"{path}/{name}" if kind == "folder" else name)
    return Reading(ds, notes=notes, passed=found.passed)


def _nothing(found: Survey, where: str) -> DataError:
    for name in dict.fromkeys(found.names):
        found.passed.add(kind_passed_over(name), name)
    seen = str(found.passed) or "it is empty"
    return DataError(
        f"holds neither pictures nor a CSV of faces ({seen}{', ' + found.broken if found.broken else ''}); pictures "
        "must lie in <split>/<class>/ or <class>/",
        where,
    )


def _exported(path: Path, kind: str, found: Survey, root: str, form: Form, problems: Problems) -> _Read:
    table, record = f"{root}index.csv", f"{root}index.json"
    plan, fingerprint, colour = plan_index(found.index[table], found.index[record], root, str(path))
    form = replace(form, colour=form.colour or colour)
    ds = read_pictures(path, kind, plan, form, problems)
    changed = form.side is None and form.colour == colour and not problems.found and ds.fingerprint != fingerprint
    notes = (f"the images differ from those exported (then {fingerprint})",) if changed else ()
    others = {*found.tables, *found.shards}
    return ds, (*notes, *_left(others, table)), {*plan.files, table, record, *found.shards}


def _pictures(path: Path, kind: str, found: Survey, form: Form, problems: Problems) -> _Read:
    if found.faces:
        plan, notes = plan_face_tables([PurePosixPath(n) for n in found.pictures], found.faces, str(path), problems)
        read = {*found.pictures, *found.faces}
    else:
        known = plan_layout(found.pictures, found.codes, str(path), problems)
        plan, notes = known or plan_folders(found.pictures, str(path), problems)
        read = {*found.pictures, *(found.codes if known else ())}
    return read_pictures(path, kind, plan, form, problems), (*notes, *_left(found.tables, "the pictures")), read


def _left(tables: Iterable[str], taken: str) -> tuple[str, ...]:
    left = sorted(set(tables) - {taken})
    return (f"read {taken}; left out: {', '.join(left)}",) if left else ()


def _table(path: Path, kind: str, name: str, problems: Problems) -> tuple[FaceDataset, tuple[str, ...]]:
    try:
        with closing(entries(path, kind)) as files:
            for entry in files:
                if entry.name == name:
                    with entry.open() as stream:
                        return read_csv(stream, entry.where, problems)
    except BROKEN as error:
        raise DataError(f"cannot be read: {reason(error)}", f"{path}/{name}") from error
    raise DataError("was there and is gone; read it again", f"{path}/{name}")
