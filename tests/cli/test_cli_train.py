"""``mien train``, ``evaluate`` and ``export`` as a user types them, and what they say to wrong input."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from onnx_nets import write_net

from mien.cli import main
from mien.cli.evaluation_view import show_groups
from mien.data import read_faces
from mien.evaluation import Evaluation
from mien.evaluation.groups import SMALL, GroupScore
from mien.evaluation.metrics import Report
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
    mien("evaluate", run, "--data", DATA, "--split", "validation", "--json", "--plot", tmp_path / "c.png")
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
    mien("evaluate", tmp_path / "a.onnx", "--data", DATA, "--split", "validation", "--out", tmp_path / "r.json")
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
    mien("evaluate", run, "--data", DATA, "--split", "validation", "--views", "2", "--json")
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
        (["nonsense", "--data", DATA], "recipe must be one of "),
        (["report", "--data", "nowhere.csv"], "nowhere.csv"),
        (["report", "--data", DATA, "--epochs", "0"], "epochs must lie in 1"),
        (["report", "--data", DATA, "--seed", "-1"], "seed must lie in 0"),
        (["report", "--data", DATA, "--size", "64"], "choose another --size"),
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


def test_what_never_began_to_train_leaves_no_folder(
    recipe: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "none").mkdir()
    mien("train", recipe, "--data", tmp_path / "none", "--out", tmp_path / "a", code=2)
    mien("train", recipe, "--data", DATA, "--out", tmp_path / "b", "--teacher", "nobody", code=2)
    assert "no model 'nobody'" in capfd.readouterr().err
    assert [p.name for p in tmp_path.iterdir()] == ["none"]


def test_evaluate_names_the_splits_and_missing_models(run: Path, capfd: pytest.CaptureFixture[str]) -> None:
    mien("evaluate", run, "--data", DATA, code=2)
    assert "--split is needed where there are several, one of Training, validation" in capfd.readouterr().err
    mien("evaluate", run, "--data", DATA, "--split", "Moon", code=2)
    assert "Training, validation" in capfd.readouterr().err
    mien("evaluate", run.parent / "nothing", "--data", DATA, "--split", "validation", code=2)
    assert "no model" in capfd.readouterr().err
    mien("evaluate", run.parent, "--data", DATA, "--split", "validation", code=2)
    assert "no such file" in capfd.readouterr().err
    mien("evaluate", run, "--data", "synthetic:30", "--size", "32", "--split", "validation")
    assert "resized from 32 x 32 to 48 x 48 pixels" in capfd.readouterr().out


def test_data_without_parts_are_scored_on_what_the_run_held_out(
    recipe: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    drawn = read_faces("synthetic:70,seed=4").images
    for i, face in enumerate(drawn):
        (tmp_path / "own" / "ab"[i % 2]).mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(tmp_path / "own" / "ab"[i % 2] / f"{i}.png"), face)
    given = ("--data", tmp_path / "own")
    mien("train", recipe, *given, "--out", tmp_path / "run", "--seed", "3", "--device", "cpu")
    trained = json.loads((tmp_path / "run" / "evaluation.json").read_text())
    capfd.readouterr()
    mien("evaluate", tmp_path / "run", *given, "--split", "validation", "--json")
    told = capfd.readouterr()
    found = json.loads(told.out)
    assert "by seed 3, the faces that" in told.err
    assert "warning" not in told.err
    assert (found["n"], found["confusion"]) == (trained["n"], trained["confusion"])
    mien("evaluate", tmp_path / "run", *given)
    assert "has learnt some of these faces" in capfd.readouterr().err
    mien("evaluate", tmp_path / "run", *given, "--split", "validation", "--split-seed", "4")
    assert "by seed 4, not the faces that" in capfd.readouterr().err
    mien("evaluate", tmp_path / "run", *given, "--split", "PublicTest", code=2)
    assert "the data have no parts" in capfd.readouterr().err


def test_soft_votes_train_eight_classes(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    rows = ["emotion,pixels,Usage"]
    votes = ["Usage,Image name,neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,unknown,NF"]
    for i in range(60):
        usage = "Training" if i < 40 else "PublicTest"
        liked = 7 if i % 11 == 10 else (4, 5, 6, 1, 3, 2, 0)[i % 7]  # contempt, or the label's column
        rows.append(f"{i % 7},{' '.join(str((i * 7 + k) % 256) for k in range(2304))},{usage}")
        votes.append(
            f"{usage},fer{i:07d}.png,{','.join('7' if j == liked else '1' if j == 0 else '0' for j in range(10))}"
        )
    (tmp_path / "f.csv").write_text("\n".join(rows) + "\n")
    (tmp_path / "v.csv").write_text("\n".join(votes) + "\n")
    (tmp_path / "r.toml").write_text('targets = "votes"\n' + RECIPE)
    flags = ["--data", tmp_path / "f.csv", "--votes", tmp_path / "v.csv", "--target"]
    mien("train", tmp_path / "r.toml", *flags, "soft", "--out", tmp_path / "run", "--device", "cpu")
    assert "8 classes" in capfd.readouterr().err
    mien("evaluate", tmp_path / "run", *flags, "majority", "--split", "PublicTest", "--json")
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


def test_a_second_head_without_votes_is_left_out_and_that_is_said(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "two.toml").write_text(f"votes_weight = 1.0\n{RECIPE}")
    mien("train", tmp_path / "two.toml", "--data", DATA, "--out", tmp_path / "x", "--device", "cpu")
    assert "--votes FILE --target both" in capfd.readouterr().err
    assert not (tmp_path / "x" / "second.safetensors").exists()


def test_size_and_old_names(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "n.toml").write_text(
        'model = "mien-nano"\noptions = { widths = [8], depths = [1] }\nepochs = 1\nbatch_size = 32\n'
    )
    words = ["--data", "synthetic:80,seed=2", "--out", tmp_path / "r", "--size", 32, "--device", "cpu"]
    mien("train", tmp_path / "n.toml", *words, "--l2", 0.01)
    err = capfd.readouterr().err
    assert err.count("faces of 48 x 48 pixels are resized to 32 x 32") == 1
    assert "--l2 is called --weight-decay now" in err
    mien("export", tmp_path / "r", tmp_path / "r.onnx")
    spec = Classifier(tmp_path / "r.onnx").spec
    assert (spec.size, spec.recipe["optimizer"]["weight_decay"]) == (32, 0.01)


def test_a_teacher_of_another_split_is_refused_with_the_remedy(
    run: Path, recipe: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    table = tmp_path / "faces.csv"
    pixels = np.random.default_rng(0).integers(0, 256, (60, 2304))
    table.write_text("emotion,pixels\n" + "".join(f"{i % 7},{' '.join(map(str, p))}\n" for i, p in enumerate(pixels)))
    words = ["train", recipe, "--data", table, "--device", "cpu"]
    mien(*words, "--out", tmp_path / "teacher", "--seed", 4)
    mien(*words, "--out", tmp_path / "a", "--teacher", tmp_path / "teacher", code=2)
    assert "with --split-seed 4 (the seed of tiny)" in capfd.readouterr().err
    mien(*words, "--out", tmp_path / "a", "--teacher", tmp_path / "teacher", "--split-seed", 4)
    mien("train", recipe, "--data", DATA, "--out", tmp_path / "b", "--teacher", run, "--device", "cpu")


def test_evaluate_against_another_model_and_by_group(
    run: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    flags = ["--data", DATA, "--split", "validation"]
    mien("evaluate", run, *flags, "--against", "mien-nano", "--group-by", "subject", "--out", tmp_path / "r.json")
    out, err = capfd.readouterr()
    assert err == ""
    found = Evaluation.from_dict(json.loads((tmp_path / "r.json").read_text()))
    assert found.against is not None
    assert found.against.paired.sentence("tiny", "mien-nano") in out
    assert f"only tiny is right on {found.against.paired.only_a} faces" in out
    assert found.against.clean is not None
    assert found.group_by == "subject"
    assert "groups have fewer than 30 faces" in out
    assert "no gap can be stated: 0 of " in out
    assert out.index("macro-F1") < out.index("mien-nano  validation") < out.index("subject")

    mien("evaluate", run, *flags, "--json")
    alone = json.loads(capfd.readouterr().out)
    assert Report.from_dict(alone) == found.report
    mien("evaluate", run, *flags, "--against", run)
    assert "tiny (MODEL) and tiny (--against) are right on equally many of" in capfd.readouterr().out


def test_evaluate_a_rival_as_file_and_as_function(
    run: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    flags = ["--data", DATA, "--split", "validation"]
    net = write_net(tmp_path / "theirs.onnx", with_spec=False)
    mien("evaluate", net, *flags, code=2)
    assert "holds no mien spec" in capfd.readouterr().err
    mien("evaluate", net, *flags, "--labels", "fer2013", "--pixels", "0.5,0.25", "--json")
    raw = json.loads(capfd.readouterr().out)
    assert raw["conditions"]["input"] == "NCHW, 1 channel, 48 x 48, pixels 0.5,0.25"
    assert raw["conditions"]["output"] == "no probabilities, softmax applied"

    (tmp_path / "own_of_cli_test.py").write_text("def guess(faces):\n    return ['happy'] * len(faces)\n")
    mien("evaluate", "--callable", "own_of_cli_test:guess", *flags, "--against", net, "--labels", "fer2013")
    out = capfd.readouterr().out
    assert "it predicts labels only" in out
    assert "own_of_cli_test:guess" in out
    assert "theirs" in out
    mien("evaluate", run, *flags, "--against", "callable:own_of_cli_test:guess", "--json")
    assert json.loads(capfd.readouterr().out)["against"]["report"]["conditions"]["output"] == "labels only"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "give MODEL or --callable MODULE:FUNCTION"),
        (["mien-nano", "--callable", "a:b"], "give MODEL or --callable MODULE:FUNCTION"),
        (["mien-nano", "--groups", "g.csv"], "--groups needs --group-by COLUMN"),
        (["mien-nano", "--group-by", "age"], "--group-by must be one of subject, split, label"),
        (["mien-nano", "--labels", "a,b"], "--labels: mien-nano cannot take it"),
        (["mien-nano", "--against", "nobody"], "no model 'nobody'"),
        (["--callable", "no_such_thing:f"], "no module 'no_such_thing'"),
    ],
)
def test_evaluate_says_what_is_wrong(words: list[str], message: str, capfd: pytest.CaptureFixture[str]) -> None:
    mien("evaluate", *words, "--data", DATA, "--split", "validation", code=2)
    err = capfd.readouterr().err
    assert message in err
    assert "Traceback" not in err


def test_evaluate_by_a_column_of_a_table(run: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    table = tmp_path / "ages.csv"
    table.write_text("row,age\n" + "".join(f"{i},{'[b]old' if i % 3 else 'young'}\n" for i in range(100)))
    mien("evaluate", run, "--data", DATA, "--group-by", "age", "--groups", table, "--split", "validation")
    out = capfd.readouterr().out
    lines = [line.split() for line in out.splitlines()]
    assert {"[b]old", "young"} <= {line[0] for line in lines if line}
    mien("evaluate", run, "--data", DATA, "--group-by", "sex", "--groups", table, "--split", "validation", code=2)
    assert "has no column 'sex'; there are 'row', 'age'" in capfd.readouterr().err


def test_many_groups_are_cut_short_and_small_ones_marked(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = Report.from_dict(json.loads((run / "evaluation.json").read_text()))
    groups = [
        GroupScore(f"g{i}", n, 0.5, (0.4, 0.6), None if i else 0.25, n < SMALL) for i, n in enumerate(range(60, 15, -1))
    ]
    show_groups(Evaluation(report, group_by="person", groups=tuple(groups)))
    lines = capsys.readouterr().out.splitlines()
    assert lines[2].split() == ["g0", "60", "50.0%", "40.0%", "to", "60.0%", "0.250"]
    assert lines[33].split()[-3:] == ["-", "few", "faces"]
    assert lines[42] == "... and 5 smaller groups (--json holds all)"
    assert lines[43] == "warning: 14 of 45 groups have fewer than 30 faces, too few to compare"
