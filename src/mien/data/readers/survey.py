"""A first walk through a folder or archive: every name, the tables that look like faces, and small files worth reading.

Leaves out: pictures and tables themselves, which a second walk reads, and what the names mean (``folders``,
``layouts``, ``parquet``).
"""

from __future__ import annotations

import logging
import re
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from mien.data.readers.affectnet import is_expression
from mien.data.readers.affectnet_table import FaceTable, is_face_table, read_face_table
from mien.data.readers.archives import BROKEN, Entry, entries, reason
from mien.data.readers.csv_layout import Layout, sniff
from mien.data.readers.csv_table import MAX_LINE
from mien.data.readers.raf_db import LIST_BYTES, is_list
from mien.data.readers.sequences import CODE_BYTES, is_code
from mien.data.readers.text import as_utf8
from mien.errors import DataError
from mien.images import is_picture
from mien.picture_files import PassedOver

__all__ = ["Survey", "best_table", "export_root", "survey", "twice"]

_INDEX_BYTES = 1 << 30
_log = logging.getLogger(__name__)


@dataclass
class Survey:
    """What a first walk through a folder or archive found."""

    names: list[str] = field(default_factory=list)
    tables: dict[str, Layout] = field(default_factory=dict)  # CSV files that look like faces
    index: dict[str, bytes] = field(default_factory=dict)  # index.csv and index.json of an export
    codes: dict[str, bytes | DataError] = field(default_factory=dict)  # labels beside pictures, or why there are none
    faces: dict[str, FaceTable] = field(default_factory=dict)  # tables that say where in photographs faces are
    passed: PassedOver = field(default_factory=PassedOver)  # what was passed over on the walk
    broken: str = ""

    @property
    def pictures(self) -> list[str]:
        """Files whose name claims a picture, each once."""
        return [n for n in dict.fromkeys(self.names) if is_picture(n)]

    @property
    def shards(self) -> list[str]:
        """Files whose name claims a Parquet file, each once; ``metadata.parquet`` beside pictures is none."""
        found = [n for n in dict.fromkeys(self.names) if n.lower().endswith(".parquet")]
        faces = [n for n in found if PurePosixPath(n).name.lower() != "metadata.parquet"]
        return faces if faces or self.pictures else found


def survey(path: Path, kind: str) -> Survey:
    """Walk through the folder or archive at ``path``; where it breaks off, what came before is in the survey."""
    found = Survey()
    try:
        with closing(entries(path, kind, found.passed)) as files:
            for entry in files:
                _look(entry, found)
    except BROKEN as error:  # what came before may still be read; the second walk reports the break itself
        found.broken = reason(error)
    return found


def _look(entry: Entry, found: Survey) -> None:
    found.names.append(entry.name)
    base = PurePosixPath(entry.name).name.lower()
    if base in ("index.csv", "index.json"):
        found.index[entry.name] = entry.read(_INDEX_BYTES)
    elif is_code(base) or is_expression(entry.name):
        found.codes.setdefault(entry.name, _code(entry, CODE_BYTES))
    elif is_list(base):
        found.codes.setdefault(entry.name, _code(entry, LIST_BYTES))
    elif re.search(r"\.csv(\.(gz|bz2|xz))?$", base):
        try:
            with entry.open() as stream:
                first = as_utf8(stream).readline(MAX_LINE)
            if is_face_table(first):
                with entry.open() as stream:
                    found.faces[entry.name] = read_face_table(stream, entry.where)
            else:
                found.tables[entry.name] = sniff(first, entry.where)
        except (DataError, *BROKEN) as error:
            _log.debug("%s is no table of faces: %s", entry.where, error)


def _code(entry: Entry, most: int) -> bytes | DataError:
    try:
        return entry.read(most)
    except DataError:
        return DataError(f"is larger than {most} bytes and holds no labels; remove it")
    except BROKEN as error:
        return DataError(f"cannot be read: {reason(error)}")


def twice(names: list[str]) -> list[tuple[str, int]]:
    """Names that occur more than once, and how often."""
    if len(set(names)) == len(names):
        return []
    return [(n, names.count(n)) for n in dict.fromkeys(names) if names.count(n) > 1]


def export_root(found: Survey, where: str) -> str | None:
    """The folder (with its slash) of an export of ours: the outermost, or one folder inside it."""
    exports = [
        n[: -len("index.json")] for n, data in found.index.items() if n.endswith("index.json") and b"mien_index" in data
    ]
    roots = sorted(r for r in exports if f"{r}index.csv" in found.index and r.count("/") <= 1)
    if len(roots) > 1 and roots[0] != "":
        raise DataError(f"holds several exports: {', '.join(roots)}; give one of them", where)
    return roots[0] if roots else None


def best_table(tables: dict[str, Layout], where: str) -> str:
    """The most complete table: labels and splits before labels before pixels alone; two such are an error."""
    top = max(t.rank for t in tables.values())
    best = sorted(n for n, t in tables.items() if t.rank == top)
    if len(best) > 1:
        raise DataError(f"holds several tables of faces: {', '.join(best)}; unpack it and give one of them", where)
    return best[0]
