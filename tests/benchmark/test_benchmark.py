"""The methods of the report under one protocol: what is run, kept, resumed, scored and shown."""

from __future__ import annotations

import json
import subprocess
import sys
import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from mien.benchmark import (
    METHODS,
    REFERENCE,
    Event,
    Row,
    choose,
    compare,
    make_protocol,
    markdown,
    record,
    runner,
    worker,
)
from mien.benchmark.networks import train_network
from mien.benchmark.protocol import Protocol
from mien.benchmark.runner import _key
from mien.benchmark.tables import conditions, pairs
from mien.benchmark.task import Task
from mien.benchmark.worker import Job
from mien.cli import app
from mien.cli.options import seconds_of
from mien.data import FaceDataset
from mien.data.synthetic.generate import generate
from mien.errors import ConfigError
from mien.evaluation.metrics import score
from mien.evaluation.significance import compare_pairs
from mien.files import safe_name

FAST = "hog-svm"
BUDGET = 0.5
JOBS = 64  # a method then has one thread, and starts no processes of its own
FACES = generate(210, seed=1, identities=10)


@pytest.fixture
def one_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    """What fits into a budget is not measured, which would take 15 steps of a network."""
    monkeypatch.setattr("mien.training.run.epochs_within", lambda *_, **__: 1)


def parts(plan: Protocol) -> tuple[FaceDataset, FaceDataset]:
    """Training and held-out faces of a protocol of one fold."""
    (fold,) = plan.folds()
    return fold.parts()


def unlabelled(ds: FaceDataset, split: str = "") -> FaceDataset:
    """``ds`` without people and parts."""
    return replace(ds, subject=None, split=np.full(len(ds), split))


def test_every_method_of_the_report_is_there_with_its_source_and_figure():
    figures = {
        "bow-svm": {"FER2013": 67.4},
        "bow-svm-local": {"FER2013": 67.4},
        "vgg-svm": {"FER2013": 66.31},
        "googlenet": {"FER2013": 65.2},
        "mollahosseini": {"FER2013": 66.4},
        "deep-emotion-2019": {"FER2013": 70.02, "FERG": 99.3},
        "deepexpr": {"FERG": 89.02},
        "multi-feature": {"FERG": 97.0},
        "adversarial": {"FERG": 98.2},
    }
    older = {f"{f}-{c}" for f in ("hog", "lbp", "sift", "haar") for c in ("svm", "forest", "mlp")}
    assert set(METHODS) == {*figures, *older}
    assert all(m.name == name and m.source and m.what for name, m in METHODS.items())
    assert {n: dict(m.reported) for n, m in METHODS.items() if m.reported} == figures
    assert all(json.dumps(m.settings(0), default=str) for m in METHODS.values())


def test_choosing():
    everybody, left_out = choose(None, FACES)
    assert [m.name for m in everybody] == list(METHODS)
    assert not left_out
    some, left_out = choose(None, unlabelled(FACES))
    assert "adversarial" not in [m.name for m in some]
    assert left_out == ["adversarial: needs data that say who is on the pictures"]
    with pytest.raises(ConfigError, match="adversarial needs data that say who"):
        choose(["adversarial"], unlabelled(FACES))
    with pytest.raises(ConfigError, match=r"among .*bow-svm.*; got nonsense"):
        choose(["nonsense"], FACES)


def test_people_are_kept_apart_by_default():
    plan = make_protocol(replace(FACES, split=np.full(len(FACES), "")), seed=3)
    train, val = parts(plan)
    assert not set(train.subject) & set(val.subject)
    assert "subject-independent" in plan.about
    assert len(train) + len(val) == len(FACES)


def test_one_fold_a_person_covers_everybody_once():
    plan = make_protocol(FACES, "leave-one-subject-out")
    folds = [(fold.name, *fold.parts()) for fold in plan.folds()]
    assert [name for name, _, _ in folds] == sorted(set(FACES.subject))
    assert all(set(val.subject) == {name} and name not in train.subject for name, train, val in folds)
    assert sum(len(val) for _, _, val in folds) == len(FACES)
    with pytest.raises(ConfigError, match="two people or more, and 0 are known"):
        make_protocol(unlabelled(FACES), "leave-one-subject-out")


