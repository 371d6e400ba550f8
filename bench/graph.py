"""A training step on a GPU, its kernels launched one by one and as one CUDA graph: results/bench_graph.json.

    python bench/graph.py DATA --votes fer2013new.csv [--steps 30] [--out results/bench_graph.json]

Each network of STEPS trains at 48 pixels twice in this process, with the same seeds; a step's time is the median after
the first eight, in which libraries choose their algorithms and the graph is recorded.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from conditions import conditions, save

from mien.data import FaceDataset, read_faces, read_votes, with_votes
from mien.devices import describe, pick_device
from mien.engine import fit
from mien.recipe import Recipe, load_recipe
from mien.runs import make_network

WARM_UP = 8
#: recipe, options that differ, what they are, images a batch
STEPS: tuple[tuple[str, dict[str, Any], str, int], ...] = (
    ("mien-nano", {}, "transformer none, no channel attention", 128),
    ("mien-small", {}, "", 128),
    ("mien-small", {"transformer": "feature"}, "transformer on the feature map", 128),
    ("deep-emotion-2019", {}, "", 128),
    ("mien-base", {}, "", 256),
    ("mien-base", {"transformer": "feature"}, "transformer on the feature map", 256),
    *((name, {}, "", 64) for name in ("report", "googlenet", "mollahosseini", "deepexpr", "vgg")),
)


def milliseconds(recipe: Recipe, faces: FaceDataset, steps: int, graph: bool) -> float:
    """Median time of a step."""
    rows = faces.take(np.arange(steps * recipe.batch_size) % len(faces))
    trial = replace(recipe, epochs=1, sizes=(), drop_copies=False, optimizer=replace(recipe.optimizer, warmup=0.0))
    torch.manual_seed(trial.seed)
    ends: list[float] = []
    fit(
        make_network(trial, rows),
        rows,
        rows.take(slice(0, 64)),
        trial,
        graph=graph,
        on_batch=lambda _: ends.append(time.perf_counter()),
    )
    return 1000 * float(np.median(np.diff(ends[WARM_UP:])))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data")
    parser.add_argument("--votes", required=True)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--out", type=Path, default=Path(__file__).resolve().parents[1] / "results/bench_graph.json")
    a = parser.parse_args()
    device = pick_device("cuda")
    faces = with_votes(read_faces(a.data), read_votes(a.votes), "both")
    found = []
    for name, options, what, batch in STEPS:
        recipe = load_recipe(name)
        recipe = replace(recipe, options={**recipe.options, **options}, batch_size=batch)
        eager, recorded = (milliseconds(recipe, faces, a.steps, graph) for graph in (False, True))
        found.append({"network": name, "what": what, "batch_size": batch, "eager_ms": eager, "graph_ms": recorded})
    where = f"{describe(device)['device']}, torch {torch.__version__}"
    save(a.out, {"what": __doc__, "conditions": where, "steps": found, "machine": conditions("torch")})


if __name__ == "__main__":
    main()
