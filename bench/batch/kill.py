"""Kill workers, and the whole run, while 20,000 pictures go through ``mien batch``, then compare the ids.

    python -m bench.batch.kill            # writes results/batch_kill.json

Every few partitions a worker gets SIGKILL; once the command itself does, and --resume goes on. Every picture must be in
the results once, and the answers must be those of a run that nobody disturbed.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from bench.batch.throughput import crops
from bench.conditions import RESULTS, conditions, save


def command(folder: Path, out: Path, *more: str) -> list[str]:
    words = ["--detector", "none", "--workers", "2", "--partition", "250", *more]
    return [sys.executable, "-m", "mien", "batch", str(folder), "--out", str(out), *words]


def workers_of(pid: int) -> list[int]:
    """The processes of this run that look at pictures."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(c) for c in children if b"spawn_main" in Path(f"/proc/{c}/cmdline").read_bytes()]


def disturbed(words: list[str], every: int, stop_after: int, out: Path) -> int:
    """Run, killing a worker whenever so many more partitions are there, and the run once ``stop_after`` of them are.

    Gives the number of workers killed.
    """
    run, killed, wanted = subprocess.Popen(words, stderr=subprocess.DEVNULL), 0, every
    while run.poll() is None:
        time.sleep(0.05)
        there = len(list(out.glob("part-*")))
        if there >= stop_after:
            run.send_signal(signal.SIGKILL)
            break
        if there >= wanted and (workers := workers_of(run.pid)):
            os.kill(random.choice(workers), signal.SIGKILL)
            killed, wanted = killed + 1, there + every
    run.wait()
    return killed


def answers(out: Path) -> dict[str, Any]:
    tables = [pq.read_table(f, columns=["photo", "label", "sha256"]).to_pylist() for f in sorted(out.glob("part-*"))]
    rows = [row for table in tables for row in table]
    counted = Counter(row["photo"] for row in rows)
    return {"rows": rows, "ids": len(counted), "twice": sum(n > 1 for n in counted.values())}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pictures", type=int, default=20_000)
    parser.add_argument("--every", type=int, default=4, help="partitions between two kills")
    parser.add_argument("--out", type=Path, default=RESULTS / "batch_kill.json")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder, out, quiet = crops(Path(name) / "in", given.pictures), Path(name) / "out", Path(name) / "quiet"
        half = given.pictures // 500
        killed = disturbed(command(folder, out), given.every, half, out)
        kept = len(list(out.glob("part-*")))
        killed += disturbed(command(folder, out, "--resume"), given.every, 10**9, out)
        subprocess.run(command(folder, quiet), check=True, stderr=subprocess.DEVNULL)
        found, expected = answers(out), answers(quiet)
    record = {
        "pictures": given.pictures,
        "workers_killed": killed,
        "runs_killed": 1,
        "partitions_before_the_run_was_killed": kept,
        "ids": found["ids"],
        "ids_twice": found["twice"],
        "same_as_undisturbed": found["rows"] == expected["rows"],
        "conditions": conditions("pyarrow"),
    }
    save(given.out, record)
    if found["ids"] != given.pictures or found["twice"] or not record["same_as_undisturbed"]:
        sys.exit("ids are missing, twice or differ")


if __name__ == "__main__":
    main()
