"""Teachers, what they say, and the networks that follow them, side by side on one GPU, in the time that there is.

    python -m bench.training.side_by_side pack FILE --data fer2013.csv --votes fer2013new.csv --runs FOLDER
    python -m bench.training.side_by_side train FILE --out FOLDER --seconds 300 600 750
    python -m bench.training.side_by_side record FOLDER --data fer2013.csv --votes fer2013new.csv --hardware WORDS

``pack`` puts faces, votes and the runs that students start from into one file for a machine that has neither. ``train``
has a process for every network: teachers until the first of --seconds, then each of them answers about augmented views
of every face, then STUDENTS until the second, or the third. By the clock and not by epochs, so unequal networks end
together; a small one leaves most of a GPU idle, so all run at once (CUDA's multi-process service, where it is).
``record`` scores the teachers on PublicTest, into results/teachers-wide.json.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from bench.export.cards import write
from bench.export.publish import read_tests, reports, summarised
from bench.training.teacher import GROUPS, HEADS, Kept, both, member
from mien.data import FaceDataset
from mien.data.duplicates import near_duplicates
from mien.evaluation.calibration import fit_temperature
from mien.files import replace_file, write_text
from mien.models import outputs
from mien.models.inference import test_time_views
from mien.preprocessing import channels_first, normalise
from mien.spec import ModelSpec, Scale
from mien.training import transforms
from mien.training.devices import autocast, keep_memory
from mien.training.loop import fit
from mien.training.preparation import make_network, prepare
from mien.training.recipe import Augment, Distill, Recipe, load_recipe
from mien.training.starting import as_it_starts, begin, open_start
from mien.training.trained import make_spec

Grey = NDArray[np.int16]
Pair = tuple[Tensor, Tensor]  # the logits of both heads
Make = Callable[[Tensor, slice], Sequence[Tensor]]  # of faces and their rows what the network sees of them

GROUP = "wide"
AT_ONCE = 1024  # faces
VIEWS = 12  # augmented ones of each face, about which teachers answer
LONG_LR = 0.003  # of robust, when it goes on for long
SHOWN = (1, 10)  # test-time views of PublicTest


@dataclass(frozen=True)
class Student:
    """One network that follows the teachers: ``recipe`` and seed; the run of ``init`` with this seed is its start; it
    has the time until ``end``, the number of one of the later --seconds.
    """

    recipe: str
    seed: int
    init: str = ""
    end: int = 1

    @property
    def name(self) -> str:
        return f"{self.init or self.recipe}-{self.seed}"


STUDENTS = tuple(
    Student(recipe, seed, init, end)
    for recipe, init, end in (
        ("mien-base", "", 1),
        ("robust", "mien-small", 1),
        ("robust", "mien-nano", 2),
        ("deep-emotion-2019-light", "deep-emotion-2019", 2),
    )
    for seed in range(3)
)


def augment_of(views: str) -> Augment:
    """What makes the views of a set: "strong" is drawn for mien-base, "light" for the rest."""
    if views == "light":
        return load_recipe("robust").augment
    return replace(load_recipe("mien-base-scratch").augment, scale=0.2)


def recipe_of(student: Student) -> Recipe:
    """Its recipe: of ``mien-base`` what comes before it; of the others what goes on for long, and keeps nothing of its
    start.
    """
    recipe = replace(load_recipe(student.recipe).override(seed=student.seed), init=student.init, init_share=0.0)
    distill = replace(recipe.distill or Distill(), augmented_views=VIEWS)
    if not student.init:
        assert recipe.degrade is not None
        return replace(
            recipe,
            sizes=((0.0, 36), (0.5, 48)),
            augment=augment_of("strong"),
            degrade=replace(recipe.degrade, probability=0.1),
            distill=replace(distill, weight=0.8),
            optimizer=replace(recipe.optimizer, warmup=2.0),
        )
    recipe = replace(recipe, distill=distill, optimizer=replace(recipe.optimizer, trunk_lr_factor=1.0))
    return recipe.override(lr=LONG_LR if student.recipe == "robust" else None)


# --- faces -------------------------------------------------------------------------------------------------------


def pack(path: Path, train: FaceDataset, val: FaceDataset, clean: NDArray[np.bool_], runs: Path) -> None:
    """Write everything to one file: pixels as differences from what their neighbours suggest (median edge detector,
    Weinberger et al. 2000, LOCO-I, section 3.1), which are a third smaller when compressed.
    """
    arrays: dict[str, Any] = {"clean": clean}
    for part, faces in (("train", train), ("val", val)):
        arrays[f"{part}.images"] = _differences(faces.array)
        for f in fields(faces):
            value = getattr(faces, f.name)
            if f.name != "images" and value is not None:
                arrays[f"{part}.{f.name}"] = np.array(value)
    for file in sorted(runs.glob("*/*/model.safetensors")):
        arrays[f"run.{file.parent.parent.name}-{file.parent.name}"] = np.frombuffer(file.read_bytes(), np.uint8)
    replace_file(path, lambda p: np.savez_compressed(p, allow_pickle=False, **arrays))


def _expected(left: Grey, up: Grey, corner: Grey) -> Grey:
    """What a pixel is expected to be by its neighbours."""
    low, high = np.minimum(left, up), np.maximum(left, up)
    return np.where(corner >= high, low, np.where(corner <= low, high, left + up - corner)).astype(np.int16)


def _differences(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    x = np.pad(images.astype(np.int16), ((0, 0), (1, 0), (1, 0)))
    return (x[:, 1:, 1:] - _expected(x[:, 1:, :-1], x[:, :-1, 1:], x[:, :-1, :-1])).astype(np.uint8)


def unpack(path: Path, out: Path) -> None:
    """Lay what :func:`pack` wrote into ``out``, where every process reads it."""
    with np.load(path, allow_pickle=False) as kept:
        small = {}
        for key in kept.files:
            if key.endswith(".images"):
                np.save(out / f"{key}.npy", _summed(kept[key]))
            elif key.startswith("run."):
                (out / f"{key}.safetensors").write_bytes(kept[key].tobytes())
            else:
                small[key] = kept[key]
    np.savez(out / "faces.npz", allow_pickle=False, **small)


def _summed(differences: NDArray[np.uint8]) -> NDArray[np.uint8]:
    n, height, width = differences.shape
    x: Grey = np.zeros((height + 1, width + 1, n), np.int16)
    for i in range(1, height + 1):
        for j in range(1, width + 1):
            expected = _expected(x[i, j - 1], x[i - 1, j], x[i - 1, j - 1])
            x[i, j] = (differences[:, i - 1, j - 1] + expected) & 255
    return np.ascontiguousarray(x[1:, 1:].transpose(2, 0, 1).astype(np.uint8))


def faces_in(out: Path) -> tuple[FaceDataset, FaceDataset, NDArray[np.bool_]]:
    """Training and PublicTest with both labellings, and which of the latter have no near copy in the former."""
    with np.load(out / "faces.npz", allow_pickle=False) as kept:
        parts = []
        for part in ("train", "val"):
            own = {k.partition(".")[2]: kept[k] for k in kept.files if k.startswith(f"{part}.")}
            own |= {k: tuple(own[k].tolist()) for k in ("names", "second_names")} | {"source": str(own["source"])}
            parts.append(FaceDataset(np.load(out / f"{part}.images.npy"), **own))
        return parts[0], parts[1], kept["clean"]


# --- one process -------------------------------------------------------------------------------------------------


def teach(number: int, out: Path, start: float, end: float, device: str) -> None:
    """Train a teacher, and leave what it says about PublicTest and about the views of every set."""
    train, val, clean = faces_in(out)
    ready = prepare(member(GROUP, number), train, val)
    torch.manual_seed(ready.recipe.seed)
    network, history = fitted(make_network(ready.recipe, ready.train), ready.recipe, train, val, start, end, device)
    assert val.labels is not None
    assert val.second is not None
    spec, true = make_spec(ready.recipe, train), (val.labels, val.second.argmax(1))
    asked = partial(_logits, network, spec=spec, device=device)
    by_view = _whole(asked(val, made=lambda x, _: test_time_views(x, max(SHOWN))))
    temperatures = [
        fit_temperature(own[0].double().numpy()[known], labels[known])
        for own, labels, known in zip(by_view, true, (clean, clean & val.second.any(1)), strict=True)
    ]
    said = {
        f"{head}{views}": (own[:views] / t).softmax(2).mean(0).clamp_min(1e-6).log().half().numpy()
        for views in SHOWN
        for head, own, t in zip(("first", "second"), by_view, temperatures, strict=True)
    }
    seen = _whole(asked(train, made=lambda x, _: [x]))[0][0].argmax(1).numpy()
    told = {"history": history, "right_seen": float((seen == train.labels).mean()), "temperatures": temperatures}
    for views in ("strong", "light"):
        kept = []
        for draws in transforms.augmented_views(len(train), VIEWS):
            with autocast(torch.device(device)):
                pair = _whole(asked(train, made=partial(_view, augment_of(views), draws)))
            kept.append(torch.cat([(z[0] / t).log_softmax(1) for z, t in zip(pair, temperatures, strict=True)], 1))
        replace_file(out / f"teacher-{number}-{views}.npy", partial(_save, torch.stack(kept).half().numpy()))
    replace_file(out / f"teacher-{number}.npz", lambda p: np.savez_compressed(p, allow_pickle=False, **said))
    write_text(out / f"teacher-{number}.json", json.dumps(told))


def _save(array: NDArray[Any], path: Path) -> None:
    with path.open("wb") as file:
        np.save(file, array)


def _view(augment: Augment, draws: Tensor, x: Tensor, rows: slice) -> list[Tensor]:
    source = iter(draws[rows].to(x.device).unbind(1))
    return [transforms.augment(x, augment, source, x.shape[3]).round()]


@torch.no_grad()
def _logits(network: nn.Module, faces: FaceDataset, *, spec: ModelSpec, device: str, made: Make) -> Iterator[Pair]:
    """Both heads' logits ``(views, n, K)``, block by block."""
    for start in range(0, len(faces), AT_ONCE):
        rows = slice(start, start + AT_ONCE)
        x = torch.from_numpy(np.ascontiguousarray(channels_first(faces.array[rows]))).to(device).float()
        first, second = [], []
        for view in made(x, rows):
            out = outputs(network, normalise(view, spec))
            assert out.second is not None
            first.append(out.logits.float())
            second.append(out.second.float())
        yield torch.stack(first), torch.stack(second)


