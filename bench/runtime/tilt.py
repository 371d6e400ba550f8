"""Measure what tilting, turning sideways and lack of contrast do to a face's answer, before and after mien's remedies.

    python -m bench.runtime.tilt --data fer2013.csv            # writes results/tilt.json

Random faces of PublicTest, with mirrored margins and a soft edge, are pasted into scenes of 320 x 320 pixels of soft
grey, 130 pixels wide, and go the way of a photo through ``Predictor``.

tilt      in steps of 15 degrees in both directions; "plain" is the same face cropped without a turn, "lost" are faces
          that were found upright and are not any more. The astronaut of examples/ is turned alike, on her own photo
turning   5 to 45 degrees: the crop turned by what the landmarks say, and not; from the limit in ``upright`` on it pays
yaw       the face is laid on a cylinder that turns: what pose is measured then, and how many answers are right
contrast  grey values drawn to their mean; with and without ``raise_contrast``

The rule for the limits of yaw and roll: where half of the distance to chance is lost, chance being the share of the
sample's commonest expression. Roll is what remains in the crop, so its limit comes from "plain"; yaw's is in degrees as
they are measured, the median at that turn of the cylinder.
"""

from __future__ import annotations

import argparse
import itertools
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from bench.conditions import RESULTS, ROOT, conditions, save
from bench.runtime.quality import flattened
from mien import Face, Predictor
from mien.data import read_faces
from mien.evaluation.metrics import wilson
from mien.preprocessing import crop_face, raise_contrast
from mien.runtime import CenterFace
from mien.runtime.upright import TURNED_FROM, tilt

SIDE, FACE, MARGIN = 320, 130, 8  # pixels of a scene, of the face in it, and of the mirrored margin of a 48-pixel face
STEPS = (0, *(sign * angle for angle in range(15, 180, 15) for sign in (1, -1)), 180)
LITTLE = (5, 10, 15, 20, 25, 30, 35, 40, 45)
YAWS = (0, 15, 30, 40, 50, 60, 70, 80)
CONTRASTS = (64.0, 24.0, 16.0, 12.0, 8.0, 5.0, 3.0)
CYLINDER = 0.55  # radius in sides of the face's crop


