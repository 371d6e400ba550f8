"""Faces that are there twice: exact copies, which are equal bytes, and near-duplicates; and those that show nothing.

Near-duplicates are what crops, re-encoding and mirroring leave of one photo; a test image with one in Training measures
memory. Leaves out: what a data set is told of them (``audit``), and which parts they keep together (``splits``).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from mien.errors import ConfigError
from mien.stored import Images, blocks, with_channels

__all__ = [
    "check_threshold",
    "closest",
    "copy_keys",
    "digests",
    "even",
    "near_duplicates",
    "near_duplicates_within",
    "thumbnails",
]

_SIDE = 24  # pixels of the small pictures that are compared
_BLOCK = 512  # rows compared at a time; 60 MB for each of two matrices against 28,709 columns
_COLUMNS = 32_768  # that they are compared with at a time, 75 MB: a larger set is gone through in passes


def near_duplicates(test_images: Images, train_images: Images, threshold: float = 0.90) -> NDArray[np.bool_]:
    """Which test images have an exact copy or near-duplicate among the training images, bool ``(N,)``.

    test_images   uint8 ``(N, H, W)``, or ``(N, H, W, 3)``, which are compared by their luma
    train_images  uint8 ``(M, H', W')`` or ``(M, H', W', 3)``; gone through once, whatever their number
    threshold     near-duplicates correlate at least this much, in (0, 1]: 24 x 24 pixels by area, mean removed,
                  length 1, as they are or mirrored. Images of one even grey correlate with nothing but can be copies.

    Raises ConfigError for a threshold outside (0, 1].
    """
    check_threshold(threshold)
    small, best = thumbnails(test_images), np.full(len(test_images), -1, np.float32)
    for part in _blocks(len(train_images), _COLUMNS):
        best = np.maximum(best, closest(small, thumbnails(train_images[part]))[0])
    near: NDArray[np.bool_] = best >= threshold
    if test_images.shape[1:] == train_images.shape[1:]:
        known = set(digests(train_images))
        near |= np.array([d in known for d in digests(test_images)], bool)
    return near


def check_threshold(threshold: float) -> None:
    """Raise :class:`ConfigError` for a threshold outside (0, 1]."""
    if not 0 < threshold <= 1:
        raise ConfigError(f"threshold must lie in (0, 1], got {threshold}")


def digests(images: Images) -> list[bytes]:
    """16 bytes for each image, uint8 ``(N, ...)``; equal for exact copies only."""
    return [hashlib.blake2b(i.tobytes(), digest_size=16).digest() for block in blocks(images) for i in block]


def copy_keys(images: Images) -> NDArray[np.int64]:
    """A number for each image, equal for exact copies, counted in order of appearance: int64 ``(N,)``."""
    seen: dict[bytes, int] = {}
    return np.array([seen.setdefault(digest, len(seen)) for digest in digests(images)], dtype=np.int64)


def even(images: Images) -> NDArray[np.bool_]:
    """Which images are of one even grey, or of one even colour, bool ``(N,)``."""
    found = [(b.min((1, 2)) == b.max((1, 2))).reshape(len(b), -1).all(1) for b in blocks(images)]
    return np.concatenate(found) if found else np.zeros(0, bool)


def thumbnails(images: Images) -> NDArray[np.float32]:
    """What is compared: luma at 24 x 24 by area, mean removed, length 1 (0 for even grey), float32 ``(N, 576)``.

    The first half of a row is what is equal left and right, the second what is opposite (a change of basis): mirroring
    a picture turns the second half's sign and nothing else.
    """
    import cv2  # which reading and splitting do without

    small = np.empty((len(images), _SIDE, _SIDE), np.float32)
    grey = (image for block in blocks(images) for image in with_channels(block, 1))
    for image, out in zip(grey, small, strict=True):
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


def _blocks(n: int, size: int, first: int = 0) -> Iterator[slice]:
    for start in range(first, n, size):
        yield slice(start, min(start + size, n))


def closest(
    a: NDArray[np.float32], b: NDArray[np.float32], count: Callable[[int], None] = lambda rows: None
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """For each row of ``a``: highest correlation with a row of ``b``, mirrored or not, and which row that is."""
    best, where = np.full(len(a), -1, np.float32), np.zeros(len(a), np.int64)
    if not len(b):
        return best, where
    for rows in _blocks(len(a), _BLOCK):
        for columns in _blocks(len(b), _COLUMNS):
            table = _correlations(a[rows], b[columns])
            nearest = table.argmax(1)
            found = table[np.arange(len(table)), nearest]
            closer = found > best[rows]
            best[rows] = np.where(closer, found, best[rows])
            where[rows] = np.where(closer, nearest + columns.start, where[rows])
        count(rows.stop - rows.start)
    return best, where


def near_duplicates_within(
    small: NDArray[np.float32], keys: NDArray[np.int64], threshold: float, count: Callable[[int], None]
) -> int:
    """How many images of one split have an exact copy or near-duplicate in it; each pair is compared once.

    small, keys  of its images, from :func:`thumbnails` and :func:`copy_keys`
    """
    _, inverse, copies = np.unique(keys, return_inverse=True, return_counts=True)
    found = copies[inverse] > 1
    for rows in _blocks(len(small), _BLOCK):
        for columns in _blocks(len(small), _COLUMNS, rows.start):
            table = _correlations(small[rows], small[columns])
            if columns.start == rows.start:
                np.fill_diagonal(table, -1)
            near = table >= threshold
            found[rows] |= near.any(1)
            found[columns] |= near.any(0)
        count(rows.stop - rows.start)
    return int(found.sum())
