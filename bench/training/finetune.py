"""What fine-tuning is worth: ``python -m bench.training.finetune --data fer2013.csv --votes fer2013new.csv``.

Three tasks: drawn faces of people who are not in the training part; FER2013's faces, each corrupted in one of the nine
ways of mien.evaluation.corruptions at severity 5; and FER2013 with its class sad split in two, by what most of FER+'s
taggers call these faces. With 20 and 100 faces a class, five seeds, each seed with faces of its own; every way sees the
same faces and is scored on the same test faces, so that differences are paired. FER2013's faces are PublicTest's, which
no published network learnt: half are for testing, less those with a near-duplicate in the other half.

    untouched     the published network as it is; of the split class it can say the larger part at best
    scratch       the recipe "finetune" without its weights to start from, at the learning rate of a fresh network
    heads alone   the same with --freeze trunk
    everything    the same as it stands

A run that is in results/finetune.json already is not repeated, so the command can be stopped and called again.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from bench.conditions import RESULTS, conditions
from mien.data import FaceDataset, read_faces, read_votes, split_train_val, train_val, with_votes
from mien.data.duplicates import near_duplicates
from mien.data.synthetic.generate import generate
from mien.evaluation.corruptions import CORRUPTIONS, corrupt
from mien.evaluation.metrics import mean_and_spread
from mien.evaluation.model import open_model
from mien.files import write_text
from mien.models.weights import published_weights
from mien.training import load_recipe, train

FILE = RESULTS / "finetune.json"
SEEDS, FACES = range(5), (20, 100)
EPOCHS = {20: 40, 100: 20}
SCRATCH_LR = 0.01
WAYS = ("untouched", "scratch", "heads alone", "everything")
SPLIT = "sad", "sad, called otherwise"
Task = tuple[FaceDataset, FaceDataset]  # to draw training faces from, and to test on


def drawn(_: FaceDataset, __: FaceDataset) -> Task:
    faces = generate(2100, seed=11)
    return faces.part("Training"), faces.part("validation")


def corrupted(public: FaceDataset, _: FaceDataset) -> Task:
    """Each face in one of the nine ways, in turn."""
    images = public.array.copy()
    for i, kind in enumerate(CORRUPTIONS):
        images[i :: len(CORRUPTIONS)] = corrupt(images[i :: len(CORRUPTIONS)], kind, 5, 0)
    return _halves(replace(public, images=images), public)


def one_class_in_two(public: FaceDataset, majority: FaceDataset) -> Task:
    """FER2013's sad faces as two classes: FER+'s majority says sad, or something else."""
    assert public.labels is not None
    assert majority.labels is not None
    said = dict(zip(majority.rows.tolist(), majority.labels.tolist(), strict=True))  # type: ignore[union-attr]
    sad, other = public.names.index("sad"), majority.names.index("sad")
    parts = np.array([said.get(int(row), -1) for row in public.rows])  # type: ignore[union-attr]
    labels = np.where((public.labels == sad) & (parts != other), len(public.names), public.labels)
    kept = (public.labels != sad) | (parts >= 0)
    made = replace(public, names=(*public.names, SPLIT[1]), labels=labels.astype(np.int64)).take(kept)
    return _halves(made, public.take(kept))


TASKS: dict[str, Callable[[FaceDataset, FaceDataset], Task]] = {
    "drawn faces, unseen people": drawn,
    "corrupted, severity 5": corrupted,
    "one class split in two": one_class_in_two,
}


def _halves(faces: FaceDataset, clean: FaceDataset) -> Task:
    """Two halves at random; the second without faces that have a near-duplicate in the first, by the ``clean`` ones."""
    order = np.random.default_rng(0).permutation(len(faces))
    first, second = np.sort(order[: len(faces) // 2]), np.sort(order[len(faces) // 2 :])
    own = ~near_duplicates(clean.images[second], clean.images[first])
    return faces.take(first), faces.take(second[own])


def chosen(pool: FaceDataset, n: int, seed: int) -> FaceDataset:
    """At most ``n`` faces of each class."""
    assert pool.labels is not None
    order = np.random.default_rng(seed).permutation(len(pool))
    rows = [order[pool.labels[order] == k][:n] for k in range(len(pool.names))]
    return pool.take(np.sort(np.concatenate(rows)))


def run(network: str, way: str, pool: FaceDataset, test: FaceDataset, n: int, seed: int) -> dict[str, Any]:
    """Accuracy and mean recall of one way on ``test``, 0..1."""
    start = time.process_time()
    if way == "untouched":
        loaded = open_model(published_weights()[network])
        names = loaded.labels
        said = loaded.predict(test.array).argmax(1)
        faces = 0
    else:
        recipe = replace(load_recipe("finetune").override(seed=seed), epochs=EPOCHS[n], init=network)
        if way == "scratch":
            recipe = replace(recipe, init="", model=network, options=_options(network, recipe.options))
            recipe = recipe.override(lr=SCRATCH_LR)
        recipe = replace(recipe, freeze="trunk" if way == "heads alone" else "none")
        part, val = split_train_val(replace(chosen(pool, n, seed), split=None), 0.1, seed)
        model = train(recipe, part, val, device="cpu")
        names, said, faces = pool.names, model.predict(test.array).argmax(1), len(part)
    assert test.labels is not None
    guess = np.array([test.names.index(name) for name in names])[said]
    return {
        **_figures(guess, test.labels),
        "faces": faces,
        "tested": len(test),
        "cpu_seconds": time.process_time() - start,
    }


def _options(network: str, own: Any) -> dict[str, Any]:
    spec = dict(open_model(published_weights()[network]).spec.model)
    return {k: v for k, v in {**spec, **own}.items() if k != "name"}


def _figures(guess: NDArray[np.int64], truth: NDArray[np.int64]) -> dict[str, float]:
    recalls = [float((guess[truth == k] == k).mean()) for k in np.unique(truth)]
    return {"accuracy": float((guess == truth).mean()), "mean_recall": float(np.mean(recalls))}


def paired(runs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """For each task and number of faces, mean recall of each way over seeds, and how far training is above the others.

    Mean recall, since classes have as many faces as each other in training.
    """
    rows = []
    for task in TASKS:
        for n in FACES:
            own = {w: {r["seed"]: r for r in runs if (r["task"], r["n"], r["way"]) == (task, n, w)} for w in WAYS}
            seeds = sorted(set.intersection(*(set(found) for found in own.values())))
            if not seeds:
                continue
            recall, accuracy = (
                {w: np.array([own[w][s][key] for s in seeds]) for w in WAYS} for key in ("mean_recall", "accuracy")
            )
            above = {f"{a} above {b}": recall[a] - recall[b] for a in WAYS[2:] for b in WAYS[:2]}
            rows.append(
                {
                    "task": task,
                    "n": n,
                    "seeds": len(seeds),
                    "tested": own["everything"][seeds[0]]["tested"],
                    "mean recall": {w: _mean(r) for w, r in recall.items()},
                    "accuracy": {w: _mean(a) for w, a in accuracy.items()},
                    "paired": {k: {**_mean(a), "better": int((a > 0).sum())} for k, a in above.items()},
                }
            )
    return rows


def _mean(values: NDArray[np.float64]) -> dict[str, float | None]:
    mean, spread = mean_and_spread(values.tolist())
    return {"mean": mean, "sd": spread}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="FER2013")
    parser.add_argument("--votes", required=True, help="FER+ votes, which split the class")
    parser.add_argument("--network", default="mien-nano", choices=sorted(published_weights()))
    given = parser.parse_args()
    torch.set_num_threads(1)
    faces = read_faces(given.data)
    public = train_val(faces)[1]
    majority = train_val(with_votes(faces, read_votes(given.votes), "majority"))[1]
    tasks = {name: make(public, majority) for name, make in TASKS.items()}
    record = json.loads(FILE.read_text()) if FILE.is_file() else {"network": given.network, "runs": []}
    if record["network"] != given.network:
        raise SystemExit(f"{FILE} holds runs of {record['network']}: move it away to measure {given.network}")
    done = {(r["task"], r["n"], r["way"], r["seed"]) for r in record["runs"]}
    todo = [(t, n, w, s) for n in FACES for s in SEEDS for t in tasks for w in WAYS if (t, n, w, s) not in done]
    for task, n, way, seed in todo:
        found = run(given.network, way, *tasks[task], n, seed)
        record["runs"].append({"task": task, "n": n, "way": way, "seed": seed, **found})
        print(task, n, way, seed, f"{found['accuracy']:.3f}", f"{found['cpu_seconds']:.0f} s", flush=True)
        record["paired"] = paired(record["runs"])
        record["epochs"] = EPOCHS
        record["conditions"] = conditions("torch", fingerprint=public.fingerprint, threads=1)
        write_text(FILE, json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
