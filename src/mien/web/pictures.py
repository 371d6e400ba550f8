"""The small pictures of a face as data URIs: what the network saw, where it looked, what decided.

Leaves out: drawing them (``mien.visualization.face_card``).
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.faces import Photo
from mien.runtime import Predictor
from mien.visualization.face_card import what_decided, where_it_looked

__all__ = ["photo_dicts"]


def photo_dicts(photos: Sequence[Photo], predictor: Predictor, pictures: str, explained: int) -> list[dict[str, Any]]:
    """``Photo.to_dict`` of each, with pictures in its faces.

    pictures   "false" none; "true" ``crop`` and ``looked``; "all" ``decided`` too
    explained  faces with an occlusion map, in the order of the answer; ``decided`` of the others is None
    """
    out, left = [], explained
    for photo in photos:
        entry = photo.to_dict()
        for face, described in zip(photo, entry.get("faces", ()), strict=True):
            if pictures != "false":
                described["crop"] = _uri(face.crop)
                looked = None if face.attention_window is None else where_it_looked(face, predictor.spec)
                described["looked"] = None if looked is None else _uri(looked)
            if pictures == "all":
                described["decided"] = _uri(what_decided(face, predictor.predict_crops)) if left > 0 else None
                left -= 1
        out.append(entry)
    return out


def _uri(picture: NDArray[np.uint8]) -> str:
    data = cv2.imencode(".png", picture)[1].tobytes()
    return "data:image/png;base64," + base64.b64encode(data).decode("ascii")
