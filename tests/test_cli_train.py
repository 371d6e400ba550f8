"""``mien train``, ``evaluate`` and ``export`` as a user types them, and what they say to wrong input."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import cv2
import pytest

from mien.cli import main
from mien.metrics import Report
from mien.runtime import Classifier

RECIPE = 'model = "deep-emotion-2019"\nepochs = 1\nbatch_size = 32\nema = 0.9\n[optimizer]\nname = "adamw"\nlr = 0.01\n'
DATA = "synthetic:120,seed=2"


def mien(*words: object, code: int = 0) -> None:
    sys.argv = ["mien", *map(str, words)]
    with pytest.raises(SystemExit) as end:
        main()
    assert (end.value.code or 0) == code


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("r") / "tiny.toml"
    file.write_text(RECIPE)
    return file


@pytest.fixture(scope="module")
def run(recipe: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "a"
    mien("train", recipe, "--data", DATA, "--out", out, "--device", "cpu")
    return out


def test_train_evaluate_export_predict(run: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    mien("evaluate", run, "--data", DATA, "--split", "validation", "--json", "-", "--plot", tmp_path / "c.png")
    out = capfd.readouterr().out
    raw = json.loads(out)
    wanted = "split n accuracy accuracy_ci95 macro_f1 per_class confusion log_loss ece clean"
    assert set(wanted.split()) <= set(raw)
    assert raw["split"] == "validation"
    assert raw["clean"]["n"] <= raw["n"]
    assert Report.from_dict(raw).accuracy == pytest.approx(
        json.loads((run / "evaluation.json").read_text())["accuracy"]
    )
    assert cv2.imread(str(tmp_path / "c.png")) is not None

    mien("export", run, tmp_path / "a.onnx")
    assert "differs from torch" in capfd.readouterr().out
    assert Classifier(tmp_path / "a.onnx").spec.name == "tiny"
    mien("evaluate", tmp_path / "a.onnx", "--data", DATA, "--split", "validation", "--json", tmp_path / "r.json")
    assert "macro-F1" in capfd.readouterr().out
    assert json.loads((tmp_path / "r.json").read_text())["accuracy"] == raw["accuracy"]
    mien("export", run, tmp_path / "b.onnx", "--int8", "--data", DATA)
    assert "compare both with mien evaluate" in capfd.readouterr().out
    assert Classifier(tmp_path / "b.onnx").spec.precision == "int8"
    mien("export", run, tmp_path / "c.onnx", "--int8", "--data", "synthetic:20,seed=2", code=2)
    assert "at least 32" in capfd.readouterr().err
    mien("export", run, tmp_path / "c.onnx", "--int8", code=2)
    assert "--int8 needs --data" in capfd.readouterr().err
    assert not (tmp_path / "c.onnx").exists()
    mien("evaluate", run, "--data", DATA, "--split", "validation", "--views", "2", "--json", "-")
    assert json.loads(capfd.readouterr().out)["conditions"]["views"] == 2


def test_train_shows_every_epoch_on_stderr_only(
    recipe: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    mien("train", recipe, "--data", DATA, "--out", tmp_path / "b", "--epochs", 2, "--seed", 3, "--device", "cpu")
    out, err = capfd.readouterr()
    assert "1/2" in err
    assert "2/2" in err
    assert "validation" in out
    assert "1/2" not in out
    history = json.loads((tmp_path / "b" / "history.json").read_text())
    assert len(history) == 2


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nonsense", "--data", DATA], "recipe must be one of deep-emotion-2019, "),
        (["report", "--data", "nowhere.csv"], "nowhere.csv"),
        (["report", "--data", DATA, "--epochs", "0"], "epochs must lie in 1"),
        (["report", "--data", DATA, "--lr", "-1"], "optimizer.lr must lie in 0"),
        (["report", "--data", DATA, "--device", "abacus"], "device must be auto, cpu, cuda or mps"),
        (["report", "--data", DATA, "--target", "soft"], "--target needs --votes"),
        (["report", "--data", DATA, "--val-split", "Moon"], "Moon"),
    ],
)
def test_wrong_words_get_one_clear_line(
    words: list[str], message: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    mien("train", *words, "--out", tmp_path / "x", code=2)
    err = capfd.readouterr().err
    assert message in err
    assert "Traceback" not in err


def test_evaluate_names_the_splits_and_missing_models(run: Path, capfd: pytest.CaptureFixture[str]) -> None:
    mien("evaluate", run, "--data", DATA, code=2)
    assert "--split must be one of Training, validation" in capfd.readouterr().err
    mien("evaluate", run, "--data", DATA, "--split", "Moon", code=2)
    assert "Training, validation" in capfd.readouterr().err
    mien("evaluate", run.parent / "nothing", "--data", DATA, "--split", "validation", code=2)
    assert "no model" in capfd.readouterr().err
    mien("evaluate", run.parent, "--data", DATA, "--split", "validation", code=2)
    assert "no such file" in capfd.readouterr().err
    mien("evaluate", run, "--data", "synthetic:30", "--size", "32", "--split", "validation", code=2)
    assert "48 x 48" in capfd.readouterr().err


def test_soft_votes_train_eight_classes(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    rows = ["emotion,pixels,Usage"]
    votes = ["Usage,Image name,neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,unknown,NF"]
    for i in range(60):
        usage = "Training" if i < 40 else "PublicTest"
        rows.append(f"{i % 7},{' '.join(str((i * 7 + k) % 256) for k in range(2304))},{usage}")
        votes.append(
            f"{usage},fer{i:07d}.png,{','.join('7' if j == i % 8 else '1' if j == 0 else '0' for j in range(10))}"
        )
    (tmp_path / "f.csv").write_text("\n".join(rows) + "\n")
    (tmp_path / "v.csv").write_text("\n".join(votes) + "\n")
    (tmp_path / "r.toml").write_text('targets = "votes"\n' + RECIPE)
    flags = ["--data", tmp_path / "f.csv", "--votes", tmp_path / "v.csv", "--target"]
    mien("train", tmp_path / "r.toml", *flags, "soft", "--out", tmp_path / "run", "--device", "cpu")
    assert "8 classes" in capfd.readouterr().err
    mien("evaluate", tmp_path / "run", *flags, "majority", "--split", "PublicTest", "--json", "-")
    assert len(json.loads(capfd.readouterr().out)["confusion"]) == 8


def test_a_teacher_is_named_in_what_it_taught(
    run: Path, recipe: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    mien("train", recipe, "--data", DATA, "--out", tmp_path / "b", "--device", "cpu", "--teacher", run)
    mien("export", tmp_path / "b", tmp_path / "b.onnx")
    assert Classifier(tmp_path / "b.onnx").spec.data["teachers"] == "tiny"
    capfd.readouterr()
    mien("train", recipe, "--data", DATA, "--out", tmp_path / "c", "--teacher", "nobody", code=2)
    assert "nobody" in capfd.readouterr().err


def test_a_second_head_needs_votes(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "two.toml").write_text(f"votes_weight = 1.0\n{RECIPE}")
    mien("train", tmp_path / "two.toml", "--data", DATA, "--out", tmp_path / "x", code=2)
    assert "--votes FILE --target both" in capfd.readouterr().err
