"""What is wrong with a data set: copies within and across splits, copies that contradict each other, empty pictures.

A test image that also lies in Training measures memory, so scores are given a second time without such images
(:func:`twins`). Exact copies are equal bytes; near copies are what crops, re-encoding and mirroring leave of one photo.
Leaves out: counts by class (``summary``), pictures of what was found (``sheet``), and mending anything.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.data.dataset import FaceDataset
from mien.data.splits import split_rank
from mien.errors import ConfigError

__all__ = ["Across", "Audit", "Pair", "audit", "twins"]

Progress = Callable[[int, int], None]

_SIDE = 24  # pixels of the small pictures that are compared
_BLOCK = 512  # rows compared at a time; 60 MB for each of two matrices against 28,709 columns


@dataclass(frozen=True)
class Pair:
    """Two pictures taken for one: row numbers in the source, class names ("" without a label), correlation."""

    row: int
    twin: int
    label: str
    twin_label: str
    correlation: float


@dataclass(frozen=True)
class Across:
    """How many images of ``split`` also lie in ``other``.

    images     images of ``split``
    exact      those with equal bytes in ``other``
    near       those with an exact or near copy in ``other``
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
    near_within   images with an exact or near copy in their own split; ``None`` where that was not asked for
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

    threshold  two images are near copies from this correlation on, in (0, 1]; see :func:`twins`
    within     also look for near copies inside each split: all against all, ten times the work for FER2013
    progress   called with the rows compared so far and the rows to compare

    Raises ConfigError for a threshold outside (0, 1].
    """
    _check(threshold)
    assert ds.split is not None
    parts = {s: np.flatnonzero(ds.split == s) for s in sorted(ds.splits, key=split_rank)}
    pairs = list(combinations(parts, 2))
    total = sum(len(parts[second]) for _, second in pairs) + (len(ds) if within else 0)
    count = _Counter(progress, total)
    small, keys = _small(ds.images), _keys(ds.images)
    across = tuple(_across(ds, (other, parts[other]), (split, parts[split]), small, keys, threshold, count)
                   for other, split in pairs)  # fmt: skip
    constant = ds.images.min((1, 2)) == ds.images.max((1, 2))
    return Audit(
        source=ds.source,
        fingerprint=ds.fingerprint,
        threshold=threshold,
        images={s: len(p) for s, p in parts.items()},
        copies=len(keys) - len(np.unique(keys)),
        copies_within={s: len(p) - len(np.unique(keys[p])) for s, p in parts.items()},
        near_within={s: _near_within(small[p], keys[p], threshold, count) for s, p in parts.items()}
        if within
        else None,
        across=across,
        conflicts=_conflicts(ds, keys),
        constant=_rows(ds, parts, constant),
        not_face=None if ds.not_face is None else _rows(ds, parts, ds.not_face),
    )


def twins(
    test_images: NDArray[np.uint8], train_images: NDArray[np.uint8], threshold: float = 0.90
) -> NDArray[np.bool_]:
    """Which test images have an exact or near copy among the training images, bool ``(N,)``.

    test_images   uint8 ``(N, H, W)``
    train_images  uint8 ``(M, H', W')``
    threshold     near copies correlate at least this much, in (0, 1]: 24 x 24 pixels by area, mean removed, length 1,
                  as they are or mirrored. Images of one even grey correlate with nothing but can be exact copies.

    Raises ConfigError for a threshold outside (0, 1].
    """
    _check(threshold)
    best, _ = _closest(_small(test_images), _small(train_images))
    exact = np.zeros(len(test_images), bool)
    if test_images.shape[1:] == train_images.shape[1:]:
        keys = _keys(np.concatenate([test_images, train_images]))
        exact = np.isin(keys[: len(test_images)], keys[len(test_images) :])
    near: NDArray[np.bool_] = exact | (best >= threshold)
    return near


def _check(threshold: float) -> None:
    if not 0 < threshold <= 1:
        raise ConfigError(f"threshold must lie in (0, 1], got {threshold}")


class _Counter:
    """Adds up the rows that were compared and tells ``progress``."""

    def __init__(self, progress: Progress, total: int) -> None:
        self.progress, self.total, self.done = progress, total, 0

    def __call__(self, rows: int) -> None:
        self.done += rows
        self.progress(self.done, self.total)


def _keys(images: NDArray[np.uint8]) -> NDArray[np.int64]:
    """A number for each image, equal where the bytes are equal, counted in order of appearance: int64 ``(N,)``."""
    seen: dict[bytes, int] = {}
    return np.array([seen.setdefault(image.tobytes(), len(seen)) for image in images], dtype=np.int64)


def _small(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """What is compared: 24 x 24 by area, mean removed, length 1 (0 for even grey), float32 ``(N, 576)``.

    The first half of a row is what is equal left and right, the second what is opposite (a change of basis): mirroring
    a picture turns the second half's sign and nothing else.
    """
    small = np.empty((len(images), _SIDE, _SIDE), np.float32)
    for image, out in zip(images, small, strict=True):
        cv2.resize(image.astype(np.float32), (_SIDE, _SIDE), dst=out, interpolation=cv2.INTER_AREA)
    small -= small.mean((1, 2), keepdims=True)
    length = np.sqrt(np.einsum("ijk,ijk->i", small, small))[:, None, None]
    small *= np.where(length > 1e-3, np.float32(np.sqrt(0.5)) / np.maximum(length, np.float32(1e-3)), np.float32(0))
    left, right = small[:, :, : _SIDE // 2], small[:, :, : _SIDE // 2 - 1 : -1]
    return np.stack([left + right, left - right], 1).reshape(len(images), _SIDE * _SIDE)


def _correlations(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float32]:
    """Correlation of each row of ``a`` with each of ``b``, as it is or mirrored, whichever is larger: ``(A, B)``."""
    half = a.shape[1] // 2
    table: NDArray[np.float32] = a[:, half:] @ b[:, half:].T
    np.abs(table, out=table)
    table += a[:, :half] @ b[:, :half].T
    return table


def _blocks(n: int) -> Iterator[slice]:
    for start in range(0, n, _BLOCK):
        yield slice(start, min(start + _BLOCK, n))


def _closest(
    a: NDArray[np.float32], b: NDArray[np.float32], count: Callable[[int], None] = lambda rows: None
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """For each row of ``a``: highest correlation with a row of ``b``, mirrored or not, and which row that is."""
    best, where = np.full(len(a), -1, np.float32), np.zeros(len(a), np.int64)
    if not len(b):
        return best, where
    for rows in _blocks(len(a)):
        table = _correlations(a[rows], b)
        where[rows] = table.argmax(1)
        best[rows] = table[np.arange(len(table)), where[rows]]
        count(rows.stop - rows.start)
    return best, where


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
    best, where = _closest(small[index], small[other_index], count)
    first = {int(k): int(i) for i, k in zip(other_index[::-1], keys[other_index][::-1], strict=True)}
    twin = np.array([first.get(int(k), -1) for k in keys[index]], dtype=np.int64)
    exact = twin >= 0
    best, twin = np.where(exact, np.float32(1), best), np.where(exact, twin, other_index[where])
    found = np.flatnonzero(best >= threshold)
    pairs = tuple(_pair(ds, int(index[i]), int(twin[i]), float(best[i])) for i in found)
    known = [p.label == p.twin_label for p in pairs if p.label and p.twin_label]
    agreement = sum(known) / len(known) if known else None
    return Across(name, other_name, len(index), int(exact.sum()), len(found), agreement, pairs)


def _pair(ds: FaceDataset, i: int, j: int, correlation: float) -> Pair:
    assert ds.rows is not None
    return Pair(int(ds.rows[i]), int(ds.rows[j]), _label(ds, i), _label(ds, j), round(min(correlation, 1.0), 4))


def _label(ds: FaceDataset, i: int) -> str:
    return "" if ds.labels is None or ds.labels[i] < 0 else ds.names[int(ds.labels[i])]


def _near_within(
    small: NDArray[np.float32], keys: NDArray[np.int64], threshold: float, count: Callable[[int], None]
) -> int:
    """How many images of one split have an exact or near copy in it, itself left out; each pair is compared once."""
    _, inverse, copies = np.unique(keys, return_inverse=True, return_counts=True)
    found = copies[inverse] > 1
    for rows in _blocks(len(small)):
        table = _correlations(small[rows], small[rows.start :])
        np.fill_diagonal(table, -1)
        near = table >= threshold
        found[rows] |= near.any(1)
        found[rows.start :] |= near.any(0)
        count(rows.stop - rows.start)
    return int(found.sum())


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
