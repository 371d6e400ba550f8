"""How hard the synthetic faces are: a linear model on pixels against the 2019 network, on people neither has seen.

    python -m bench.data.synthetic_baseline [--faces 4000] [--epochs 60] [--seed 0] [--out FILE]

The set is worth learning on if the linear model stays clearly below the network (position, light and identity must be
looked through) and the network falls short of perfect (faint expressions are drawn to be doubtful). The last epoch
counts; nothing is chosen on the validation people. Needs scikit-learn (the extra ``dev``).
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from bench.conditions import RESULTS, conditions, save
from mien.data import FaceDataset
from mien.data.synthetic.generate import generate
from mien.evaluation.metrics import wilson
from mien.models import create_model
from mien.models.inference import predict
from mien.training import loop as engine
from mien.training.devices import describe
from mien.training.recipe import load_recipe

STRENGTH = 0.01  # inverse L2 strength of the regression, about the best of 1e-4, 1e-3, 1e-2 and 1e-1


def score(predicted: np.ndarray, val: FaceDataset, seconds: float) -> dict[str, Any]:
    """Accuracy with its 95 % interval, the confusion matrix (rows are the truth), and the time the training took."""
    assert val.labels is not None
    k = len(val.names)
    right = int((predicted == val.labels).sum())
    confusion = np.bincount(val.labels * k + predicted, minlength=k * k).reshape(k, k)
    return {
        "accuracy": round(right / len(val), 4),
        "interval_95": [round(x, 4) for x in wilson(right, len(val))],
        "confusion": confusion.tolist(),
        "train_seconds": round(seconds, 1),
    }


def linear(train: FaceDataset, val: FaceDataset) -> dict[str, Any]:
    """Multinomial logistic regression on standardised pixels."""
    model = make_pipeline(StandardScaler(), LogisticRegression(C=STRENGTH, max_iter=1000))
    start = time.perf_counter()
    with threadpool_limits(1):  # its products are too small to share
        model.fit(train.array.reshape(len(train), -1).astype(np.float32), train.labels)
    seconds = time.perf_counter() - start
    return score(model.predict(val.array.reshape(len(val), -1).astype(np.float32)), val, seconds)


def network(train: FaceDataset, val: FaceDataset, epochs: int, seed: int) -> dict[str, Any]:
    """The 2019 network by its recipe, shortened; its weight average follows faster because there are fewer steps."""
    recipe = replace(load_recipe("deep-emotion-2019"), epochs=epochs, seed=seed, ema=0.99)
    torch.manual_seed(seed)
    model = create_model(recipe.model, num_classes=len(train.names), **recipe.options)
    start = time.perf_counter()
    trained, history = engine.fit(model, train, val, recipe, device="cpu", on_epoch=progress)
    seconds = time.perf_counter() - start
    mean, std = train.statistics
    found = score(predict(trained, val.images, mean=mean, std=std).argmax(1), val, seconds)
    return {**found, "recipe": recipe.to_dict(), "theta_spread": round(history[-1]["theta_spread"], 4)}


def progress(epoch: dict[str, float]) -> None:
    """One line an epoch, on stderr."""
    loss, accuracy = epoch["train_loss"], epoch["val_accuracy"]
    print(f"epoch {epoch['epoch']:.0f}: loss {loss:.3f}, validation {100 * accuracy:.1f} %", file=sys.stderr)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--faces", type=int, default=4000)
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=RESULTS / "synthetic_baseline.json")
    args = parser.parse_args()
    start = time.perf_counter()
    ds = generate(args.faces, seed=args.seed)
    seconds = time.perf_counter() - start
    train, val = ds.part("Training"), ds.part("validation")
    result: dict[str, Any] = {
        "what": "accuracy on the validation people of the synthetic faces",
        "source": ds.source,
        "fingerprint": ds.fingerprint,
        "classes": ds.names,
        "images": {"Training": len(train), "validation": len(val)},
        "generate_seconds": round(seconds, 2),
        "linear": linear(train, val),
        "network": network(train, val, args.epochs, args.seed),
        "conditions": conditions(
            *("numpy", "opencv-python-headless", "scikit-learn", "torch"), **describe(torch.device("cpu"))
        ),
    }
    save(args.out, result, show=False)
    for name in ("linear", "network"):
        r = result[name]
        print(f"{name}: {100 * r['accuracy']:.1f} % of {len(val)}, trained in {r['train_seconds']} s")


if __name__ == "__main__":
    main()