def _whole(blocks: Iterator[Pair]) -> Pair:
    """All blocks of both heads, on the CPU; nothing leaves the device before the last face."""
    first, second = zip(*blocks, strict=True)
    return torch.cat(first, 1).cpu(), torch.cat(second, 1).cpu()


def follow(student: Student, out: Path, start: float, end: float, device: str, wait: float) -> None:
    """Train a student of all teachers that have answered, at the latest ``wait`` after ``start``."""
    train, val, _ = faces_in(out)
    recipe, begun = recipe_of(student), None
    if student.init:
        begun = open_start(str(out / f"run.{student.name}.safetensors"))
        recipe = as_it_starts(recipe, begun, None)
    ready = prepare(recipe, train, val, taught=True)
    torch.manual_seed(recipe.seed)
    network = make_network(ready.recipe, ready.train)
    if begun is not None:
        network, _ = begin(network, begun, ready.recipe, ready.train)
    views = "light" if student.init else "strong"
    files = [out / f"teacher-{k}-{views}.npy" for k in range(len(GROUPS[GROUP]))]
    while time.time() < start + wait and not all(f.is_file() for f in files):
        time.sleep(0.2)
    files = [f for f in files if f.is_file()]
    if not files:
        raise SystemExit(f"no teacher has answered after {wait:.0f} seconds")
    targets = mean_of(files, train)
    print(f"{len(files)} teachers", flush=True)
    scale = (begun.spec.mean, begun.spec.std) if begun else None
    began = time.time()
    network, history = fitted(network, ready.recipe, train, val, began, start + end - began, device, targets, scale)
    state = {k: v.detach().cpu().contiguous() for k, v in network.state_dict().items()}
    replace_file(out / f"student-{student.name}.pt", partial(torch.save, state))
    write_text(out / f"student-{student.name}.json", json.dumps({"history": history, "teachers": len(files)}))


