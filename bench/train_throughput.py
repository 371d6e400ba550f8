"""Training throughput of the 2019 network: mien's way against the usual way, side by side on the same images.

    python bench/train_throughput.py [DATA] [--images 4000] [--rounds 3] [--out results/bench_train_throughput.json]

Ours: one uint8 array in memory, augmentation on whole batches, the recipe's network (with the branches and batch norm
that it has while training), optimizer and weight average, bf16 where the CPU has it: ``mien.engine.fit``, as users run
it.
Usual: one PNG file an image in class folders, a torch DataLoader with two workers that opens each with Pillow, flips,
turns, converts and normalises it image by image; the plain network in float32 with Adam. Its files are in the page
cache and its workers stay alive between epochs, which flatters it.

Both see the same images at the same batch size, each round in a process of its own. Rounds alternate; a round's first
epoch is warm-up and isn't counted. An epoch counts from its first step to its last, loading included; validation isn't
measured. Processor time, warm-up included, is given too: on a busy machine it says more than the clock. The result is
one JSON with its conditions.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from datetime import datetime, timezone
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path
from typing import Any, TypeVar

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageOps
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from mien import engine
from mien.data import FaceDataset, read_faces
from mien.data.synthetic import generate
from mien.devices import describe
from mien.files import check_writable, write_text
from mien.models import create_model
from mien.recipe import Recipe, load_recipe

T = TypeVar("T")
WORKERS = 2
DEGREES = 10


class PlainNet(nn.Module):
    """The 2019 network as public copies write it: transformer on the input, four convolutions of 10, 810-50-K."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        theta = nn.Linear(32, 6)
        nn.init.zeros_(theta.weight)
        theta.bias.data.copy_(torch.tensor([1.0, 0, 0, 0, 1, 0]))
        self.look = nn.Sequential(
            *(nn.Conv2d(1, 8, 7), nn.MaxPool2d(2), nn.ReLU()),
            *(nn.Conv2d(8, 10, 5), nn.MaxPool2d(2), nn.ReLU()),
            *(nn.Flatten(), nn.Linear(640, 32), nn.ReLU(), theta),
        )
        self.features = nn.Sequential(
            *(nn.Conv2d(1, 10, 3), nn.ReLU(), nn.Conv2d(10, 10, 3), nn.MaxPool2d(2), nn.ReLU()),
            *(nn.Conv2d(10, 10, 3), nn.ReLU(), nn.Conv2d(10, 10, 3), nn.BatchNorm2d(10), nn.MaxPool2d(2), nn.ReLU()),
            *(nn.Dropout(), nn.Flatten(), nn.Linear(810, 50), nn.ReLU(), nn.Linear(50, classes)),
        )

    def forward(self, x: Tensor) -> Tensor:
        grid = F.affine_grid(self.look(x).view(-1, 2, 3), list(x.shape), align_corners=False)
        logits: Tensor = self.features(F.grid_sample(x, grid, align_corners=False))
        return logits


class PictureFolder(Dataset[tuple[Tensor, int]]):
    """PNG files in class folders, opened and transformed one by one, as image folders usually are."""

    def __init__(self, root: Path, mean: float, std: float) -> None:
        classes = sorted(p for p in root.iterdir() if p.is_dir())
        self.files = [(file, i) for i, folder in enumerate(classes) for file in sorted(folder.iterdir())]
        self.mean, self.std = mean, std

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, i: int) -> tuple[Tensor, int]:
        file, label = self.files[i]
        with Image.open(file) as opened:
            picture: Image.Image = opened.convert("L")
        if torch.rand(1).item() < 0.5:
            picture = ImageOps.mirror(picture)
        turn = torch.empty(1).uniform_(-DEGREES, DEGREES).item()
        picture = picture.rotate(turn, resample=Image.Resampling.BILINEAR)
        x = torch.from_numpy(np.array(picture, dtype=np.uint8))[None].float().div(255)
        return x.sub(self.mean).div(self.std), label


def write_pictures(ds: FaceDataset, root: Path) -> None:
    """One PNG an image, in a folder for each class."""
    assert ds.labels is not None
    for i, name in enumerate(ds.names):
        (root / f"{i}_{name}").mkdir(parents=True)
    for row, (image, label) in enumerate(zip(ds.images, ds.labels, strict=True)):
        done = cv2.imwrite(str(root / f"{label}_{ds.names[label]}" / f"{row:06d}.png"), image)
        if not done:
            raise OSError(f"could not write picture {row}")


def usual(root: Path, ds: FaceDataset, recipe: Recipe, epochs: int) -> tuple[list[float], float]:
    """Images/s of each epoch of the usual way, and processor seconds for 1,000 images, loader workers included."""
    before, total = cpu_seconds(), 0
    mean, std = engine.statistics(ds.images)
    batch = recipe.batch_size
    loader = DataLoader(
        PictureFolder(root, mean, std),
        batch,
        shuffle=True,
        num_workers=WORKERS,
        persistent_workers=True,
        drop_last=True,
    )
    model = PlainNet(len(ds.names)).train()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    rates = []
    for _ in range(epochs):
        start, images = time.perf_counter(), 0
        for x, y in loader:
            loss = F.cross_entropy(model(x), y)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            loss.item()
            images += len(x)
        rates.append(images / (time.perf_counter() - start))
        total += images
    del loader  # its workers end, and their time counts
    return rates, 1000 * (cpu_seconds() - before) / total


def loading(root: Path, ds: FaceDataset, recipe: Recipe) -> float:
    """Images/s of the usual loader alone, nothing learnt; the second of two epochs."""
    mean, std = engine.statistics(ds.images)
    loader = DataLoader(PictureFolder(root, mean, std), recipe.batch_size, num_workers=WORKERS, persistent_workers=True)
    for _ in range(2):
        start = time.perf_counter()
        images = sum(len(x) for x, _ in loader)
        rate = images / (time.perf_counter() - start)
    return rate