def test_protocols_that_cannot_be():
    with pytest.raises(ConfigError, match="protocol must be one of split"):
        make_protocol(FACES, "guess")
    with pytest.raises(ConfigError, match="no face has one"):
        make_protocol(replace(FACES, labels=None))


def test_sealed_parts_stay_out_of_sight():
    split = np.array(["Training"] * 100 + ["PublicTest"] * 60 + ["PrivateTest"] * 50)
    plan = make_protocol(replace(unlabelled(FACES), split=split))
    assert plan.faces.splits == ("Training", "PublicTest")


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Row], Protocol]:
    out = tmp_path_factory.mktemp("compare")
    plan = make_protocol(FACES)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runner, "_PATIENCE", 1000.0)  # a busy machine may take long to start a process
        return out, compare([METHODS[FAST], METHODS[REFERENCE]], plan, out, budget=BUDGET, jobs=JOBS), plan


def test_rows_hold_what_was_measured(compared: tuple[Path, list[Row], Protocol]):
    out, rows, plan = compared
    _, val = parts(plan)
    hog, network = rows
    assert [r.method for r in rows] == [FAST, REFERENCE]
    assert not hog.error, hog.error
    assert not network.error, network.error
    assert hog.scored.n == len(val) == len(hog.hits)
    assert hog.hits.mean() == pytest.approx(hog.scored.accuracy)
    assert hog.scored.accuracy > 0.4  # seven classes; chance is 0.14
    assert hog.size["vector"] > 100
    assert network.size == {"parameters": 66_857}
    assert min(hog.fit_seconds, hog.faces_per_second, network.fit_seconds, network.faces_per_second) > 0
    assert hog.peak_memory_mb is None or hog.peak_memory_mb > 50
    assert "of 120 epochs, for want of time" in network.notes[0]
    assert json.loads((out / "results" / f"{FAST}.json").read_text())["method"] == FAST
    assert hog.conditions["protocol"] == "subject-independent: 8 people to train, 2 to evaluate"


def test_a_second_run_uses_what_is_there(compared: tuple[Path, list[Row], Protocol]):
    out, rows, plan = compared
    events: list[Event] = []
    again = compare([METHODS[FAST], METHODS[REFERENCE]], plan, out, budget=BUDGET, on_event=events.append)
    assert [e.kind for e in events] == ["kept", "kept"]
    assert again == rows


def test_other_settings_are_another_row(compared: tuple[Path, list[Row], Protocol]):
    _, rows, plan = compared
    method = METHODS[FAST]
    keys = {
        rows[0].key,
        _key(method, plan, 1, BUDGET),
        _key(method, plan, 0, None),
        _key(method, make_protocol(FACES, "leave-one-subject-out"), 0, BUDGET),
        _key(METHODS["lbp-svm"], plan, 0, BUDGET),
    }
    assert len(keys) == 5
    assert _key(method, plan, 0, BUDGET) == rows[0].key


def test_what_was_trained_is_kept_and_loads(compared: tuple[Path, list[Row], Protocol]):
    from mien.classical import load_estimator
    from mien.evaluation.model import open_model
    from mien.evaluation.scoring import evaluate

    out, (hog, network), plan = compared
    _, val = parts(plan)
    pipeline, about = load_estimator(out / "runs" / f"{FAST}-{hog.key}" / "model.skops")
    assert about["names"] == list(FACES.names)
    assert (pipeline.predict(val.images) == val.labels).mean() == pytest.approx(hog.scored.accuracy)
    model = open_model(out / "runs" / f"{REFERENCE}-{network.key}")
    assert evaluate(model, val).accuracy == pytest.approx(network.scored.accuracy)


