"""Whether a study finds what is there, and nothing else: simulated participants with and without a planted effect.

    python -m bench.study.effects [--draws 1000] [--study "within, no effect"] [--out results/study.json]

Each of 40 participants sees two stimuli in each of two conditions. What the network says of them in every frame follows
from who they are (their own level of each expression), how they take each condition (offsets of their own, mean 0), and
from moment to moment (noise that lasts about a second); one stretch in twelve is missing for more than half of its
time and falls to the rules. The planted effect raises one expression in one condition for everybody. All of it goes the
way of ``mien study`` from the recordings on. ``called_real``: share of studies with any label whose p by Holm is at
most 0.05. Between: the same, but each participant is in one condition only. Shares sum to 1, so a label that
rises lowers others: with a planted effect only the planted label is counted.
"""

from __future__ import annotations

import argparse
import json
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from bench.conditions import RESULTS, conditions, save
from mien.evaluation.metrics import wilson
from mien.labels import FER2013
from mien.study.analysis.analysis import Options, Study, analyse
from mien.study.analysis.design import Design, Stretch
from mien.study.analysis.recorded import Recorded

__all__ = ["STUDIES", "measure", "simulate"]

_PLANTED = "happy"
_RATE, _SECONDS, _PAUSE = 4.0, 12.0, 2.0  # frames a second, and seconds of a stretch and behind it


def simulate(seed: int, effect: float, *, people: int = 40, between: bool = False, test: str = "permutation") -> Study:
    """A study of ``people``; ``effect`` is added to the logit of happy in condition b."""
    rng = np.random.default_rng(seed)
    names, stretches, recorded = FER2013.names, list[Stretch](), dict[str, Recorded]()
    for person in range(people):
        level, own = rng.normal(0, 1.0, len(names)), {c: rng.normal(0, 0.35, len(names)) for c in "ab"}
        level[names.index("neutral")] += 1.5
        shown = ("ab"[person % 2],) * 4 if between else ("a", "b", "a", "b")
        recording = f"p{person}.mp4"
        parts = []
        for i, condition in enumerate(shown):
            logits = level + own[condition] + rng.normal(0, 0.4, len(names)) + _drift(rng, len(names))
            if condition == "b":
                logits[:, names.index(_PLANTED)] += effect
            start = i * (_SECONDS + _PAUSE)
            stimulus = f"{condition}{i // 2}"
            stretches.append(
                Stretch(len(stretches) + 2, recording, f"p{person}", condition, stimulus, start, start + _SECONDS)
            )
            parts.append(logits)
        recorded[recording] = _recorded(recording, np.concatenate(parts), rng)
    options = Options(test=test, seed=seed, draws=2_000)
    return analyse(Design(Path("design.csv"), stretches), recorded, options)


def _drift(rng: np.random.Generator, k: int) -> Any:
    """Noise ``(N, K)`` of standard deviation 1 that lasts about a second."""
    n, keep = round((_SECONDS + _PAUSE) * _RATE), float(np.exp(-1 / _RATE))
    steps = rng.normal(0, np.sqrt(1 - keep**2), (n, k))
    found = np.empty((n, k))
    found[0] = rng.normal(0, 1, k)
    for i in range(1, n):
        found[i] = keep * found[i - 1] + steps[i]
    return found


def _recorded(name: str, logits: Any, rng: np.random.Generator) -> Recorded:
    n = len(logits)
    raised = np.exp(logits - logits.max(1, keepdims=True))
    p = raised / raised.sum(1, keepdims=True)
    usable = rng.random(n) > 0.05
    for part in range(4):  # some stretches are spoilt
        if rng.random() < 1 / 12:
            usable[part * n // 4 : part * n // 4 + round(0.7 * n / 4)] = False
    return Recorded(
        Path(name),
        FER2013.names,
        np.arange(n) / _RATE,
        np.zeros(n, bool),
        np.arange(n),
        np.ones(n, np.int64),
        usable,
        p.max(1) < 0.5,
        p,
    )


def measure(draws: int, effect: float, first_seed: int = 0, *, jobs: int = 1, **how: Any) -> dict[str, Any]:
    """Over ``draws`` studies: in how many the planted label is called real; any label, where none is planted."""
    seeds, one = range(first_seed, first_seed + draws), partial(_one, effect=effect, how=how)
    if jobs == 1:
        found = [one(seed) for seed in seeds]
    else:
        with ProcessPoolExecutor(jobs) as pool:
            found = list(pool.map(one, seeds, chunksize=max(1, draws // jobs // 4)))
    hits, differences = zip(*found, strict=True)
    told = {"effect_logits": effect, "mean_difference_of_shares": round(float(np.mean(differences)), 4)}
    return {**told, "planted_found" if effect else "called_real": _share(sum(hits), draws)}


def _one(seed: int, effect: float, how: dict[str, Any]) -> tuple[bool, float]:
    """Whether a study calls it real, and the difference of the planted label."""
    study = simulate(seed, effect, **how)
    real = {c.label for c in study.comparisons if c.real(study.options.alpha)}
    difference = next(c.found.difference or 0.0 for c in study.comparisons if c.label == _PLANTED)
    return (_PLANTED in real if effect else bool(real)), difference


def _share(hits: int, n: int) -> dict[str, Any]:
    return {"share": hits / n, "ci95": [round(v, 4) for v in wilson(hits, n)], "n": n}


#: Name of a kind of study -> its effect in logits, how it differs, and which share of the draws are made.
STUDIES: dict[str, tuple[float, dict[str, Any], float]] = {
    "within, no effect": (0.0, {}, 1.0),
    "within, planted": (1.0, {}, 0.1),
    "within, half of it planted": (0.5, {}, 0.1),
    "between, no effect": (0.0, {"between": True}, 1.0),
    "between, planted": (1.0, {"between": True}, 0.1),
    "mixed model, no effect": (0.0, {"test": "mixed"}, 0.2),
    "mixed model, planted": (1.0, {"test": "mixed"}, 0.05),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=int, default=1000)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--study", action="append", choices=STUDIES, help="this kind only; the record keeps the others")
    parser.add_argument("--out", type=Path, default=RESULTS / "study.json")
    args = parser.parse_args()
    told = {"people": 40, "conditions": 2, "stimuli_each": 2, "stretch_seconds": _SECONDS, "frames_per_second": _RATE}
    for name in args.study or STUDIES:
        effect, how, share = STUDIES[name]
        found = measure(max(1, round(share * args.draws)), effect, 10_000 if effect else 0, jobs=args.jobs, **how)
        record = json.loads(args.out.read_text(encoding="utf-8")) if args.out.is_file() else {"studies": {}}
        record["studies"][name] = {**found, "conditions": conditions("numpy", "scipy", "statsmodels", **told)}
        save(args.out, {"studies": {n: record["studies"][n] for n in STUDIES if n in record["studies"]}})


if __name__ == "__main__":
    main()
