"""Training throughput: mien's way against the usual way, side by side on the same images.

    python -m bench.training.throughput [DATA] [--images 4000] [--rounds 3] [--out results/bench_train_throughput.json]
    python -m bench.training.throughput --recipe mien-small [--progressive]      # results/bench_train_family.json

Ours: one uint8 array in memory, augmentation on whole batches, the recipe's network (with the branches and batch norm
that it has while training), optimizer and weight average, bf16 where the CPU has it: ``training.loop.fit``, as users
run it.
Usual: one PNG file an image in class folders, a torch DataLoader with two workers that opens each with Pillow, flips,
turns, converts and normalises it image by image; a plain network in float32, channels first, with Adam. Its files are
in the page cache and its workers stay alive between epochs, which flatters it. Against the 2019 recipes the plain
network is the 2019 network as public copies write it; against the family it is ResNet18 for small pictures, the usual
choice for this size, which is another network with more to compute: the ratio is that of two ways to train a network,
not of two implementations of one. What each computes is therefore given too: multiply-adds an image of the deployed
network, and GMAC/s of training as 3 x MMAC x images/s (forward pass once, backward pass twice; branches, batch norm,
augmentation and optimizer are not counted).

Recipes of the family train on small images first and have a second head. Both are switched off here, so that both ways
see the same images at the same size: ``sizes=(), votes_weight=0``. ``--progressive`` keeps the sizes in our way: each
is measured on its own and has the share in the mean that it has in the recipe; GMAC/s is then left out.

Both see the same images at the same batch size, each round in a process of its own. Rounds alternate; a round's first
epoch is warm-up and isn't counted. An epoch counts from its first step to its last, loading included; validation isn't
measured. Processor time, warm-up included, is given too: on a busy machine it says more than the clock. The result is
one JSON with its conditions.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any, TypeVar

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageOps
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from bench.conditions import RESULTS, conditions, save
from bench.models.reference_nets import PlainNet, ResNet18, counts
from mien.data import FaceDataset, read_faces
from mien.data.synthetic.generate import generate
from mien.files import check_writable
from mien.models import create_model
from mien.training import loop as engine
from mien.training.devices import describe, keep_memory
from mien.training.recipe import Recipe, load_recipe

T = TypeVar("T")
WORKERS = 2
DEGREES = 10


class PictureFolder(Dataset[tuple[Tensor, int]]):
    """PNG files in class folders, opened and transformed one by one, as image folders usually are."""

    def __init__(self, root: Path, mean: Any, std: Any) -> None:
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


def is_family(recipe: Recipe) -> bool:
    """Whether the recipe trains a network of the family, and not that of 2019."""
    return recipe.model.startswith("mien-")


def usual(root: Path, ds: FaceDataset, recipe: Recipe, epochs: int) -> tuple[list[float], float]:
    """Images/s of each epoch of the usual way, and processor seconds for 1,000 images, loader workers included."""
    before, total = cpu_seconds(), 0
    mean, std = ds.statistics
    batch = recipe.batch_size
    loader = DataLoader(
        PictureFolder(root, mean, std),
        batch,
        shuffle=True,
        num_workers=WORKERS,
        persistent_workers=True,
        drop_last=True,
    )
    model = (ResNet18 if is_family(recipe) else PlainNet)(len(ds.names)).train()
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
    mean, std = ds.statistics
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
    start, images = time.perf_counter(), 0

    def on_batch(batch: engine.Batch) -> None:
        nonlocal images
        if batch.step == batch.steps:
            rates.append(batch.steps * recipe.batch_size / (time.perf_counter() - start))
            images += batch.steps * recipe.batch_size

    def on_epoch(_: dict[str, float]) -> None:
        nonlocal start
        start = time.perf_counter()

    keep_memory()  # as mien train does
    torch.manual_seed(0)
    model = create_model(recipe.model, num_classes=len(ds.names), **recipe.options)
    held = ds.take(slice(0, 64))  # validation isn't part of the measurement
    engine.fit(model, ds, held, recipe.override(epochs=epochs), device="cpu", on_batch=on_batch, on_epoch=on_epoch)
    return rates, 1000 * (cpu_seconds() - before) / images


def ours_by_size(root: Path, ds: FaceDataset, recipe: Recipe, epochs: int) -> tuple[list[float], float]:
    """The same with the recipe's progressive sizes: each measured for ``epochs``, then weighed by its share."""
    starts = [start for start, _ in recipe.sizes]
    shares = [end - start for start, end in zip(starts, [*starts[1:], 1.0], strict=True)]
    found = [ours(root, ds, replace(recipe, sizes=((0, side),)), epochs) for _, side in recipe.sizes]
    seconds = [sum(s / r for s, r in zip(shares, row, strict=True)) for row in zip(*(r for r, _ in found), strict=True)]
    return [1 / s for s in seconds], sum(s * cost for s, (_, cost) in zip(shares, found, strict=True))


def networks(ds: FaceDataset, recipe: Recipe) -> dict[str, dict[str, Any]]:
    """Name and size of the network that each way trains."""
    plain = ResNet18 if is_family(recipe) else PlainNet
    model = create_model(recipe.model, num_classes=len(ds.names), **recipe.options)
    return {
        "usual": {"network": plain.__name__, **counts(plain(len(ds.names)), ds.size[0])},
        "ours": {"network": recipe.model, **counts(model, ds.size[0])},
    }


