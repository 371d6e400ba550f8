"""Teachers and what they say about Training.

    python -m bench.training.teacher mean NAME RUN [RUN ...] --data fer2013.csv --votes fer2013new.csv [--views 2]
    python -m bench.training.teacher train GROUP NUMBER --runs FOLDER --data fer2013.csv --votes fer2013new.csv
    python -m bench.training.teacher gather GROUP --runs FOLDER --data ... --votes ... --hardware WORDS

``mean`` keeps what finished runs, whatever they are, predict in results/teacher-NAME.npz: probabilities only, in the
order of the rows, for one fingerprint of the data (mien train RECIPE ... --teacher results/teacher-NAME.npz).

``train`` trains one member of a group (0, 1, ...; a GPU takes minutes); ``gather`` scores the members and their mean on
PublicTest (results/teachers-GROUP.json), and those that are ``mien-base-scratch`` as seeds of it
(results/mien-base-scratch.json and its -ferplus). The groups:

six    six of ``mien-base-scratch``, half of them with the transformer on the feature map, trained on all of Training;
       networks follow their runs (mien train RECIPE ... --teacher RUNS/0,RUNS/1,...), answering about augmented views
eight  teachers that do not answer about faces they have learnt (cross-fitting; Dao et al. 2021, arXiv 2104.09732), four
       of ``mien-base-scratch`` and four of a ResNet18's shape, each without a quarter of Training; ``gather`` keeps for
       every face the mean of those that have not seen it, with --share of the others too, in results/teacher-eight.npz
wide   eight of two shapes and by two optimizers, trained side by side (bench/training/side_by_side.py)
"""

from __future__ import annotations

import argparse
import hashlib
import json
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.conditions import RESULTS
from bench.export.cards import write
from bench.export.publish import VIEWS, read_tests, reports, summarised
from mien.data import FaceDataset, read_faces, read_votes, train_val, with_votes
from mien.files import replace_file
from mien.models import fuse
from mien.training.distillation import Predictions, predict_faces, save_predictions
from mien.training.preparation import make_network
from mien.training.recipe import Recipe, load_recipe
from mien.training.run import train as train_network
from mien.training.teachers import Teacher

FOLDS = 4
LARGE = {"widths": [64, 128, 256, 512], "depths": [2, 2, 2, 2]}
#: The shape of ``mien-base``: fewer channels, which see 64 x 64 places.
WIDE = {"widths": [64, 128, 256], "zoom": 4 / 3}
SGD = {"name": "sgd", "lr": 0.2, "weight_decay": 5e-4}
STRONG = {"degrees": 15, "erase_high": 20}
GROUPS: dict[str, tuple[dict[str, Any], ...]] = {
    "wide": (
        *({"seed": k, "options": WIDE, "sizes": ((0.0, 36), (0.5, 48)), "optimizer": SGD, **STRONG} for k in range(3)),
        *({"seed": k, "options": WIDE, "sizes": ((0.0, 36), (0.5, 48)), **STRONG} for k in (3, 4)),
        *({"seed": k, "options": {}, "sizes": ((0.0, 40), (0.5, 48)), **STRONG} for k in (5, 6)),
        {"seed": 7, "options": {"transformer": "feature"}, "sizes": ((0.0, 40), (0.5, 48)), **STRONG},
    ),
    "six": tuple({"seed": k, "options": {} if k < 3 else {"transformer": "feature"}} for k in range(6)),
    # each fold is left out by two members, of two shapes and two crops
    "eight": (
        *({"seed": k, "fold": k, "options": LARGE, "scale": 0.15} for k in range(FOLDS)),
        *({"seed": FOLDS + k, "fold": k, "options": {}} for k in range(FOLDS)),
    ),
}
HEADS = {"": "first", "-ferplus": "second"}

Arrays = dict[str, NDArray[Any]]


def member(group: str, number: int, epochs: int | None = None) -> Recipe:
    """The recipe of one member."""
    own, recipe = GROUPS[group][number], load_recipe("mien-base-scratch")
    augment = replace(recipe.augment, **{k: own[k] for k in ("scale", *STRONG) if k in own})
    optimizer = replace(recipe.optimizer, **own.get("optimizer", {}))
    changed = {"options": {**recipe.options, **own["options"]}, "sizes": own.get("sizes", recipe.sizes)}
    return replace(recipe, augment=augment, optimizer=optimizer, **changed).override(seed=own["seed"], epochs=epochs)


def folds(faces: FaceDataset) -> NDArray[np.int64]:
    """The fold of each face, decided by its pixels, so that exact copies share one."""
    return np.array([_digest(image)[0] % FOLDS for image in faces.images])


def _digest(image: NDArray[np.uint8]) -> bytes:
    return hashlib.sha256(image.tobytes()).digest()


def seen(group: str, number: int, faces: FaceDataset) -> NDArray[np.bool_]:
    """Which of ``faces`` a member learns."""
    own = GROUPS[group][number].get("fold")
    return np.ones(len(faces), bool) if own is None else folds(faces) != own


def train_member(group: str, number: int, train: FaceDataset, val: FaceDataset, runs: Path, device: str) -> None:
    """Train one member, into ``runs/NUMBER``, and leave what it says about all faces there."""
    out = runs / str(number)
    train_network(member(group, number), train.take(seen(group, number, train)), val, out=out, device=device)
    for part, faces, all_views in (("train", train, VIEWS[-1:]), ("val", val, VIEWS)):
        said: Arrays = {}
        for views in all_views:
            found = predict_faces([str(out)], faces, views=views, device=device).log_probabilities
            said |= {f"first{views}": found[faces.names][0], f"second{views}": found[faces.second_names][0]}
        replace_file(out / f"{part}.npz", partial(_pack, said))


