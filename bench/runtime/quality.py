"""Measure at what size, blur and contrast a face's answer is worth little: the limits of ``mien.runtime.quality``.

    python -m bench.runtime.quality --data fer2013.csv            # writes results/quality.json

Random faces of PublicTest are spoiled by degrees, each in one way, and go the way that a photo's face goes: a box, the
crop, the network; what ``measure`` says about the crop is written down beside the accuracy.

size      the face is brought to k x k pixels by area, and cropped from there
blur      a Gaussian of sigma pixels of the network's crop
contrast  grey values are drawn to their mean until their standard deviation is c, and rounded

The rule: a limit is the value at which the accuracy has lost half of its distance to chance, where chance is what
naming the sample's commonest expression every time would reach; between two steps it is a straight line. The limit of
pitch is what 99.9 % of PublicTest's faces keep to: accuracy by pose is in the record too, but there are too few turned
faces to see where it falls; bench/runtime/tilt.py turns some, and finds the limits of yaw and roll. Pose is found by
CenterFace on the enlarged face, and the mean head behind it is fitted there ("head"). The record also counts
PublicTest's faces, unspoiled, beyond these limits.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from bench.conditions import RESULTS, conditions, save
from mien.data import read_faces
from mien.evaluation.metrics import wilson
from mien.faces import Quality
from mien.preprocessing import crop_face, raise_contrast
from mien.runtime import CenterFace, Classifier, find_model
from mien.runtime.quality import measure
from mien.spec import ModelSpec

SIZES = (48, 40, 32, 28, 24, 20, 18, 16, 14, 12, 11, 10, 9, 8, 7, 6, 5)
SIGMAS = (0.0, 0.5, 0.75, 1.0, 1.25, 1.5, 1.75, 2.0, 2.5, 3.0, 3.5, 4.0, 5.0, 6.0)
CONTRASTS = (64.0, 48.0, 32.0, 24.0, 16.0, 12.0, 8.0, 6.0, 5.0, 4.0, 3.0, 2.0, 1.5, 1.0, 0.5, 0.35, 0.25)
KEPT = 99.9  # per cent of the faces that keep to the limit of pitch
BINS = (0, 10, 20, 30, 40, 50, 60, 90)  # degrees

Spoil = Callable[[np.ndarray, float], np.ndarray]


def smaller(face: np.ndarray, side: float) -> np.ndarray:
    return np.asarray(cv2.resize(face, (int(side), int(side)), interpolation=cv2.INTER_AREA))


def blurred(face: np.ndarray, sigma: float) -> np.ndarray:
    return np.asarray(cv2.GaussianBlur(face, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE)) if sigma else face


def flattened(face: np.ndarray, contrast: float) -> np.ndarray:
    grey = face.astype(np.float64)
    spread = grey.std()
    drawn = grey.mean() + (grey - grey.mean()) * min(1.0, contrast / max(spread, 1e-9))
    return np.asarray(np.clip(np.round(drawn), 0, 255), np.uint8)


def box_of(face: np.ndarray, spec: ModelSpec) -> tuple[float, float, float, float]:
    """The detector's box whose crop is the whole picture."""
    side = face.shape[0] / spec.crop.scale
    x = face.shape[1] / 2 - spec.crop.dx * side
    y = face.shape[0] / 2 - spec.crop.dy * side
    return x - side / 2, y - side / 2, x + side / 2, y + side / 2


def taken(faces: Iterable[np.ndarray], spec: ModelSpec) -> tuple[np.ndarray, list[Quality]]:
    """The crops uint8 ``(N, S, S)`` of pictures that are faces, and what is measured of them."""
    crops, found = [], []
    for face in faces:
        box = box_of(face, spec)
        crop = crop_face(face, box, spec)
        crops.append(raise_contrast(crop))
        found.append(measure(crop, box, None, face.shape))
    return np.stack(crops), found


