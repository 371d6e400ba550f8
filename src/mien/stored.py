"""Faces that stay in a file and are read when they are asked for: for sets that memory does not hold.

:class:`StoredImages` takes the place of the array of faces in a data set; whatever goes through all faces takes them
block by block (:func:`blocks`), whether they are in memory or in a file. Leaves out: the folder that such a file lies
in (``mien.data.packed``), and reading ahead while a network learns (``mien.training.ahead``).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.errors import DataError

__all__ = ["Images", "StoredImages", "blocks", "npy_head", "with_channels"]

_HEAD = 128  # bytes of the .npy header that :func:`npy_head` makes
_BLOCK, _BYTES = 1024, 8 << 20  # faces of a block, of large ones fewer


@dataclass(frozen=True, eq=False)
class StoredImages:
    """N faces of the .npy file ``path``, uint8 ``(M, H, W)`` or ``(M, H, W, 3)``; made an array by ``numpy.asarray``.

    An array, slice or mask of row numbers gives a view, for which nothing is read; a single number gives that face.

    face      shape of one face as it lies in the file
    index     int64 ``(N,)``, which face of the file each one is
    side      side in pixels that faces are resized to as they are read; None for their own
    channels  1 or 3, that they are given as they are read; None for their own
    """

    path: Path
    face: tuple[int, ...]
    index: NDArray[np.int64]
    side: int | None = None
    channels: int | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """As an array has it."""
        height, width = (self.side, self.side) if self.side else self.face[:2]
        colours = (3,) if (self.channels or len(self.face)) == 3 else ()
        return (len(self.index), height, width, *colours)

    @property
    def ndim(self) -> int:
        """Axes."""
        return len(self.shape)

    @property
    def dtype(self) -> np.dtype[np.uint8]:
        """Of each pixel."""
        return np.dtype(np.uint8)

    @property
    def nbytes(self) -> int:
        """Bytes that all faces would take in memory."""
        return int(np.prod(self.shape, dtype=np.int64))

    def __len__(self) -> int:
        return len(self.index)

    def __iter__(self) -> Iterator[NDArray[np.uint8]]:
        for block in blocks(self):
            yield from block

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, int | np.integer):
            return self._read(self.index[np.array([key])])[0]
        return replace(self, index=self.index[key])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        found = self._read(self.index)
        return found if dtype is None else found.astype(dtype, copy=False)

    def _read(self, places: NDArray[np.int64]) -> NDArray[np.uint8]:
        """The faces at ``places`` of the file, those that follow one another in one go.

        Opened for each block of faces, so that an object holds no file and may go to other threads and processes.
        """
        out = np.empty((len(places), *self.face), np.uint8)
        each = int(np.prod(self.face))
        starts = np.flatnonzero(np.diff(places, prepend=-2) != 1).tolist()
        ends = [*starts[1:], len(places)]
        try:
            with open(self.path, "rb", buffering=0) as file:
                if hasattr(os, "posix_fadvise"):  # else four times as much is read as is asked for
                    os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_RANDOM)
                for start, end in zip(starts, ends, strict=False):
                    file.seek(_HEAD + int(places[start]) * each)
                    _fill(file, out[start:end], str(self.path))
        except OSError as error:
            raise DataError(f"cannot be read ({error.strerror or error}); was it moved?", str(self.path)) from error
        return self._formed(out)

    def _formed(self, faces: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """``faces`` at the side and with the channels that are wanted."""
        if self.channels is not None:
            faces = with_channels(faces, self.channels)
        if self.side is None or faces.shape[1:3] == (self.side, self.side):
            return faces
        from mien.images import resize  # OpenCV, which reading does without

        return np.stack([resize(f, self.side) for f in faces]) if len(faces) else np.zeros(self[:0].shape, np.uint8)


#: Faces uint8 ``(N, H, W)`` grey or ``(N, H, W, 3)`` RGB, in memory or in a file.
Images = NDArray[np.uint8] | StoredImages


def blocks(images: Images, n: int | None = None) -> Iterator[NDArray[np.uint8]]:
    """All faces in their order, ``n`` at a time, or as many as are a few megabytes, as arrays: views of one in memory,
    read from a file where they lie.
    """
    n = n or max(1, min(_BLOCK, _BYTES // max(1, images[:1].nbytes)))
    for start in range(0, len(images), n):
        yield np.asarray(images[start : start + n])


def with_channels(faces: NDArray[np.uint8], channels: int) -> NDArray[np.uint8]:
    """Faces ``(N, H, W)`` grey for ``channels`` 1, ``(N, H, W, 3)`` RGB for 3: grey three times, colour as its luma."""
    if channels == 3:
        return faces if faces.ndim == 4 else np.repeat(faces[..., None], 3, axis=3)
    if faces.ndim == 3:
        return faces
    import cv2

    grey = np.empty(faces.shape[:3], np.uint8)
    for out, face in zip(grey, faces, strict=True):
        cv2.cvtColor(face, cv2.COLOR_RGB2GRAY, dst=out)
    return grey


def npy_head(shape: tuple[int, ...]) -> bytes:
    """The header of an .npy file of uint8 (format 1.0), as long whatever the shape: it can be written at the end."""
    said = repr({"descr": "|u1", "fortran_order": False, "shape": tuple(map(int, shape))})
    return b"\x93NUMPY\x01\x00" + (_HEAD - 10).to_bytes(2, "little") + said.ljust(_HEAD - 11).encode() + b"\n"


def _fill(file: Any, out: NDArray[np.uint8], where: str) -> None:
    """Read as many bytes as ``out`` has."""
    left = out.data.cast("B")
    while left:
        count = file.readinto(left)
        if not count:
            raise DataError("ends before its last face: it was cut off; write it again with mien data pack", where)
        left = left[count:]
