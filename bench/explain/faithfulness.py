"""Is "where it looked" faithful? Deletion and insertion areas of a model's maps over many faces, against controls.

    python -m bench.explain.faithfulness --data fer2013.csv            # writes results/faithfulness.json

For random faces of PublicTest and the class that the model takes each for: its occlusion map and its attention, beside
three orders that know nothing about the face in hand: random ones, "centre" (the nearest to the crop's middle first),
and "another face" (the occlusion map of the face before it in the sample). A map is worth something where it beats all
three. Means over faces with 95 % intervals (1.96 standard errors), and the mean of the differences from random and from
centre, face by face, with the share of the faces on which the order is better.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from bench.conditions import RESULTS, conditions, save
from mien.data import read_faces
from mien.explain import explain_face, faithfulness
from mien.runtime import Classifier, find_model

CELL, STEPS, SIZE, STRIDE = 4, 24, 8, 4

#: name of an order -> (N, 2) of deletion and insertion areas
Areas = dict[str, np.ndarray]


def measure(model: Classifier, faces: np.ndarray, orders: int, seed: int) -> Areas:
    """The areas of every map and control, and of random orders (the mean of ``orders``), for each face."""
    found: dict[str, list[tuple[float, float]]] = {}
    other = explain_face(model, faces[-1], model.spec.labels, size=SIZE, stride=STRIDE).maps["occlusion"]
    for number, face in enumerate(faces):
        e = explain_face(model, face, model.spec.labels, size=SIZE, stride=STRIDE)
        maps = {**e.maps, "another face": other}
        other = e.maps["occlusion"]
        check = faithfulness(
            lambda batch: model(batch).probabilities,
            face,
            maps,
            orders=orders,
            cell=CELL,
            steps=STEPS,
            target=e.target,
            seed=seed + number,
        )
        for name, c in {**check.maps, "centre": check.centre}.items():
            found.setdefault(name, []).append((c.deletion_area, c.insertion_area))
        random = np.mean([(c.deletion_area, c.insertion_area) for c in check.random], axis=0)
        found.setdefault("random", []).append((float(random[0]), float(random[1])))
        if (number + 1) % 50 == 0:
            print(f"{number + 1} of {len(faces)} faces", flush=True)
    return {name: np.array(rows) for name, rows in found.items()}


def summary(areas: Areas) -> dict[str, dict[str, Any]]:
    """Mean and interval of each area; what sets it apart from random and from centre, face by face."""
    out: dict[str, dict[str, Any]] = {}
    for name, own in areas.items():
        row: dict[str, Any] = {}
        for column, kind, sign in ((0, "deletion", -1), (1, "insertion", 1)):
            row[kind] = interval(own[:, column])
            for control in ("random", "centre"):
                if name not in ("random", control):
                    gap = own[:, column] - areas[control][:, column]
                    better = round(float((sign * gap > 0).mean()), 4)
                    row[kind][f"minus_{control}"] = {**interval(gap), "better_on": better}
        out[name] = row
    return out


def interval(values: np.ndarray) -> dict[str, Any]:
    """Mean and 95 % interval."""
    half = 1.96 * float(values.std(ddof=1)) / len(values) ** 0.5
    mean = float(values.mean())
    return {"mean": round(mean, 4), "ci95": [round(mean - half, 4), round(mean + half, 4)]}


def show(found: Mapping[str, Mapping[str, Any]]) -> None:
    """One line an order."""
    for name, row in found.items():
        words = [f"{kind} {row[kind]['mean']:.3f} {row[kind]['ci95']}" for kind in ("deletion", "insertion")]
        print(f"{name:13}", "  ".join(words))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, help="FER2013's CSV")
    parser.add_argument("--model", default="mien-small", help="shipped name or .onnx file")
    parser.add_argument("--n", type=int, default=500, help="faces")
    parser.add_argument("--orders", type=int, default=5, help="random orders a face")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, default=RESULTS / "faithfulness.json")
    given = parser.parse_args()
    part = read_faces(given.data).part("PublicTest")
    chosen = np.sort(np.random.default_rng(given.seed).permutation(len(part))[: given.n])
    model = Classifier(find_model(given.model), threads=given.threads)
    started = time.perf_counter()
    found = summary(measure(model, part.images[chosen], given.orders, given.seed))
    record = {
        "what": "area under the class's probability while cells are deleted (less is better) or inserted (more is)",
        "model": model.spec.name,
        "split": "PublicTest",
        "n": len(chosen),
        "seed": given.seed,
        "random_orders": given.orders,
        "cell": CELL,
        "steps": STEPS,
        "occlusion": {"size": SIZE, "stride": STRIDE},
        "orders": found,
        "data": Path(given.data).name,
        "fingerprint": part.fingerprint,
        "conditions": conditions(
            "numpy", "onnxruntime", seconds=round(time.perf_counter() - started, 1), threads=given.threads
        ),
    }
    save(given.out, record, show=False)
    show(found)


if __name__ == "__main__":
    main()
