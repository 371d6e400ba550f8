"""FER+: the votes of ten taggers for each row of FER2013, and the label sets that the literature makes of them.

Source: Barsoum et al. 2016, arXiv 1608.01041. Leaves out: downloading ``fer2013new.csv``. The votes are joined by row
number, because that is all the file offers, so every row's split must agree.
"""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from mien.data.dataset import FaceDataset
from mien.data.readers.archives import BROKEN, kind_of, reason, unpacked
from mien.errors import ConfigError, DataError
from mien.labels import FER2013, FERPLUS

__all__ = ["FerPlusVotes", "Target", "read_votes", "with_votes"]

Target = Literal["majority", "argmax", "soft", "both"]
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


def read_votes(path: str | Path) -> FerPlusVotes:
    """Read ``fer2013new.csv`` (plain or gzip); a :class:`DataError` names file and line of what is wrong."""
    path = Path(path)
    where = str(path)
    if kind_of(path) != "file":
        raise DataError("the votes must be one CSV file, fer2013new.csv", where)
    try:
        with path.open("rb") as raw, unpacked(raw, where) as stream:
            data = stream.read(_LIMIT + 1)
        if len(data) > _LIMIT:
            raise DataError("is too large for FER+ votes (fer2013new.csv has 1.6 MB)", where)
        rows = list(csv.reader(io.StringIO(data.decode("utf-8-sig"), newline="")))
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


def with_votes(ds: FaceDataset, votes: FerPlusVotes, target: Target | None = None) -> FaceDataset:
    """FER2013 with FER+ joined to it by row number; each row's split must equal the votes' ``Usage``.

    target None      the same rows and FER2013 labels, with ``not_face`` marked where all taggers say so
    "majority"       the strict test: votes of one are dropped, and a row is kept if one of the eight classes has more
                     than half of what remains (25,060 / 3,199 / 3,153 rows of Training / PublicTest / PrivateTest)
    "argmax"         a row is kept if one of the eight classes has the most votes, the first of equals
                     (28,389 / 3,553 / 3,546)
    "soft"           Barsoum's protocol for training on distributions: after votes of one are dropped, the strongest
                     classes, three at most, that together reach three quarters; a row is kept if they hold more
                     than half (27,956 / 3,505 / 3,505 rows here; no published count was at hand to check them against)

    "both"           the same rows and FER2013 labels, and beside them, as a second labelling, the shares of the eight
                     classes in the rows that "argmax" keeps, without votes of one where others remain

    The first three make data sets of FER+'s eight classes: labels are the winner, votes the counts that the rule keeps.
    """
    if target is not None and target not in get_args(Target):
        raise ConfigError(f"target must be majority, argmax, soft, both or None, got {target!r}")
    if ds.names != FER2013.names:
        raise ConfigError(
            f"votes belong to FER2013, whose classes are {', '.join(FER2013.names)}; got {', '.join(ds.names)}"
        )
    rows = _joined(ds, votes)
    _check_order(ds, votes.votes[rows], votes.source)
    table = np.column_stack([votes.votes, votes.unknown, votes.not_face])[rows]
    if target is None:
        return replace(ds, not_face=(table[:, 9] > 0) & (table[:, :9].sum(1) == 0))
    if target == "both":
        return replace(ds, second=_shares(table), second_names=FERPLUS.names)
    counts = {"majority": _majority, "argmax": _argmax, "soft": _soft}[target](table)
    kept = np.flatnonzero(counts.sum(1) > 0)
    labelled = replace(ds, names=FERPLUS.names, labels=counts.argmax(1).astype(np.int64), votes=counts, not_face=None)
    return labelled.take(kept)


def _joined(ds: FaceDataset, votes: FerPlusVotes) -> NDArray[np.int64]:
    assert ds.rows is not None
    assert ds.split is not None
    rows = ds.rows
    if len(rows) and not (rows.min() >= 0 and rows.max() < len(votes)):
        raise DataError(
            f"has votes for {len(votes):,} rows, but the faces have row {rows.max():,}: both must come from the same "
            "fer2013.csv, in its order",
            votes.source,
        )
    wrong = np.flatnonzero(votes.usage[rows] != ds.split)
    if len(wrong):
        i, row = int(wrong[0]), int(rows[wrong[0]])
        raise DataError(
            f"Usage is {str(votes.usage[row])!r}, but row {row:,} of the faces has {str(ds.split[i])!r} "
            f"({len(wrong):,} rows differ): votes join only to the original fer2013.csv with its order and Usage",
            f"{votes.source}:{row + 2}",
        )
    return rows


def _check_order(ds: FaceDataset, votes: NDArray[np.float32], where: str) -> None:
    """Refuse votes that contradict the labels of a large set: in FER2013's own order 67 % agree, shuffled some 20 %."""
    if ds.labels is None or len(ds) < 1000 or not ds.counts().all():
        return
    own = np.array([FERPLUS.names.index(n) for n in FER2013.names])
    sure = (votes.max(1) > votes.sum(1) / 2) & (ds.labels >= 0)
    agree = float((own[ds.labels[sure]] == votes[sure].argmax(1)).mean()) if sure.any() else 1.0
    if agree < 0.4:
        raise DataError(
            f"the votes agree with only {agree:.0%} of the labels, so the faces are not in the order of fer2013.csv; "
            "read them from that file, or from what mien data images made of it",
            where,
        )


def _without_ones(table: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.where(table > 1, table, np.float32(0))


def _majority(table: NDArray[np.float32]) -> NDArray[np.float32]:
    table = _without_ones(table)
    won = (table.max(1) > table.sum(1) / 2) & (table.argmax(1) < 8)
    return np.where(won[:, None], table[:, :8], np.float32(0))


def _argmax(table: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.where(table.argmax(1)[:, None] < 8, table[:, :8], np.float32(0))


def _shares(table: NDArray[np.float32]) -> NDArray[np.float32]:
    counts = _argmax(table)
    strong = _without_ones(counts)
    counts = np.where(strong.any(1, keepdims=True), strong, counts)
    total = np.maximum(counts.sum(1, keepdims=True), np.float32(1))
    shares: NDArray[np.float32] = counts / total
    return shares


def _soft(table: NDArray[np.float32]) -> NDArray[np.float32]:
    left = _without_ones(table)
    counts = np.zeros((len(table), 8), dtype=np.float32)
    for votes, out in zip(left.tolist(), counts, strict=True):
        strongest = _strongest(votes)
        out[list(strongest)] = list(strongest.values())
    return counts


def _strongest(votes: list[float]) -> dict[int, float]:
    """The classes that stand for a row under the "soft" rule, with their votes; none where it is dropped."""
    total = sum(votes)
    taken: dict[int, float] = {}
    ranked = sorted((i for i, v in enumerate(votes) if v > 0), key=lambda i: -votes[i])  # equals stay in column order
    levels = sorted({votes[i] for i in ranked}, reverse=True)
    for level in levels:
        if sum(taken.values()) >= 0.75 * total or len(taken) >= 3:
            break
        for i in (i for i in ranked if votes[i] == level):
            if i >= 8:  # "unknown" or "no face" comes next: the classes before it must stand alone
                return taken if sum(taken.values()) > total / 2 and len(taken) <= 3 else {}
            taken[i] = level
    return taken if sum(taken.values()) > total / 2 and len(taken) <= 3 else {}
