"""What 20,000 damaged and hostile pictures do to ``decode``: time, memory, exceptions and text on stderr.

    python -m bench.images.hostile            # writes results/bench_hostile_pictures.json

Every format, mutated as ``bench.images.mutations`` says, in one process on one thread. Peak memory is what the kernel
counts for each picture (``VmHWM``, reset before each; Linux only), so that C libraries are in it.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from bench.conditions import RESULTS, conditions, save
from bench.images.mutations import mutated, originals
from mien.errors import DataError
from mien.images import decode

__all__ = ["main", "memory_above", "reset_peak", "run"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--size", type=int, nargs=2, default=(72, 56), help="width and height of the originals")
    parser.add_argument("--keep", default="", help="folder for the pictures that go over a limit", metavar="DIR")
    parser.add_argument("--out", type=Path, default=RESULTS / "bench_hostile_pictures.json")
    args = parser.parse_args()
    found = run(args.count, args.seed, tuple(args.size), args.keep)
    save(args.out, {**found, "conditions": conditions("pillow", "opencv-python-headless", seed=args.seed)})


def run(count: int, seed: int, size: tuple[int, int] = (72, 56), keep: str = "") -> dict[str, Any]:
    """Decode ``count`` mutated pictures and say what came of them; ``keep`` gets those that go over a limit."""
    base = originals(*size)
    for data in base.values():  # whatever is loaded on first use is no picture's cost
        decode(data, "x", colour=True)
    names = list(base)
    outcomes: Counter[str] = Counter()
    worst: dict[str, dict[str, float]] = {name: {"max_s": 0.0, "max_mb": 0.0} for name in names}
    over, foreign, times = 0, Counter[str](), np.zeros(count)
    with _stderr_counted() as printed:
        for i in range(count):
            rng = np.random.default_rng((seed, i))
            name = names[i % len(names)]
            how, data = mutated(base[name], size, rng)
            before = printed()
            outcome, seconds, megabytes = _decoded(data, colour=bool(rng.integers(2)))
            outcomes[outcome] += 1
            times[i] = seconds
            worst[name] = {"max_s": max(worst[name]["max_s"], seconds), "max_mb": max(worst[name]["max_mb"], megabytes)}
            if outcome not in ("read", "refused"):
                foreign[outcome] += 1
            if bad := seconds > 1 or megabytes > 300 or outcome not in ("read", "refused") or printed() > before:
                over += bad
                _keep(keep, f"{i}-{name}-{how}-{outcome}-{seconds:.2f}s-{megabytes:.0f}MB-{printed() - before}b", data)
        text = printed()
    return {
        "pictures": count,
        "original_size": list(size),
        "outcomes": dict(outcomes),
        "over_a_limit": int(over),
        "foreign_exceptions": dict(foreign),
        "bytes_on_stderr": text,
        "median_ms": round(1000 * float(np.median(times)), 3),
        "max_s": round(float(times.max()), 3),
        "max_mb": round(max(w["max_mb"] for w in worst.values()), 1),
        "worst_by_format": {n: {k: round(v, 3) for k, v in w.items()} for n, w in worst.items()},
    }


def _decoded(data: bytes, *, colour: bool) -> tuple[str, float, float]:
    """What came of it, seconds, and megabytes above what was held before."""
    before = reset_peak()
    started = time.perf_counter()
    try:
        decode(data, "x", colour=colour)
        outcome = "read"
    except DataError:
        outcome = "refused"
    except Exception as error:
        outcome = type(error).__name__
    seconds = time.perf_counter() - started
    return outcome, seconds, memory_above(before)


def reset_peak() -> int:
    """Kilobytes held now, from which the peak starts anew."""
    with open("/proc/self/clear_refs", "w") as f:
        f.write("5")
    return _status("VmRSS")


def memory_above(before: int) -> float:
    """Megabytes of the highest peak since :func:`reset_peak`, above the kilobytes that it gave."""
    return (_status("VmHWM") - before) / 1e3


def _status(what: str) -> int:
    with open("/proc/self/status") as f:
        return next(int(line.split()[1]) for line in f if line.startswith(what))


@contextmanager
def _stderr_counted() -> Iterator[Any]:
    """Catch whatever is written to the process's stderr, by C libraries too; yields how many bytes came so far."""
    kept = os.dup(2)
    with tempfile.TemporaryFile() as file:
        os.dup2(file.fileno(), 2)
        try:
            yield lambda: os.fstat(file.fileno()).st_size
        finally:
            os.dup2(kept, 2)
            os.close(kept)
            file.seek(0)
            if text := file.read(2000):
                print(text.decode("utf-8", "replace"))


def _keep(folder: str, name: str, data: bytes) -> None:
    if folder:
        Path(folder).mkdir(parents=True, exist_ok=True)
        (Path(folder) / name).write_bytes(data)


if __name__ == "__main__":
    main()
