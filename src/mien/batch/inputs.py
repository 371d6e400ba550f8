"""What a run is given -> pictures and tables of pictures: paths, folders, patterns, addresses, Parquet files.

Only names are looked at here, and the ends of Parquet files, which say how many rows there are.
Leaves out: how the inputs are shared out (``plan``), reading pictures (``storage``, ``partition``).
"""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from mien.batch.storage import Folder, is_address, open_at
from mien.errors import ConfigError, DataError, need
from mien.picture_files import PassedOver, kind_passed_over, matching, walk_files

__all__ = ["Inputs", "Table", "find_inputs", "open_parquet"]


@dataclass(frozen=True)
class Table:
    """A Parquet file and the rows of each of its row groups."""

    name: str
    groups: tuple[int, ...]


@dataclass
class Inputs:
    """Paths and addresses of pictures, each once; the tables; what in the folders is neither."""

    pictures: list[str] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    passed: PassedOver = field(default_factory=PassedOver)


def find_inputs(given: Sequence[str], out: Folder) -> Inputs:
    """Folders and patterns -> files; what names nothing stays, so that a row says what is wrong with it.

    out  where results go: what lies there is no input

    ConfigError for an empty name and a folder without inputs; DataError for a table that cannot be read.
    """
    found, names, own = Inputs(), dict[str, None](), out.address + "/"
    for item in given:
        if not item:
            raise ConfigError("PHOTOS must not be empty: '' is no name; for the current folder give '.'")
        listed = _at_address(item, found.passed) if is_address(item) else _on_disk(item, found.passed)
        inside = [n for n in listed if not (n if is_address(n) else os.path.abspath(n)).startswith(own)]
        if not inside:
            raise ConfigError(f"{item}: holds no pictures and no Parquet files ({found.passed or 'it is empty'})")
        names.update(dict.fromkeys(inside))
    for name in names:
        if _is_table(name):
            metadata = open_parquet(name).metadata
            found.tables.append(
                Table(name, tuple(metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)))
            )
        else:
            found.pictures.append(name)
    return found


def open_parquet(name: str) -> Any:
    """A ``pyarrow.parquet.ParquetFile`` at a path or address; DataError where it cannot be read."""
    parquet = need("pyarrow.parquet", "batch")
    try:
        if not is_address(name):
            return parquet.ParquetFile(name, pre_buffer=False)
        fs, path = open_at(name)
        return parquet.ParquetFile(fs.open(path, "rb"))
    except (OSError, ValueError) as error:  # pyarrow's own errors are ValueErrors
        raise DataError(f"cannot be read as Parquet ({error})", name) from error


def _on_disk(item: str, passed: PassedOver) -> list[str]:
    found = list[str]()
    for one in matching(item):
        if Path(one).is_dir():
            found += _wanted((str(file) for file in walk_files(one, passed)), passed)
        else:
            found.append(one)
    return found


def _at_address(item: str, passed: PassedOver) -> list[str]:
    fs, path = open_at(item)
    try:
        if glob.has_magic(path):
            listed = sorted(fs.glob(path))
        elif fs.isdir(path):
            listed = sorted(fs.find(path))
        else:
            return [item]
    except Exception as error:  # every store has errors of its own: wrong keys, no such bucket, no network
        raise DataError(f"cannot be listed ({error})", item) from error
    return list(_wanted((fs.unstrip_protocol(name) for name in listed), passed))


def _wanted(names: Iterator[str], passed: PassedOver) -> Iterator[str]:
    for name in names:
        base = PurePosixPath(name).name
        if kind := "" if _is_table(name) and base[0] not in "._" else kind_passed_over(base):
            passed.add(kind, name)
        else:
            yield name


def _is_table(name: str) -> bool:
    return name.lower().endswith((".parquet", ".pq"))
