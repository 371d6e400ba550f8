"""What a person's own baseline does: drawn people who look stern at rest, before and after.

    python -m bench.video.baseline [--people 12] [--frames 84] [--out results/baseline.json]

Each person's first 5 neutral faces are the rest, the others are scored: neutral faces that are called something else
(false calls), and expressions that are called right (true calls). ``ratio`` is the probabilities over their rest alone,
without a reference: what one would try first. The faces are drawn, the network learnt from photographs, so what counts
is the change, not the level.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.conditions import RESULTS, conditions, save
from mien import Predictor
from mien.data.synthetic import generate
from mien.evaluation.metrics import wilson
from mien.video import relative, rest_of

__all__ = ["KINDS", "measure"]

#: Kind of people -> what they share at rest.
KINDS: dict[str, dict[str, float]] = {
    "as drawn": {},
    "frowning": {"brow_slope": 0.1, "brow_y": 0.06, "mouth_rest": 0.03},
    "drooping mouth": {"mouth_rest": 0.08},
}
_REST = 5  # neutral faces of each person


def measure(traits: dict[str, float], people: int, frames: int, predictor: Predictor, seed: int = 6) -> dict[str, Any]:
    """False and true calls of ``people`` with ``frames`` faces each, raw, relative, and by the bare ratio."""
    faces = generate(people * frames, seed=seed, identities=people, traits=traits)
    assert faces.labels is not None
    assert faces.subject is not None
    labels = list(predictor.spec.labels)
    truth = np.array([labels.index(name) for name in faces.names])[faces.labels]
    neutral, p = labels.index("neutral"), predictor.predict_crops(faces.array).astype(np.float64)
    said = {"raw": p, "relative": p.copy(), "ratio": p.copy()}
    scored = np.zeros(len(p), bool)
    for person in np.unique(faces.subject):
        rows = np.flatnonzero(faces.subject == person)
        calm = rows[truth[rows] == neutral][:_REST]
        rest = rest_of(p[calm])
        said["relative"][rows] = relative(p[rows], rest, neutral)
        said["ratio"][rows] = np.log(p[rows] + 0.01) - rest
        scored[np.setdiff1d(rows, calm)] = True
    return {name: _calls(v.argmax(1)[scored], truth[scored], neutral) for name, v in said.items()}


def _calls(called: NDArray[np.int64], truth: NDArray[np.int64], neutral: int) -> dict[str, Any]:
    calm = truth == neutral
    return {
        "false_calls": _share(called[calm] != neutral),
        "true_calls": _share(called[~calm] == truth[~calm]),
        "called_neutral": _share(called[~calm] == neutral),
    }


def _share(hits: NDArray[np.bool_]) -> dict[str, Any]:
    return {"share": float(hits.mean()), "ci95": list(wilson(int(hits.sum()), len(hits))), "n": len(hits)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", type=int, default=12)
    parser.add_argument("--frames", type=int, default=84)
    parser.add_argument("--model", default="mien-small")
    parser.add_argument("--out", type=Path, default=RESULTS / "baseline.json")
    args = parser.parse_args()
    predictor = Predictor(args.model, "none", threads=1)
    found = {kind: measure(traits, args.people, args.frames, predictor) for kind, traits in KINDS.items()}
    told = {"people": args.people, "frames_each": args.frames, "rest_frames": _REST, "model": predictor.spec.name}
    save(args.out, {"traits": KINDS, "kinds": found, "conditions": conditions("numpy", "onnxruntime", **told)})


if __name__ == "__main__":
    main()