def test_the_table_shows_rows_failures_and_conditions(compared: tuple[Path, list[Row], Protocol]):
    _, rows, _ = compared
    broken = Row("vgg-svm", "k", error="no | luck", conditions=rows[0].conditions)
    text = markdown([*rows, broken], ["adversarial: needs people"])
    lines = text.splitlines()
    best, other = sorted(rows, key=lambda r: -r.scored.accuracy)
    assert lines[2].startswith(f"| `{best.method}` | {100 * best.scored.accuracy:.1f} |")
    assert lines[3].startswith(f"| `{other.method}` |")
    assert "70.02 (FER2013), 99.3 (FERG)" in text
    assert "- vgg-svm: failed, no | luck" in lines
    assert "- not run: adversarial: needs people" in lines
    assert "people to train" in text or "official parts" in text
    assert len({line.count(" | ") for line in lines[:4] if line.startswith("| ")}) == 1
    test = pairs(rows)[FAST]
    hits = {r.method: r.hits for r in rows}
    assert test.difference == pytest.approx(hits[FAST].mean() - hits[REFERENCE].mean())
    assert record(rows)["rows"][0]["against"]["n"] == len(hits[FAST])
    assert not pairs([rows[0]])


def test_everybody_is_left_out_once_and_all_predictions_are_scored_together(tmp_path: Path):
    few = FACES.take(np.isin(FACES.subject, ["s00", "s03", "s06"]))
    plan = make_protocol(few, "leave-one-subject-out")
    (row,) = compare([METHODS["lbp-svm"]], plan, tmp_path, jobs=JOBS)
    assert not row.error, row.error
    assert row.scored.n == len(row.hits) == len(few)
    assert row.conditions["protocol"] == "leave one subject out, 3 people"
    folder = tmp_path / "runs" / f"lbp-svm-{row.key}"
    assert sorted(p.parent.name for p in folder.glob("*/model.skops")) == ["0000-s00", "0001-s03", "0002-s06"]


NAMES = ["../x", "/tmp/x", "a/b", "a_b", "a\\b", "x" * 300, "..", ".", "CON", "name:1", "émile", "エミ", " ", "\x00"]


def test_names_of_people_become_no_paths(tmp_path: Path):
    made = [safe_name(name, i) for i, name in enumerate(NAMES)]
    assert len({m.casefold() for m in made}) == len(NAMES)
    for name in made:
        assert (tmp_path / name).resolve().parent == tmp_path.resolve()
        (tmp_path / name).mkdir()
        assert len(name) <= 45
    assert safe_name("Ann Lee", 7) == "0007-Ann_Lee"
    assert safe_name("", 3) == "0003"


def test_nothing_is_written_outside_out_whatever_people_are_called(tmp_path: Path):
    folder, outside = tmp_path / "a" / "b" / "run", tmp_path / "outside"
    called = dict(zip(sorted(set(FACES.subject)), ["../../x", str(outside), "a/b"], strict=False))
    few = FACES.take(np.isin(FACES.subject, list(called)))
    few = replace(few, subject=np.array([called[who] for who in few.subject]))
    plan = make_protocol(few, "leave-one-subject-out")
    worker._run(Job("lbp-svm", plan, folder, seed=0, threads=1, budget=None), lambda step, share: None)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a"]
    assert sorted(p.name for p in (tmp_path / "a" / "b").iterdir()) == ["run"]
    assert sorted(p.parent.name[:5] for p in folder.glob("*/model.skops")) == ["0000-", "0001-", "0002-"]


def test_folds_of_many_people_do_not_hold_the_data_many_times():
    many = generate(600, seed=2, identities=30)
    plan = make_protocol(many, "leave-one-subject-out")
    tracemalloc.start()
    count = 0
    for fold in plan.folds():
        train, val = fold.parts()
        count += len(val)
        assert len(train) + len(val) <= len(many)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == len(many)
    assert peak < 4 * many.images.nbytes  # one fold at a time, and the one before it until it is replaced