def _pack(arrays: Arrays, file: Path) -> None:
    np.savez_compressed(file, allow_pickle=False, **arrays)


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

    def predict(self, images: NDArray[np.uint8], *, views: int = 1) -> NDArray[np.float64]:
        row = {_digest(image): i for i, image in enumerate(self.faces.images)}
        p = np.exp(self.said[f"{self.head}{views}"][[row[_digest(image)] for image in images]].astype(float))
        return np.asarray(p / p.sum(1, keepdims=True))


def gather(group: str, data: str, votes: str, runs: Path, share: float, hardware: str) -> None:
    """Score the members and their mean on PublicTest; of a cross-fitted group, write the file to distil from."""
    train, val = both(data, votes)
    numbers = [k for k in range(len(GROUPS[group])) if (runs / str(k) / "val.npz").is_file()]
    unseen = np.stack([~seen(group, k, train) for k in numbers])  # (M, N)
    said, judged = ([dict(np.load(runs / str(k) / f"{part}.npz")) for k in numbers] for part in ("train", "val"))
    record: dict[str, Any] = {
        "name": f"teachers-{group}",
        "hardware": hardware,
        "members": [
            {
                **GROUPS[group][k],
                "right_seen": _right(s[f"first{VIEWS[-1]}"][~u], train.take(~u)),
                **({"right_unseen": _right(s[f"first{VIEWS[-1]}"][u], train.take(u))} if u.any() else {}),
            }
            for k, s, u in zip(numbers, said, unseen, strict=True)
        ],
    }
    if unseen.any():
        record["targets"] = _cross_fitted(group, train, unseen, said, share)
    mean = {key: np.log(np.exp([j[key] for j in judged], dtype=float).mean(0)) for key in judged[0]}
    usual = load_recipe("mien-base-scratch").options
    for ending, head in HEADS.items():
        tests = read_tests(data, votes, bool(ending))
        seeds = [
            _seed(member(group, k), runs / str(k), train, reports(Kept(val, j, head), tests))
            for k, j in zip(numbers, judged, strict=True)
        ]
        record[f"mean{ending}"] = reports(Kept(val, mean, head), tests)
        record[f"summary{ending}"] = summarised(seeds, tests)
        kinds = [seed["recipe"]["options"] for seed in seeds]
        record[f"kinds{ending}"] = [
            {"options": kind, "summary": summarised([s for s in seeds if s["recipe"]["options"] == kind], tests)}
            for i, kind in enumerate(kinds)
            if kind not in kinds[:i]
        ]
        base = [seed for seed in seeds if seed["recipe"]["options"] == usual]
        part = f"{FOLDS - 1}/{FOLDS} of Training, another for each seed"
        write(
            {
                "name": f"mien-base-scratch{ending}",
                "summary": summarised(base, tests),
                "hardware": hardware,
                **({"trained_on": part} if unseen.any() else {}),
                "seeds": base,
            }
        )
    write(record)


def _cross_fitted(
    group: str, train: FaceDataset, unseen: NDArray[np.bool_], said: list[Arrays], share: float
) -> dict[str, float]:
    """Write the answers of those that have not seen a face; how often these are right, and their mean entropy."""
    if not unseen.any(0).all():
        raise SystemExit(f"members are missing: each of {FOLDS} folds needs one that has not seen it")
    weight = np.where(unseen, 1.0, share)
    weight /= weight.sum(0)
    answers = {
        names: np.log(np.einsum("mn,mnk->nk", weight, np.exp([s[f"{head}{VIEWS[-1]}"] for s in said], dtype=float)))
        for head, names in (("first", train.names), ("second", train.second_names))
    }
    words = f"mean of {len(said)} teachers, each silent about faces it has learnt"
    if share:
        words = f"mean of {len(said)} teachers, with a share of {share:g} of those that have learnt a face"
    found = Predictions({k: a[None] for k, a in answers.items()}, (Teacher(words, ""),))
    save_predictions(found, train, RESULTS / f"teacher-{group}.npz")
    entropy = -(np.exp(answers[train.names]) * answers[train.names]).sum(1).mean()
    return {"right": _right(answers[train.names], train), "entropy": float(entropy)}


def _right(log_p: NDArray[Any], faces: FaceDataset) -> float:
    return float((log_p.argmax(1) == faces.labels).mean())


def _seed(recipe: Recipe, run: Path, train: FaceDataset, found: dict[str, Any]) -> dict[str, Any]:
    """As ``publish`` has it of a run."""
    history = json.loads((run / "history.json").read_text())
    recipe = recipe.override(epochs=len(history))
    network = fuse(make_network(replace(recipe, votes_weight=0.0), train))
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
    train.add_argument("group", choices=GROUPS)
    train.add_argument("number", type=int)
    train.add_argument("--device", default="auto")
    collect.add_argument("group", choices=GROUPS)
    collect.add_argument("--share", type=float, default=0.0, help="of teachers that have seen a face, 0..1")
    collect.add_argument("--hardware", required=True, help="where the members were trained, for the record")
    for command in (train, collect):
        command.add_argument("--runs", required=True, type=Path)
    for command in (mean, train, collect):
        command.add_argument("--data", required=True)
        command.add_argument("--votes", required=True)
    a = parser.parse_args()
    if a.command == "gather":
        gather(a.group, a.data, a.votes, a.runs, a.share, a.hardware)
        return
    part, held = both(a.data, a.votes)
    if a.command == "mean":
        found = predict_faces(a.runs, part, views=a.views)
        save_predictions(found, part, RESULTS / f"teacher-{a.name}.npz")
    else:
        train_member(a.group, a.number, part, held, a.runs, a.device)


if __name__ == "__main__":
    main()
