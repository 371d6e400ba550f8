"""FER+: the votes of ten taggers for each row of FER2013, and the label sets that the literature makes of them.

Source: Barsoum et al. 2016, arXiv 1608.01041. Leaves out: reading the votes (``readers.votes_table``) and finding out
which row belongs to which face (``votes_join``).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from mien.data.dataset import FaceDataset
from mien.data.readers.votes_table import FerPlusVotes
from mien.data.votes_join import join_votes
from mien.errors import ConfigError
from mien.labels import FER2013, FERPLUS

__all__ = ["Target", "with_votes"]

Target = Literal["majority", "argmax", "soft", "both"]


def with_votes(ds: FaceDataset, votes: FerPlusVotes, target: Target | None = None) -> FaceDataset:
    """FER2013 with FER+ joined to it, each face with its own row's votes or not at all: see ``votes_join``.

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
    table = votes.table[join_votes(ds, votes)]
    if target is None:
        return replace(ds, not_face=(table[:, 9] > 0) & (table[:, :9].sum(1) == 0))
    if target == "both":
        return replace(ds, second=_shares(table), second_names=FERPLUS.names)
    counts = {"majority": _majority, "argmax": _argmax, "soft": _soft}[target](table)
    kept = np.flatnonzero(counts.sum(1) > 0)
    labelled = replace(ds, names=FERPLUS.names, labels=counts.argmax(1).astype(np.int64), votes=counts, not_face=None)
    return labelled.take(kept)


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
