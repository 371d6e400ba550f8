"""Parquet files of pictures, one face a row, as Hugging Face's ``datasets`` writes them.

A column of pictures (a struct ``{bytes, path}``, or the bytes of a PNG or JPEG alone) and, where there are any, columns
of labels, of people and of splits, found by their names. Labels are numbers, whose names stand in the file's
``huggingface`` record, or words. Files are read in batches of rows, so that memory holds the faces at their final size
and one page of the file, mostly some MB; files in an archive pass through a temporary file, since Parquet is read from
its end. Leaves out: pixels as numbers, pictures that lie beside the file, writing, and encrypted files.
The column types and the record are those of the features ``Image`` and ``ClassLabel`` of ``datasets``, as remembered.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO, Any

import numpy as np

from mien.data.dataset import FaceDataset, Form
from mien.data.readers.archives import BROKEN, MAX_UNPACKED, entries, reason
from mien.data.readers.classes import NUMBERED, class_order, class_words
from mien.data.readers.parquet_columns import class_names, columns_of, features_of, label_of, picture_of, text_of
from mien.data.readers.pictures import Faces
from mien.data.readers.problems import Problems
from mien.data.splits import split_rank
from mien.errors import DataError, need
from mien.labels import FER2013
from mien.wording import counted

__all__ = ["read_parquet", "split_of"]

_MAGIC = b"PAR1"
_BATCH = 64  # rows
_BUFFER = 1 << 18  # bytes; without it a whole group of rows is loaded at once


@dataclass
class _Shard:
    """What one file says beside its pictures: one item a row, and ``declared``, the classes that its record names."""

    split: str
    columns: dict[str, str] = field(default_factory=dict)
    unused: list[str] = field(default_factory=list)
    declared: tuple[str, ...] = ()
    labels: list[str | int | None] = field(default_factory=list)
    subjects: list[str] = field(default_factory=list)
    splits: list[str] = field(default_factory=list)


def split_of(name: str) -> str:
    """The split that a file's name, or else its folder, tells: ``train`` of ``data/train-00000-of-00002.parquet``."""
    path = PurePosixPath(name)
    words = (re.split(r"[-_.]", path.name)[0], path.parent.name)
    return next((w for w in words if split_rank(w) < split_rank("?")), "")


def read_parquet(
    path: Path, kind: str, names: Sequence[str], form: Form, problems: Problems
) -> tuple[FaceDataset, tuple[str, ...]]:
    """Every face of a Parquet file, or of the files ``names`` in a folder or archive; and notes on what was chosen.

    path, kind  the file (``"parquet"``), folder or archive, as ``archives.kind_of`` tells them apart
    names       the files to read; not used for a single file
    form        as for pictures in folders

    ``rows`` count every row from 0, files in the order train, validation, test, then by name. The split of a row stands
    in its split column, or else in the file's name. Labels without names are FER2013's where they are exactly 0..6, and
    otherwise are names themselves; null, -1 and empty words are no label. Rows whose picture cannot be read, and labels
    out of range, go to ``problems`` as ``file:row N``, counted from 0 in each file.
    Raises :class:`MissingExtra` without pyarrow.
    """
    need("pyarrow", "parquet")
    order = [path.name] if kind == "parquet" else sorted(set(names), key=lambda n: (split_rank(split_of(n)), n))
    reader = _Reader(Faces(form), problems, [_Shard(split_of(n)) for n in order])
    try:
        with closing(_opened(path, kind, set(order))) as files:
            for name, where, stream in files:
                reader.add(order.index(name), where, stream)
    except BROKEN as error:
        problems.report(f"reading stopped: {reason(error)}", str(path))
    return reader.dataset(str(path)), reader.notes()


def _opened(path: Path, kind: str, names: set[str]) -> Generator[tuple[str, str, IO[bytes]]]:
    """``(name, where, stream)`` of each file, once; the stream can be read from anywhere."""
    if kind == "parquet":
        with path.open("rb") as raw:
            yield path.name, str(path), raw
        return
    left = set(names)
    with closing(entries(path, kind)) as files:
        for entry in files:
            if entry.name not in left:
                continue
            left.remove(entry.name)
            with entry.opener() as raw:
                if kind == "folder":
                    yield entry.name, entry.where, raw
                    continue
                with tempfile.TemporaryFile() as copy:
                    _copy(raw, copy, entry.where)
                    yield entry.name, entry.where, copy


def _copy(raw: IO[bytes], copy: IO[bytes], where: str) -> None:
    while block := raw.read(1 << 20):
        copy.write(block)
        if copy.tell() > MAX_UNPACKED:
            raise DataError(
                f"unpacks to more than {MAX_UNPACKED:,} bytes, the most that is read of a file in an archive; unpack "
                "the archive and give the folder",
                where,
            )
    copy.seek(0)


def _parquet_file(stream: IO[bytes]) -> Any:
    parquet = need("pyarrow.parquet", "parquet")
    return parquet.ParquetFile(stream, buffer_size=_BUFFER, pre_buffer=False)