def test_each_condition_that_differs_is_shown_with_its_methods(compared: tuple[Path, list[Row], Protocol]):
    _, rows, _ = compared
    hog, network = rows
    third = replace(hog, method="lbp-svm")
    other = replace(network, conditions={**network.conditions, "threads": 7, "torch": "9.9", "date": "2020-01-01"})
    said = conditions([hog, third, other])
    assert f"({REFERENCE}: 7 thread(s) of" in said
    assert f"({REFERENCE}: mien " in said
    assert "torch 9.9" in said
    assert f"({REFERENCE}: 2020-01-01)" in said
    assert f"{REFERENCE}:" not in conditions(rows)


def test_p_values_of_many_methods_are_corrected(compared: tuple[Path, list[Row], Protocol]):
    _, (hog, network), _ = compared
    more = [hog, *(replace(hog, method=f"{name}-svm") for name in ("lbp", "sift", "haar"))]
    found = pairs([*more, network])
    plain = compare_pairs(hog.hits, network.hits)
    assert {p.p_value for p in found.values()} == {plain.p_value}
    assert all(p.p_corrected == pytest.approx(min(1, 4 * plain.p_value)) for p in found.values())
    assert "corrected by Holm for 4 comparisons" in conditions([*more, network])
    assert record([*more, network])["rows"][0]["against"]["p_corrected"] is not None


def test_a_method_out_of_time_is_stopped_and_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(runner, "_PATIENCE", 0.0)
    (row,) = compare([METHODS["bow-svm"]], make_protocol(FACES), tmp_path, budget=0.1)
    assert row.error == "not done after twice the budget of 0.1 s; give a longer one"


def test_a_method_that_fails_is_named_and_the_others_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(runner, "_PATIENCE", 1000.0)
    few = FACES.take(np.flatnonzero(FACES.labels < 3))
    shrunk = replace(few, images=few.images[:, ::4, ::4])  # 12 pixels: too small for the network
    events: list[Event] = []
    rows = compare(
        [METHODS[REFERENCE], METHODS["lbp-svm"]],
        make_protocol(shrunk),
        tmp_path,
        budget=5,
        jobs=2,
        on_event=events.append,
    )
    assert rows[0].error
    assert rows[0].report is None
    assert {e.kind for e in events} >= {"start", "failed"}
    assert json.loads((tmp_path / "results" / f"{REFERENCE}.json").read_text())["error"] == rows[0].error
    folder = tmp_path / "runs" / f"{REFERENCE}-{rows[0].key}"
    assert "Traceback" in (folder / "log.txt").read_text()
    assert runner._kept(tmp_path, REFERENCE, rows[0].key) is None  # a failure is tried again


def test_epochs_are_cut_to_the_budget_once_and_a_run_goes_on(tmp_path: Path):
    train, val = parts(make_protocol(FACES))
    task = Task(train, val, tmp_path / "run", budget=1.0)
    _, first = train_network(task, REFERENCE)
    epochs = json.loads((tmp_path / "run" / "plan.json").read_text())["epochs"]
    assert 1 <= epochs < 120
    _, again = train_network(replace(task, budget=1000.0), REFERENCE)  # the plan stands, nothing is trained again
    assert again.notes == first.notes == (f"{epochs} of 120 epochs, for want of time",)
    assert again.seconds == first.seconds
    np.testing.assert_array_equal(again.predict(val.images), first.predict(val.images))


