"""How many photos a second ``mien batch`` does, beside the plain loop over ``Predictor`` and beside other engines.

    python -m bench.batch.throughput            # writes results/bench_batch.json

Pictures are JPEGs of 512 x 512 pixels made of the astronaut of examples/, each with its own brightness and shift, and
face crops of 48 pixels. Rates leave out the start (imports, opening models): engines are timed from the first
partition's end to the last one's, over the pictures in between. Beside the rate stands the processor time of a photo,
start included, which says more where other work shares the machine.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from bench.conditions import RESULTS, ROOT, conditions, save
from mien.batch.answers import detector_name
from mien.batch.inputs import find_inputs
from mien.batch.partition import Job
from mien.batch.plan import add_inputs
from mien.batch.storage import Folder
from mien.data.synthetic import generate
from mien.images import read_image
from mien.results.provenance import provenance_of
from mien.runtime import Predictor, make_detector


def photos(folder: Path, n: int) -> Path:
    """``n`` different photographs of one face."""
    photo, rng = read_image(ROOT / "examples" / "astronaut.jpg", colour=True), np.random.default_rng(0)
    folder.mkdir()
    for i in range(n):
        dx, dy = rng.integers(-20, 21, 2)
        moved = cv2.warpAffine(photo, np.array([[1, 0, dx], [0, 1, dy]], np.float32), photo.shape[1::-1])
        cv2.imwrite(str(folder / f"{i:05}.jpg"), cv2.convertScaleAbs(moved, alpha=rng.uniform(0.8, 1.2)))
    return folder


def crops(folder: Path, n: int) -> Path:
    """``n`` drawn faces."""
    folder.mkdir()
    for i, image in enumerate(generate(min(n, 700)).images[np.arange(n) % 700]):
        cv2.imwrite(str(folder / f"{i:05}.png"), image)
    return folder


def cpu() -> float:
    t = os.times()
    return t.user + t.system + t.children_user + t.children_system


def loop(folder: Path, predictor: Predictor) -> dict[str, float]:
    """What a user would write."""
    files = sorted(folder.iterdir())
    predictor.predict(str(files[0]))
    began, used = time.perf_counter(), cpu()
    for file in files:
        predictor.predict(str(file))
    seconds = time.perf_counter() - began
    return {"per_second": round(len(files) / seconds, 2), "cpu_ms": round(1000 * (cpu() - used) / len(files), 2)}


def carried(folder: Path, predictor: Predictor, engine: str, workers: int, size: int) -> dict[str, float]:
    """An engine, as ``mien batch`` runs it."""
    with tempfile.TemporaryDirectory() as out:
        job = Job(predictor, provenance_of(predictor, detector_name(predictor)), Folder(out))
        plan = add_inputs([], find_inputs([str(folder)], job.out), size)
        ends, used, began = list[float](), cpu(), time.perf_counter()
        for _ in importlib.import_module(f"mien.batch.engine_{engine}").run(job, plan, workers):
            ends.append(time.perf_counter())
    n, between = sum(map(len, plan)), (len(plan) - workers) * size
    rate = between / (ends[-1] - ends[workers - 1])
    found = {"per_second": round(rate, 2), "first_part_s": round(ends[0] - began, 1)}
    if engine == "local":  # the others' processes are not our children
        found["cpu_ms"] = round(1000 * (cpu() - used) / n, 2)
    return found


def measured(folder: Path, predictor: Predictor, size: int, engines: list[str]) -> dict[str, Any]:
    found: dict[str, Any] = {"plain loop": loop(folder, predictor)}
    for engine, workers in (("local", 1), ("local", 2), *((name, 2) for name in engines)):
        name = f"{engine}, {workers} worker{'s' * (workers > 1)}"
        found[name] = carried(folder, predictor, engine, workers, size)
        print(name, found[name], file=sys.stderr)
    found["plain loop again"] = loop(folder, predictor)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photos", type=int, default=600)
    parser.add_argument("--crops", type=int, default=6000)
    parser.add_argument("--engines", nargs="*", default=[n for n in ("daft", "ray") if importlib.util.find_spec(n)])
    parser.add_argument("--out", type=Path, default=RESULTS / "bench_batch.json")
    given = parser.parse_args()
    engines = given.engines
    load = round(os.getloadavg()[0], 2)
    with tempfile.TemporaryDirectory() as folder:
        whole = photos(Path(folder) / "photos", given.photos)
        faces = crops(Path(folder) / "crops", given.crops)
        record: dict[str, Any] = {
            "photos": measured(whole, Predictor(threads=1), given.photos // 12, engines),
            "crops": measured(faces, Predictor(None, make_detector("none"), 1), given.crops // 12, engines),
            "n": {"photos": given.photos, "crops": given.crops, "mean photo bytes": _mean_bytes(whole)},
            "conditions": conditions(
                "onnxruntime", "pyarrow", *engines, load_1min_at_start=load, threads_a_worker=1, model="mien-small"
            ),
        }
    save(given.out, record)


def _mean_bytes(folder: Path) -> int:
    sizes = [file.stat().st_size for file in folder.iterdir()]
    return round(sum(sizes) / len(sizes))


if __name__ == "__main__":
    main()
