"""The small pictures of a face as data URIs: what the network saw, where it looked, what decided.

Leaves out: drawing them (``mien.visualization.face_card``), when (``scheduling``).
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Sequence
from functools import partial
from itertools import islice
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.faces import Face, Photo
from mien.preprocessing import shown
from mien.runtime import Predictor
from mien.visualization.face_card import what_decided, where_it_looked
from mien.web.batching import Batcher
from mien.web.turns import Owner

__all__ = ["photo_dicts"]

_PIECE = 32  # crops in one run of the network: what it allocates it keeps, and more are hardly faster


async def photo_dicts(
    photos: Sequence[Photo], predictor: Predictor, pictures: str, explained: int, batcher: Batcher, owner: Owner
) -> list[dict[str, Any]]:
    """``Photo.to_dict`` of each, with pictures in its faces.

    pictures   "false" none; "true" ``crop`` and ``looked``; "all" ``decided`` too, each face a piece of work by itself
    explained  faces with an occlusion map, in the order of the answer; ``decided`` of the others is None
    """
    entries = [photo.to_dict() for photo in photos]
    if pictures == "false":
        return entries
    both = list(zip(photos, entries, strict=True))
    await asyncio.gather(*(batcher.in_thread(owner, partial(_draw, *pair, predictor)) for pair in both))
    if pictures == "all":
        faces = [pair for photo, entry in both for pair in zip(photo, entry.get("faces", ()), strict=True)]
        for _, described in faces:
            described["decided"] = None
        explaining = [
            batcher.in_thread(owner, partial(_explain, face, described, predictor), explains=True)
            for face, described in islice(faces, explained)
        ]
        await asyncio.gather(*explaining)
    return entries


def _draw(photo: Photo, entry: dict[str, Any], predictor: Predictor) -> None:
    for face, described in zip(photo, entry.get("faces", ()), strict=True):
        described["crop"] = _uri(shown(face.crop))
        looked = None if face.attention_window is None else where_it_looked(face, predictor.spec)
        described["looked"] = None if looked is None else _uri(looked)


def _explain(face: Face, described: dict[str, Any], predictor: Predictor) -> None:
    def predict(crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        pieces = [predictor.predict_crops(crops[i : i + _PIECE]) for i in range(0, len(crops), _PIECE)]
        return np.concatenate(pieces)

    described["decided"] = _uri(what_decided(face, predict))


def _uri(picture: NDArray[np.uint8]) -> str:
    data = cv2.imencode(".png", picture)[1].tobytes()
    return "data:image/png;base64," + base64.b64encode(data).decode("ascii")
