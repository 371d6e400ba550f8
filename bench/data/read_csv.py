"""How fast and how small: fer2013.csv read in the way of the tutorials, by mien, and by mien from its cache.

    python -m bench.data.read_csv DATA [--repeat 3]

DATA is fer2013.csv, plain or .gz; it is written as plain CSV to a temporary folder first. Every measurement is a
process of its own, so that its peak memory is its own; the ways take turns, and the fastest of ``--repeat`` turns
counts, the fairest to all on a machine that does other things too. Imports are not counted. Writes
results/bench_read_csv.json.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from bench.conditions import RESULTS, conditions, save

RESULT = RESULTS / "bench_read_csv.json"
WAYS = {
    "tutorial": "pandas.read_csv, then [int(p) for p in s.split()] for each row, as uint8",
    "cold": "mien.data.read_faces without a cache to read from; it writes one",
    "cached": "mien.data.read_faces, second time",
}


def tutorial(path: str) -> Any:
    import numpy as np
    import pandas as pd

    start = _clock()
    frame = pd.read_csv(path)
    faces = [np.array([int(p) for p in s.split()], dtype=np.uint8).reshape(48, 48) for s in frame["pixels"]]
    return np.stack(faces), start


def ours(path: str) -> Any:
    from mien.data import read_faces

    start = _clock()
    return read_faces(path).images, start


def _clock() -> tuple[float, float]:
    return time.perf_counter(), time.process_time()


def measure(way: str, path: str) -> None:
    """Run one way in this process and print what it took as JSON."""
    images, start = tutorial(path) if way == "tutorial" else ours(path)
    end = _clock()
    scale = 1 if sys.platform == "darwin" else 1024  # ru_maxrss is in bytes on macOS, in KiB elsewhere
    found = {
        "seconds": end[0] - start[0],
        "cpu_seconds": end[1] - start[1],
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * scale / 1e6,
        "rows": len(images),
        "pixels": hashlib.sha256(images.tobytes()).hexdigest()[:16],
    }
    print(json.dumps(found))


def in_process(way: str, path: Path, cache: Path) -> dict[str, Any]:
    environment = {**os.environ, "MIEN_CACHE": str(cache)}
    command = [sys.executable, "-m", __spec__.name, str(path), "--way", way]
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    return dict(json.loads(done.stdout))


def run(data: Path, repeat: int) -> dict[str, Any]:
    best: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory() as folder:
        plain, cache = Path(folder) / "fer2013.csv", Path(folder) / "cache"
        with data.open("rb") as raw:
            packed = raw.read(2) == b"\x1f\x8b"
        with gzip.open(data) if packed else data.open("rb") as source, plain.open("wb") as target:
            shutil.copyfileobj(source, target, 1 << 20)
        size = plain.stat().st_size
        for _ in range(repeat):
            shutil.rmtree(cache, ignore_errors=True)
            for way in WAYS:
                found = in_process(way, plain, cache)
                if way not in best or found["seconds"] < best[way]["seconds"]:
                    best[way] = {**found, "peak_mb": max(found["peak_mb"], best.get(way, found)["peak_mb"])}
    if len({b["pixels"] for b in best.values()}) != 1:
        raise SystemExit("the ways disagree about the pixels")
    return {
        **conditions("numpy", "pandas", csv_bytes=size, turns=repeat),
        "ways": {w: {"how": WAYS[w], **b} for w, b in best.items()},
        "tutorial_over_cold": best["tutorial"]["seconds"] / best["cold"]["seconds"],
        "tutorial_over_cold_cpu": best["tutorial"]["cpu_seconds"] / best["cold"]["cpu_seconds"],
        "targets": {
            "cold at most a quarter of the tutorial's time": best["cold"]["seconds"] * 4 <= best["tutorial"]["seconds"],
            "cold peak under 350 MB": best["cold"]["peak_mb"] < 350,
            "cached under 0.5 s": best["cached"]["seconds"] < 0.5,
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="fer2013.csv, plain or .gz")
    parser.add_argument("--repeat", type=int, default=3, help="turns; the fastest counts (default 3)")
    parser.add_argument("--way", choices=list(WAYS), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.way:
        measure(args.way, str(args.data))
        return
    result = run(args.data, args.repeat)
    save(RESULT, result, show=False)
    print(f"{'way':10}{'seconds':>9}{'CPU s':>8}{'peak MB':>9}{'rows':>8}")
    for way, b in result["ways"].items():
        print(f"{way:10}{b['seconds']:9.2f}{b['cpu_seconds']:8.2f}{b['peak_mb']:9.0f}{b['rows']:8,}")
    clock, cpu = result["tutorial_over_cold"], result["tutorial_over_cold_cpu"]
    print(f"tutorial / cold: {clock:.1f} by the clock, {cpu:.1f} by CPU")
    for text, met in result["targets"].items():
        print(f"{'met' if met else 'MISSED'}: {text}")


if __name__ == "__main__":
    main()
