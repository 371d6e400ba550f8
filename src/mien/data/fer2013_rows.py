"""Which rows of fer2013.csv faces are, by their pixels alone: 32,298 fingerprints of four bytes.

They cover Training and PublicTest; PrivateTest stays unread by whoever makes this package. No pixel can be recovered
from them: each is the BLAKE2b digest of 2,304 bytes, cut to 32 bits, so that a face of other data has one chance in
130,000 to be taken for one of FER2013's. Leaves out: what the rows are looked up for (``votes_join``). Written by
``bench.data.fer2013_rows``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from functools import cache
from importlib import resources

import numpy as np
from numpy.typing import NDArray

__all__ = ["KNOWN_ROWS", "find_rows", "fingerprint"]

#: How many rows of fer2013.csv, from the first of 35,887, have a fingerprint.
KNOWN_ROWS = 32_298

_SIDE = 48


def fingerprint(image: NDArray[np.uint8]) -> int:
    """The fingerprint of one face, uint8 ``(48, 48)``: an integer of 32 bits."""
    return int.from_bytes(hashlib.blake2b(image.tobytes(), digest_size=4).digest(), "little")


def find_rows(images: NDArray[np.uint8], places: Iterable[int]) -> NDArray[np.int64]:
    """The row of fer2013.csv that each face is, int64 ``(N,)``, -1 where its pixels are none of the known ones.

    images  uint8 ``(N, H, W)``; faces of another size than 48 x 48 are not known
    places  the row that each face would be if its file were fer2013.csv itself

    FER2013 holds 1,533 exact copies. Of several rows with the same pixels the face gets its own place, else the next
    one after the row of the face before it, else the first that no other face has.
    """
    rows = np.full(len(images), -1, np.int64)
    if images.shape[1:] != (_SIDE, _SIDE):
        return rows
    known, taken, before = _known(), set[int](), -1
    for i, (image, place) in enumerate(zip(images, places, strict=True)):
        if found := known.get(fingerprint(image), ()):
            free = [r for r in found if r not in taken] or list(found)
            rows[i] = place if place in free else next((r for r in free if r > before), free[0])
            before = int(rows[i])
            taken.add(before)
    return rows


@cache
def _known() -> dict[int, tuple[int, ...]]:
    """Fingerprint -> rows, in order."""
    with resources.as_file(resources.files("mien.data") / "fer2013_rows.npy") as file:
        table = np.load(file, allow_pickle=False).tolist()
    found: dict[int, tuple[int, ...]] = {}
    for row, key in enumerate(table):
        found[key] = (*found.get(key, ()), row)
    return found