def scene(face: np.ndarray, degrees: float, seed: int) -> np.ndarray:
    """The face in soft grey, turned clockwise: uint8 ``(320, 320, 3)``."""
    rng = np.random.default_rng(seed)
    ground = cv2.resize(rng.integers(60, 200, (8, 8)).astype(np.uint8), (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
    large = cv2.copyMakeBorder(face, MARGIN, MARGIN, MARGIN, MARGIN, cv2.BORDER_REFLECT_101)
    side = large.shape[0]
    mask = np.zeros((side, side), np.float32)
    mask[4:-4, 4:-4] = 1
    matrix = cv2.getRotationMatrix2D((side / 2 - 0.5, side / 2 - 0.5), -degrees, FACE / face.shape[0])
    matrix[:, 2] += (SIDE - side) / 2
    pasted = cv2.warpAffine(large, matrix, (SIDE, SIDE), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    share = cv2.warpAffine(cv2.GaussianBlur(mask, (0, 0), 2.0), matrix, (SIDE, SIDE))
    out = np.clip(ground * (1 - share) + pasted * share, 0, 255).astype(np.uint8)
    return np.asarray(cv2.cvtColor(out, cv2.COLOR_GRAY2BGR), np.uint8)


def sideways(face: np.ndarray, degrees: float) -> np.ndarray:
    """The face on a cylinder that is turned to the picture's right, without perspective."""
    side = face.shape[0]
    radius = CYLINDER * side
    x = (np.arange(side) + 0.5 - side / 2) / radius
    at = np.arcsin(np.clip(x, -1, 1)) - np.radians(degrees)
    column = np.sin(np.clip(at, -np.pi / 2, np.pi / 2)) * radius + side / 2 - 0.5
    across = np.tile(column.astype(np.float32), (side, 1))
    down = np.tile(np.arange(side, dtype=np.float32)[:, None], (1, side))
    return np.asarray(cv2.remap(face, across, down, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), np.uint8)


def in_the_middle(faces: Iterable[Face]) -> Face | None:
    """The face that was pasted: the surest that holds the scene's middle."""
    middle = SIDE / 2
    there = [f for f in faces if f.box[0] < middle < f.box[2] and f.box[1] < middle < f.box[3]]
    return max(there, key=lambda f: f.score, default=None)


def share(right: int, n: int) -> dict[str, Any]:
    interval = [round(v, 4) for v in wilson(right, n)] if n else None
    return {"n": n, "accuracy": round(right / n, 4) if n else None, "ci95": interval}


def answers(predictor: Predictor, crops: Sequence[np.ndarray]) -> list[str]:
    if not crops:
        return []
    best = predictor.predict_crops(np.stack([raise_contrast(c) for c in crops])).argmax(axis=1)
    return [predictor.spec.labels[k] for k in best]


def tilted(predictor: Predictor, faces: np.ndarray, names: Sequence[str]) -> list[dict[str, Any]]:
    out, upright = [], set[int]()
    for degrees in STEPS:
        scenes = [scene(face, degrees, i) for i, face in enumerate(faces)]
        found = [in_the_middle(predictor.predict(image)) for image in scenes]
        there = {i for i, f in enumerate(found) if f is not None}
        upright = there if degrees == 0 else upright
        right = sum(f is not None and f.label == name for f, name in zip(found, names, strict=True))
        plain = answers(predictor, [crop_face(scenes[i], found[i].box, predictor.spec) for i in sorted(there)])  # type: ignore[union-attr]
        untouched = sum(a == names[i] for a, i in zip(plain, sorted(there), strict=True))
        off = [abs((f.turn - degrees + 180) % 360 - 180) for f in found if f is not None and f.turn]
        usable = [i for i in there if found[i].usable]  # type: ignore[union-attr]
        out.append(
            {
                "degrees": degrees,
                "found": len(there),
                "lost": len(upright - there),
                "usable": len(usable),
                "turned": len(off),
                "median_off": round(float(np.median(off)), 1) if off else None,
                **share(right, len(there)),
                "plain": share(untouched, len(there)),
            }
        )
        print(out[-1], flush=True)
    return out


def astronaut(predictor: Predictor) -> list[dict[str, Any]]:
    photo, out = cv2.imread(str(ROOT / "examples" / "astronaut.jpg")), []
    for degrees in STEPS:
        matrix = cv2.getRotationMatrix2D((255.5, 255.5), -degrees, 1.0)
        image = np.asarray(cv2.warpAffine(photo, matrix, (512, 512), borderMode=cv2.BORDER_REPLICATE), np.uint8)
        found = predictor.predict(image)
        turns = [{"label": f.label, "turn": round(f.turn, 1), "usable": f.usable} for f in found]
        out.append({"degrees": degrees, "faces": turns})
    return out


def turning(predictor: Predictor, faces: np.ndarray, names: Sequence[str]) -> list[dict[str, Any]]:
    """Right answers with the crop turned by what the landmarks say, and without, by tilt."""
    out, detector = [], CenterFace(size=SIDE, threads=1)
    for degrees in LITTLE:
        plain, turned, own = [], [], []
        for i, face in enumerate(faces):
            image = scene(face, degrees if i % 2 else -degrees, i)
            seen = [d for d in detector.look(image, 1.0) if d.score > detector.threshold and d.landmarks is not None]
            if seen:
                d = seen[0]
                plain.append(crop_face(image, d.box, predictor.spec))
                turned.append(crop_face(image, d.box, predictor.spec, tilt(d.landmarks)))  # type: ignore[arg-type]
                own.append(names[i])
        right = [sum(a == b for a, b in zip(answers(predictor, c), own, strict=True)) for c in (plain, turned)]
        out.append({"degrees": degrees, "plain": share(right[0], len(own)), "turned": share(right[1], len(own))})
        print(out[-1], flush=True)
    return out


def yawed(predictor: Predictor, faces: np.ndarray, names: Sequence[str]) -> list[dict[str, Any]]:
    out = []
    for degrees in YAWS:
        found = [
            (in_the_middle(predictor.predict(scene(sideways(face, degrees if i % 2 else -degrees), 0, i))), name)
            for i, (face, name) in enumerate(zip(faces, names, strict=True))
        ]
        there = [(f, name) for f, name in found if f is not None]
        measured = [abs(f.quality.yaw) for f, _ in there if f.quality is not None and f.quality.yaw is not None]
        right = sum(f.label == name for f, name in there)
        usable = [(f, name) for f, name in there if f.usable]
        good = sum(f.label == name for f, name in usable)
        row = {"degrees": degrees, "measured": round(float(np.median(measured)), 1) if measured else None}
        out.append({**row, **share(right, len(there)), "usable": share(good, len(usable))})
        print(out[-1], flush=True)
    return out


def pale(predictor: Predictor, faces: np.ndarray, names: Sequence[str]) -> list[dict[str, Any]]:
    out = []
    for contrast in CONTRASTS:
        crops = [flattened(face, contrast) for face in faces]
        plain = predictor.predict_crops(np.stack(crops)).argmax(axis=1)
        raised = answers(predictor, crops)
        labels = predictor.spec.labels
        right = sum(labels[k] == name for k, name in zip(plain, names, strict=True))
        after = sum(a == name for a, name in zip(raised, names, strict=True))
        out.append({"contrast": contrast, "plain": share(right, len(crops)), "raised": share(after, len(crops))})
    return out


def half_lost(rows: Sequence[tuple[float, float]], chance: float) -> float | None:
    """Where accuracy, second of each row, has lost half of its distance to chance; None where it never has."""
    half = (rows[0][1] + chance) / 2
    for (x, before), (y, after) in itertools.pairwise(rows):
        if before >= half > after:
            return round(x + (y - x) * (before - half) / (before - after), 1)
    return None


def limits(tilts: Sequence[dict[str, Any]], yaws: Sequence[dict[str, Any]], chance: float) -> dict[str, float | None]:
    """Of roll and yaw, by the rule above."""
    plain: dict[int, list[float]] = {}
    for row in tilts:
        if row["plain"]["accuracy"] is not None and abs(row["degrees"]) <= 120:
            plain.setdefault(abs(row["degrees"]), []).append(row["plain"]["accuracy"])
    roll = half_lost([(d, float(np.mean(plain[d]))) for d in sorted(plain)], chance)
    seen = [(row["measured"], row["accuracy"]) for row in yaws if row["accuracy"] is not None]
    return {"roll": roll, "yaw": half_lost(seen, chance)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, help="FER2013's CSV")
    parser.add_argument("--model", default=None, help="shipped name or .onnx file")
    parser.add_argument("--n", type=int, default=200, help="faces")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=RESULTS / "tilt.json")
    given = parser.parse_args()
    started = time.perf_counter()
    part = read_faces(given.data).part("PublicTest")
    chosen = np.sort(np.random.default_rng(given.seed).permutation(len(part))[: given.n])
    assert part.labels is not None
    faces, names = part.images[chosen], [part.names[k] for k in part.labels[chosen]]
    chance = max(names.count(name) for name in set(names)) / len(names)
    predictor = Predictor(given.model, CenterFace(size=SIDE, threads=1), threads=1)
    tilts, yaws = tilted(predictor, faces, names), yawed(predictor, faces, names)
    record = {
        "what": "faces in scenes: answers by tilt, by turn sideways and by contrast",
        "model": predictor.spec.name,
        "split": "PublicTest",
        "n": len(faces),
        "seed": given.seed,
        "chance": round(chance, 4),
        "turned_from": TURNED_FROM,
        "limits_by_rule": limits(tilts, yaws, chance),
        "tilt": tilts,
        "astronaut": astronaut(predictor),
        "turning": turning(predictor, faces, names),
        "yaw": yaws,
        "contrast": pale(predictor, faces, names),
        "data": Path(given.data).name,
        "fingerprint": part.fingerprint,
        "conditions": conditions(
            "numpy",
            "onnxruntime",
            "opencv-python-headless",
            seconds=round(time.perf_counter() - started, 1),
            detector_size=SIDE,
            threads=1,
        ),
    }
    save(given.out, record)


if __name__ == "__main__":
    main()
