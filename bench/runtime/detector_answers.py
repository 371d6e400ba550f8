"""What another face detector does to the answers: a box or a landmark that lies elsewhere gives another crop.

Random faces of PublicTest are pasted into scenes of soft grey (``bench.runtime.tilt``), tilted a little, 130 and 60
pixels wide in turn; and a folder of photographs is looked at, at several sizes. All go the way of a photo through
``Predictor``. Leaves out: which faces a detector finds (``detectors``, which writes the record).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from bench.runtime.tilt import SIDE, in_the_middle, scene, share
from mien import Face, Predictor
from mien.data import read_faces
from mien.images import read_image
from mien.runtime import Detector
from mien.video import iou

__all__ = ["of_labelled_faces", "of_photographs"]

TILT, SMALL = 9.0, 0.46  # standard deviation in degrees; share of a scene's size in every second one
LONG_SIDES = (320, 480, 640, 960, 1280)  # of photographs, where they have as many


def of_labelled_faces(
    detectors: Mapping[str, Detector], data: str, count: int, model: str = "mien-small"
) -> dict[str, Any]:
    """Accuracy by detector over the faces that all of them find, and how many each finds."""
    part = read_faces(data).part("PublicTest")
    assert part.labels is not None
    rng = np.random.default_rng(0)
    rows = rng.permutation(len(part.images))[:count]
    predictors = {name: Predictor(model, detector, threads=1) for name, detector in detectors.items()}
    found: dict[str, list[Face | None]] = {name: [] for name in detectors}
    for i, row in enumerate(rows):
        image = scene(part.images[row], float(rng.normal(0, TILT)), i)
        if i % 2:
            image = np.asarray(cv2.resize(image, None, fx=SMALL, fy=SMALL, interpolation=cv2.INTER_AREA), np.uint8)
            image = cv2.copyMakeBorder(image, *_around(image.shape[0]), cv2.BORDER_REFLECT_101)
        for name, predictor in predictors.items():
            found[name].append(in_the_middle(predictor.predict(image)))
    labels = [part.names[k] for k in part.labels[rows]]
    return _compared(found, labels)


def _around(side: int) -> tuple[int, int, int, int]:
    before = (SIDE - side) // 2
    return before, SIDE - side - before, before, SIDE - side - before


def _compared(found: Mapping[str, Sequence[Face | None]], labels: Sequence[str]) -> dict[str, Any]:
    first = next(iter(found))
    by_all = [i for i in range(len(labels)) if all(faces[i] is not None for faces in found.values())]
    out = {}
    for name, faces in found.items():
        answers = [faces[i].label for i in by_all]  # type: ignore[union-attr]
        reference = [found[first][i].label for i in by_all]  # type: ignore[union-attr]
        out[name] = {
            "found": sum(face is not None for face in faces),
            **share(sum(a == labels[i] for a, i in zip(answers, by_all, strict=True)), len(by_all)),
            "same_label": round(float(np.mean([a == b for a, b in zip(answers, reference, strict=True)])), 4),
        }
    return out


def of_photographs(detectors: Mapping[str, Detector], folder: Path, model: str = "mien-small") -> dict[str, Any]:
    """By detector: the share of the first one's faces that it finds, boxes of others, and the same labels."""
    predictors = {name: Predictor(model, detector, threads=1) for name, detector in detectors.items()}
    first, out = next(iter(detectors)), {name: _Tally() for name in detectors}
    photographs = [read_image(path, colour=True) for path in sorted(folder.iterdir())]
    for photograph in photographs:
        for image in _sizes(photograph):
            faces = {name: predictor.predict(image) for name, predictor in predictors.items()}
            for name, tally in out.items():
                tally.add(faces[first], faces[name])
    return {"photographs": len(photographs), **{name: tally.record() for name, tally in out.items()}}


def _sizes(image: np.ndarray) -> list[np.ndarray]:
    long = max(image.shape[:2])
    ratios = [side / long for side in LONG_SIDES if side <= long]
    return [cv2.resize(image, None, fx=k, fy=k, interpolation=cv2.INTER_AREA) for k in ratios]


class _Tally:
    def __init__(self) -> None:
        self.kept, self.same, self.ious, self.others = list[bool](), list[bool](), list[float](), 0

    def add(self, wanted: Sequence[Face], found: Sequence[Face]) -> None:
        for face in wanted:
            best = max(found, key=lambda f: iou(f.box, face.box), default=None)
            overlap = iou(best.box, face.box) if best is not None else 0.0
            self.kept.append(overlap > 0.5)
            if best is not None and overlap > 0.5:
                self.ious.append(overlap)
                self.same.append(best.label == face.label)
        self.others += sum(all(iou(f.box, face.box) <= 0.5 for face in wanted) for f in found)

    def record(self) -> dict[str, Any]:
        return {
            "n": len(self.kept),
            "kept": round(float(np.mean(self.kept)), 4),
            "others": self.others,
            "iou_mean": round(float(np.mean(self.ious)), 4),
            "same_label": round(float(np.mean(self.same)), 4),
        }
