"""How often a gap between groups is called real: where there is none, and where one is planted.

    python -m bench.evaluation.groups            # writes results/groups.json

Draws groups of one accuracy, and the same with one group that is worse, and asks two rules: whether the intervals of
the best and the worst group do not overlap, and the test of homogeneity that ``mien evaluate --group-by`` follows.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from bench.conditions import RESULTS, conditions, save
from mien.evaluation.homogeneity import compare_groups
from mien.evaluation.metrics import wilson

GROUPS, FACES, ACCURACY, GAP = (2, 10, 40), 100, 0.7, 0.2


def intervals_apart(right: np.ndarray, faces: int) -> bool:
    """Whether the intervals of the best and the worst group do not overlap."""
    return wilson(int(right.max()), faces)[0] > wilson(int(right.min()), faces)[1]


def shares(groups: int, gap: float, trials: int, seed: int) -> dict[str, Any]:
    """How often each rule calls a gap real among ``groups`` groups of which one is worse by ``gap``."""
    rng = np.random.default_rng([seed, groups, round(100 * gap)])
    accuracy = np.full(groups, ACCURACY)
    accuracy[0] -= gap
    names = [str(i) for i in range(groups)]
    apart = differ = named = wrong = 0
    for trial in range(trials):
        right = rng.binomial(FACES, accuracy)
        found = compare_groups(right.tolist(), [FACES] * groups, names, seed=trial, draws=999)
        apart += intervals_apart(right, FACES)
        differ += found.differ
        named += gap > 0 and "0" in found.apart
        wrong += bool(set(found.apart) - ({"0"} if gap else set()))
    counts = {"intervals_apart": apart, "homogeneity": differ, "worse_group_named": named, "equal_group_named": wrong}
    return {"groups": groups, "gap": gap, **{k: round(v / trials, 4) for k, v in counts.items()}}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=RESULTS / "groups.json")
    given = parser.parse_args()
    record = {
        "what": f"share of draws called different; {FACES} faces a group, accuracy {ACCURACY}",
        "trials": given.trials,
        "seed": given.seed,
        "draws": [shares(g, gap, given.trials, given.seed) for gap in (0.0, GAP) for g in GROUPS],
        "conditions": conditions("numpy"),
    }
    save(given.out, record)


if __name__ == "__main__":
    main()
