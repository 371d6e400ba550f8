"""How many photos a second ``mien batch`` does, beside the plain loop over ``Predictor`` and beside other engines.

    python -m bench.batch.throughput            # writes results/bench_batch.json; 10 minutes on two idle cores

Pictures are JPEGs of 512 x 512 pixels made of the astronaut of examples/, each with its own brightness and shift, and
face crops of 48 pixels. All ways take turns, for some rounds; ratios are those within a round, and what is written are
medians. A rate leaves out the start (imports, opening models): the first partition of each worker is one picture, and
time counts from the end of these to the last one's. So does the processor time of a picture, that of all processes
under this one as Linux has it, which says more where other work shares the machine; the start's stands beside it.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import importlib.util
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from bench.conditions import RESULTS, ROOT, conditions, save
from mien.batch.answers import detector_name
from mien.batch.inputs import Inputs, find_inputs
from mien.batch.partition import Job
from mien.batch.plan import add_inputs
from mien.batch.storage import Folder
from mien.data.synthetic import generate
from mien.images import read_image
from mien.results.provenance import provenance_of
from mien.runtime import Predictor, make_detector

LOOP, PARTITIONS = "plain loop", 24


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
    """Seconds of processor time of this process and of all that it has started, directly or not, and that live."""
    parents, used = dict[int, int](), dict[int, float]()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it has ended meanwhile
            fields = stat.read_text().rpartition(")")[2].split()
            own = int(stat.parent.name)
            parents[own], used[own] = int(fields[1]), sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")
    mine = {os.getpid()}
    while more := {child for child, parent in parents.items() if parent in mine} - mine:
        mine |= more
    return sum(used[process] for process in mine)


def loop(folder: Path, predictor: Predictor) -> dict[str, float]:
    """What a user would write."""
    files = sorted(folder.iterdir())
    predictor.predict(str(files[0]))
    began, used = time.perf_counter(), cpu()
    for file in files:
        predictor.predict(str(file))
    return _figures(len(files), time.perf_counter() - began, cpu() - used)


def carried(folder: Path, predictor: Predictor, engine: str, workers: int) -> dict[str, float]:
    """An engine, as ``mien batch`` runs it."""
    with tempfile.TemporaryDirectory() as out:
        job = Job(predictor, provenance_of(predictor, detector_name(predictor)), Folder(out))
        names = find_inputs([str(folder)], job.out).pictures
        first = add_inputs([], Inputs(names[:workers]), 1)
        plan = add_inputs(first, Inputs(names), -(-len(names) // PARTITIONS))
        ends, used = [time.perf_counter()], [cpu()]
        for _ in importlib.import_module(f"mien.batch.engine_{engine}").run(job, plan, workers):
            ends.append(time.perf_counter())
            used.append(cpu())
    found = _figures(len(names) - workers, ends[-1] - ends[workers], used[-1] - used[workers])
    return {**found, "start_s": ends[workers] - ends[0], "start_cpu_s": used[workers] - used[0]}


def _figures(n: int, seconds: float, used: float) -> dict[str, float]:
    return {"per_second": n / seconds, "cpu_ms": 1000 * used / n}


def measured(folder: Path, predictor: Predictor, engines: list[str], rounds: int) -> dict[str, Any]:
    """The medians of each way, and its rate over that of the loop, and of one worker, in the same round."""
    ways: dict[str, Callable[[], dict[str, float]]] = {LOOP: lambda: loop(folder, predictor)}
    for engine, workers in (("local", 1), ("local", 2), *((name, 2) for name in engines)):
        name = f"{engine}, {workers} worker{'s' * (workers > 1)}"
        ways[name] = lambda e=engine, w=workers: carried(folder, predictor, e, w)  # type: ignore[misc]
    found: dict[str, list[dict[str, float]]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            found[name].append(way())
            print(time.strftime("%T"), name, found[name][-1], file=sys.stderr, flush=True)
    record: dict[str, Any] = {}
    for name, each in found.items():
        record[name] = {key: round(statistics.median(one[key] for one in each), 2) for key in each[0]}
        for key, base in (("x_loop", LOOP), ("x_one_worker", "local, 1 worker")):
            ratios = [a["per_second"] / b["per_second"] for a, b in zip(each, found[base], strict=True)]
            record[name][key] = round(statistics.median(ratios), 2)
            record[name][f"{key}_range"] = [round(min(ratios), 2), round(max(ratios), 2)]
    return record


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photos", type=int, default=600)
    parser.add_argument("--crops", type=int, default=6000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--engines", nargs="*", default=[n for n in ("daft", "ray") if importlib.util.find_spec(n)])
    parser.add_argument("--out", type=Path, default=RESULTS / "bench_batch.json")
    given = parser.parse_args()
    engines, rounds = given.engines, given.rounds
    load = round(os.getloadavg()[0], 2)
    with tempfile.TemporaryDirectory() as folder:
        whole = photos(Path(folder) / "photos", given.photos)
        faces = crops(Path(folder) / "crops", given.crops)
        record: dict[str, Any] = {
            "photos": measured(whole, Predictor(threads=1), engines, rounds),
            "crops": measured(faces, Predictor(None, make_detector("none"), 1), engines, rounds),
            "n": {"photos": given.photos, "crops": given.crops, "mean photo bytes": _mean_bytes(whole)},
            "rounds": rounds,
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
