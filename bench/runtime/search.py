"""Measure which small faces of large pictures are found, and what looking for them costs.

    python -m bench.runtime.search            # writes results/bench_search.json

Pictures are made of the astronaut of examples/, the only photograph that is here: her head, brought to a face of so
many pixels (the side of the detector's box), twelve times on soft grey. "found" counts faces whose middle lies in one,
"false" boxes without. Cost is processor time of one detection with one thread, as a ratio to a detector that is kept to
640 pixels: of pictures with one large face, which need one look, and of one without any, which needs the most.
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from bench.conditions import RESULTS, ROOT, conditions, save
from mien.faces import Detection
from mien.images import read_image
from mien.runtime import CenterFace
from mien.runtime.search import FULL

HEAD = (120, 20, 330, 230)  # of examples/astronaut.jpg; the face's box in it has a side of 103 pixels
FACE = 103
CROWDS = (
    ((1920, 1080), (24, 40, 60)),
    ((4000, 3000), (24, 40, 80, 100)),
    ((8000, 1000), (32, 60)),
    ((8000, 6000), (80, 100)),
)
ORDINARY = ((512, 512), (1920, 1080), (4000, 3000))


def ground(width: int, height: int) -> np.ndarray:
    grey = np.random.default_rng(0).integers(70, 190, (6, 8, 3)).astype(np.uint8)
    return np.asarray(cv2.resize(grey, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)


def with_faces(width: int, height: int, side: float, n: int) -> tuple[np.ndarray, list[tuple[float, float]]]:
    """A picture with ``n`` heads in a grid, and the middle of each."""
    photo = read_image(ROOT / "examples" / "astronaut.jpg", colour=True)
    left, top, right, bottom = HEAD
    head = cv2.resize(photo[top:bottom, left:right], None, fx=side / FACE, fy=side / FACE, interpolation=cv2.INTER_AREA)
    out, high, middles = ground(width, height), head.shape[0], list[tuple[float, float]]()
    columns = min(n, 6)
    for i in range(n):
        x = int((i % columns + 0.5) * width / columns - high / 2)
        y = int((i // columns + 0.5) * height / -(-n // columns) - high / 2)
        out[y : y + high, x : x + high] = head
        middles.append((x + high / 2, y + high * 0.47))
    return out, middles


def hits(found: list[Detection], middles: list[tuple[float, float]]) -> int:
    return sum(any(d.box[0] < x < d.box[2] and d.box[1] < y < d.box[3] for d in found) for x, y in middles)


def seconds(detector: CenterFace, image: np.ndarray, repeats: int) -> float:
    """Processor time of a detection, the median."""
    times = []
    for _ in range(repeats):
        started = time.process_time()
        detector.detect(image)
        times.append(time.process_time() - started)
    return statistics.median(times)


def cost(image: np.ndarray, repeats: int) -> dict[str, Any]:
    auto, fixed = (seconds(CenterFace(size=size, threads=1), image, repeats) for size in (None, FULL))
    return {"auto_s": round(auto, 3), "fixed_s": round(fixed, 3), "ratio": round(auto / fixed, 2)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--out", type=Path, default=RESULTS / "bench_search.json")
    given = parser.parse_args()
    detector, fixed, crowds = CenterFace(threads=1), CenterFace(size=FULL, threads=1), []
    for (width, height), sides in CROWDS:
        for side in sides:
            image, middles = with_faces(width, height, side, 12)
            started = time.process_time()
            found = detector.detect(image)
            spent = time.process_time() - started
            row = {"picture": [width, height], "face": side, "faces": len(middles), "found": hits(found, middles)}
            row |= {"false": len(found) - hits(found, middles), "found_at_640": hits(fixed.detect(image), middles)}
            crowds.append({**row, "cpu_s": round(spent, 2)})
            print(crowds[-1], flush=True)
    ordinary = []
    for width, height in ORDINARY:
        image, _ = with_faces(width, height, min(width, height) / 3, 1)
        ordinary.append({"picture": [width, height], **cost(image, given.repeats)})
        print(ordinary[-1], flush=True)
    record = {
        "what": "small faces found in large pictures with the detector's size chosen by the picture, and its cost",
        "crowds": crowds,
        "one_large_face": ordinary,
        "no_face": [{"picture": [w, h], **cost(ground(w, h), 1)} for w, h in ORDINARY],
        "conditions": conditions("onnxruntime", "opencv-python-headless", "numpy", threads=1, repeats=given.repeats),
    }
    save(given.out, record)


if __name__ == "__main__":
    main()
