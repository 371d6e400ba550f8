"""What 20,000 damaged and hostile pictures do to ``decode``: time, memory, exceptions and text on stderr.

    python -m bench.images.hostile            # writes results/bench_hostile_pictures.json

Every format, mutated as ``bench.images.mutations`` says, in one process on one thread. Peak memory is what the kernel
counts for each picture (``VmHWM``, reset before each; Linux only), so that C libraries are in it. Time is that of the
processor, of all threads: other work on the machine does not count.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import cycle, islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from bench.conditions import RESULTS, conditions, save
from bench.images.mutations import mutated, originals
from mien.errors import DataError
from mien.images import decode

__all__ = ["main", "memory_above", "reset_peak", "run"]

_SECONDS, _MEGABYTES = 1.0, 300.0  # that no picture may go over


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


class Case(NamedTuple):
    """One picture: its format, what was done to it, what came of it (``read``, ``refused`` or an exception's name)."""

    format: str
    how: str
    outcome: str
    seconds: float
    megabytes: float
    printed: int

    @property
    def over(self) -> bool:
        slow = self.seconds > _SECONDS or self.megabytes > _MEGABYTES
        return slow or self.printed > 0 or self.outcome not in ("read", "refused")


def run(count: int, seed: int, size: tuple[int, int] = (72, 56), keep: str = "") -> dict[str, Any]:
    """Decode ``count`` mutated pictures and say what came of them; ``keep`` gets those that go over a limit."""
    base = originals(*size)
    for data in base.values():  # whatever is loaded on first use is no picture's cost
        decode(data, "x", colour=True)
    cases = []
    with _stderr_counted() as printed:
        for i, (name, original) in enumerate(islice(cycle(base.items()), count)):
            rng = np.random.default_rng((seed, i))
            how, data = mutated(original, size, rng)
            before = printed()
            outcome, seconds, megabytes = _decoded(data, colour=bool(rng.integers(2)))
            case = Case(name, how, outcome, seconds, megabytes, printed() - before)
            cases.append(case)
            if keep and case.over:
                _keep(Path(keep), f"{i}-{name}-{how}-{outcome}-{seconds:.2f}s-{megabytes:.0f}MB", data)
    return {"original_size": list(size), **_summary(cases)}


def _summary(cases: list[Case]) -> dict[str, Any]:
    def most(some: list[Case]) -> dict[str, float]:
        return {"max_cpu_s": round(max(c.seconds for c in some), 3), "max_mb": round(max(c.megabytes for c in some), 1)}

    return {
        "pictures": len(cases),
        "outcomes": dict(Counter(c.outcome for c in cases)),
        "limits": {"cpu_s": _SECONDS, "mb": _MEGABYTES},
        "over_a_limit": sum(c.over for c in cases),
        "bytes_on_stderr": sum(c.printed for c in cases),
        "median_cpu_ms": round(1000 * statistics.median(c.seconds for c in cases), 3),
        **most(cases),
        "worst_by_format": {
            name: most([c for c in cases if c.format == name]) for name in {c.format: 0 for c in cases}
        },
    }


def _decoded(data: bytes, *, colour: bool) -> tuple[str, float, float]:
    """What came of it, seconds, and megabytes above what was held before."""
    before = reset_peak()
    started = time.process_time()
    try:
        decode(data, "x", colour=colour)
        outcome = "read"
    except DataError:
        outcome = "refused"
    except Exception as error:
        outcome = type(error).__name__
    return outcome, time.process_time() - started, memory_above(before)


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


def _keep(folder: Path, name: str, data: bytes) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(data)


if __name__ == "__main__":
    main()