def series(
    model: Classifier, faces: np.ndarray, labels: np.ndarray, spoil: Spoil, steps: Iterable[float], what: str
) -> list[dict[str, Any]]:
    """One record a step: the value set, the measured median, the accuracy with its interval."""
    out = []
    for step in steps:
        crops, found = taken((spoil(face, step) for face in faces), model.spec)
        right = int((model(crops).probabilities.argmax(axis=1) == labels).sum())
        median = float(np.median([getattr(q, what) for q in found]))
        low, high = wilson(right, len(faces))
        accuracy = {"accuracy": round(right / len(faces), 4), "ci95": [round(low, 4), round(high, 4)]}
        out.append({"step": step, what: round(median, 4), **accuracy})
        print(what, out[-1], flush=True)
    return out


def limit(found: list[dict[str, Any]], what: str, chance: float) -> float | None:
    """The measured value at which half of the distance to chance is lost; None where that is never reached."""
    half = chance + (found[0]["accuracy"] - chance) / 2
    for before, after in itertools.pairwise(found):
        if before["accuracy"] >= half > after["accuracy"]:
            share = (before["accuracy"] - half) / (before["accuracy"] - after["accuracy"])
            return float(round(before[what] + share * (after[what] - before[what]), 4))
    return None


def by_pose(model: Classifier, faces: np.ndarray, labels: np.ndarray) -> tuple[dict[str, Any], np.ndarray]:
    """Accuracy by degrees, on the faces in which the detector finds one face; and their yaw, pitch and roll."""
    detector, angles, rows, points = CenterFace(size=288, threads=1), [], [], list[np.ndarray]()
    for i, face in enumerate(faces):
        large = cv2.resize(face, None, fx=4, fy=4, interpolation=cv2.INTER_CUBIC)
        framed = cv2.copyMakeBorder(large, 48, 48, 48, 48, cv2.BORDER_CONSTANT, value=128)
        found = detector.detect(cv2.cvtColor(framed, cv2.COLOR_GRAY2BGR))
        if len(found) == 1:
            q = measure(face, found[0].box, found[0].landmarks, framed.shape)
            if q.yaw is not None and q.pitch is not None and q.roll is not None:
                angles.append((q.yaw, q.pitch, q.roll))
                rows.append(i)
                points.append(np.asarray(found[0].landmarks))
    turned = np.array(angles)
    right = model(faces[rows]).probabilities.argmax(axis=1) == labels[rows]
    out: dict[str, Any] = {
        "n": len(rows),
        "no_single_face": len(faces) - len(rows),
        "head": head(np.stack(points)),
    }
    for column, name in enumerate(("yaw", "pitch", "roll")):
        size = np.abs(turned[:, column])
        out[name] = {
            "median": round(float(np.median(turned[:, column])), 1),
            "percentiles": {str(p): round(float(np.percentile(size, p)), 1) for p in (50, 95, 99, KEPT)},
            "bins": [],
        }
        for low, high in itertools.pairwise(BINS):
            inside = (size >= low) & (size < high)
            n, k = int(inside.sum()), int(right[inside].sum())
            interval = [round(v, 4) for v in wilson(k, n)] if n else None
            row = {"degrees": [low, high], "n": n, "accuracy": round(k / n, 4) if n else None, "ci95": interval}
            out[name]["bins"].append(row)
    return out, turned


def head(points: np.ndarray) -> dict[str, Any]:
    """The mean head: medians of landmarks ``(N, 5, 2)`` in units of the eyes' distance, and the depths that fit best.

    A depth is judged by the median over faces of the mean distance between the landmarks and the head's, turned,
    scaled and projected without perspective so that it fits.
    """
    eyes = points[:, 1] - points[:, 0]
    turned = np.arctan2(eyes[:, 1], eyes[:, 0])
    back = np.stack([np.cos(turned), np.sin(turned), -np.sin(turned), np.cos(turned)], 1).reshape(-1, 2, 2)
    far = np.linalg.norm(eyes, axis=1)[:, None, None]
    flat = np.einsum("nij,nkj->nki", back, points - points[:, :2].mean(axis=1, keepdims=True)) / far
    median = np.median(flat, axis=0)
    nose, mouth = float(median[2, 1]), float(median[3:, 1].mean())
    half = float(median[4, 0] - median[3, 0]) / 2
    errors = {}
    for nose_z, mouth_z in itertools.product(np.round(np.arange(-0.7, -0.1, 0.05), 2), (-0.1, 0, 0.1, 0.2, 0.3)):
        solid = np.array(
            [[-0.5, 0, 0], [0.5, 0, 0], [0, nose, nose_z], [-half, mouth, mouth_z], [half, mouth, mouth_z]]
        )
        errors[float(nose_z), float(mouth_z)] = misfit(solid, flat)
    best = min(errors, key=lambda z: errors[z])
    record = {"nose_y": nose, "mouth_x": half, "mouth_y": mouth, "nose_z": best[0], "mouth_z": best[1]}
    return {k: round(v, 3) for k, v in {**record, "misfit": errors[best]}.items()}


