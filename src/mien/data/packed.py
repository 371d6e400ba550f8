"""A data set as a folder whose faces stay on the disk: what ``mien data pack`` writes and every command reads.

    PACK/images.npy   the faces, uint8 (N, H, W) or (N, H, W, 3) RGB; ``numpy.load(..., mmap_mode="r")`` opens it too
    PACK/rows.npz     labels, votes, people, splits, row numbers, and which face of the file each row is
    PACK/pack.json    class names, shape, fingerprint, where it came from; written last

Raw pixels, not encoded ones: a face at random costs one read and no decoding (``bench/data/larger.py``). Leaves out:
how faces are read from it (``stored``).
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.data.dataset import FaceDataset
from mien.data.readers.archives import BROKEN
from mien.data.readers.problems import Reading
from mien.errors import ConfigError, DataError, MienError
from mien.files import check_writable, reported
from mien.stored import Images, StoredImages, blocks, npy_head

__all__ = ["PACK", "Writer", "is_packed", "open_packed", "pack"]

#: The file by which a packed folder is known.
PACK = "pack.json"
_IMAGES, _ROWS = "images.npy", "rows.npz"
_FORMAT = 1
_FIELDS = ("labels", "votes", "split", "subject", "rows", "not_face", "second")
_WORDS = ("names", "second_names")

Progress = Callable[[int], None]


class Writer:
    """The file of faces while it is written: ``writer[place] = face``, each place once, in any order."""

    def __init__(self, path: Path, progress: Progress = lambda done: None) -> None:
        self.path, self.progress = path, progress
        self.face: tuple[int, ...] = ()
        self._at: dict[int, int] = {}
        self._file = open(path, "wb", buffering=1 << 20)  # noqa: SIM115
        self._file.write(npy_head((0, 1, 1)))

    def __setitem__(self, place: int, face: NDArray[np.uint8]) -> None:
        self.face = self.face or face.shape
        if face.shape != self.face:
            sides = [" x ".join(map(str, shape[1::-1])) for shape in (self.face, face.shape)]
            raise ConfigError(f"the faces are of different sizes, {sides[0]} and {sides[1]}: give --size PIXELS")
        with reported(self.path):
            self._file.write(np.ascontiguousarray(face).data)
        self._at[place] = len(self._at)
        self.progress(len(self._at))

    def __contains__(self, place: object) -> bool:
        return place in self._at

    def __iter__(self) -> Iterator[int]:
        return iter(self._at)

    def __len__(self) -> int:
        return len(self._at)

    def images(self, order: Sequence[int]) -> StoredImages:
        """The faces at the places ``order``."""
        self._file.flush()
        return StoredImages(self.path, self.face, np.array([self._at[i] for i in order], np.int64))

    def close(self) -> None:
        """Write the header and all that is left to the disk."""
        with reported(self.path):
            self._file.seek(0)
            self._file.write(npy_head((len(self._at), *(self.face or (1, 1)))))
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()


def is_packed(path: Path) -> bool:
    """Whether ``path`` is such a folder."""
    return (path / PACK).is_file()


def pack(read: Callable[[Writer], Reading], out: Path, progress: Progress = lambda done: None) -> Reading:
    """Write what ``read`` reads to the folder ``out``; gives it as it lies there.

    read      reads the faces, keeping them in the writer that it is given (``Form.kept``) if they are to pass through
              memory one at a time; those that it returns in memory are written afterwards
    progress  called with the number of faces that are written

    Everything goes to a folder beside ``out``, which is renamed at the end: ``out`` is there whole or not at all.
    """
    part = _part(out)
    try:
        writer = Writer(part / _IMAGES, progress)
        try:
            reading = read(writer)
            images = _written(reading.dataset.images, writer)
        finally:
            writer.close()
        _write_record(part, reading, images)
        with reported(out):
            part.rename(out)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return replace(reading, dataset=open_packed(out).dataset)


def _part(out: Path) -> Path:
    """The folder beside ``out`` that is filled first; ConfigError where ``out`` is there and not empty."""
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ConfigError(f"{out}: is there already; give a new folder")
    part = out.parent / f".{os.getpid()}-{out.name}"
    check_writable(part)
    return part


def _written(images: Images, writer: Writer) -> StoredImages:
    """``images`` in the writer's file, written there unless they are in it."""
    if isinstance(images, StoredImages) and images.path == writer.path:
        return images
    for face in (face for block in blocks(images) for face in block):
        writer[len(writer)] = face
    return writer.images(range(len(writer)))


def _write_record(part: Path, reading: Reading, images: StoredImages) -> None:
    ds = replace(reading.dataset, images=images)
    arrays = {k: v for k in _FIELDS if (v := getattr(ds, k)) is not None}
    with reported(part):
        np.savez(part / _ROWS, allow_pickle=False, index=images.index, **arrays)
        record = {
            "mien_pack": _FORMAT,
            **{k: getattr(ds, k) for k in _WORDS},
            "faces": len(ds),
            "face": images.face,
            "fingerprint": ds.fingerprint,
            "source": Path(ds.source).name,
            "skipped": len(reading.skipped),
        }
        (part / PACK).write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def open_packed(path: Path) -> Reading:
    """The data set of a packed folder, of which only the rows are read; DataError where a part of it is damaged."""
    try:
        record = json.loads((path / PACK).read_text(encoding="utf-8"))
        if record["mien_pack"] > _FORMAT:
            raise DataError("was packed by a newer mien: upgrade mien", str(path))
        face = tuple(map(int, record["face"]))
        with np.load(path / _ROWS, allow_pickle=False) as arrays:
            index: NDArray[np.int64] = arrays["index"]
            rows: dict[str, Any] = {k: arrays[k] for k in _FIELDS if k in arrays}
        whole = len(npy_head(face)) + (int(index.max()) + 1) * int(np.prod(face))
        if (size := (path / _IMAGES).stat().st_size) < whole:
            raise DataError(f"{_IMAGES} has {size:,} bytes of {whole:,}: it was cut off; pack it again", str(path))
        rows |= {k: tuple(record[k]) for k in _WORDS}
        ds = FaceDataset(StoredImages(path / _IMAGES, face, index), source=str(path), **rows)
    except MienError:
        raise
    except (*BROKEN, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"is damaged ({type(error).__name__}: {error}); pack it again", str(path)) from error
    return Reading(ds, notes=(f"packed from {record['source']}",) if record.get("source") else ())
