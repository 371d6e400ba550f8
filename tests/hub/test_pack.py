"""``mien hub pack``: a folder that predicts, trains on, and whose card the hub's own parser reads."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from mien.cli import app
from mien.data.synthetic.generate import generate
from mien.errors import ConfigError, MissingExtra, ModelError
from mien.evaluation import evaluate
from mien.files import sha256_of
from mien.hub import front_matter, pack
from mien.labels import FER2013
from mien.models import create_model, from_pretrained, fuse, outputs
from mien.models.weights import save_model
from mien.preprocessing import normalise, softmax
from mien.runtime import Predictor
from mien.spec import ModelSpec

ASTRONAUT = Path(__file__).parents[2] / "examples" / "astronaut.jpg"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run's folder: an untrained network, evaluated on drawn faces."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("runs") / "mine"
    folder.mkdir()
    net = fuse(create_model("mien-nano"))
    spec = ModelSpec("mine", FER2013.names, model={"name": "mien-nano"}, data={"source": "synthetic"}, licence="MIT")
    save_model(folder / "model.safetensors", net, spec)
    faces = generate(70, seed=0)
    report = evaluate(folder, faces)
    spec.scores["validation"] = report.to_dict()
    save_model(folder / "model.safetensors", net, spec)
    return folder


@pytest.fixture(scope="module")
def packed(run, tmp_path_factory):
    return pack(str(run), tmp_path_factory.mktemp("packed") / "mine")


def test_the_folder_predicts_and_its_weights_say_the_same(packed):
    names = {"README.md", "config.json", "model.onnx", "model.safetensors", "samples.png", "confusion.png"}
    assert names <= {file.name for file in packed.iterdir()}
    predictor = Predictor(packed)
    (face,) = predictor.predict(ASTRONAUT)
    net, spec = from_pretrained(packed)
    with torch.no_grad():
        logits = outputs(net, torch.from_numpy(normalise(face.crop[None, None].astype(np.float32), spec))).logits
    expected = softmax(logits.numpy(), spec.temperature)[0]
    np.testing.assert_allclose(list(face.probabilities.values()), expected, atol=1e-4)
    assert cv2.imread(str(packed / "samples.png")).shape[1] == 7 * cv2.imread(str(packed / "samples.png")).shape[0]


def test_the_card_is_one_that_the_hub_reads(packed):
    hub = pytest.importorskip("huggingface_hub")
    card = hub.ModelCard.load(packed / "README.md")
    assert card.data.license == "mit"
    assert card.data.library_name == "mien"
    results = {r.metric_name: r for r in card.data.eval_results}
    config = json.loads((packed / "config.json").read_text(encoding="utf-8"))
    accuracy = next(r for name, r in results.items() if name.startswith("accuracy"))
    assert accuracy.metric_value == pytest.approx(config["mien"]["scores"]["validation"]["accuracy"], abs=1e-5)
    assert (accuracy.dataset_split, accuracy.dataset_type) == ("validation", "synthetic")
    assert "## Intended use" in card.text
    assert "hf://OWNER/mine@REVISION" in card.text


def test_a_model_without_scores_has_a_card_without_an_index():
    hub = pytest.importorskip("huggingface_hub")
    data = hub.ModelCard(front_matter(ModelSpec("m", ("a", "b"))) + "\ntext").data
    assert data.eval_results is None
    assert data.license == "other"


def test_a_file_that_was_changed_is_refused(packed, tmp_path):
    folder = Path(shutil.copytree(packed, tmp_path / "mine"))
    (folder / "model.safetensors").write_bytes(b"other")
    with pytest.raises(ModelError, match=r"model\.safetensors: is not the file that config\.json names"):
        from_pretrained(folder)
    with pytest.raises(ConfigError, match="holds something already"):
        pack("mien-nano", folder)
    (folder / ".gitattributes").write_text("*.onnx filter=lfs")
    pack("mien-nano", folder, force=True)
    assert from_pretrained(folder)[1].name == "mien-nano"


def test_a_folder_with_force_holds_the_new_model_alone(packed, run, tmp_path):
    folder = Path(shutil.copytree(packed, tmp_path / "mine"))
    pack("deep-emotion-2019", folder, force=True)
    named = json.loads((folder / "config.json").read_text())["files"]
    assert set(named) | {"README.md", "config.json"} == {file.name for file in folder.iterdir()}
    before = sha256_of(folder / "model.onnx")
    (folder / "secret.csv").write_text("a,b")
    with pytest.raises(ConfigError, match=r"does not write, secret\.csv: move it"):
        pack("mien-nano", folder, force=True)
    assert sha256_of(folder / "model.onnx") == before
    with pytest.raises(ConfigError, match="choose another folder"):
        pack(str(run), run, force=True)


def test_shipped_models_are_packed_with_the_weights_that_came_along(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(
        app, ["hub", "pack", "mien-nano", "mien-nano"]
    )  # called as the model, as the page has it
    assert result.exit_code == 0, result.output
    (tmp_path / "mien-nano").rename(tmp_path / "nano")
    assert Predictor(tmp_path / "nano").predict(ASTRONAUT)[0].label == "happy"
    assert Predictor(f"{tmp_path / 'nano'}:fer+").spec.labels[0] == "neutral"
    _, spec = from_pretrained(tmp_path / "nano")
    assert {head.name for head in spec.heads} == {"fer2013", "fer+"}
    monkeypatch.setitem(sys.modules, "torch", None)  # what is not installed is told after what is wrong
    assert isinstance(CliRunner().invoke(app, ["hub", "pack", "nosuch", str(tmp_path / "x")]).exception, ModelError)
    assert not (tmp_path / "x").exists()
    assert isinstance(
        CliRunner().invoke(app, ["hub", "pack", "mien-nano", str(tmp_path / "x")]).exception, MissingExtra
    )
