"""Train on a set that memory may not hold, kill it once, and compare with a set that fits.

    python -m bench.data.larger --gigabytes 4 --limit 1.2       # writes results/larger.json; Linux, as root for --limit

Drawn faces of 112 x 112 in colour, each tinted, lit, moved and mirrored in its own way, are packed; ``mien train``
learns them for two epochs, once undisturbed and once killed in the second epoch and continued with ``--resume``: the
weights must be equal. ``--limit`` holds those processes in a memory cgroup of so many gigabytes, which page cache
counts into: what is read is read from the disk, and resident memory is polled. Before, in turns in one process, steps
on stored faces and on as many in memory, for their rates; and faces at random from raw pixels and from a Parquet file
of encoded pictures.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from safetensors.numpy import load_file

from bench.conditions import RESULTS, conditions, save
from mien.data import FaceDataset, Reading, read_faces
from mien.data.packed import Writer, pack
from mien.data.synthetic.generate import generate
from mien.training.loop import fit
from mien.training.preparation import make_network, prepare
from mien.training.recipe import load_recipe

SIDE, HELD = 112, 500
RECIPE = """
model = "mien-nano"
size = 112
channels = 3
epochs = 2
batch_size = 128
sizes = [[0.0, 32]]     # the network learns small views, so that reading, not the network, is put to the test

[optimizer]
lr = 0.05
schedule = "linear"

