"""By how much a detector's heat map is raised, so that it is as sure of faces as CenterFace in float32.

A network that was rounded or made smaller sees a face and is less sure of it, but the score from which something is a
face is fixed. The bias of its heat map takes up the difference, chosen on generated scenes of a seed of its own, with
faces and without. Leaves out: what it finds on others (``bench.runtime.detectors``).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.runtime.detectors import USED_FROM, fits, side_of
from bench.runtime.scenes import Scene, Scenes, read_crops
from mien.faces import Detection
from mien.runtime import CenterFace
from mien.video import iou

__all__ = ["Raising", "raising", "raising_of"]

SEED, SCENES, SIZE = 9, 180, 640
KEPT = 0.99  # share of float32's faces that are to be found
SCORES = [s / 100 for s in range(50, 19, -1)]  # tried as the score from which something is a face

Found = Sequence[Sequence[Detection]]


@dataclass(frozen=True)
class Raising:
    """``by``: to be added to the heat map before its sigmoid; then the share of faces kept, and boxes where none is."""

    by: float
    kept: float
    false: int
    false_of_float: int


def raising_of(path: Path, data: str) -> Raising:
    """What a detector's file needs, on scenes of even rows of FER2013's CSV ``data``."""
    scenes = list(Scenes(read_crops(data, odd=False), seed=SEED).all(SCENES))
    wanted, found = (
        [detector.look(scene.image, SIZE / scene.image.shape[1]) for scene in scenes]
        for detector in (CenterFace(threads=1), CenterFace(path, threads=1))
    )
    return raising(scenes, wanted, found)


def raising(scenes: Sequence[Scene], wanted: Found, found: Found) -> Raising:
    """The least that keeps enough of the faces of ``wanted``; both with what scores too low to be a face."""
    reference = [_from(one, 0.5) for one in wanted]
    for score in SCORES:
        seen = [_from(one, score) for one in found]
        kept = [
            any(iou(box.box, face.box) > 0.5 for box in boxes)
            for boxes, faces in zip(seen, reference, strict=True)
            for face in faces
            if side_of(face) >= USED_FROM
        ]
        share = sum(kept) / max(1, len(kept))
        if share >= KEPT:
            break
    return Raising(round(math.log((1 - score) / score), 3), share, _false(scenes, seen), _false(scenes, reference))


def _from(found: Sequence[Detection], score: float) -> list[Detection]:
    return [one for one in found if one.score > score]


def _false(scenes: Sequence[Scene], found: Found) -> int:
    """Boxes where no face was put."""
    pairs = zip(scenes, found, strict=True)
    return sum(not any(fits(box, face) for face in scene.faces) for scene, boxes in pairs for box in boxes)