def mean_of(files: Sequence[Path], train: FaceDataset) -> dict[tuple[str, ...], NDArray[np.float16]]:
    """The mean of the teachers' distributions, by class names, ``(R, N, K)``."""
    total = sum(np.exp(np.load(f).astype(np.float32)) for f in files) / np.float32(len(files))
    at = len(train.names)
    return {
        names: (own / own.sum(2, keepdims=True)).astype(np.float16)
        for names, own in ((train.names, total[..., :at]), (train.second_names, total[..., at:]))
    }


def fitted(
    network: nn.Module,
    recipe: Recipe,
    train: FaceDataset,
    val: FaceDataset,
    start: float,
    seconds: float,
    device: str,
    targets: Mapping[tuple[str, ...], NDArray[Any]] | None = None,
    scale: tuple[Scale, Scale] | None = None,
) -> tuple[nn.Module, list[dict[str, float]]]:
    """``fit`` from ``start`` for ``seconds``; without a graph where a step cannot become one."""
    fresh = {k: v.clone() for k, v in network.state_dict().items()}
    told = partial(
        fit,
        network,
        train,
        val,
        recipe,
        teacher=targets,
        statistics=scale,
        device=device,
        clock=lambda: (time.time() - start) / seconds,
        on_epoch=lambda e: print(f"{e['epoch']:4.0f} {e['train_loss']:.3f} {100 * e['val_accuracy']:.1f}", flush=True),
    )
    try:
        return told()
    except RuntimeError as error:
        print(f"without a graph: {error}", flush=True)
        network.load_state_dict(fresh)
        return told(graph=False)


# --- all of them -------------------------------------------------------------------------------------------------