[augment]
degrees = 10
mirror = 0.5
"""
GROUP = Path("/sys/fs/cgroup/memory")


def make(folder: Path, n: int) -> None:
    """Pack ``n`` faces made of 400 drawn ones."""
    base = generate(400, seed=1, size=SIDE)
    rng = np.random.default_rng(0)
    chosen = rng.integers(0, len(base), n)

    def read(kept: Writer) -> Reading:
        for i, k in enumerate(chosen.tolist()):
            kept[i] = varied(base.array[k], rng)
        assert base.labels is not None
        split = np.where(np.arange(n) < n - HELD, "train", "validation")
        images = kept.images(range(n))
        return Reading(FaceDataset(images, base.names, labels=base.labels[chosen], split=split, source="drawn"))

    pack(read, folder)


def varied(face: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """A grey face in colours, light and place of its own, and maybe mirrored."""
    gain, shift = rng.uniform(0.5, 1.1, 3), rng.uniform(-20, 20, 3)
    table = np.clip(np.arange(256)[:, None] * gain + shift, 0, 255).astype(np.uint8)[None]
    moved = np.roll(face, rng.integers(-6, 7, 2), (0, 1))[:, :: rng.choice((-1, 1))]
    return np.asarray(cv2.LUT(cv2.merge([moved] * 3), table), np.uint8)


@contextlib.contextmanager
def held(gigabytes: float) -> Iterator[Callable[[], None]]:
    """A memory cgroup; gives what a process calls to enter it. 0: no limit."""
    if not gigabytes:
        yield lambda: None
        return
    group = GROUP / f"mien-larger-{os.getpid()}"
    group.mkdir()
    (group / "memory.limit_in_bytes").write_text(str(int(gigabytes * 1e9)))
    try:
        yield lambda: entered(group)
    finally:
        group.rmdir()


def entered(group: Path) -> None:
    """Put this process into a cgroup."""
    (group / "tasks").write_text(str(os.getpid()))


def trained(data: Path, out: Path, limit: float, kill_in_second: bool = False) -> dict[str, Any]:
    """One ``mien train`` to its end: seconds, and the most of its memory that was resident."""
    words = ["train", str(out.parent / "larger.toml"), "--data", str(data), "--out", str(out), "--threads", "1"]
    peak, start, killed = 0.0, time.perf_counter(), False
    with held(limit) as enter:
        for resume in ([], ["--resume"]) if kill_in_second else ([],):
            command = [sys.executable, "-m", "mien", *words, *resume]
            run = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, preexec_fn=enter)
            begun = 0.0
            while run.poll() is None:
                time.sleep(0.2)
                peak = max(peak, resident(run.pid))
                if kill_in_second and not resume and (out / "history.json").exists():
                    begun = begun or time.perf_counter()
                    if time.perf_counter() - begun > 5:
                        run.send_signal(signal.SIGKILL)
                        killed = True
            if run.returncode and not (killed and run.returncode == -signal.SIGKILL):
                raise SystemExit(f"{' '.join(command)} ended with {run.returncode}")
        if kill_in_second and not killed:
            raise SystemExit("the run ended before it was killed: take more faces")
    epochs = json.loads((out / "history.json").read_text())
    rates = [round(e["images_per_second"]) for e in epochs]
    return {"seconds": round(time.perf_counter() - start), "peak_rss_mb": round(peak), "faces_per_second": rates}


def resident(pid: int) -> float:
    """Megabytes of a process that are in memory, those of mapped files too."""
    with contextlib.suppress(OSError, StopIteration):
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) / 1e3
    return 0.0


def rates(data: Path, rounds: int, steps: int) -> dict[str, Any]:
    """Faces a second of training steps on stored faces, drawn anew from all each round, and on the same in memory."""
    recipe = replace(load_recipe(str(data.parent / "larger.toml")), epochs=1)
    faces = read_faces(data).part("train")
    rng = np.random.default_rng(1)
    found: dict[str, list[float]] = {"stored": [], "memory": []}
    spent: dict[str, list[float]] = {"stored": [], "memory": []}
    for _ in range(rounds):
        rows = faces.take(rng.choice(len(faces), steps * recipe.batch_size, replace=False))
        both = {"memory": replace(rows, images=rows.array), "stored": rows}
        for name, part in both.items():
            forgotten(data / "images.npy")
            ready = prepare(recipe, part, part.take(slice(0, 2)))
            ends: list[tuple[float, float]] = []
            fit(
                make_network(ready.recipe, ready.train),
                ready.train,
                ready.val,
                ready.recipe,
                device="cpu",
                statistics=((0.5,) * 3, (0.25,) * 3),
                on_batch=lambda _, ends=ends: ends.append((time.perf_counter(), time.process_time())),  # type: ignore[misc]
            )
            wall, own = (ends[-1][k] - ends[4][k] for k in (0, 1))
            found[name].append((len(ends) - 5) * recipe.batch_size / wall)
            spent[name].append(1e3 * own / ((len(ends) - 5) * recipe.batch_size))
    ratios = [a / b for a, b in zip(found["stored"], found["memory"], strict=True)]
    return {
        "rounds": rounds,
        "faces_a_round": steps * recipe.batch_size,
        **{f"{k}_per_second": round(statistics.median(v), 1) for k, v in found.items()},
        **{f"{k}_cpu_ms_a_face": round(statistics.median(v), 3) for k, v in spent.items()},
        "ratio": round(statistics.median(ratios), 3),
        "ratios": [round(r, 3) for r in ratios],
    }


def reading(data: Path, n: int = 4096, group: int = 64) -> dict[str, Any]:
    """Faces a second, each at random, out of the page cache and with it: raw pixels, and Parquet files of PNG."""
    faces = read_faces(data)
    n, file = min(n, len(faces)), data.parent / "faces.parquet"
    encoded = [cv2.imencode(".png", face)[1].tobytes() for face in faces.images[:n]]
    pq.write_table(pa.table({"image": encoded}), file, row_group_size=group, compression="none")
    order, table = np.random.default_rng(2).permutation(n), pq.ParquetFile(file)

    def raw(rows: NDArray[np.int64]) -> None:
        np.asarray(faces.images[rows])

    def parquet(rows: NDArray[np.int64]) -> None:
        for row in rows.tolist():
            cell = table.read_row_group(row // group, columns=["image"])["image"][row % group].as_py()
            cv2.imdecode(np.frombuffer(cell, np.uint8), cv2.IMREAD_COLOR)

    found: dict[str, Any] = {"faces": n, "row_group": group, "png_bytes": round(float(np.mean([*map(len, encoded)])))}
    for name, way, path, count in (("raw", raw, data / "images.npy", n), ("parquet", parquet, file, n // 8)):
        for cache in ("cold", "warm"):
            if cache == "cold":
                forgotten(path)
            start, own = time.perf_counter(), time.process_time()
            for rows in np.array_split(order[:count], max(1, count // 128)):
                way(rows)
            found[f"{name}_{cache}_per_second"] = round(count / (time.perf_counter() - start))
            found[f"{name}_{cache}_cpu_ms"] = round(1e3 * (time.process_time() - own) / count, 3)
    return found


def forgotten(path: Path) -> None:
    """Drop a file from the page cache."""
    with open(path, "rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n", 1)[0])
    parser.add_argument("--gigabytes", type=float, default=16.0)
    parser.add_argument("--limit", type=float, default=0.0, help="gigabytes that training may hold, page cache counted")
    parser.add_argument("--folder", type=Path, default=Path("build/larger"))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=40)
    args = parser.parse_args()
    begun, load = time.perf_counter(), os.getloadavg()[0]
    shutil.rmtree(args.folder, ignore_errors=True)
    args.folder.mkdir(parents=True)
    (args.folder / "larger.toml").write_text(RECIPE)
    data, n = args.folder / "faces", round(args.gigabytes * 1e9 / (3 * SIDE * SIDE))
    record: dict[str, Any] = {"faces": n, "gigabytes": args.gigabytes, "side": SIDE, "limit_gigabytes": args.limit}
    try:
        make(data, n)
        record["pack_seconds"] = round(time.perf_counter() - begun)
        record["random_reading"] = reading(data)
        record["rates"] = rates(data, args.rounds, args.steps)
        record["undisturbed"] = trained(data, args.folder / "whole", args.limit)
        record["killed"] = trained(data, args.folder / "killed", args.limit, kill_in_second=True)
        one, other = (load_file(args.folder / name / "model.safetensors") for name in ("whole", "killed"))
        record["equal_weights"] = all((one[k] == other[k]).all() for k in one) and one.keys() == other.keys()
    finally:
        shutil.rmtree(args.folder, ignore_errors=True)
    record["conditions"] = conditions("torch", "numpy", "pyarrow", load_1min_at_start=round(load, 2))
    save(RESULTS / "larger.json", record)
    if not record["equal_weights"]:
        raise SystemExit("the weights of the run that was killed differ")


if __name__ == "__main__":
    main()