def summary(rounds: list[list[float]], costs: list[float]) -> dict[str, Any]:
    """Median over all counted epochs, every one of them, and the median processor time."""
    every = [rate for epochs in rounds for rate in epochs]
    return {
        "images_per_second": round(statistics.median(every), 1),
        "cpu_seconds_per_1000_images": round(statistics.median(costs), 3),
        "epochs": [round(r, 1) for r in every],
    }


def told(ds: FaceDataset, recipe: Recipe, args: argparse.Namespace, load_before: float) -> dict[str, Any]:
    """Everything that the figures depend on."""
    return conditions(
        *("torch", "numpy", "pillow"),
        data=Path(ds.source).name,
        fingerprint=ds.fingerprint,
        images=len(ds),
        size=list(ds.size),
        batch_size=recipe.batch_size,
        recipe=recipe.name,
        sizes=[list(pair) for pair in recipe.sizes],
        rounds=args.rounds,
        epochs_per_round=args.epochs,
        loader_workers=WORKERS,
        load_1min_at_start=round(load_before, 2),
        **describe(torch.device("cpu")),
    )


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
    load_before = os.getloadavg()[0]
    found: dict[str, list[list[float]]] = {"usual": [], "ours": []}
    costs: dict[str, list[float]] = {"usual": [], "ours": []}
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "pictures"
        write_pictures(ds, root)
        for turn in range(args.rounds):
            for name, way in (("usual", usual), ("ours", ours_by_size if recipe.sizes else ours)):
                rates, cost = alone(args.threads, way, root, ds, recipe, args.epochs + 1)
                rates = rates[1:]
                found[name].append(rates)
                costs[name].append(cost)
                print(f"round {turn + 1}, {name}: {statistics.median(rates):,.0f} images/s", file=sys.stderr)
        only = alone(args.threads, loading, root, ds, recipe)
    kinds = networks(ds, recipe)
    result = {name: {**summary(found[name], costs[name]), **kinds[name]} for name in found}
    for name, entry in result.items():
        if name == "usual" or not recipe.sizes:
            entry["training_gmac_per_second"] = round(3 * entry["mmac"] * entry["images_per_second"] / 1000, 1)
    result["usual"]["loading_alone_images_per_second"] = round(only, 1)
    ratio = result["ours"]["images_per_second"] / result["usual"]["images_per_second"]
    cheaper = result["usual"]["cpu_seconds_per_1000_images"] / result["ours"]["cpu_seconds_per_1000_images"]
    return {
        "what": f"training throughput of {recipe.model if is_family(recipe) else 'the 2019 network'}",
        **result,
        "ratio": round(ratio, 2),
        "ratio_of_cpu_seconds": round(cheaper, 2),
        "conditions": told(ds, recipe, args, load_before),
    }


def table(result: dict[str, Any]) -> Iterator[str]:
    """Lines for people."""
    yield f"{'':6} {'network':18} {'parameters':>10} {'MMAC/image':>10} {'images/s':>9} {'GMAC/s, 3 passes':>17}"
    for name in ("ours", "usual"):
        r = result[name]
        speed = r.get("training_gmac_per_second", "")
        yield (
            f"{name:6} {r['network']:18} {r['parameters']:10,} {r['mmac']:10,.2f} {r['images_per_second']:9,.0f} "
            f"{speed:>17}"
        )


def main() -> None:
    """Parse the arguments, measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="?", help="a data set as mien reads it; synthetic faces by default")
    parser.add_argument("--images", type=int, help="how many of its training images; 4000, or 1000 for the family")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--epochs", type=int, help="counted epochs a round; 2, or 1 for the family")
    parser.add_argument("--threads", type=int, help="torch threads of both ways; torch decides where not given")
    parser.add_argument("--recipe", default="deep-emotion-2019")
    parser.add_argument("--progressive", action="store_true", help="keep the recipe's progressive sizes in our way")
    parser.add_argument("--out", type=Path, help="where the JSON goes; in results/ by default")
    args = parser.parse_args()
    recipe = load_recipe(args.recipe)
    recipe = replace(recipe, sizes=recipe.sizes if args.progressive else (), votes_weight=0.0)
    family = is_family(recipe)
    args.images = args.images or (1000 if family else 4000)
    args.epochs = args.epochs or (1 if family else 2)
    args.out = args.out or RESULTS / f"bench_train_{'family' if family else 'throughput'}.json"
    check_writable(args.out.parent)
    if args.threads:
        torch.set_num_threads(args.threads)
    ds = read_faces(args.data) if args.data else generate(round(args.images * 1.3))
    ds = ds.part("Training") if "Training" in ds.splits else ds
    result = measure(ds.take(slice(0, args.images)), recipe, args)
    save(args.out, result, show=False)
    print("\n".join(table(result)))
    print(f"ratio {result['ratio']:.1f}, of processor time {result['ratio_of_cpu_seconds']:.1f}; written to {args.out}")


if __name__ == "__main__":
    main()
