"""What is wrong with a data set: copies within and across splits, contradictory labels of copies, empty pictures.

A test image that also lies in Training measures memory, so scores are given a second time without such images
(``duplicates``). Leaves out: counts by class (``summary``), pictures of what was found
(``visualization.audit_figure``), and mending anything.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.data.dataset import FaceDataset
from mien.data.duplicates import check_threshold, closest, copy_keys, even, near_duplicates_within, thumbnails
from mien.data.splits import split_rank

__all__ = ["Across", "Audit", "Pair", "audit"]

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Pair:
    """Two pictures taken for one: row numbers in the source, class names ("" without a label), correlation."""

    row: int
    duplicate: int
    label: str
    duplicate_label: str
    correlation: float


@dataclass(frozen=True)
class Across:
    """How many images of ``split`` also lie in ``other``.

    images     images of ``split``
    exact      those with equal bytes in ``other``
    near       those with an exact copy or near-duplicate in ``other``
    agreement  share of ``near`` whose closest copy has the same label; ``None`` without labels or copies
    pairs      the ``near`` images with their closest copy, in row order
    """

    split: str
    other: str
    images: int
    exact: int
    near: int
    agreement: float | None
    pairs: tuple[Pair, ...]


@dataclass(frozen=True)
class Audit:
    """What :func:`audit` found; counts by split are dicts from the split's name.

    copies        images with equal bytes earlier in the data, whatever the split
    copies_within the same, seen within each split alone
    near_within   images with an exact copy or near-duplicate in their own split; ``None`` where that was not asked for
    across        one entry a pair of splits
    conflicts     groups of exact copies with more than one label, as row numbers
    constant      row numbers of images of one even grey
    not_face      row numbers of images that are no face by all taggers; ``None`` where no votes were given
    """

    source: str
    fingerprint: str
    threshold: float
    images: dict[str, int]
    copies: int
    copies_within: dict[str, int]
    near_within: dict[str, int] | None
    across: tuple[Across, ...]
    conflicts: tuple[tuple[int, ...], ...]
    constant: dict[str, tuple[int, ...]]
    not_face: dict[str, tuple[int, ...]] | None

    def to_dict(self) -> dict[str, Any]:
        """All fields, in types that ``json.dumps`` takes."""
        return asdict(self)


def audit(
    ds: FaceDataset, *, threshold: float = 0.90, within: bool = False, progress: Progress = lambda done, of: None
) -> Audit:
    """Look for copies, contradictions and empty pictures in ``ds``.

    threshold  two images are near-duplicates from this correlation on, in (0, 1]; see ``duplicates``
    within     also look for near-duplicates inside each split: all against all, ten times the work for FER2013
    progress   called with the rows compared so far and the rows to compare

    Raises ConfigError for a threshold outside (0, 1].
    """
    check_threshold(threshold)
    assert ds.split is not None
    parts = {s: np.flatnonzero(ds.split == s) for s in sorted(ds.splits, key=split_rank)}
    pairs = list(combinations(parts, 2))
    total = sum(len(parts[second]) for _, second in pairs) + (len(ds) if within else 0)
    count = _Counter(progress, total)
    small, keys = thumbnails(ds.images), copy_keys(ds.images)
    across = tuple(_across(ds, (other, parts[other]), (split, parts[split]), small, keys, threshold, count)
                   for other, split in pairs)  # fmt: skip
    constant = even(ds.images)
    return Audit(
        source=ds.source,
        fingerprint=ds.fingerprint,
        threshold=threshold,
        images={s: len(p) for s, p in parts.items()},
        copies=len(keys) - len(np.unique(keys)),
        copies_within={s: len(p) - len(np.unique(keys[p])) for s, p in parts.items()},
        near_within={s: near_duplicates_within(small[p], keys[p], threshold, count) for s, p in parts.items()}
        if within
        else None,
        across=across,
        conflicts=_conflicts(ds, keys),
        constant=_rows(ds, parts, constant),
        not_face=None if ds.not_face is None else _rows(ds, parts, ds.not_face),
    )


class _Counter:
    """Adds up the rows that were compared and tells ``progress``."""

    def __init__(self, progress: Progress, total: int) -> None:
        self.progress, self.total, self.done = progress, total, 0

    def __call__(self, rows: int) -> None:
        self.done += rows
        self.progress(self.done, self.total)


def _across(
    ds: FaceDataset,
    other: tuple[str, NDArray[np.int64]],
    split: tuple[str, NDArray[np.int64]],
    small: NDArray[np.float32],
    keys: NDArray[np.int64],
    threshold: float,
    count: Callable[[int], None],
) -> Across:
    (name, index), (other_name, other_index) = split, other
    best, where = closest(small[index], small[other_index], count)
    first = {int(k): int(i) for i, k in zip(other_index[::-1], keys[other_index][::-1], strict=True)}
    same = np.array([first.get(int(k), -1) for k in keys[index]], dtype=np.int64)
    exact = same >= 0
    best, same = np.where(exact, np.float32(1), best), np.where(exact, same, other_index[where])
    found = np.flatnonzero(best >= threshold)
    pairs = tuple(_pair(ds, int(index[i]), int(same[i]), float(best[i])) for i in found)
    known = [p.label == p.duplicate_label for p in pairs if p.label and p.duplicate_label]
    agreement = sum(known) / len(known) if known else None
    return Across(name, other_name, len(index), int(exact.sum()), len(found), agreement, pairs)


def _pair(ds: FaceDataset, i: int, j: int, correlation: float) -> Pair:
    assert ds.rows is not None
    return Pair(int(ds.rows[i]), int(ds.rows[j]), _label(ds, i), _label(ds, j), round(min(correlation, 1.0), 4))


def _label(ds: FaceDataset, i: int) -> str:
    return "" if ds.labels is None or ds.labels[i] < 0 else ds.names[int(ds.labels[i])]


def _conflicts(ds: FaceDataset, keys: NDArray[np.int64]) -> tuple[tuple[int, ...], ...]:
    if ds.labels is None:
        return ()
    assert ds.rows is not None
    groups: dict[int, list[int]] = defaultdict(list)
    for i in np.flatnonzero(ds.labels >= 0):
        groups[int(keys[i])].append(int(i))
    found = [g for g in groups.values() if len(set(ds.labels[g].tolist())) > 1]
    return tuple(tuple(int(ds.rows[i]) for i in g) for g in found)


def _rows(ds: FaceDataset, parts: dict[str, NDArray[np.int64]], which: NDArray[np.bool_]) -> dict[str, tuple[int, ...]]:
    assert ds.rows is not None
    return {s: tuple(ds.rows[p[which[p]]].tolist()) for s, p in parts.items()}