def ours(_root: Path, ds: FaceDataset, recipe: Recipe, epochs: int) -> tuple[list[float], float]:
    """Images/s of each epoch of mien's way by the wall clock, and processor seconds for 1,000 images."""
    before = cpu_seconds()
    rates: list[float] = []
    start = time.perf_counter()

    def on_batch(batch: engine.Batch) -> None:
        nonlocal start
        if batch.step == batch.steps:
            rates.append(batch.steps * recipe.batch_size / (time.perf_counter() - start))

    def on_epoch(_: dict[str, float]) -> None:
        nonlocal start
        start = time.perf_counter()

    torch.manual_seed(0)
    model = create_model(recipe.model, num_classes=len(ds.names), **recipe.options)
    held = ds.take(slice(0, 64))  # validation isn't part of the measurement
    engine.fit(model, ds, held, recipe.override(epochs=epochs), device="cpu", on_batch=on_batch, on_epoch=on_epoch)
    images = epochs * (len(ds) // recipe.batch_size) * recipe.batch_size
    return rates, 1000 * (cpu_seconds() - before) / images


def summary(rounds: list[list[float]], costs: list[float]) -> dict[str, Any]:
    """Median over all counted epochs, every one of them, and the median processor time."""
    every = [rate for epochs in rounds for rate in epochs]
    return {
        "images_per_second": round(statistics.median(every), 1),
        "cpu_seconds_per_1000_images": round(statistics.median(costs), 3),
        "epochs": [round(r, 1) for r in every],
    }


def cpu_name() -> str:
    """The processor's name as Linux has it, else as Python has it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def conditions(ds: FaceDataset, recipe: Recipe, args: argparse.Namespace, load_before: float) -> dict[str, Any]:
    """Everything that the figures depend on."""
    return {
        "data": ds.source,
        "fingerprint": ds.fingerprint,
        "images": len(ds),
        "size": list(ds.size),
        "batch_size": recipe.batch_size,
        "recipe": recipe.name,
        "rounds": args.rounds,
        "epochs_per_round": args.epochs,
        "loader_workers": WORKERS,
        "cpu": cpu_name(),
        "cpus": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        **describe(torch.device("cpu")),
        "load_average_before": round(load_before, 2),
        "system": platform.system(),
        "versions": {
            "python": platform.python_version(),
            **{name: version(name) for name in ("mien", "torch", "numpy", "pillow")},
        },
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
    }


def alone(threads: int | None, way: Callable[..., T], *arguments: Any) -> T:
    """Run ``way`` in a fresh process, so that neither way inherits threads or memory settings of the other."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(_with_threads, threads, way, *arguments).result()


def _with_threads(threads: int | None, way: Callable[..., T], *arguments: Any) -> T:
    if threads:
        torch.set_num_threads(threads)
    return way(*arguments)


def cpu_seconds() -> float:
    """User and system time of this process and of its children that have ended."""
    return sum(os.times()[:4])


def measure(ds: FaceDataset, recipe: Recipe, args: argparse.Namespace) -> dict[str, Any]:
    """Alternate both ways and collect the figures."""
    load_before = os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
    found: dict[str, list[list[float]]] = {"usual": [], "ours": []}
    costs: dict[str, list[float]] = {"usual": [], "ours": []}
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "pictures"
        write_pictures(ds, root)
        for turn in range(args.rounds):
            for name, way in (("usual", usual), ("ours", ours)):
                rates, cost = alone(args.threads, way, root, ds, recipe, args.epochs + 1)
                rates = rates[1:]
                found[name].append(rates)
                costs[name].append(cost)
                print(f"round {turn + 1}, {name}: {statistics.median(rates):,.0f} images/s", file=sys.stderr)
        only = alone(args.threads, loading, root, ds, recipe)
    result = {name: summary(found[name], costs[name]) for name in found}
    result["usual"]["loading_alone_images_per_second"] = round(only, 1)
    ratio = result["ours"]["images_per_second"] / result["usual"]["images_per_second"]
    cheaper = result["usual"]["cpu_seconds_per_1000_images"] / result["ours"]["cpu_seconds_per_1000_images"]
    return {
        "what": "training throughput of the 2019 network",
        **result,
        "ratio": round(ratio, 2),
        "ratio_of_cpu_seconds": round(cheaper, 2),
        "conditions": conditions(ds, recipe, args, load_before),
    }


def main() -> None:
    """Parse the arguments, measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="?", help="a data set as mien reads it; synthetic faces by default")
    parser.add_argument("--images", type=int, default=4000, help="how many of its training images to use")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=2, help="counted epochs a round")
    parser.add_argument("--threads", type=int, help="torch threads of both ways; torch decides where not given")
    parser.add_argument("--recipe", default="deep-emotion-2019")
    parser.add_argument("--out", type=Path, default=Path("results/bench_train_throughput.json"))
    args = parser.parse_args()
    check_writable(args.out.parent)
    if args.threads:
        torch.set_num_threads(args.threads)
    recipe = load_recipe(args.recipe)
    ds = read_faces(args.data) if args.data else generate(round(args.images * 1.3))
    ds = ds.part("Training") if "Training" in ds.splits else ds
    result = measure(ds.take(slice(0, args.images)), recipe, args)
    write_text(args.out, json.dumps(result, indent=2) + "\n")
    print(f"ours   {result['ours']['images_per_second']:10,.0f} images/s")
    print(f"usual  {result['usual']['images_per_second']:10,.0f} images/s")
    print(f"ratio  {result['ratio']:10.1f}   written to {args.out}")


if __name__ == "__main__":
    main()
