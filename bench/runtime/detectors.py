"""Measure face detectors beside CenterFace in float32 at 640 pixels, on generated scenes with faces at known places.

    python -m bench.runtime.detectors --data fer2013.csv --photographs FOLDER      # writes results/detectors.json

Scenes of 640 x 480 pixels (``bench/runtime/scenes.py``): one near face, a few, many small ones, turned, dark, and none.
"kept" is the share of the faces that float32 finds at 640 and another finds too (IoU above 0.5), by the side of its
box; "placed" the share of the faces that were put there, by their side and by kind of scene; "false" are boxes where
none was put, over all scenes and in the empty ones. IoU and landmark error (mean distance of the five, in percent of
the box's side) are against float32's. Cost is processor time on one thread, every way in turn on each scene: "look_ms"
of one pass of the network at that size, "detect_ms" of all that a detector does; ratios compare sums within this run.
What other boxes do to the answers stands beside, of labelled faces and a folder of photographs (``detector_answers``).
"""

from __future__ import annotations

import argparse
import hashlib
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bench.conditions import RESULTS, conditions, save
from bench.runtime.detector_answers import of_labelled_faces, of_photographs
from bench.runtime.scenes import KINDS, Placed, Scene, Scenes, read_crops
from mien.faces import Detection
from mien.runtime import CenterFace, make_detector
from mien.video import iou

WAYS = tuple((name, size) for name in ("centerface", "fast") for size in (640, 480, 320, None))
SIDES = (10, 16, 24, 48, 96, 192, 400)  # bounds of the classes of sizes, in pixels
USED_FROM = 24  # the side from which a face counts for the choice of the default


def side_of(found: Detection) -> float:
    left, top, right, bottom = found.box
    return float(np.sqrt(max(0.0, (right - left) * (bottom - top))))


def fits(found: Detection, face: Placed) -> bool:
    """Whether a box is that of a face: their middles are near, and neither is twice the other."""
    x, y = (found.box[0] + found.box[2]) / 2, (found.box[1] + found.box[3]) / 2
    near = max(abs(face.x - x), abs(face.y - y)) < 0.4 * face.side
    return near and 0.5 < side_of(found) / face.side < 2


def class_of(side: float) -> str:
    upper = next((b for b in SIDES[1:] if side < b), SIDES[-1])
    return f"{SIDES[SIDES.index(upper) - 1]} to {upper}"


class Tally:
    """What one way found, beside the reference and beside what was placed."""

    def __init__(self) -> None:
        self.kept: dict[str, list[bool]] = {}
        self.placed: dict[str, list[bool]] = {}
        self.kinds: dict[str, list[bool]] = {}
        self.ious, self.errors, self.milliseconds, self.look = (
            list[float](),
            list[float](),
            list[float](),
            list[float](),
        )
        self.false = self.false_in_empty = 0

    def add(self, scene: Scene, found: Sequence[Detection], reference: Sequence[Detection]) -> None:
        for wanted in reference:
            best = max(found, key=lambda d: iou(d.box, wanted.box), default=None)
            overlap = iou(best.box, wanted.box) if best is not None else 0.0
            self.kept.setdefault(class_of(side_of(wanted)), []).append(overlap > 0.5)
            if best is not None and overlap > 0.5:
                self.ious.append(overlap)
                off = np.linalg.norm(best.landmarks - wanted.landmarks, axis=1).mean()  # type: ignore[operator]
                self.errors.append(100 * float(off) / side_of(wanted))
        for face in scene.faces:
            there = any(fits(d, face) for d in found)
            self.placed.setdefault(class_of(face.side), []).append(there)
            self.kinds.setdefault(scene.kind, []).append(there)
        false = sum(not any(fits(d, face) for face in scene.faces) for d in found)
        self.false += false
        self.false_in_empty += false if not scene.faces else 0

    def record(self, reference: Tally) -> dict[str, Any]:
        used = [ok for name, oks in self.kept.items() for ok in oks if int(name.split()[0]) >= USED_FROM]
        there = [ok for name, oks in self.placed.items() for ok in oks if int(name.split()[0]) >= USED_FROM]
        return {
            "kept": share(used),
            "kept_by_side": {name: share(self.kept[name]) for name in names(self.kept)},
            "placed": share(there),
            "placed_by_side": {name: share(self.placed[name]) for name in names(self.placed)},
            "placed_by_kind": {name: share(self.kinds[name]) for name in KINDS if name in self.kinds},
            "false": self.false,
            "false_in_empty": self.false_in_empty,
            "iou_mean": round(float(np.mean(self.ious)), 4),
            "landmark_error_percent": round(float(np.median(self.errors)), 2),
            "look_ms": round(float(np.median(self.look)), 1) if self.look else None,
            "look_ratio": round(sum(self.look) / sum(reference.look), 3) if self.look else None,
            "detect_ms": round(float(np.median(self.milliseconds)), 1),
            "detect_ratio": round(sum(self.milliseconds) / sum(reference.milliseconds), 3),
        }


