"""Several processes train as one: the same curve, one stop for all, another number after --resume, a dead one named."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from blob_faces import TRAIN, VAL
from ranks_script import RECIPE
from typer.testing import CliRunner

from mien.cli import app
from mien.data.packed import pack
from mien.data.readers.problems import Reading
from mien.errors import ConfigError
from mien.models import create_model, fuse
from mien.models.weights import save_model
from mien.training import devices, train, transforms
from mien.training.distillation import soft_targets
from mien.training.plan import plan
from mien.training.ranks import Ranks
from mien.training.recipe import Distill
from mien.training.trained import make_spec

SCRIPT = Path(__file__).parent / "ranks_script.py"


def torchrun(*arguments: object, cache: Path) -> subprocess.CompletedProcess[str]:
    """The script on two processes, as ``torchrun --nproc-per-node 2`` starts them."""
    paths = [str(Path(__file__).parent), str(Path(__file__).parents[1]), *filter(None, sys.path)]
    env = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(paths), "MIEN_CACHE": str(cache)}
    words = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", str(SCRIPT)]
    return subprocess.run(
        [sys.executable, *words, *map(str, arguments)], env=env, capture_output=True, text=True, check=False
    )


@pytest.fixture
def teacher(tmp_path: Path) -> str:
    torch.manual_seed(5)
    spec = make_spec(replace(RECIPE, model="deep-emotion-2019"), TRAIN)
    save_model(tmp_path / "teacher.safetensors", fuse(create_model("deep-emotion-2019", num_classes=3)), spec)
    return str(tmp_path / "teacher.safetensors")


def curve(history: list[dict[str, float]]) -> list[list[float]]:
    return [[e[k] for k in ("train_loss", "val_loss", "train_accuracy", "val_accuracy")] for e in history]


@pytest.mark.slow
def test_two_ranks_then_one_go_the_way_of_one(
    tmp_path: Path, teacher: str, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With sums in another order: figures agree to 1e-4, where another share, seed or statistic would show at once.

    The two read faces that are packed, the one has them in memory.
    """
    monkeypatch.setattr(devices, "has_bf16", lambda device: False)
    packs = [tmp_path / "train", tmp_path / "val"]
    for faces, path in zip((TRAIN, VAL), packs, strict=True):
        pack(lambda kept, faces=faces: Reading(faces), path)  # type: ignore[misc]
    run = torchrun("stop", tmp_path / "two", teacher, *packs, cache=own_cache)
    assert run.returncode == 0, run.stderr
    steps = len(TRAIN) // RECIPE.batch_size + 1
    for rank in (0, 1):
        assert (tmp_path / "two" / f"stopped-{rank}").read_text() == f"stopped in epoch 2 after {steps} steps"
    alone = soft_targets([teacher], VAL, Distill(views=2)).targets[VAL.names]
    for rank in (0, 1):
        np.testing.assert_allclose(np.load(tmp_path / "two" / f"soft-{rank}.npy"), alone, atol=1e-5)
    resumed = train(RECIPE, TRAIN, VAL, out=tmp_path / "two", teacher=teacher, device="cpu", resume=True)
    whole = train(RECIPE, TRAIN, VAL, teacher=teacher, device="cpu")
    np.testing.assert_allclose(curve(resumed.history), curve(whole.history), rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_a_dead_rank_ends_the_run_and_is_named(tmp_path: Path, own_cache: Path) -> None:
    words = ["train", "mien-nano", "--data", "synthetic:210", "--out", tmp_path / "run", "--batch-size", 16]
    run = torchrun("die", *words, "--epochs", 50, cache=own_cache)
    assert run.returncode != 0
    assert "error: rank 1 (process " in run.stderr, run.stderr
    assert "gone, so the run ends; --resume goes on" in run.stderr


def test_shares_make_the_whole_and_draw_as_one() -> None:
    for n, count in ((17, 2), (7, 3), (128, 5)):
        shares = [Ranks(r, count).rows(n) for r in range(count)]
        assert [i for share in shares for i in range(n)[share]] == list(range(n))
    x = torch.rand(17, 1, 24, 24) * 255
    whole = transforms.augment(x, RECIPE.augment, torch.Generator().manual_seed(1), 24)
    for rank in (0, 1):
        rows = Ranks(rank, 2).rows(17)
        source = transforms.Share(torch.Generator().manual_seed(1), 17, rows)
        assert torch.equal(transforms.augment(x[rows], RECIPE.augment, source, 24), whole[rows])


def test_a_plan_says_what_each_rank_would_do() -> None:
    found = plan(RECIPE, TRAIN, VAL, 2)
    network = create_model("mien-nano", num_classes=3)
    assert (found.batch_a_rank, found.steps) == ((15, 16), len(TRAIN) // 31)
    assert found.faces_a_rank == (15 * found.steps, 16 * found.steps)
    assert found.weights == 4 * sum(p.nbytes for p in network.parameters())  # weights, gradients, momentum, average
    assert plan(RECIPE, TRAIN, VAL, 1).activations > 1.5 * found.activations
    with pytest.raises(ConfigError, match="batches of 31 faces are too few for 16 processes"):
        plan(RECIPE, TRAIN, VAL, 16)


def test_the_plan_on_the_command_line_trains_nothing(tmp_path: Path) -> None:
    words = ["train", "mien-nano", "--data", "synthetic:140", "--plan", "4", "--batch-size", "32"]
    result = CliRunner().invoke(app, [*words, "--out", str(tmp_path / "run")])
    assert result.exit_code == 0, result.output
    assert "4 processes; 3 steps an epoch" in result.stdout
    assert "batch 32: 8 a rank" in result.stdout
    assert not (tmp_path / "run").exists()
    assert isinstance(CliRunner().invoke(app, words[:4]).exception, ConfigError)
