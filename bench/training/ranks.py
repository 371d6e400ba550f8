"""How much faster two processes train than one on CPUs: ``torchrun --nproc-per-node 2 -m mien train`` beside one.

    python -m bench.training.ranks            # writes results/bench_ranks.json; three minutes on two idle cores

Both train the same network on the same drawn faces, one thread a process, in turns; a run's first epoch is warm-up and
is not counted. Processor time is that of a whole run, start and validation included, for each face that it learnt.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from bench.conditions import RESULTS, conditions, save

EPOCHS, COUNTS = 3, (1, 2)


def trained(count: int, model: str, images: int, out: Path) -> dict[str, float]:
    """Faces a second after the first epoch, and milliseconds of processor time a face."""
    start = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(count)] if count > 1 else []
    words = ["train", model, "--data", f"synthetic:{images}", "--epochs", str(EPOCHS), "--threads", "1", "--device"]
    before = os.times()
    command = [sys.executable, *start, "-m", "mien", *words, "cpu", "--out", str(out)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    used = sum(os.times()[2:4]) - sum(before[2:4])
    epochs = json.loads((out / "history.json").read_text())
    rate = statistics.median(epoch["images_per_second"] for epoch in epochs[1:])
    return {"faces_per_second": rate, "cpu_ms": 1000 * used / (0.8 * images * EPOCHS)}


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n", 1)[0])
    parser.add_argument("--model", default="mien-small")
    parser.add_argument("--images", type=int, default=1600, help="drawn faces, of which four fifths are learnt")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=RESULTS / "bench_ranks.json")
    given = parser.parse_args()
    load = os.getloadavg()[0]
    found: dict[int, list[dict[str, float]]] = {count: [] for count in COUNTS}
    for turn in range(given.rounds):
        for count in COUNTS:
            with tempfile.TemporaryDirectory() as folder:
                found[count].append(trained(count, given.model, given.images, Path(folder) / "run"))
            print(f"round {turn + 1}, {count}: {found[count][-1]}", file=sys.stderr, flush=True)
    record: dict[str, Any] = {"model": given.model, "images": given.images, "rounds": given.rounds}
    for count, each in found.items():
        ratios = [a["faces_per_second"] / b["faces_per_second"] for a, b in zip(each, found[1], strict=True)]
        medians = {key: round(statistics.median(one[key] for one in each), 2) for key in each[0]}
        record[f"{count}"] = {**medians, "x_one": round(statistics.median(ratios), 2)}
    record["conditions"] = conditions("torch", "numpy", load_1min_at_start=round(load, 2), threads_a_process=1)
    save(given.out, record)


if __name__ == "__main__":
    main()
