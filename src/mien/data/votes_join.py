"""Which row of FER+'s votes belongs to which face: found by the face's pixels, or by its place and then checked.

``fer2013new.csv`` names no picture of ``fer2013.csv``: it has one row for each, in the same order. A file from which
rows were taken out, or that was sorted or sampled, would be given foreign votes. So the faces of FER2013 are known by
their pixels (``fer2013_rows``), and where they are not (PrivateTest, pictures that were resized or compressed), votes
and labels must agree, in every block of rows, about as often as those of FER2013 do. Leaves out: what is made of the
votes (``votes``).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from mien.data.dataset import FaceDataset
from mien.data.fer2013_rows import KNOWN_ROWS, find_rows
from mien.data.readers.votes_table import FerPlusVotes
from mien.errors import DataError
from mien.labels import FER2013, FERPLUS

__all__ = ["join_votes"]

_OFFICIAL = "6736daf58b41d381"  # fingerprint of the votes of the rows that are known by their pixels
_SEALED = "PrivateTest"  # the part whose rows have no fingerprint
_REMEDY = "give fer2013.csv as it was published, or what mien data images made of it"

# How often the taggers' majority is the label, for each class of FER2013 (results/votes.json, n = 24,673)
_AGREE = np.array([0.554, 0.280, 0.123, 0.942, 0.447, 0.863, 0.905])
_OWN = np.array([FERPLUS.names.index(n) for n in FER2013.names])
# A block is as many rows as the right votes are expected to agree with 40 times more often than foreign ones, some 90
# of FER2013; its threshold lies in the middle, some four standard deviations from either. The last rows are a block of
# a third of that once more, since votes may stop being right shortly before the end.
_BLOCK, _LAST = 40.0, 13.0
_CHANCE = 0.001  # a set too small for a block must agree in all rows, or so often as foreign votes hardly would


def join_votes(ds: FaceDataset, votes: FerPlusVotes) -> NDArray[np.int64]:
    """The row of ``votes`` of each face of ``ds``, int64 ``(N,)``; ``ds`` has FER2013's classes.

    Where more than half of the faces are known by their pixels, all must be: the others must lie between known ones as
    in fer2013.csv, in PrivateTest or among the rows that FER+ names no picture for. Otherwise rows join by number.
    Raises :class:`DataError`, which says where the two stop fitting, rather than join votes of another face.
    """
    assert ds.rows is not None
    assert ds.split is not None
    rows = np.full(len(ds), -1, np.int64)
    if len(votes) >= KNOWN_ROWS and votes.fingerprint(KNOWN_ROWS) == _OFFICIAL:
        rows = find_rows(ds.array, ds.rows.tolist())
    proven = rows >= 0
    if 2 * proven.sum() > (ds.split != _SEALED).sum():
        _place(rows, ds, votes)
    else:
        rows, proven = _numbered(ds, votes), np.zeros(len(ds), np.bool_)
    if not proven.all():
        _check_agreement(ds.take(~proven), votes, rows[~proven])
    return rows


def _numbered(ds: FaceDataset, votes: FerPlusVotes) -> NDArray[np.int64]:
    """The faces' own row numbers, which must exist in ``votes`` and have the same split there."""
    assert ds.rows is not None
    assert ds.split is not None
    rows = ds.rows
    if len(rows) and not (rows.min() >= 0 and rows.max() < len(votes)):
        raise DataError(
            f"has votes for {len(votes):,} rows, but the faces have row {rows.max():,}: both must come from the same "
            f"fer2013.csv, in its order; {_REMEDY}",
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


def _place(rows: NDArray[np.int64], ds: FaceDataset, votes: FerPlusVotes) -> None:
    """Fill ``rows`` where it is -1 from the rows before and after; raises where that does not tell the row."""
    assert ds.rows is not None
    assert ds.split is not None
    free = votes.image == ""  # only these can be rows whose pixels are not known
    free[KNOWN_ROWS:] = True
    free[rows[rows >= 0]] = False
    in_order = bool((np.diff(rows[rows >= 0]) > 0).all())
    first = lost = 0
    for run in _runs(rows < 0, ds.split):
        found = _steps(run, rows, ds.rows, free)
        if found is None and in_order:
            found = _between(run, rows, free, votes.usage == ds.split[run.start])
        if found is None:
            first = first if lost else run.start
            lost += run.stop - run.start
        else:
            rows[run] = found
            free[found] = False
    if lost:
        raise DataError(
            f"row {ds.rows[first]:,} (of {ds.split[first] or 'no split'}) is not in fer2013.csv by its pixels, and its "
            f"place does not tell which row it is ({lost:,} such rows of {len(rows):,}), so its votes cannot be found; "
            f"{_REMEDY}, or take these rows out",
            ds.source,
        )


def _runs(which: NDArray[np.bool_], split: NDArray[np.str_]) -> Iterator[slice]:
    """Stretches of rows that ``which`` marks, each of one split."""
    index = np.flatnonzero(which)
    ends = np.flatnonzero((np.diff(index) > 1) | (split[index][1:] != split[index][:-1])) + 1
    for part in np.split(index, ends):
        if len(part):
            yield slice(int(part[0]), int(part[-1]) + 1)


def _neighbours(run: slice, rows: NDArray[np.int64]) -> list[int]:
    """The places before and after a run whose rows are known, one or two of them."""
    after = run.stop
    while after < len(rows) and rows[after] < 0:
        after += 1
    return [k for k in (run.start - 1, after) if 0 <= k < len(rows) and rows[k] >= 0]


def _steps(
    run: slice, rows: NDArray[np.int64], own: NDArray[np.int64], free: NDArray[np.bool_]
) -> NDArray[np.int64] | None:
    """The rows of a run that nothing was taken out of: where the steps from its neighbours lead, if both agree."""
    found = [rows[k] + own[run] - own[k] for k in _neighbours(run, rows)]
    if not found or (found[0] != found[-1]).any() or found[0].min() < 0 or found[0].max() >= len(free):
        return None
    return found[0] if free[found[0]].all() else None


def _between(
    run: slice, rows: NDArray[np.int64], free: NDArray[np.bool_], usage: NDArray[np.bool_]
) -> NDArray[np.int64] | None:
    """The rows of a run in a file that keeps its order: all that are free between its neighbours, in its split."""
    after = [k for k in _neighbours(run, rows) if k >= run.stop]
    low, high = rows[run.start - 1] if run.start else -1, rows[after[0]] if after else len(free)
    room = np.flatnonzero((free & (usage | ~usage.any()))[low + 1 : high]) + low + 1
    return room if len(room) == run.stop - run.start else None


def _check_agreement(ds: FaceDataset, votes: FerPlusVotes, rows: NDArray[np.int64]) -> None:
    """Refuse votes that are not those of ``ds``, block by block: see ``_BLOCK``."""
    if ds.labels is None:
        raise DataError(
            f"has no labels, and its pixels are not those of fer2013.csv, so nothing tells whether the votes fit; "
            f"{_REMEDY}",
            ds.source,
        )
    counts = votes.votes
    winner = np.where(counts.max(1) > votes.table.sum(1) / 2, counts.argmax(1), -1)
    share = np.bincount(winner[winner >= 0], minlength=8) / max(1, (winner >= 0).sum())
    sure = np.flatnonzero((winner[rows] >= 0) & (ds.labels >= 0))
    labels = ds.labels[sure]
    agree = winner[rows[sure]] == _OWN[labels]
    right = _AGREE[labels]
    chance = np.minimum(share[_OWN[labels]], right)
    for block in _blocks(np.cumsum(right - chance)):
        if not _agrees(agree[block], right[block], chance[block]):
            raise _broken(ds, votes, sure, agree, right, chance, block.stop)


def _blocks(gain: NDArray[np.float64]) -> Iterator[slice]:
    """Blocks of rows, from how much more often than by chance the rows up to each are expected to agree."""
    if not len(gain):
        return
    number = np.minimum(gain // _BLOCK, max(0, gain[-1] // _BLOCK - 1)).astype(int)
    starts = [*np.unique(number, return_index=True)[1].tolist(), len(gain)]
    yield from map(slice, starts[:-1], starts[1:])
    if len(starts) > 2:
        yield slice(int(np.searchsorted(gain, gain[-1] - _LAST)), len(gain))


def _agrees(agree: NDArray[np.bool_], right: NDArray[np.float64], chance: NDArray[np.float64]) -> bool:
    """Whether a block agrees more like right votes than like foreign ones, and not by chance."""
    seen = int(agree.sum())
    if seen < (right.sum() + chance.sum()) / 2:
        return False
    return bool(agree.all()) or _tail(chance, seen) < _CHANCE


def _tail(chances: NDArray[np.float64], seen: int) -> float:
    """The probability that ``seen`` or more of independent events of these ``chances`` happen."""
    p = np.ones(1)
    for chance in chances:
        p = np.convolve(p, (1 - chance, chance))
    return float(p[seen:].sum())


def _broken(
    ds: FaceDataset,
    votes: FerPlusVotes,
    sure: NDArray[np.int64],
    agree: NDArray[np.bool_],
    right: NDArray[np.float64],
    chance: NDArray[np.float64],
    end: int,
) -> DataError:
    """The error that says from which row on the votes are others': where right votes most probably end."""
    assert ds.rows is not None
    drift = np.cumsum(agree[:end] - (right[:end] + chance[:end]) / 2)
    start = int(drift.argmax()) + 1
    start = start if drift.max() > 0 and start < end else 0
    part = slice(start, end)
    first, last = (int(ds.rows[sure[i]]) for i in (start, end - 1))
    return DataError(
        f"the votes do not belong to these faces from about row {first:,} on: in the rows {first:,} to {last:,} they "
        f"agree with {agree[part].mean():.0%} of the labels, where {right[part].mean():.0%} are expected and "
        f"{chance[part].mean():.0%} agree by chance; rows are missing, added or in another order: {_REMEDY}",
        votes.source,
    )
