"""One run of several that started from the same weights: python -m bench.export.average OUT RUN RUN ... --data --votes

Writes OUT/model.safetensors, the mean of the runs' weights, calibrated anew on PublicTest (a uniform soup: Wortsman et
al. 2022, arXiv 2203.05482, section 2). Runs that go on from one network by the same recipe with other seeds lie in one
basin, where the mean of their weights is about as good as the mean of their answers, at the cost of one. ``publish
ship --run`` and ``float_weights --run`` take OUT.
"""

from __future__ import annotations

import argparse
import copy
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import nn

from bench.export.publish import recalibrated_run
from mien.models.weights import load_network, save_model
from mien.spec import ModelSpec


def averaged(runs: Sequence[Path]) -> tuple[nn.Module, ModelSpec]:
    """The network with the mean of the runs' weights; its spec is the first one's, with the seeds of all."""
    networks, specs = zip(*(load_network(run / "model.safetensors") for run in runs), strict=True)
    if len({_without_seed(spec) for spec in specs}) > 1 or "started from" not in specs[0].data:
        raise SystemExit("the runs must have started from the same weights, with the same recipe but for the seed")
    made, states = copy.deepcopy(networks[0]), [n.state_dict() for n in networks]
    made.load_state_dict({key: torch.stack([s[key] for s in states]).mean(0) for key in states[0]})
    recipe = {k: v for k, v in specs[0].recipe.items() if k != "seed"}
    return made, replace(specs[0], recipe={**recipe, "seeds": [s.recipe["seed"] for s in specs]})


def _without_seed(spec: ModelSpec) -> str:
    recipe = {k: v for k, v in spec.recipe.items() if k != "seed"}
    return str((recipe, spec.data, spec.mean, spec.std))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("--data", required=True)
    parser.add_argument("--votes", required=True)
    a = parser.parse_args()
    network, spec = averaged(a.runs)
    save_model(a.out / "model.safetensors", *recalibrated_run(network, spec, a.data, a.votes))


if __name__ == "__main__":
    main()
