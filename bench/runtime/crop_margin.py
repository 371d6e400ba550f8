"""Measure how FER2013's own crops sit around CenterFace's boxes; the medians are the defaults of ``mien.spec.Crop``.

    python -m bench.runtime.crop_margin fer2013.csv            # or .csv.gz; writes results/crop_margin.json

The networks learn FER2013's framing, so a photo must be cropped the same way. Each sampled Training picture is
enlarged four times, laid on grey with half its side around it (so that a box may reach beyond the frame), and given
to the detector. Pictures in which it finds no face, or more than one, are counted and left out.
"""

from __future__ import annotations

import argparse
import random
import time
from pathlib import Path

import cv2
import numpy as np

from bench.conditions import RESULTS, conditions, save
from mien.data import read_faces
from mien.runtime import CenterFace

SIDE, ENLARGE, MARGIN = 48, 4, 96  # pixels of the crop, factor, grey pixels around the enlarged crop


def training_faces(path: Path, n: int, seed: int) -> list[np.ndarray]:
    """``n`` random Training pictures, in the file's order."""
    images = read_faces(path).part("Training").images
    return [images[i] for i in sorted(random.Random(seed).sample(range(len(images)), min(n, len(images))))]


def measure(faces: list[np.ndarray], detector: CenterFace) -> tuple[np.ndarray, int, int]:
    """``(m, 3)`` of scale, dx, dy for the pictures with one face; the number without and with several."""
    rows, none, many = [], 0, 0
    for face in faces:
        large = cv2.resize(face, None, fx=ENLARGE, fy=ENLARGE, interpolation=cv2.INTER_CUBIC)
        framed = cv2.copyMakeBorder(large, MARGIN, MARGIN, MARGIN, MARGIN, cv2.BORDER_CONSTANT, value=128)
        found = detector.detect(cv2.cvtColor(framed, cv2.COLOR_GRAY2BGR))
        none, many = none + (not found), many + (len(found) > 1)
        if len(found) == 1:
            left, top, right, bottom = ((v - MARGIN) / ENLARGE for v in found[0].box)
            w, h = right - left, bottom - top
            rows.append(
                (SIDE / np.sqrt(w * h), (SIDE / 2 - (left + right) / 2) / w, (SIDE / 2 - (top + bottom) / 2) / h)
            )
    return np.array(rows), none, many


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("csv", type=Path, help="FER2013's file with the columns pixels and Usage")
    parser.add_argument("--n", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=RESULTS / "crop_margin.json")
    given = parser.parse_args()
    faces = training_faces(given.csv, given.n, given.seed)
    # the long side as it is, so that a picture is looked at in its own size
    started = time.perf_counter()
    rows, none, many = measure(faces, CenterFace(size=ENLARGE * SIDE + 2 * MARGIN, threads=1))
    percentiles = (5, 25, 50, 75, 95)
    record = {
        "what": "FER2013 crop relative to CenterFace's box: scale = side / sqrt(w * h); dx, dy = centre offset / w, h",
        "split": "Training",
        "pictures": len(faces),
        "seed": given.seed,
        "one_face": len(rows),
        "no_face": none,
        "several_faces": many,
        "percentiles": list(percentiles),
        **{
            name: [round(float(v), 4) for v in np.percentile(rows[:, i], percentiles)]
            for i, name in enumerate(("scale", "dx", "dy"))
        },
        "conditions": conditions(
            "opencv-python-headless", "numpy", seconds=round(time.perf_counter() - started, 1), threads=1
        ),
    }
    save(given.out, record)


if __name__ == "__main__":
    main()
