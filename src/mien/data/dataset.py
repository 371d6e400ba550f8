"""The one record that every source ends in: arrays of faces with labels, votes, splits and where each row came from.

Leaves out: reading files (``sources``), splits (``splits``), and batches and augmentation (``mien.training``). Nothing
downstream of this record knows about files.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mien.errors import ConfigError, DataError
from mien.spec import Scale
from mien.stored import Images, StoredImages, blocks, with_channels

__all__ = ["MAX_SIDE", "FaceDataset", "Form", "Kept"]

#: The largest side in pixels that faces are resized to.
MAX_SIDE = 4096


@dataclass(frozen=True)
class Form:
    """What every picture is made: side in pixels that it is resized to; where that is None, their own, or ``mixed`` if
    these differ; and with ``colour`` RGB, else grey. ``kept``, where it is given, keeps them in a file.
    """

    side: int | None = None
    mixed: int = 48
    colour: bool = False
    kept: Kept | None = None


class Kept(Protocol):
    """Where faces go as they are read, so that memory need not hold them: ``packed.Writer``."""

    def __setitem__(self, place: int, face: NDArray[np.uint8]) -> None: ...
    def __contains__(self, place: object) -> bool: ...
    def __iter__(self) -> Iterator[int]: ...
    def __len__(self) -> int: ...
    def images(self, order: Sequence[int]) -> Images: ...


@dataclass(frozen=True, eq=False)
class FaceDataset:
    """N faces of one size, checked when made.

    images   uint8 ``(N, H, W)``, 0 black to 255 white, or ``(N, H, W, 3)`` RGB; an array, or ``StoredImages`` of a set
             that stays on the disk
    names    class names in class order, ``K`` of them
    labels   int64 ``(N,)`` in ``0..K-1``, -1 for a row without a label; ``None`` where no row has one
    votes    float32 ``(N, K)`` >= 0, taggers' votes or probabilities for the same classes; ``None`` where none
    split    str ``(N,)``, the official name of each row's part ("Training", "PublicTest", ...); "" where there is none
    subject  str ``(N,)``, who is on the picture; ``None`` where unknown
    rows     int64 ``(N,)``, 0-based number of the row or picture in its source, header not counted
    not_face bool ``(N,)``, true where all taggers say that the picture shows no face; ``None`` where nobody was asked
    source   where it came from, for messages and model cards
    second   float32 ``(N, M)``, a second labelling by the classes ``second_names``: shares that sum to 1 in each row,
             or zeros for a row without; ``None`` where there is none
    """

    images: Images
    names: tuple[str, ...]
    labels: NDArray[np.int64] | None = None
    votes: NDArray[np.float32] | None = None
    split: NDArray[np.str_] | None = None
    subject: NDArray[np.str_] | None = None
    rows: NDArray[np.int64] | None = None
    not_face: NDArray[np.bool_] | None = None
    source: str = ""
    second: NDArray[np.float32] | None = None
    second_names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        shape = self.images.shape
        if self.images.dtype != np.uint8 or not (len(shape) == 3 or (len(shape) == 4 and shape[3] == 3)):
            raise DataError(
                f"images must be uint8 (N, H, W), or (N, H, W, 3) in colour, got {self.images.dtype} {shape}",
                self.source,
            )
        n, k = len(self.images), len(self.names)
        if self.split is None:
            object.__setattr__(self, "split", np.zeros(n, dtype="<U10"))
        if self.rows is None:
            object.__setattr__(self, "rows", np.arange(n, dtype=np.int64))
        rows = ("labels", "split", "subject", "rows", "not_face")
        for name, shape in {
            **dict.fromkeys(rows, (n,)),
            "votes": (n, k),
            "second": (n, len(self.second_names)),
        }.items():
            value = getattr(self, name)
            if value is not None and value.shape != shape:
                raise DataError(f"{name} must have shape {shape}, got {value.shape}", self.source)
        if len(set(self.names)) != k:
            raise DataError(f"names must differ, got {self.names}", self.source)
        if self.labels is not None and n and (self.labels.min() < -1 or self.labels.max() >= k):
            raise DataError(
                f"labels must lie in -1..{k - 1}, got {self.labels.min()}..{self.labels.max()}", self.source
            )
        if self.votes is not None and n and not (np.isfinite(self.votes).all() and self.votes.min() >= 0):
            raise DataError("votes must be finite and not negative", self.source)

    def __len__(self) -> int:
        return len(self.images)

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return int(self.images.shape[1]), int(self.images.shape[2])

    @property
    def array(self) -> NDArray[np.uint8]:
        """All images in memory, also where they are stored."""
        return np.asarray(self.images)

    @property
    def channels(self) -> int:
        """1 for grey faces, 3 for colour."""
        return 3 if self.images.ndim == 4 else 1

    @property
    def splits(self) -> tuple[str, ...]:
        """The names of the splits, in the order in which they first appear."""
        assert self.split is not None
        _, first = np.unique(self.split, return_index=True)
        return tuple(str(self.split[i]) for i in sorted(first))

    @cached_property
    def fingerprint(self) -> str:
        """16 hex digits of SHA-256 over pixels, labels, votes, names and splits: equal data, equal fingerprint.

        Independent of file format, file name, row numbers, subjects and marks (``not_face``).
        """
        assert self.split is not None
        h = hashlib.sha256()
        h.update(repr((self.images.shape, self.names)).encode())
        for block in blocks(self.images):
            h.update(np.ascontiguousarray(block).data)
        for part in (self.labels, self.votes):
            h.update(b"-" if part is None else np.ascontiguousarray(part).data)
        if self.second is not None:
            h.update(repr(self.second_names).encode())
            h.update(np.ascontiguousarray(self.second).data)
        h.update("\n".join(self.split.tolist()).encode())
        return h.hexdigest()[:16]

    @cached_property
    def statistics(self) -> tuple[Scale, Scale]:
        """Mean and standard deviation of all pixels on the 0..1 scale, of each channel in colour; 0.0 and 1.0 for none,
        std 1 for constant images.

        The numbers by which a network's input is normalised; counted by value, so that they are exact.
        """
        counts = np.zeros((self.channels, 256), np.int64)
        for block in blocks(self.images):  # bincount works on int64: eight bytes a pixel
            for own, values in zip(counts, block.reshape(-1, self.channels).T, strict=True):
                own += np.bincount(values, minlength=256)
        found = [_mean_and_deviation(own) for own in counts]
        if self.channels == 1:
            return found[0]
        return tuple(mean for mean, _ in found), tuple(std for _, std in found)

    def resized(self, side: int) -> FaceDataset:
        """The same faces at ``side`` x ``side`` pixels, 1..4096: by area where they shrink, linear where they grow.

        A face that is no square is stretched into one. ``self`` where nothing is to be done. Raises ConfigError.
        """
        if not 1 <= side <= MAX_SIDE:
            raise ConfigError(f"size must lie in 1..{MAX_SIDE} pixels, got {side}")
        if self.size == (side, side):
            return self
        if isinstance(self.images, StoredImages):
            return replace(self, images=replace(self.images, side=side))
        from mien.images import resize  # OpenCV, which reading a table does without

        images = np.empty((len(self), side, side, *self.images.shape[3:]), np.uint8)
        for out, image in zip(images, self.images, strict=True):
            out[...] = resize(image, side)
        return replace(self, images=images)

    def with_channels(self, channels: int) -> FaceDataset:
        """The same faces in grey (1) or in colour (3): grey ones three times, colour as its luma."""
        if channels == self.channels:
            return self
        if isinstance(self.images, StoredImages):
            return replace(self, images=replace(self.images, channels=channels))
        return replace(self, images=with_channels(self.images, channels))

    def take(self, index: Sequence[int] | NDArray[Any] | slice) -> FaceDataset:
        """The rows at ``index`` (numbers, a boolean mask or a slice), in that order."""
        rows = {f.name: getattr(self, f.name)[index] for f in fields(self) if self._is_rows(f.name)}
        return replace(self, **rows)

    def part(self, *splits: str) -> FaceDataset:
        """The rows of the named splits, in their order; an error names the splits that exist."""
        for s in splits:
            if s not in self.splits:
                have = ", ".join(name for name in self.splits if name)
                raise ConfigError(
                    f"split must be one of {have}, got {s!r}" if have else f"the data have no parts, so none is {s!r}"
                )
        assert self.split is not None
        return self.take(np.isin(self.split, splits))

    def counts(self) -> NDArray[np.int64]:
        """Images per class, int64 ``(K,)``; rows without a label are not counted."""
        if self.labels is None:
            return np.zeros(len(self.names), dtype=np.int64)
        return np.bincount(self.labels[self.labels >= 0], minlength=len(self.names)).astype(np.int64)

    def _is_rows(self, name: str) -> bool:
        return name not in ("names", "source", "second_names") and getattr(self, name) is not None


def _mean_and_deviation(counts: NDArray[np.int64]) -> tuple[float, float]:
    """Of values 0..255 that occur so often, int64 ``(256,)``, on the 0..1 scale."""
    shares, values = counts / max(int(counts.sum()), 1), np.arange(256) / 255
    mean = float(shares @ values)
    return mean, float(np.sqrt(shares @ (values - mean) ** 2)) or 1.0
