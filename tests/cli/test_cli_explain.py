"""``mien explain`` as a user types it: sheets, arrays, words, and what it says to what does not fit."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from onnx_nets import write_net
from typer.testing import CliRunner

from mien.cli import app
from mien.cli.explain_model import labelled, open_explained
from mien.data import FaceDataset
from mien.errors import ConfigError, ModelError
from mien.labels import FER2013
from mien.models import create_model, fuse
from mien.models.weights import save_model
from mien.runtime import Predictor
from mien.spec import ModelSpec

ASTRONAUT = Path(__file__).parents[2] / "examples" / "astronaut.jpg"
PER_CLASS = ("--data", "synthetic:60,seed=1", "--split", "Training", "--per-class")


@pytest.fixture(scope="module")
def net(tmp_path_factory):
    return write_net(tmp_path_factory.mktemp("nets") / "tiny.onnx")


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory):
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("runs") / "nano"
    folder.mkdir()
    spec = ModelSpec("nano", FER2013.names, model={"name": "mien-nano"}, temperature=2.0)
    save_model(folder / "model.safetensors", fuse(create_model("mien-nano")), spec)
    return folder


def run(*arguments, code=0):
    result = CliRunner().invoke(app, ["explain", *map(str, arguments), "--threads", "1"])
    if code == 0 and result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == code, result.output
    return result


def arrays(path):
    with np.load(path, allow_pickle=False) as found:
        return dict(found)


def test_a_photo_becomes_a_sheet_arrays_and_words(net, tmp_path):
    out = tmp_path / "out"
    result = run(ASTRONAUT, "--model", net, "--out", out, "--faithfulness")
    assert sorted(f.name for f in out.iterdir()) == ["astronaut-1.npz", "astronaut-1.png", "astronaut-why.png"]
    assert cv2.imread(str(out / "astronaut-1.png")).shape[1] > 1000
    found = arrays(out / "astronaut-1.npz")
    face = Predictor(net).predict(str(ASTRONAUT))[0]
    np.testing.assert_array_equal(found["crop"], face.crop)
    assert found["labels"][found["target"]] == face.label
    assert found["occlusion"].shape == (48, 48)
    assert found["deletion_random"].shape[0] == 10
    for words in (f"{face.label} {face.confidence:.0%}", "mouth", "lower third", "area under deletion", "tiny: 63.1 %"):
        assert words in result.stdout
    assert "attention" not in result.stdout


def test_the_core_install_is_enough_for_exported_models(net, tmp_path):
    code = (
        "import sys\nfor name in ('torch', 'matplotlib', 'captum', 'sklearn'): sys.modules[name] = None\n"
        "from mien.cli import main\nmain()"
    )
    given = ["explain", str(ASTRONAUT), "--model", str(net), "--out", str(tmp_path), "--threads", "1"]
    done = subprocess.run([sys.executable, "-c", code, *given], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "astronaut-1.png").is_file()


def test_stability_alone_is_the_diagnosis_in_words_as_a_picture_and_as_json(net, run_folder, tmp_path):
    cv2.imwrite(str(tmp_path / "grey.png"), np.full((90, 120, 3), 99, np.uint8))
    given = (ASTRONAUT, tmp_path / "grey.png", "--model", net, "--method", "stability")
    said = run(*given, "--out", tmp_path / "a").stdout
    assert "of 33 variants" in said
    assert "searched at 480 pixels" in said
    assert sorted(f.name for f in (tmp_path / "a").iterdir()) == ["astronaut-why.png", "grey-why.png"]
    document = json.loads(run(*given, "--out", tmp_path / "b", "--json").stdout)
    assert [p["outcome"] for p in document["photos"]] == ["faces", "no face"]
    assert document["photos"][0]["faces"][0]["stability"]["variants"] == 33
    refused = CliRunner().invoke(app, ["explain", str(ASTRONAUT), "--model", str(run_folder), "--method", "stability"])
    assert "needs an exported model" in str(refused.exception)


def test_methods_and_the_square_can_be_chosen(net, tmp_path):
    run(ASTRONAUT, "--model", net, "--out", tmp_path / "a", "--method", "occlusion", "--patch", 12, "--stride", 12)
    found = arrays(tmp_path / "a" / "astronaut-1.npz")
    assert "window" not in found
    assert len(np.unique(found["occlusion"])) <= 16
    result = run(ASTRONAUT, "--model", net, "--out", tmp_path / "b", "--method", "window,attention")
    assert "occlusion" not in arrays(tmp_path / "b" / "astronaut-1.npz")
    assert "attention  this network has none" in result.stdout


def test_two_photos_of_one_name_and_one_that_is_none(net, tmp_path):
    for folder in ("x", "y"):
        (tmp_path / folder).mkdir()
        shutil.copy(ASTRONAUT, tmp_path / folder / "a.jpg")
    (tmp_path / "bad.jpg").write_bytes(b"no")
    cv2.imwrite(str(tmp_path / "empty.png"), np.full((90, 90, 3), 99, np.uint8))
    given = [tmp_path / "x" / "a.jpg", tmp_path / "y" / "a.jpg", tmp_path / "bad.jpg", tmp_path / "empty.png"]
    result = run(*given, "--model", net, "--out", tmp_path / "o", "--method", "window", code=1)
    assert {f.stem for f in (tmp_path / "o").iterdir()} == {"a-1", "a-1-2"}
    assert "bad.jpg" in result.stderr
    assert "empty.png: no face found" in result.stdout


def test_weights_give_attention_and_grad_cam_and_the_answers_of_torch(run_folder, tmp_path):
    pytest.importorskip("captum")
    result = run(ASTRONAUT, "--model", run_folder, "--out", tmp_path)
    found = arrays(tmp_path / "astronaut-1.npz")
    assert {"attention", "occlusion", "gradcam", "theta", "view"} <= set(found)
    assert found["raw_gradcam"].shape == found["raw_attention"].shape == (6, 6)
    assert "Grad-CAM" in result.stdout
    from mien.evaluation.model import open_model

    expected = open_model(run_folder).predict(found["crop"][None])[0]
    np.testing.assert_allclose(found["probabilities"], expected, atol=1e-6)


def test_without_captum_the_rest_is_explained_and_the_line_that_installs_it_named(run_folder, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "captum", None)
    result = run(ASTRONAUT, "--model", run_folder, "--out", tmp_path, "--method", "all")
    assert "[explain]" in result.stderr
    assert "gradcam" not in arrays(tmp_path / "astronaut-1.npz")


def test_per_class_writes_one_sheet_of_means(net, tmp_path):
    result = run(*PER_CLASS, "--model", net, "--out", tmp_path, "--limit", 3)
    found = arrays(tmp_path / "per-class-Training.npz")
    assert found["n"].tolist() == [3] * 7
    assert found["occlusion"].shape == (7, 48, 48)
    assert cv2.imread(str(tmp_path / "per-class-Training.png")) is not None
    lines = {line.split()[0]: line.split() for line in result.stdout.splitlines() if line}
    for i, name in enumerate(FER2013.names):
        assert lines[name][1:3] == ["3", f"{found['recall'][i]:.1%}"]


def test_per_class_without_occlusion_is_quick_and_says_only_what_it_did(net, tmp_path):
    run(*PER_CLASS, "--model", net, "--out", tmp_path, "--method", "window")
    assert set(arrays(tmp_path / "per-class-Training.npz")) == {"labels", "n", "recall", "face", "window"}


def dataset(names=("happy", "angry"), labels=(0, 1, 1, -1, 0), split=("a", "a", "b", "a", "b")):
    images = np.arange(5, dtype=np.uint8)[:, None, None].repeat(4, 1).repeat(4, 2)
    return FaceDataset(images, names, None if labels is None else np.array(labels), split=np.array(split), source="s")


def test_faces_are_counted_in_the_model_s_order_and_drawn_by_seed():
    part = labelled(dataset(), FER2013.names, "a", None, 0)
    assert part.labels.tolist() == [3, 0]
    assert part.images[:, 0, 0].tolist() == [0, 1]
    many = FaceDataset(np.zeros((40, 4, 4), np.uint8), ("sad",), np.zeros(40, np.int64))
    rows = [labelled(many, FER2013.names, None, 5, seed).rows.tolist() for seed in (0, 0, 1)]
    assert rows[0] == rows[1] != rows[2]
    assert len(rows[0]) == 5


@pytest.mark.parametrize(
    ("faces", "split", "words"),
    [
        (dataset(), None, "--split is needed where there are several, one of a, b"),
        (dataset(names=("happy", "bored")), "a", "no class bored"),
        (dataset(labels=None), "a", "no labelled faces"),
        (dataset(labels=(-1,) * 5), "b", "no labelled faces"),
    ],
)
def test_data_that_does_not_fit_is_named(faces, split, words):
    with pytest.raises(ConfigError, match=words):
        labelled(faces, FER2013.names, split, None, 0)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ([], "PHOTO, or --data"),
        ([ASTRONAUT, "--data", "synthetic"], "one of the two"),
        (["--data", "synthetic"], "--per-class belong together"),
        ([ASTRONAUT, "--per-class"], "--per-class belong together"),
        ([ASTRONAUT, "--limit", "3"], "--limit belong to --data"),
        (["--data", "synthetic", "--per-class", "--faithfulness"], "single faces"),
        ([ASTRONAUT, "--method", "lime"], "got lime"),
        ([ASTRONAUT, "--method", "gradcam"], "needs a torch model"),
        ([ASTRONAUT, "--method", "window", "--json"], "--method stability"),
        ([ASTRONAUT, "--method", "window", "--faithfulness"], "add attention, occlusion"),
        ([ASTRONAUT, "--stride", "9"], "at most --patch"),
        ([ASTRONAUT, "--patch", "49", "--stride", "4"], "at most the crop's side"),
        ([ASTRONAUT, "--detector", "haar"], "detector must be"),
    ],
)
def test_wrong_arguments_are_named(net, tmp_path, words, says):
    result = run(*words, "--model", net, "--out", tmp_path / "o", code=1)
    assert isinstance(result.exception, ConfigError)
    assert says in str(result.exception)


def test_a_model_that_is_none_is_named(tmp_path):
    with pytest.raises(ModelError, match="no such file"):
        open_explained(str(tmp_path))
    with pytest.raises(ModelError, match="no model 'mien-huge'"):
        open_explained("mien-huge")


def test_a_transformer_of_features_is_told_from_one_of_pixels(tmp_path):
    for place, expected in (("input", True), ("feature", False)):
        spec = ModelSpec("t", FER2013.names, model={"name": "mien-nano", "transformer": place})
        assert open_explained(str(write_net(tmp_path / f"{place}.onnx", spec))).warps_input is expected


def test_sheets_that_are_there_are_written_anew_with_force_only(net, tmp_path):
    flags = ("--model", net, "--out", tmp_path, "--method", "window")
    run(ASTRONAUT, *flags)
    before = (tmp_path / "astronaut-1.png").read_bytes()
    result = CliRunner().invoke(app, ["explain", str(ASTRONAUT), *map(str, flags)])
    assert "astronaut-1.png is there already: --force overwrites it" in str(result.exception)
    run(ASTRONAUT, *flags, "--force")
    assert (tmp_path / "astronaut-1.png").read_bytes() == before
    run(*PER_CLASS, *flags, "--limit", 1)
    assert "per-class-Training.png is there already" in str(
        CliRunner().invoke(app, ["explain", *PER_CLASS, *map(str, flags)]).exception
    )