def train_all(file: Path, out: Path, seconds: Sequence[float], device: str) -> None:
    """A process for each network; what each prints goes to FOLDER/NAME.log."""
    began = time.time()
    out.mkdir(parents=True, exist_ok=True)
    unpack(file, out)
    print(f"faces after {time.time() - began:.0f} s", flush=True)
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    if device == "cuda":
        environment |= {f"CUDA_MPS_{k}_DIRECTORY": str(out / f"mps-{k.lower()}") for k in ("PIPE", "LOG")}
        subprocess.run(["nvidia-cuda-mps-control", "-d"], env=environment, check=False)
    jobs = [f"teacher:{k}" for k in range(len(GROUPS[GROUP]))] + [f"student:{k}" for k in range(len(STUDENTS))]
    running = {}
    for job in jobs:
        words = [sys.executable, "-m", "bench.training.side_by_side", "one", job, "--out", str(out), "--device", device]
        words += ["--began", str(began), "--seconds", *map(str, seconds)]
        with (out / f"{job.replace(':', '-')}.log").open("w") as log:
            running[job] = subprocess.Popen(words, env=environment, stdout=log, stderr=subprocess.STDOUT)
    while running:
        time.sleep(1)
        for job in [j for j, process in running.items() if process.poll() is not None]:
            print(f"{time.time() - began:4.0f} s: {job} ended with {running.pop(job).returncode}", flush=True)


def record(out: Path, data: str, votes: str, hardware: str) -> None:
    """Score the teachers and their mean on PublicTest, by what they said there."""
    _, val = both(data, votes)
    numbers = range(len(GROUPS[GROUP]))
    known = [json.loads((out / f"teacher-{k}.json").read_text()) for k in numbers]
    said = [dict(np.load(out / f"teacher-{k}.npz")) for k in numbers]
    found: dict[str, Any] = {
        "name": f"teachers-{GROUP}",
        "hardware": hardware,
        "members": [
            {**own, "epochs": len(k["history"]), "right_seen": k["right_seen"]}
            for own, k in zip(GROUPS[GROUP], known, strict=True)
        ],
    }
    mean = {key: np.log(np.exp([own[key] for own in said], dtype=float).mean(0)) for key in said[0]}
    kinds = [_kind(own) for own in GROUPS[GROUP]]
    for ending, head in HEADS.items():
        tests = read_tests(data, votes, bool(ending))
        scored = [{"reports": reports(Kept(val, own, head), tests)} for own in said]
        found[f"mean{ending}"] = reports(Kept(val, mean, head), tests)
        found[f"summary{ending}"] = summarised(scored, tests)
        found[f"kinds{ending}"] = [
            {"what": kind, "summary": summarised([s for s, k in zip(scored, kinds, strict=True) if k == kind], tests)}
            for kind in dict.fromkeys(kinds)
        ]
    write(found)


def _kind(own: Mapping[str, Any]) -> str:
    shape = "64/128/256 channels at 64 x 64 places" if "widths" in own["options"] else "80/160/320 channels"
    where = ", transformer on the feature map" if own["options"].get("transformer") == "feature" else ""
    return f"{shape}{where}, {'SGD' if 'optimizer' in own else 'AdamW'}"


def one(job: str, out: Path, began: float, seconds: Sequence[float], device: str) -> None:
    kind, _, number = job.partition(":")
    torch.set_num_threads(1)
    keep_memory()
    if kind == "teacher":
        teach(int(number), out, time.time(), began + seconds[0] - time.time(), device)
    else:
        own = STUDENTS[int(number)]
        follow(own, out, began, seconds[own.end], device, wait=(seconds[0] + seconds[1]) / 2)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True, dest="command")
    packing, training, single, kept = (commands.add_parser(name) for name in ("pack", "train", "one", "record"))
    for command in (packing, training):
        command.add_argument("file", type=Path)
    for command in (packing, kept):
        command.add_argument("--data", required=True)
        command.add_argument("--votes", required=True)
    kept.add_argument("folder", type=Path)
    kept.add_argument("--hardware", required=True, help="where they were trained")
    packing.add_argument("--runs", required=True, type=Path, help="holds NAME/SEED, the runs that students start from")
    single.add_argument("job")
    single.add_argument("--began", type=float, required=True)
    for command in (training, single):
        command.add_argument("--out", required=True, type=Path)
        command.add_argument("--seconds", required=True, nargs=3, type=float)
        command.add_argument("--device", default="cuda")
    a = parser.parse_args()
    if a.command == "pack":
        train, val = both(a.data, a.votes)
        pack(a.file, train, val, ~near_duplicates(val.array, train.array), a.runs)
    elif a.command == "train":
        train_all(a.file, a.out, a.seconds, a.device)
    elif a.command == "record":
        record(a.folder, a.data, a.votes, a.hardware)
    else:
        one(a.job, a.out, a.began, a.seconds, a.device)


if __name__ == "__main__":
    main()
