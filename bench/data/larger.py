"""Train on a set that memory may not hold, kill it once, and compare with a set that fits.

    python -m bench.data.larger --gigabytes 16 --limit 2        # writes results/larger.json; Linux, as root for --limit
    python -m bench.data.larger --gigabytes 0.5 --wait 5 --out trial.json       # a trial

Drawn faces of 112 x 112 in colour, each tinted, lit, moved and mirrored in its own way, are packed; ``mien train``
learns them for two epochs, once undisturbed and once killed in the second epoch, ``--wait`` seconds after the first,
and continued with ``--resume``: the weights must be equal. ``--limit`` holds those processes in a memory cgroup of so
many gigabytes, which page cache counts into: what is read is read from the disk; the most resident memory is the
kernel's count. Before, in turns in one process, steps on stored faces and on as many in memory, for their rates; and
faces at random from raw pixels and from a Parquet file of encoded pictures.
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
from mien.training.checkpoint import load_state
from mien.training.loop import fit
from mien.training.preparation import make_network, prepare
from mien.training.recipe import load_recipe

SIDE, HELD, SMALL, MOVED = 112, 500, 16, 6
# the network learns small views, so that reading, not the network, is put to the test
RECIPE = f"""
model = "mien-nano"
size = 112
channels = 3
epochs = 2
batch_size = 128
sizes = [[0.0, {SMALL}]]

[optimizer]
lr = 0.05
schedule = "linear"

[augment]
degrees = 10
mirror = 0.5
"""
GROUP = Path("/sys/fs/cgroup/memory")


def make(folder: Path, n: int) -> None:
    """Pack ``n`` faces made of 400 drawn ones, each in colours, light and place of its own, and maybe mirrored."""
    base = generate(400, seed=1, size=SIDE)
    rng = np.random.default_rng(0)
    chosen = rng.integers(0, len(base), n)
    mirrored, lit, places = rng.integers(0, 2, n), rng.integers(0, 1000, n), rng.integers(0, 2 * MOVED + 1, (n, 2))
    wide = np.pad(base.array, ((0, 0), (MOVED, MOVED), (MOVED, MOVED)), "edge")
    drawn = np.ascontiguousarray(np.stack((wide, wide[:, :, ::-1])))
    gain, shift = rng.uniform(0.5, 1.1, (1000, 1, 3)), rng.uniform(-20, 20, (1000, 1, 3))
    tables = np.clip(np.arange(256)[:, None] * gain + shift, 0, 255).astype(np.uint8)[:, None]

    def read(kept: Writer) -> Reading:
        for i, (k, side, light, (x, y)) in enumerate(
            zip(*(a.tolist() for a in (chosen, mirrored, lit, places)), strict=True)
        ):
            grey = drawn[side, k, y : y + SIDE, x : x + SIDE]
            kept[i] = np.asarray(cv2.LUT(cv2.merge([grey] * 3), tables[light]), np.uint8)
        assert base.labels is not None
        split = np.where(np.arange(n) < n - HELD, "train", "validation")
        images = kept.images(range(n))
        return Reading(FaceDataset(images, base.names, labels=base.labels[chosen], split=split, source="drawn"))

    pack(read, folder)


def packing(data: Path, n: int) -> dict[str, int]:
    """Make them, timed."""
    begun, used = time.perf_counter(), time.process_time()
    make(data, n)
    return {"seconds": round(time.perf_counter() - begun), "cpu_seconds": round(time.process_time() - used)}


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


def trained(data: Path, out: Path, limit: float, wait: float | None = None) -> dict[str, Any]:
    """``mien train`` to its end, with ``wait`` killed and resumed once; what it took, and its most resident memory."""
    words = ["train", str(out.parent / "larger.toml"), "--data", str(data), "--out", str(out), "--threads", "1"]
    start, used, found = time.perf_counter(), children(), dict[str, Any]()
    with held(limit) as enter:
        if wait is not None:
            killed = ended(words, out, enter, wait)
            found["resumed_from_step"] = load_state(out / "state.safetensors")[0].step
            words.append("--resume")
        peak = max(ended(words, out, enter), 0 if wait is None else killed)
    epochs = json.loads((out / "history.json").read_text())
    return {
        "seconds": round(time.perf_counter() - start),
        "cpu_seconds": round(children() - used),
        "peak_rss_mb": round(peak),
        "faces_per_second": [round(e["images_per_second"]) for e in epochs],
        **found,
    }


def ended(words: list[str], out: Path, enter: Callable[[], None], wait: float | None = None) -> float:
    """Run mien, with ``wait`` until so many seconds after the first epoch; the most megabytes that were resident."""
    peak, begun, killed = 0.0, 0.0, False
    run = subprocess.Popen([sys.executable, "-m", "mien", *words], stdout=subprocess.DEVNULL, preexec_fn=enter)
    while run.poll() is None:
        time.sleep(0.2)
        peak = max(peak, resident(run.pid))
        if wait is not None and (out / "history.json").exists() and (out / "state.safetensors").exists():
            begun = begun or time.perf_counter()
            if time.perf_counter() - begun > wait:
                run.kill()
                killed = True
    if killed != (wait is not None) or run.returncode != (-signal.SIGKILL if killed else 0):
        raise SystemExit(f"mien {' '.join(words)} ended with {run.returncode}; where it was to be killed: --wait less")
    return peak


def children() -> float:
    """Seconds of processor time of all processes that this one has started and that have ended."""
    t = os.times()
    return t.children_user + t.children_system


def resident(pid: int) -> float:
    """The most megabytes of a process that were in memory at once so far, those of mapped files too."""
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
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--wait", type=float, default=90.0, help="seconds after the first epoch at which it is killed")
    parser.add_argument("--out", type=Path, default=RESULTS / "larger.json")
    args = parser.parse_args()
    load = os.getloadavg()[0]
    shutil.rmtree(args.folder, ignore_errors=True)
    args.folder.mkdir(parents=True)
    (args.folder / "larger.toml").write_text(RECIPE)
    data, n = args.folder / "faces", round(args.gigabytes * 1e9 / (3 * SIDE * SIDE))
    record: dict[str, Any] = {"faces": n, "gigabytes": args.gigabytes, "side": SIDE, "view": SMALL}
    record |= {"limit_gigabytes": args.limit, "steps_an_epoch": (n - HELD) // 128}
    parts: dict[str, Callable[[], Any]] = {
        "packing": lambda: packing(data, n),
        "random_reading": lambda: reading(data),
        "rates": lambda: rates(data, args.rounds, args.steps),
        "undisturbed": lambda: trained(data, args.folder / "whole", args.limit),
        "killed": lambda: trained(data, args.folder / "killed", args.limit, args.wait),
    }
    try:
        for name, part in parts.items():
            record[name] = part()
            print(time.strftime("%T"), name, record[name], file=sys.stderr, flush=True)
        one, other = (load_file(args.folder / name / "model.safetensors") for name in ("whole", "killed"))
        record["equal_weights"] = all((one[k] == other[k]).all() for k in one) and one.keys() == other.keys()
    finally:
        shutil.rmtree(args.folder, ignore_errors=True)
    record["conditions"] = conditions("torch", "numpy", "pyarrow", load_1min_at_start=round(load, 2))
    save(args.out, record)
    if not record["equal_weights"]:
        raise SystemExit("the weights of the run that was killed differ")


if __name__ == "__main__":
    main()
