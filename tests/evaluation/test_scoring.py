"""Accuracy on corrupted faces: the same figures as an evaluation of them, and what ``mien evaluate --corrupt`` says."""

from __future__ import annotations

import io
import json
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from onnx_nets import write_net
from torch import Tensor

from mien import evaluate as mien_evaluate
from mien.cli import main
from mien.cli.evaluation_view import passes_bar, show_robustness
from mien.data import FaceDataset
from mien.data.synthetic.generate import generate
from mien.errors import ConfigError
from mien.evaluation.corruptions import CORRUPTIONS, SEVERITIES, corrupt
from mien.evaluation.metrics import Report, Robustness
from mien.evaluation.model import Loaded, open_model
from mien.evaluation.scoring import evaluate, measure_robustness
from mien.spec import ModelSpec

DATA = "synthetic:70,seed=2"


@pytest.fixture(scope="module")
def faces() -> FaceDataset:
    return generate(70, seed=2).part("validation")


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_net(tmp_path_factory.mktemp("net") / "tiny.onnx")


@pytest.fixture(scope="module")
def found(net: Path, faces: FaceDataset) -> Robustness:
    return measure_robustness(open_model(net), faces)


def mien(*words: object, code: int = 0) -> None:
    sys.argv = ["mien", *map(str, words)]
    with pytest.raises(SystemExit) as end:
        main()
    assert (end.value.code or 0) == code


def test_each_figure_is_that_of_an_evaluation_of_the_corrupted_faces(net, faces, found) -> None:
    model = open_model(net)
    whole = evaluate(model, faces)
    assert (found.n, found.clean, found.split) == (whole.n, whole.accuracy, "validation")
    assert {k: v for k, v in found.conditions.items() if k in whole.conditions} == whole.conditions
    assert list(found.accuracies) == list(CORRUPTIONS)
    assert found.conditions["severities"] == {k: list(v) for k, v in SEVERITIES.items()}
    for kind, severity in (("blur", 1), ("noise", 5), ("eyes", 3)):
        corrupted = replace(faces, images=corrupt(faces.images, kind, severity))
        assert found.accuracies[kind][severity - 1] == evaluate(model, corrupted).accuracy


def test_a_model_that_sees_only_the_left_edge_minds_no_mouth(faces) -> None:
    """The net's output is the label as written into the first column, so what leaves that alone leaves it right."""
    images = faces.images.copy()
    images[:, :, 0] = 30 + 30 * faces.labels[:, None].astype(np.uint8)
    marked = replace(faces, images=images)

    def forward(x: Tensor) -> Tensor:
        grey = x[:, 0, :, 0].median(1).values * 255
        return -((grey[:, None] - 30 - 30 * torch.arange(7)) ** 2)

    model = Loaded(forward, ModelSpec("edge", faces.names, mean=0.0, std=1.0), "")
    found = measure_robustness(model, marked)
    assert found.clean == 1
    assert found.by_kind["mouth"] == found.by_kind["eyes"] == 1
    assert found.by_kind["brightness"] < 1
    assert found.relative == found.mean < 1


def test_seed_views_and_progress(net, faces, found) -> None:
    model, seen = open_model(net), []
    again = measure_robustness(model, faces, on_pass=lambda done, total: seen.append((done, total)))
    assert again == found
    assert seen == [(i, 46) for i in range(1, 47)]
    other = measure_robustness(model, faces, seed=5, views=2)
    assert (other.conditions["seed"], other.conditions["views"]) == (5, 2)
    assert other.clean == evaluate(model, faces, views=2).accuracy


def test_labels_are_brought_into_the_order_of_the_model(net, faces, found) -> None:
    names = tuple(reversed(faces.names))
    turned = replace(faces, names=names, labels=6 - faces.labels)
    assert measure_robustness(open_model(net), turned).accuracies == found.accuracies


def test_wrong_faces_and_seeds_are_named(net, faces) -> None:
    model = open_model(net)
    with pytest.raises(ConfigError, match="no labelled faces"):
        measure_robustness(model, replace(faces, labels=np.full(len(faces), -1)))
    with pytest.raises(ConfigError, match="seed must be 0 or more"):
        measure_robustness(model, faces, seed=-1)
    with pytest.raises(ConfigError, match="views"):
        measure_robustness(model, faces, views=11)


def test_means_and_what_survives_json(found) -> None:
    made = Robustness(10, 0.8, {"a": (0.6, 0.4), "b": (0.2, 0.0)}, "P", {"seed": 1})
    assert made.by_kind == pytest.approx({"a": 0.5, "b": 0.1})
    assert made.by_severity == pytest.approx((0.4, 0.2))
    assert (made.mean, made.relative) == pytest.approx((0.3, 0.375))
    assert str(made) == "corrupted 30.00%, 37.5% of 80.00% clean (P, n 10)"
    assert Robustness(1, 0.0, {"a": (0.0,)}).relative == 0
    for each in (made, found):
        assert Robustness.from_dict(json.loads(json.dumps(each.to_dict()))) == each


def test_a_record_that_breaks_its_rule_is_refused() -> None:
    good = Robustness(10, 0.8, {"a": (0.6, 0.4)}).to_dict()
    with pytest.raises(ConfigError, match="unknown: \\['x'\\]"):
        Robustness.from_dict({**good, "x": 1})
    with pytest.raises(ConfigError, match="unknown: \\['clean'\\]"):
        Robustness.from_dict({k: v for k, v in good.items() if k != "clean"})
    for rows in ({}, {"a": ()}, {"a": (0.1,), "b": (0.1, 0.2)}):
        with pytest.raises(ConfigError, match="equally many severities"):
            Robustness(10, 0.8, rows)
    with pytest.raises(ConfigError, match=r"0\.\.1, got 62\.5"):
        Robustness(10, 62.5, {"a": (0.1,)})