def names(classes: dict[str, list[bool]]) -> list[str]:
    return sorted(classes, key=lambda name: int(name.split()[0]))


def share(oks: Sequence[bool]) -> dict[str, Any]:
    return {"n": len(oks), "share": round(float(np.mean(oks)), 4) if oks else None}


def timed(call: Any, *given: Any) -> tuple[Any, float]:
    """What a call gives, and its processor time in milliseconds."""
    started = time.process_time()
    out = call(*given)
    return out, 1000 * (time.process_time() - started)


def measured(scenes: Sequence[Scene]) -> dict[str, Any]:
    detectors = {(name, size): make_detector(name, size=size, threads=1) for name, size in WAYS}
    tallies = {way: Tally() for way in WAYS}
    for scene in scenes:
        found: dict[tuple[str, int | None], list[Detection]] = {}
        for way, detector in detectors.items():
            found[way], spent = timed(detector.detect, scene.image)
            tallies[way].milliseconds.append(spent)
            if way[1] and isinstance(detector, CenterFace):
                tallies[way].look.append(timed(detector.look, scene.image, way[1] / scene.image.shape[1])[1])
        for way in WAYS:
            tallies[way].add(scene, found[way], found[WAYS[0]])
    return {f"{name} {size or 'auto'}": tallies[name, size].record(tallies[WAYS[0]]) for name, size in WAYS}


def file_of(name: str) -> dict[str, Any]:
    detector = make_detector(name, threads=1)
    assert isinstance(detector, CenterFace)
    data = detector.path.read_bytes()
    return {"name": detector.path.name, "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, help="FER2013's CSV")
    parser.add_argument("--photographs", type=Path, required=True, help="folder of photographs with faces")
    parser.add_argument("--n", type=int, default=240, help="scenes")
    parser.add_argument("--faces", type=int, default=600, help="labelled faces")
    parser.add_argument("--out", type=Path, default=RESULTS / "detectors.json")
    given = parser.parse_args()
    scenes = list(Scenes(read_crops(given.data, odd=True), seed=0).all(given.n))
    detectors = {name: make_detector(name, threads=1) for name in ("centerface", "fast")}
    record = {
        "what": "face detectors beside CenterFace float32 at 640 pixels, on generated scenes of 640 x 480",
        "reference": "centerface 640",
        "scenes": {kind: sum(s.kind == kind for s in scenes) for kind in KINDS},
        "faces": sum(len(s.faces) for s in scenes),
        "files": {name: file_of(name) for name in ("centerface", "fast")},
        "ways": measured(scenes),
        "labelled": given.faces,
        "answers": of_labelled_faces(detectors, given.data, given.faces),
        "photographs": of_photographs(detectors, given.photographs),
        "data": Path(given.data).name,
        "conditions": conditions("onnxruntime", "opencv-python-headless", "numpy", threads=1),
    }
    save(given.out, record)


if __name__ == "__main__":
    main()
