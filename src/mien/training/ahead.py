"""Faces that stay on the disk, read while the network learns from those before them.

Leaves out: how one block of faces is read (``mien.stored``), and their order, which the loop draws as for any other
faces: every epoch a permutation of all of them, so that nothing depends on how they lie on the disk.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mien.preprocessing import channels_first
from mien.stored import StoredImages

__all__ = ["BUFFER", "read_ahead"]

#: Bytes of faces that wait at most; two batches do in any case.
BUFFER = 128 << 20
_AT_ONCE = 8  # batches that are read at a time: a disk answers many requests sooner than one after the other


def read_ahead(images: StoredImages, wanted: Sequence[NDArray[np.int64]], *, pin: bool = False) -> Iterator[Tensor]:
    """uint8 ``(n, C, H, W)`` for each of ``wanted``, row numbers ``(n,)``, in their order.

    pin  in memory that a GPU can copy from while it computes
    """
    each = max((images[rows].nbytes for rows in wanted[:1]), default=1)
    ahead = min(_AT_ONCE, max(2, BUFFER // max(1, each)))
    rest, waiting = iter(wanted), deque[Future[Tensor]]()
    with ThreadPoolExecutor(ahead, thread_name_prefix="mien-read") as pool:
        try:
            waiting.extend(pool.submit(_read, images, rows, pin) for rows in islice(rest, ahead))
            while waiting:
                faces = waiting.popleft().result()
                waiting.extend(pool.submit(_read, images, rows, pin) for rows in islice(rest, 1))
                yield faces
        finally:
            for future in waiting:
                future.cancel()


def _read(images: StoredImages, rows: NDArray[np.int64], pin: bool) -> Tensor:
    faces = torch.from_numpy(np.ascontiguousarray(channels_first(np.asarray(images[rows]))))
    return faces.pin_memory() if pin else faces
