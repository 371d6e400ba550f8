"""A training step on a GPU, its kernels launched one by one and as one CUDA graph: results/bench_graph.json.

    python -m bench.training.graph DATA --votes fer2013new.csv [--steps 30] [--out results/bench_graph.json]

Each network of STEPS trains at 48 pixels twice in this process, with the same seeds; a step's time is the median after
the first eight, in which libraries choose their algorithms and the graph is recorded.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from bench.conditions import RESULTS, conditions, save
from mien.data import read_faces, read_votes, with_votes
from mien.training.devices import describe, pick_device
from mien.training.recipe import load_recipe
from mien.training.timing import step_seconds

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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data")
    parser.add_argument("--votes", required=True)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--out", type=Path, default=RESULTS / "bench_graph.json")
    a = parser.parse_args()
    device = pick_device("cuda")
    faces = with_votes(read_faces(a.data), read_votes(a.votes), "both")
    found = []
    for name, options, what, batch in STEPS:
        recipe = load_recipe(name)
        recipe = replace(recipe, options={**recipe.options, **options}, batch_size=batch)
        times = {}
        for way, graph in (("eager_ms", False), ("graph_ms", True)):
            torch.manual_seed(recipe.seed)
            times[way] = 1000 * step_seconds(recipe, faces, WARM_UP, a.steps, graph=graph)
        found.append({"network": name, "what": what, "batch_size": batch, **times})
    where = f"{describe(device)['device']}, torch {torch.__version__}"
    save(a.out, {"what": __doc__, "conditions": where, "steps": found, "machine": conditions("torch")})


if __name__ == "__main__":
    main()
