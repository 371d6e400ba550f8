"""Teachers and what they say about Training, as one file to distil from: results/teacher-NAME.npz.

    python bench/teacher.py mean NAME RUN [RUN ...] --data fer2013.csv --votes fer2013new.csv [--views 2]
    python bench/teacher.py train NUMBER --runs FOLDER --data fer2013.csv --votes fer2013new.csv
    python bench/teacher.py gather NAME --runs FOLDER --data fer2013.csv --votes fer2013new.csv

``mean`` asks finished runs, whatever they are, and keeps their mean. ``train`` and ``gather`` are for teachers that do
not answer about faces they have learnt (cross-fitting; Dao et al. 2021, arXiv 2104.09732): each of the
MEMBERS, half of them ``mien-base``, half as large as a ResNet18, is trained without a quarter of Training (train 0,
train 1, ...; a GPU takes minutes), and ``gather`` keeps for every face the mean of those that have not seen it, with
--share of the others too. It also scores the members and their mean on PublicTest (results/teachers-NAME.json), and
those that are ``mien-base`` as seeds of it (results/mien-base.json and its -ferplus).

Then: mien train RECIPE ... --target both --teacher results/teacher-NAME.npz. The file holds probabilities only, in the
order of the rows, and belongs to one fingerprint of the data.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from publish import VIEWS, read_tests, reports, summarised, write

from mien.data import FaceDataset, read_faces, read_votes, train_val, with_votes
from mien.files import replace_file
from mien.models import fold
from mien.recipe import Recipe, load_recipe
from mien.runs import make_network, train_run
from mien.teachers import Teacher, ask, save

RESULTS = Path(__file__).resolve().parents[1] / "results"
FOLDS = 4
LARGE = {"widths": [64, 128, 256, 512], "depths": [2, 2, 2, 2]}
#: Each fold is left out by two members, of two shapes and two crops.
MEMBERS: tuple[dict[str, Any], ...] = (
    *({"seed": k, "fold": k, "options": LARGE, "scale": 0.15} for k in range(FOLDS)),
    *({"seed": FOLDS + k, "fold": k, "options": {}, "scale": 0.25} for k in range(FOLDS)),
)
HEADS = {"": "first", "-ferplus": "second"}

Arrays = dict[str, NDArray[Any]]


def member(number: int, epochs: int | None = None) -> Recipe:
    """The recipe of one member."""
    own, recipe = MEMBERS[number], load_recipe("mien-base")
    options, augment = {**recipe.options, **own["options"]}, replace(recipe.augment, scale=own["scale"])
    return replace(recipe, options=options, augment=augment).override(seed=own["seed"], epochs=epochs)


def folds(faces: FaceDataset) -> NDArray[np.int64]:
    """The fold of each face, decided by its pixels, so that exact copies share one."""
    return np.array([_digest(image)[0] % FOLDS for image in faces.images])


def _digest(image: NDArray[np.uint8]) -> bytes:
    return hashlib.sha256(image.tobytes()).digest()


def train_member(number: int, train: FaceDataset, val: FaceDataset, runs: Path, device: str) -> None:
    """Train one member, into ``runs/NUMBER``, and leave what it says about all faces there."""
    seen = folds(train) != MEMBERS[number]["fold"]
    out = runs / str(number)
    train_run(member(number), train.take(seen), val, out, device=device)
    for part, faces, all_views in (("train", train, VIEWS[-1:]), ("val", val, VIEWS)):
        said: Arrays = {}
        for views in all_views:
            answers = ask([str(out)], faces, views=views, device=device).answers
            said |= {f"first{views}": answers[faces.names][0], f"second{views}": answers[faces.second_names][0]}
        replace_file(out / f"{part}.npz", lambda p, said=said: np.savez_compressed(p, allow_pickle=False, **said))


@dataclass(frozen=True)
class Kept:
    """What a member said about ``faces``, to be scored like a model: log probabilities by head and number of views."""

    faces: FaceDataset
    said: Arrays
    head: str
    name: str = "a teacher"
    file: str = ""

    @property
    def labels(self) -> tuple[str, ...]:
        return self.faces.names if self.head == "first" else self.faces.second_names

    @property
    def size(self) -> int:
        return self.faces.size[0]

    def answer(self, images: NDArray[np.uint8], *, views: int = 1) -> NDArray[np.float64]:
        row = {_digest(image): i for i, image in enumerate(self.faces.images)}
        p = np.exp(self.said[f"{self.head}{views}"][[row[_digest(image)] for image in images]].astype(float))
        return np.asarray(p / p.sum(1, keepdims=True))


def gather(name: str, data: str, votes: str, runs: Path, share: float, hardware: str) -> None:
    """Write the file to distil from, and the scores on PublicTest of the members and their mean."""
    train, val = both(data, votes)
    numbers = [k for k in range(len(MEMBERS)) if (runs / str(k) / "val.npz").is_file()]
    if {MEMBERS[k]["fold"] for k in numbers} != set(range(FOLDS)):
        raise SystemExit(f"{runs}: holds members {numbers}; each of {FOLDS} folds needs one that has not seen it")
    fold_of = folds(train)
    unseen = np.stack([fold_of == MEMBERS[k]["fold"] for k in numbers])  # (M, N)
    weight = np.where(unseen, 1.0, share)
    weight /= weight.sum(0)
    said, judged = ([dict(np.load(runs / str(k) / f"{part}.npz")) for k in numbers] for part in ("train", "val"))
    answers = {
        names: np.log(np.einsum("mn,mnk->nk", weight, np.exp([s[f"{head}{VIEWS[-1]}"] for s in said], dtype=float)))
        for head, names in (("first", train.names), ("second", train.second_names))
    }
    words = f"mean of {len(numbers)} teachers, each silent about faces it has learnt"
    if share:
        words = f"mean of {len(numbers)} teachers, with a share of {share:g} of those that have learnt a face"
    save(Teacher({k: a[None] for k, a in answers.items()}, (words,), ()), train, RESULTS / f"teacher-{name}.npz")
    mean = {key: np.log(np.exp([j[key] for j in judged], dtype=float).mean(0)) for key in judged[0]}
    entropy = -(np.exp(answers[train.names]) * answers[train.names]).sum(1).mean()
    record: dict[str, Any] = {
        "name": f"teachers-{name}",
        "what": "teachers, each trained without a quarter of Training, and the mean of their probabilities",
        "hardware": hardware,
        "targets": {"right": _right(answers[train.names], train), "entropy": float(entropy)},
        "members": [
            {
                **MEMBERS[k],
                "right_unseen": _right(s[f"first{VIEWS[-1]}"][u], train.take(u)),
                "right_seen": _right(s[f"first{VIEWS[-1]}"][~u], train.take(~u)),
            }
            for k, s, u in zip(numbers, said, unseen, strict=True)
        ],
    }
    for ending, head in HEADS.items():
        tests = read_tests(data, votes, bool(ending))
        seeds = [
            _seed(k, runs / str(k), train, reports(Kept(val, j, head), tests))
            for k, j in zip(numbers, judged, strict=True)
        ]
        record[f"mean{ending}"] = reports(Kept(val, mean, head), tests)
        record[f"summary{ending}"] = summarised(seeds, tests)
        base = [seed for k, seed in zip(numbers, seeds, strict=True) if not MEMBERS[k]["options"]]
        write(
            {
                "name": f"mien-base{ending}",
                "summary": summarised(base, tests),
                "hardware": hardware,
                "trained_on": f"{FOLDS - 1}/{FOLDS} of Training, another for each seed",
                "seeds": base,
            }
        )
    write(record)


def _right(log_p: NDArray[Any], faces: FaceDataset) -> float:
    return float((log_p.argmax(1) == faces.labels).mean())


def _seed(number: int, run: Path, train: FaceDataset, found: dict[str, Any]) -> dict[str, Any]:
    """As ``publish`` has it of a run."""
    history = json.loads((run / "history.json").read_text())
    recipe = member(number, len(history))
    network = fold(make_network(replace(recipe, votes_weight=0.0), train))
    return {
        "run": run.name,
        "seed": recipe.seed,
        "epochs": len(history),
        "training_minutes": sum(e["seconds"] for e in history) / 60,
        "last_epoch": {k: v for k, v in history[-1].items() if k.startswith(("train_", "val_", "theta"))},
        "parameters": sum(p.numel() for p in network.parameters()),
        "recipe": recipe.to_dict(),
        "teachers": None,
        "history": [{k: round(v, 5) for k, v in e.items()} for e in history],
        "reports": found,
    }


def both(data: str, votes: str) -> tuple[FaceDataset, FaceDataset]:
    """Training and PublicTest with both labellings."""
    return train_val(with_votes(read_faces(data), read_votes(votes), "both"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True, dest="command")
    mean, train, collect = (commands.add_parser(name) for name in ("mean", "train", "gather"))
    mean.add_argument("name")
    mean.add_argument("runs", nargs="+")
    mean.add_argument("--views", type=int, default=2)
    train.add_argument("number", type=int, choices=range(len(MEMBERS)))
    train.add_argument("--device", default="auto")
    collect.add_argument("name")
    collect.add_argument("--share", type=float, default=0.0, help="of teachers that have seen a face, 0..1")
    collect.add_argument("--hardware", required=True, help="where the members were trained, for the record")
    for command in (train, collect):
        command.add_argument("--runs", required=True, type=Path)
    for command in (mean, train, collect):
        command.add_argument("--data", required=True)
        command.add_argument("--votes", required=True)
    a = parser.parse_args()
    if a.command == "gather":
        gather(a.name, a.data, a.votes, a.runs, a.share, a.hardware)
        return
    part, held = both(a.data, a.votes)
    if a.command == "mean":
        save(ask(a.runs, part, views=a.views), part, RESULTS / f"teacher-{a.name}.npz")
    else:
        train_member(a.number, part, held, a.runs, a.device)


if __name__ == "__main__":
    main()