def misfit(solid: np.ndarray, flat: np.ndarray) -> float:
    """Median over ``flat (N, 5, 2)`` of the mean distance to ``solid (5, 3)``, turned, scaled and projected to fit."""
    model, seen = solid - solid.mean(axis=0), flat - flat.mean(axis=1, keepdims=True)
    affine = np.einsum("ij,njk->nki", np.linalg.pinv(model), seen)
    u, s, vt = np.linalg.svd(affine, full_matrices=False)
    fit = s.mean(axis=1)[:, None, None] * np.einsum("nij,kj->nki", u @ vt, model)
    return float(np.median(np.linalg.norm(fit - seen, axis=2).mean(axis=1)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, help="FER2013's CSV")
    parser.add_argument("--model", default="mien-small", help="shipped name or .onnx file")
    parser.add_argument("--n", type=int, default=1000, help="faces")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, default=RESULTS / "quality.json")
    given = parser.parse_args()
    started = time.perf_counter()
    part = read_faces(given.data).part("PublicTest")
    chosen = np.sort(np.random.default_rng(given.seed).permutation(len(part))[: given.n])
    model = Classifier(find_model(given.model), threads=given.threads)
    faces, labels = part.images[chosen], np.asarray(part.labels)[chosen]
    chance = float(np.bincount(labels).max() / len(labels))
    found = {
        name: series(model, faces, labels, spoil, steps, what)
        for name, spoil, steps, what in (
            ("size", smaller, SIZES, "side"),
            ("blur", blurred, SIGMAS, "sharpness"),
            ("contrast", flattened, CONTRASTS, "contrast"),
        )
    }
    measures = {"size": "side", "blur": "sharpness", "contrast": "contrast"}
    _, plain = taken(part.images, model.spec)
    pose, turned = by_pose(model, part.array, np.asarray(part.labels))
    by_rule = {what: limit(found[name], what, chance) for name, what in measures.items()}
    by_rule |= {name: 5.0 * math.ceil(pose[name]["percentiles"][str(KEPT)] / 5) for name in ("pitch",)}
    limits = {name: float(f"{value:.2g}") for name, value in by_rule.items() if value is not None}
    beyond = {what: sum(getattr(q, what) < limits[what] for q in plain) for what in measures.values() if what in limits}
    beyond |= {name: int((np.abs(turned[:, i]) > limits[name]).sum()) for i, name in ((1, "pitch"),)}
    record = {
        "what": "accuracy of faces that were spoiled by degrees; the median of what is measured of them",
        "rule": "a limit is where half of the distance to chance (the commonest expression's share) is lost; "
        f"of pitch, what {KEPT} % of the unspoiled faces keep to, up to the next 5 degrees",
        "model": model.spec.name,
        "split": "PublicTest",
        "n": len(chosen),
        "seed": given.seed,
        "chance": round(chance, 4),
        "series": found,
        "limits_by_rule": by_rule,
        "limits": limits,
        "unspoiled": {
            "n": len(plain),
            "beyond": beyond,
            "sharpness_percentiles": {
                str(p): round(float(np.percentile([q.sharpness for q in plain], p)), 4) for p in (0.5, 1, 5, 50)
            },
        },
        "pose": pose,
        "data": Path(given.data).name,
        "fingerprint": part.fingerprint,
        "conditions": conditions(
            "numpy",
            "onnxruntime",
            "opencv-python-headless",
            seconds=round(time.perf_counter() - started, 1),
            threads=given.threads,
        ),
    }
    save(given.out, record, show=False)
    print(json.dumps({k: record[k] for k in ("chance", "limits_by_rule", "unspoiled", "pose")}, indent=2))


if __name__ == "__main__":
    main()
