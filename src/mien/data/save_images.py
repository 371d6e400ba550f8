"""Save every face as a lossless PNG, with an index that reads back to the same data set.

``OUT/<split>/<class>/<row>.png``, ``OUT/index.csv`` (path,row,split,label,name,subject[,votes]) and ``OUT/index.json``
(class names, fingerprint). Leaves out: reading them back (``readers.export_index``).
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.data.dataset import FaceDataset
from mien.data.readers.export_index import INDEX
from mien.data.readers.pictures import UNLABELLED
from mien.errors import OutputError
from mien.files import check_writable, plain_name
from mien.preprocessing import shown

__all__ = ["Saved", "check_out", "save_images"]


@dataclass(frozen=True)
class Saved:
    """What :func:`save_images` did: files written now, and files that were there already and complete."""

    out: Path
    written: int
    kept: int


def save_images(ds: FaceDataset, out: str | Path, progress: Callable[[int], None] = lambda done: None) -> Saved:
    """Save ``ds`` under ``out``; an interrupted run goes on where it stopped.

    Each file is written beside its place and renamed, and one that is there with the same content is kept. ``progress``
    is called with the number of images done. Raises :class:`OutputError` at the start where ``out`` cannot be written
    or holds anything else, and later where the disk is full.
    """
    out = Path(out)
    paths = _paths(ds)
    written = 0
    check_out(out)
    try:
        _claim(out, ds)
        for folder in sorted({p.rsplit("/", 1)[0] for p in paths}):
            (out / folder).mkdir(parents=True, exist_ok=True)
        for i, (path, image) in enumerate(zip(paths, ds.images, strict=True)):
            written += _write(out / path, _png(image))
            progress(i + 1)
        _write(out / f"{INDEX}.csv", _index(ds, paths))
    except OSError as error:
        raise OutputError(
            f"{error.filename or out}: cannot be written ({error.strerror or error}); give another folder, or free it "
            "and run again to go on"
        ) from error
    return Saved(out, written, len(ds) - written)


def check_out(out: Path) -> None:
    """Raise :class:`OutputError` where nothing can be written to the folder ``out``; makes the folder if need be."""
    if out.exists() and not out.is_dir():
        raise OutputError(f"{out}: is a file; OUT must be a folder")
    check_writable(out)


def _claim(out: Path, ds: FaceDataset) -> None:
    """Make ``out`` ours: new, empty, or an earlier export of the same data, as ``index.json``, written first, says."""
    record = _record(ds)
    old = out / f"{INDEX}.json"
    if old.exists():
        if old.read_bytes() != record:
            raise OutputError(f"{out}: holds the images of other data, or from another version; give an empty folder")
    elif any(p for p in out.iterdir() if not p.name.startswith(".")):
        raise OutputError(f"{out}: is not empty and holds no earlier export; give a new or empty folder")
    else:
        _write(old, record)


def _record(ds: FaceDataset) -> bytes:
    assert ds.rows is not None
    record = {
        "mien_index": 1,
        "names": ds.names,
        "images": len(ds),
        "size": ds.size,
        "fingerprint": ds.fingerprint,
        "rows": hashlib.sha256(ds.rows.tobytes()).hexdigest()[:16],
        "labelled": ds.labels is not None,
        "subjects": ds.subject is not None,
        "votes": ds.votes is not None,
        **({"colour": True} if ds.channels == 3 else {}),
    }
    return (json.dumps(record, indent=1, ensure_ascii=False) + "\n").encode()


def _paths(ds: FaceDataset) -> list[str]:
    """One path a row, ``split/class/row.png``; numbered by position instead where row numbers are not all different."""
    assert ds.rows is not None
    assert ds.split is not None
    numbers = ds.rows.tolist()
    if len(set(numbers)) < len(numbers) or (numbers and min(numbers) < 0):
        numbers = list(range(len(ds)))
    folders = [*(plain_name(n, k) for k, n in enumerate(ds.names)), UNLABELLED]
    labels = [-1] * len(ds) if ds.labels is None else ds.labels.tolist()
    splits = {s: f"{plain_name(s, i)}/" if s else "" for i, s in enumerate(ds.splits)}
    return [f"{splits[s]}{folders[k]}/{n:05d}.png" for s, k, n in zip(ds.split.tolist(), labels, numbers, strict=True)]


def _index(ds: FaceDataset, paths: list[str]) -> bytes:
    assert ds.rows is not None
    assert ds.split is not None
    text = io.StringIO(newline="")
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["path", "row", "split", "label", "name", "subject", *(["votes"] if ds.votes is not None else [])])
    labels = [-1] * len(ds) if ds.labels is None else ds.labels.tolist()
    subject = [""] * len(ds) if ds.subject is None else ds.subject.tolist()
    for i, (path, row, split, label) in enumerate(zip(paths, ds.rows.tolist(), ds.split.tolist(), labels, strict=True)):
        name = ds.names[label] if label >= 0 else ""
        votes = [] if ds.votes is None else [" ".join(repr(float(v)) for v in ds.votes[i])]
        table.writerow([path, row, split, label, name, subject[i], *votes])
    return text.getvalue().encode()


def _png(image: NDArray[np.uint8]) -> bytes:
    done, data = cv2.imencode(".png", shown(image))
    assert done  # uint8 always encodes
    return bytes(data)


def _write(path: Path, data: bytes) -> bool:
    """Write ``data`` to ``path`` in one step; ``False`` where it is there already."""
    if path.exists() and path.read_bytes() == data:
        return False
    part = path.with_name(f".{path.name}.part")
    try:
        part.write_bytes(data)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
    return True