def test_the_table_shows_every_figure_and_the_drop(capsys) -> None:
    show_robustness(Robustness(10, 0.8, {"blur": (0.6, 0.4), "low_resolution": (0.2, 0.1)}, "P"))
    lines = [line.split() for line in capsys.readouterr().out.splitlines() if line.strip()]
    assert " ".join(lines[0]) == "corrupted 32.50%, 40.6% of 80.00% clean (P, n 10)"
    assert lines[1][-4:] == ["1", "2", "mean", "drop"]
    assert lines[2] == ["blur", "60.0", "40.0", "50.0", "30.0"]
    assert lines[3] == ["low", "resolution", "20.0", "10.0", "15.0", "65.0"]
    assert lines[4] == ["mean", "40.0", "25.0", "32.5", "47.5"]


def test_the_command_prints_both_tables_and_no_progress(net, found, tmp_path, capfd) -> None:
    flags = ["evaluate", net, "--data", DATA, "--split", "validation"]
    mien(*flags, "--corrupt", "--out", tmp_path / "r.json", "--plot", tmp_path / "c.png")
    out, err = capfd.readouterr()
    assert out.index("macro-F1") < out.index("corrupted") < out.index("low resolution")
    assert err == ""
    raw = json.loads((tmp_path / "r.json").read_text())
    assert Robustness.from_dict(raw["robustness"]).accuracies == found.accuracies
    assert Report.from_dict(raw).to_dict() == {k: v for k, v in raw.items() if k != "robustness"}
    assert cv2.imread(str(tmp_path / "c.png")) is not None

    mien(*flags, "--json", "--corrupt-plot", tmp_path / "new" / "k.png")  # implies --corrupt
    again = json.loads(capfd.readouterr().out)
    assert again == raw
    assert cv2.imread(str(tmp_path / "new" / "k.png")).shape[1] > 1000

    mien(*flags, "--json")
    assert json.loads(capfd.readouterr().out) == {k: v for k, v in raw.items() if k != "robustness"}


def test_a_folder_that_cannot_be_written_is_named_before_the_work(net, tmp_path, capfd, monkeypatch) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setattr("mien.evaluation.assess", lambda *_, **__: pytest.fail("worked first"))
    mien(
        "evaluate", net, "--data", DATA, "--split", "validation", "--corrupt-plot", tmp_path / "file" / "k.png", code=2
    )
    assert "choose another folder" in capfd.readouterr().err


def test_progress_goes_to_a_terminal_on_stderr(net, faces, monkeypatch, capsys) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("TERM", "xterm")
    with passes_bar(True) as on_pass:
        measure_robustness(open_model(net), faces, on_pass=on_pass)
    assert "corrupted faces" in screen.getvalue()
    assert capsys.readouterr().out == ""


def test_records_of_older_versions_are_read(found) -> None:
    raw = found.to_dict()
    older = {"by_strength" if k == "by_severity" else k: v for k, v in raw.items()}
    older["conditions"] = {"strengths" if k == "severities" else k: v for k, v in raw["conditions"].items()}
    assert Robustness.from_dict(older) == found
    results = Path(__file__).resolve().parents[2] / "results"
    published = json.loads((results / "mien-nano.json").read_text())
    shipped = [part for part in _mappings(published) if "by_strength" in part or "by_severity" in part]
    assert shipped
    for part in shipped:
        assert len(Robustness.from_dict(part).by_severity) == 5


def _mappings(raw: object) -> list[dict]:
    inner = raw.values() if isinstance(raw, dict) else raw if isinstance(raw, list) else ()
    return [*([raw] if isinstance(raw, dict) else []), *(m for v in inner for m in _mappings(v))]


def test_evaluate_takes_a_name_a_path_or_whatever_holds_a_model(net, faces) -> None:
    opened = open_model(net)
    expected = evaluate(opened, faces)
    for model in (opened, net, str(net), SimpleNamespace(loaded=opened)):
        assert mien_evaluate(model, faces) == expected
    assert mien_evaluate("deep-emotion-2019", faces).conditions["model"] == "deep-emotion-2019"
    half = mien_evaluate(net, replace(faces, images=faces.images[:, ::2, ::2]))
    assert half.conditions["resized"] == "from 24 x 24 to 48 x 48 pixels"
    for model in (None, 3, object(), np.zeros(3)):
        with pytest.raises(ConfigError, match="model must be the name of a shipped model, a path or a model"):
            mien_evaluate(model, faces)


def test_coverage_of_prediction_sets_is_measured_under_each_corruption(net, faces, found, capsys) -> None:
    model = open_model(net)
    assert (found.clean_coverage, found.coverages, found.coverage) == (None, {}, "")
    spec = replace(model.spec, calibration={"threshold": 0.15, "temperature": 1.0})
    sure = measure_robustness(replace(model, spec=spec), faces)
    assert sure.accuracies == found.accuracies
    for kind, severity in (("blur", 2), ("noise", 5)):
        p = model.predict(corrupt(faces.images, kind, severity))
        sets = [{int(row.argmax()), *np.flatnonzero(row >= 0.15).tolist()} for row in p]
        assert sure.coverages[kind][severity - 1] == np.mean([y in s for y, s in zip(faces.labels, sets, strict=True)])
    assert sure.clean_coverage >= sure.clean
    assert Robustness.from_dict(json.loads(json.dumps(sure.to_dict()))) == sure
    show_robustness(sure)
    assert "prediction sets hold the true class of" in " ".join(capsys.readouterr().out.split())
