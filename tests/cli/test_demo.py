"""mien demo: the whole road on a few drawn faces, and the parts that decide without training."""

from __future__ import annotations

import importlib
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from mien.cli import app
from mien.data import train_val
from mien.data.synthetic.generate import generate
from mien.runtime import Classifier
from mien.training.recipe import Optimizer, Recipe

MODULE = importlib.import_module("mien.cli.demo")
ASTRONAUT = Path(__file__).parents[2] / "examples" / "astronaut.jpg"
RECIPE = Recipe("small", "deep-emotion-2019", batch_size=8, ema=0.999, optimizer=Optimizer(lr=0.05, warmup=5.0))


@pytest.fixture(autouse=True)
def one_thread():
    """Tiny steps gain nothing from threads, and on a busy machine threads wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def parts():
    return train_val(generate(140, seed=0))


@pytest.mark.slow
def test_the_whole_road(tmp_path):
    toml = tmp_path / "small.toml"
    toml.write_text('model = "deep-emotion-2019"\nbatch_size = 32\n[optimizer]\nlr = 0.05\n')
    out = tmp_path / "out"
    arguments = ["--faces", "140", "--epochs", "2", "--recipe", str(toml), "--photo", str(ASTRONAUT), "--out", str(out)]
    result = CliRunner().invoke(app, ["demo", *arguments], env={"COLUMNS": "200"}, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    html = (out / "report.html").read_text(encoding="utf-8")
    for words in (
        "A photograph",
        "what decided",
        "where it looked",
        "--epochs 2",
        "Use and limits",
        "no picture of a person",
    ):
        assert words in html, words
    assert str(out / "report.html") in result.stdout
    assert "2 epochs" in result.stdout
    assert "astronaut.jpg: " in result.stdout
    spec = Classifier(out / "model.onnx").spec
    assert "validation" in spec.scores
    assert spec.calibration["temperature"] != 1  # as any other model


def test_given_epochs_need_no_trial(parts, monkeypatch):
    monkeypatch.setattr("mien.training.timing.epochs_within", lambda *_: pytest.fail("measured"))
    planned = MODULE._plan(RECIPE, parts[0], 60.0, 10)
    assert (planned.epochs, planned.optimizer.warmup, planned.ema) == (10, 2.0, 0.99)
    assert planned.optimizer.lr == RECIPE.optimizer.lr


def test_command_makes_the_same_again():
    recipe = RECIPE.override(epochs=7, seed=3)
    lines = MODULE._command("my data.csv", 5000, recipe, Path("me.jpg"), "small", Path("o"))
    assert "mien demo --data 'my data.csv' --epochs 7 --seed 3 --recipe small --photo me.jpg" in lines
    assert "--faces 5000" in MODULE._command("", 5000, recipe, None, "small", Path("o"))[1]


def test_unreadable_photo_stops_before_training(tmp_path):
    bad = tmp_path / "bad.jpg"
    bad.write_bytes(b"no picture")
    result = CliRunner().invoke(app, ["demo", "--photo", str(bad), "--out", str(tmp_path / "o")])
    assert result.exit_code == 1
    assert "bad.jpg" in str(result.exception)
    assert list((tmp_path / "o").iterdir()) == []


def test_jpeg_is_bounded():
    picture = cv2.imdecode(np.frombuffer(MODULE._jpeg(np.zeros((3000, 500, 3), np.uint8)), np.uint8), cv2.IMREAD_COLOR)
    assert picture.shape == (1000, 167, 3)
