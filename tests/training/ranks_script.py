"""What each process does that the tests of several ranks start: ``stop FOLDER TEACHER TRAIN VAL``, with two packs, or
``die ARGUMENTS`` of mien.

In full precision, so that the order of sums is all that may differ from one process.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import numpy as np
import torch
from blob_faces import VAL

from mien.data.packed import open_packed
from mien.training import devices, train
from mien.training.distillation import soft_targets
from mien.training.loop import Batch, Stopped
from mien.training.ranks import joined
from mien.training.recipe import Augment, Distill, Optimizer, Recipe

RECIPE = Recipe(
    name="tiny",
    model="mien-nano",
    options={"dropout": 0.0},  # each process draws its own
    epochs=3,
    batch_size=31,  # two shares of different sizes
    ema=0.9,
    smoothing=0.1,
    optimizer=Optimizer("sgd", lr=0.002, weight_decay=0.01, schedule="cosine", clip=1.0),
    augment=Augment(degrees=5, scale=0.05, shift=1, mirror=0.5, brightness=0.05, contrast=0.1, erase=0.2),
    distill=Distill(weight=0.5, augmented_views=2),
)


def stop(out: str, teacher: str, *packs: str) -> None:
    """Train on packed faces until the second rank asks for a stop; then what a teacher says about faces, shared out."""
    stored = [open_packed(Path(pack)).dataset for pack in packs]

    def on_batch(batch: Batch) -> bool:
        return os.environ["RANK"] == "1" and (batch.epoch, batch.step) == (2, 1)

    try:
        train(RECIPE, *stored, out=out, teacher=teacher, device="cpu", sync_bn=True, on_batch=on_batch)
        raise AssertionError("nobody stopped")
    except Stopped as stopped:
        Path(out, f"stopped-{os.environ['RANK']}").write_text(str(stopped))
    os.environ["MIEN_CACHE"] += f"-{os.environ['RANK']}-empty"
    with joined() as ranks:
        found = soft_targets([teacher], VAL, Distill(views=2), ranks=ranks)
        np.save(Path(out) / f"soft-{ranks.rank}.npy", found.targets[VAL.names])


def die(*arguments: str) -> None:
    """``mien`` in which the second rank is killed after two steps."""
    from mien.cli import main
    from mien.cli.progress import TrainingDisplay

    usual = TrainingDisplay.on_batch

    def on_batch(self: TrainingDisplay, batch: Batch) -> bool:
        if os.environ["RANK"] == "1" and batch.step == 2:
            os.kill(os.getpid(), signal.SIGKILL)
        return usual(self, batch)

    TrainingDisplay.on_batch = on_batch
    sys.argv = ["mien", *arguments]
    main()


if __name__ == "__main__":
    devices.has_bf16 = lambda device: False
    torch.set_num_threads(1)
    {"stop": stop, "die": die}[sys.argv[1]](*sys.argv[2:])