class _Reader:
    """The faces read so far, file by file in any order; ``dataset`` puts them in order."""

    def __init__(self, faces: Faces, problems: Problems, shards: list[_Shard]) -> None:
        self.faces, self.problems, self.shards = faces, problems, shards
        self.kept: list[tuple[int, int]] = []  # (file, row) of each face, in the order in which they were read
        self.guessed = 0  # how many numbers without names were taken for FER2013's classes

    def add(self, place: int, where: str, stream: IO[bytes]) -> None:
        """Read the file ``place``; what cannot be read of it is a problem."""
        shard = self.shards[place]
        try:
            self._read(place, where, stream)
        except DataError as error:
            self.problems.report(error.message, error.where)
        except (*BROKEN, need("pyarrow", "parquet").ArrowException, MemoryError) as error:
            shown = (str(error) or type(error).__name__).splitlines()[0][:200]
            rows = counted(len(shard.labels), "row")
            self.problems.report(f"reading stopped after {rows}: it is damaged ({shown}); download it again", where)

    def _read(self, place: int, where: str, stream: IO[bytes]) -> None:
        if stream.read(len(_MAGIC)) != _MAGIC:
            raise DataError(
                "does not begin with PAR1, so it is no Parquet file (only the pointer of Git LFS?); download it again",
                where,
            )
        stream.seek(0)
        shard, file = self.shards[place], _parquet_file(stream)
        features = features_of(file.schema_arrow.metadata)
        shard.columns = columns_of(file.schema_arrow, where)
        shard.unused = [n for n in file.schema_arrow.names if n not in shard.columns.values()]
        label = shard.columns.get("label")
        if label is not None:
            shard.declared = class_names(features.get(label), file.schema_arrow.field(label).type)
        for batch in file.iter_batches(_BATCH, columns=list(shard.columns.values()), use_threads=False):
            values = {k: batch.column(batch.schema.names.index(n)).to_pylist() for k, n in shard.columns.items()}
            for row in range(batch.num_rows):
                self._row(place, where, {k: v[row] for k, v in values.items()})

    def _row(self, place: int, where: str, value: dict[str, Any]) -> None:
        shard, row = self.shards[place], len(self.shards[place].labels)
        shard.subjects.append(text_of(value.get("subject")))
        shard.splits.append(text_of(value.get("split")) or shard.split)
        shard.labels.append(None)
        where = f"{where}:row {row}"
        try:
            shard.labels[row] = label_of(value.get("label"), shard.declared, where)
            self.faces.read(len(self.kept), picture_of(value["image"], where), where)
            self.kept.append((place, row))
        except DataError as error:
            self.problems.report(error.message, where)

    def dataset(self, source: str) -> FaceDataset:
        """What was read, in order; raises :class:`DataError` where that is nothing."""
        if not self.kept:
            raise self.problems.nothing_left(source)
        self._match_words()
        names, labels = self._labels(source)
        starts = np.cumsum([0, *(len(s.labels) for s in self.shards)])
        order = sorted(range(len(self.kept)), key=self.kept.__getitem__)
        rows = [self.kept[i] for i in order]
        subjects = [self.shards[s].subjects[r] for s, r in rows]
        return FaceDataset(
            images=self.faces.together(order),
            names=names,
            labels=None if labels is None else np.array([labels[s][r] for s, r in rows], dtype=np.int64),
            split=np.array([self.shards[s].splits[r] for s, r in rows], dtype=np.str_),
            subject=np.array(subjects, dtype=np.str_) if any(subjects) else None,
            rows=np.array([starts[s] + r for s, r in rows], dtype=np.int64),
            source=source,
        )

    def _match_words(self) -> None:
        """Words become classes; each file spells in its own way, and the earliest decides how a class is called."""
        found = {str(i): {w for w in (*s.labels, *s.declared) if isinstance(w, str)} for i, s in enumerate(self.shards)}
        known = class_words(found)
        for i, shard in enumerate(self.shards):
            shard.labels = [known[str(i), w] if isinstance(w, str) else w for w in shard.labels]
            shard.declared = tuple(known[str(i), w] for w in shard.declared)

    def _labels(self, source: str) -> tuple[tuple[str, ...], list[list[int]] | None]:
        """The classes, and the class number of each row by file, or ``None`` where no row has one."""
        numbers = {k for s in self.shards for k in s.labels if isinstance(k, int)}
        words = {w for s in self.shards for w in (*s.labels, *s.declared) if isinstance(w, str)}
        if numbers and words:
            raise DataError(
                f"some files name their classes ({', '.join(sorted(words)[:3])}) and others only number them; give "
                "either alone",
                source,
            )
        known = numbers in (set(range(7)), set(range(8)))  # FER2013's, or with contempt
        called: dict[str | int | None, str] = {k: NUMBERED[k] if known else str(k) for k in numbers}
        self.guessed = len(numbers) if known else 0
        names = class_order([*words, *called.values()])
        number = {k: names.index(name) for k, name in (called or dict(zip(names, names, strict=True))).items()}
        labels = [[number.get(k, -1) for k in s.labels] for s in self.shards]
        return names or FER2013.names, labels if any(k >= 0 for found in labels for k in found) else None

    def notes(self) -> tuple[str, ...]:
        """What was taken for what, and what was left out."""
        used = sorted({n for s in self.shards for n in s.columns.values()})
        notes = [f"read the columns {', '.join(used)}"]
        unused = sorted({n for s in self.shards for n in s.unused})
        if unused:
            notes[0] += f"; left out: {', '.join(unused)}"
        if self.guessed:
            shown = ", ".join(NUMBERED[: self.guessed])
            notes.append(f"the labels 0..{self.guessed - 1} have no names and are taken for FER2013's: {shown}")
        missing = sum(self.shards[s].labels[r] is None for s, r in self.kept)
        if 0 < missing < len(self.kept):
            notes.append(f"{missing} rows have no label (null, -1 or empty)")
        return tuple(notes)