@pytest.mark.usefixtures("one_epoch")
def test_identity_is_read_from_held_out_faces_only(tmp_path: Path):
    from mien.benchmark.networks import fit_adversarial

    train, val = parts(make_protocol(FACES))
    fitted = fit_adversarial(Task(train, val, tmp_path / "run", budget=1.0))
    found = fitted.figures["identity"]
    assert (found["people"], found["seen"]) == (len(set(val.subject)), 0)
    assert found["faces"] == sum(int((val.subject == who).sum()) // 2 for who in set(val.subject))
    assert found["chance"] < found["pixels"] <= 1
    assert 0 <= found["representation"] <= 1
    assert fitted.predict(val.images).shape == (len(val), 7)
    alone = val.take(val.subject == val.subject[0])  # as leave one subject out holds them out
    lonely = fit_adversarial(Task(train, alone, tmp_path / "alone", budget=1.0))
    assert lonely.figures == {}
    assert "how well it hides identity is not measured" in lonely.notes[-1]


def test_an_encoder_that_knows_its_training_faces_is_not_believed(monkeypatch: pytest.MonkeyPatch):
    """It hides everybody whom it has learnt, and shows everybody else: what counts is everybody else."""
    from mien.benchmark import networks

    train, val = parts(make_protocol(FACES))
    learnt = {image.tobytes() for image in train.images}

    def hides(model: object, images: np.ndarray) -> np.ndarray:
        small = images[:, ::4, ::4].reshape(len(images), -1).astype(np.float32)
        return np.stack([0 * x if image.tobytes() in learnt else x for x, image in zip(small, images, strict=True)])

    monkeypatch.setattr(networks, "features", hides)
    found = networks._identity(None, Task(train, val, Path()))
    assert found["representation"] > found["chance"] + 0.2


@pytest.mark.usefixtures("one_epoch")
def test_learnt_features_feed_two_methods_that_train_one_network_and_both_count_its_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    from mien.benchmark import networks

    train, val = parts(make_protocol(FACES))
    runs, steps = [], list[str]()
    run = networks.train
    monkeypatch.setattr(networks, "train", lambda *a, **k: runs.append(run(*a, **k)) or runs[-1])
    task = Task(train, val, tmp_path, budget=1.0, shared=tmp_path, progress=lambda step, share: steps.append(step))
    both = [METHODS[name].fit(replace(task, folder=tmp_path / name)) for name in ("vgg-svm", "multi-feature")]
    assert [p.name.split("-")[0] for p in tmp_path.iterdir() if p.name not in METHODS] == ["vgg"]
    assert runs[0].history == runs[1].history
    assert all(f.seconds > sum(e["seconds"] for e in runs[0].history) for f in both)
    for fitted in both:
        assert score(fitted.predict(val.images), val.labels, FACES.names).n == len(val)
        assert {"parameters", "vector"} <= set(fitted.size)
    assert both[1].size["vector"] > both[0].size["vector"]
    assert {"training", "support vector machine"} <= set(steps)


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90), ("10m", 600), ("1.5h", 5400), ("45", 45), (" 2M ", 120)])
def test_budgets(text: str, seconds: float):
    assert seconds_of(text) == seconds


@pytest.mark.parametrize("text", ["", "ten", "-3m", "0s", "5d", "1e3"])
def test_budgets_that_are_none(text: str):
    with pytest.raises(ConfigError, match="--budget must be a time above 0"):
        seconds_of(text)


def test_the_command_writes_table_plot_and_results(tmp_path: Path):
    arguments = [
        "compare",
        "--data",
        "synthetic:210",
        "--methods",
        "hog-svm",
        "--out",
        str(tmp_path / "out"),
        "--jobs",
        "64",
    ]
    run = CliRunner().invoke(app, arguments)
    assert run.exit_code == 0, run.output
    assert "hog-svm" in run.stdout
    assert (tmp_path / "out" / "compare.md").read_text().startswith("| method | accuracy, % |")
    assert json.loads((tmp_path / "out" / "compare.json").read_text())["rows"][0]["method"] == "hog-svm"
    assert (tmp_path / "out" / "compare.png").read_bytes().startswith(b"\x89PNG")
    again = CliRunner().invoke(app, arguments)
    assert "from before" in again.stderr
    assert again.stdout == run.stdout


def test_the_command_lists_methods_and_names_what_is_missing():
    listed = CliRunner().invoke(app, ["compare", "--list"])
    assert all(name in listed.stdout for name in METHODS)
    missing = CliRunner().invoke(app, ["compare"])
    assert "--data is needed" in str(missing.exception)


def test_the_list_needs_neither_torch_nor_scikit_learn():
    code = (
        "import sys\nsys.modules.update(dict.fromkeys(('torch', 'sklearn', 'matplotlib')))\n"
        "from mien.cli import main\nsys.argv = ['mien', 'compare', '--list']\nmain()"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert REFERENCE in run.stdout, run.stderr
