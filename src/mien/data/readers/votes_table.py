"""The table of FER+: ``fer2013new.csv``, the votes of ten taggers for each row of FER2013, in its order.

Source: Barsoum et al. 2016, arXiv 1608.01041. Leaves out: downloading it, which face a row belongs to (``votes_join``)
and what is made of the votes (``votes``).
"""

from __future__ import annotations

import csv
import hashlib
import io
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien.data.readers.archives import BROKEN, kind_of, reason, unpacked
from mien.data.readers.text import as_utf8
from mien.errors import DataError

__all__ = ["FerPlusVotes", "read_votes"]

_COLUMNS = ("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt", "unknown", "nf")
_LIMIT = 64 << 20


@dataclass(frozen=True, eq=False)
class FerPlusVotes:
    """Votes for M rows of FER2013, in its order.

    votes     float32 ``(M, 8)``, one column a class of ``labels.FERPLUS``
    unknown   float32 ``(M,)``, votes for "none of these"
    not_face  float32 ``(M,)``, votes for "this is no face"
    usage     str ``(M,)``, the split that the row must have
    image     str ``(M,)``, FER+'s name of the picture; "" where it has none
    """

    votes: NDArray[np.float32]
    unknown: NDArray[np.float32]
    not_face: NDArray[np.float32]
    usage: NDArray[np.str_]
    image: NDArray[np.str_]
    source: str = ""

    def __len__(self) -> int:
        return len(self.votes)

    @cached_property
    def table(self) -> NDArray[np.float32]:
        """All ten votes, float32 ``(M, 10)``: the eight classes, unknown, no face."""
        return np.column_stack([self.votes, self.unknown, self.not_face])

    def fingerprint(self, rows: int) -> str:
        """16 hex digits of SHA-256 over votes and usage of the first ``rows`` rows."""
        h = hashlib.sha256(np.ascontiguousarray(self.table[:rows]).tobytes())
        h.update("\n".join(self.usage[:rows].tolist()).encode())
        return h.hexdigest()[:16]


def read_votes(path: str | Path) -> FerPlusVotes:
    """Read ``fer2013new.csv`` (plain or gzip); a :class:`DataError` names file and line of what is wrong."""
    path = Path(path)
    where = str(path)
    if kind_of(path) != "file":
        raise DataError("the votes must be one CSV file, fer2013new.csv", where)
    try:
        with path.open("rb") as raw, unpacked(raw, where) as stream:
            data = as_utf8(stream).read(_LIMIT + 1)
        if len(data) > _LIMIT:
            raise DataError("is too large for FER+ votes (fer2013new.csv has 1.6 MB)", where)
        rows = list(csv.reader(io.StringIO(data.decode("utf-8"), newline="")))
    except (*BROKEN, csv.Error) as error:
        raise DataError(f"cannot be read as votes: {reason(error)}", where) from error
    names = [c.strip().lower() for c in rows[0]] if rows else []
    missing = [c for c in ("usage", "image name", *_COLUMNS) if c not in names]
    if missing:
        raise DataError(f"line 1 has no column {missing[0]!r}; the votes must be FER+'s fer2013new.csv", where)
    return _votes(rows[1:], [names.index(c) for c in ("usage", "image name", *_COLUMNS)], where)


def _votes(rows: list[list[str]], at: list[int], where: str) -> FerPlusVotes:
    while rows and not rows[-1]:  # blank lines at the end
        rows.pop()
    table = np.zeros((len(rows), len(_COLUMNS)), dtype=np.float32)
    usage, image = [], []
    for i, row in enumerate(rows):
        try:
            u, name, *votes = (row[k].strip() for k in at)
            table[i] = [float(v) for v in votes]
            if not (np.isfinite(table[i]).all() and table[i].min() >= 0):
                raise ValueError
        except (ValueError, IndexError, OverflowError):
            shown = ",".join(row)[:60]
            raise DataError(
                f"the row is {shown!r}; it must hold ten votes, each a number >= 0", f"{where}:{i + 2}"
            ) from None
        usage.append(u)
        image.append(name)
    names = np.array(image, dtype=np.str_), np.array(usage, dtype=np.str_)
    return FerPlusVotes(table[:, :8], table[:, 8], table[:, 9], names[1], names[0], where)
