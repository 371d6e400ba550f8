"""How long until the first answer, and where the time goes afterwards.

    python -m bench.runtime.predict            # writes results/bench_predict.json

Cold: a fresh interpreter imports mien, opens both networks and predicts one photo, five times. Warm: the stages of a
prediction in a running process. Torch must not be imported; the record says whether it was.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from bench.conditions import RESULTS, conditions, save
from mien import Predictor
from mien.explain import occlusion
from mien.images import read_image
from mien.preprocessing import crop_face
from mien.runtime import CenterFace
from mien.visualization.overlay import draw

COLD = """
import time; started = time.perf_counter()
import sys
from mien import Predictor
imported = time.perf_counter()
predictor = Predictor({model!r}, threads={threads})
opened = time.perf_counter()
faces = predictor.predict({photo!r})
done = time.perf_counter()
print(imported - started, opened - imported, done - opened, len(faces), "torch" in sys.modules)
"""


def cold(model: str | None, photo: str, threads: int, repeats: int) -> dict[str, object]:
    """Seconds from the start of a fresh interpreter to its end, and the parts that it measures itself.

    On a machine that does other work too, the processor time is the steadier figure.
    """
    code = COLD.format(model=model, photo=photo, threads=threads)
    walls, cpus, parts, torch, faces = [], [], [], False, 0
    for _ in range(repeats):
        started, before = time.perf_counter(), os.times()
        run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        walls.append(time.perf_counter() - started)
        after = os.times()
        cpus.append(after.children_user + after.children_system - before.children_user - before.children_system)
        *numbers, count, has_torch = run.stdout.split()
        parts.append([float(v) for v in numbers])
        faces, torch = int(count), torch or has_torch == "True"
    imported, opened, answered = (statistics.median(column) for column in zip(*parts, strict=True))
    return {
        "runs": repeats,
        "median_s": round(statistics.median(walls), 3),
        "median_cpu_s": round(statistics.median(cpus), 3),
        "all_s": [round(w, 3) for w in walls],
        "import_s": round(imported, 3),
        "open_s": round(opened, 3),
        "first_answer_s": round(answered, 3),
        "faces": faces,
        "torch_imported": torch,
    }


def median_ms(call: Callable[[], object], repeats: int = 20) -> float:
    """Median time of a call in milliseconds, after one that does not count."""
    call()
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        call()
        times.append(time.perf_counter() - started)
    return round(1000 * statistics.median(times), 2)


def warm(model: str | None, photo: str, threads: int) -> dict[str, float]:
    """Each stage of a prediction in a process that is already running."""
    predictor = Predictor(model, threads=threads)
    pixels = read_image(photo, colour=True)
    faces = predictor.predict(pixels)
    crop = crop_face(pixels, faces[0].box, predictor.spec)
    small = CenterFace(size=320, threads=threads)
    return {
        "read_ms": median_ms(lambda: read_image(photo, colour=True)),
        "detect_640_ms": median_ms(lambda: predictor.detector.detect(pixels)),
        "detect_320_ms": median_ms(lambda: small.detect(pixels)),
        "crop_ms": median_ms(lambda: crop_face(pixels, faces[0].box, predictor.spec)),
        "classify_1_ms": median_ms(lambda: predictor.predict_crops(crop[None])),
        "classify_64_ms": median_ms(lambda: predictor.predict_crops(np.repeat(crop[None], 64, axis=0)), 5),
        "predict_ms": median_ms(lambda: predictor.predict(photo)),
        "occlusion_ms": median_ms(lambda: occlusion(predictor.predict_crops, crop), 5),
        "draw_ms": median_ms(lambda: draw(pixels, faces, predictor.spec, predictor.predict_crops), 5),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default=None, help="shipped name or .onnx file; default: the shipped default")
    parser.add_argument("--photo", default="examples/astronaut.jpg")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--out", type=Path, default=RESULTS / "bench_predict.json")
    given = parser.parse_args()
    record = {
        "model": Predictor(given.model).spec.name,
        "photo": f"{Path(given.photo).name} {read_image(given.photo, colour=True).shape[1::-1]}",
        "cold": cold(given.model, given.photo, given.threads, given.runs),
        "warm": warm(given.model, given.photo, given.threads),
        "conditions": conditions("onnxruntime", "opencv-python-headless", "numpy", threads=given.threads),
    }
    save(given.out, record)


if __name__ == "__main__":
    main()
