"""``mien predict --out``: the files it writes, what Ctrl-C leaves of them, and how they are gone on with."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from onnx_nets import write_net
from predicting import run

from mien.errors import ConfigError, MissingExtra
from mien.labels import FER2013
from mien.runtime import Predictor
from mien.spec import ModelSpec


@pytest.mark.parametrize("name", ["x.csv", "x.jsonl", "x.json", "x.parquet"])
def test_out_holds_every_photo_and_stdout_nothing(net, album, tmp_path, name):
    if name.endswith("parquet"):
        pytest.importorskip("pyarrow")
    out = tmp_path / "deep" / name
    result = run(album, "--model", net, "--out", out)
    assert result.exit_code == 1
    assert result.stdout == ""
    assert "3 photos, 1 face, 1 photo without a face" in result.stderr
    assert outcomes(out) == ["faces", "no face", "unreadable"]


def outcomes(out: Path) -> list[str]:
    if out.suffix == ".csv":
        return [row["outcome"] for row in csv.DictReader(io.StringIO(out.read_text()))]
    if out.suffix == ".jsonl":
        return [json.loads(line)["outcome"] for line in out.read_text().splitlines()]
    if out.suffix == ".json":
        return [photo["outcome"] for photo in json.loads(out.read_text())["photos"]]
    from pyarrow import parquet

    return parquet.read_table(out)["outcome"].to_pylist()


def test_parquet_has_the_same_columns_and_types_with_and_without_faces(net, album, tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    run(album / "a.jpg", "--model", net, "--parquet", tmp_path / "face")
    run(album / "b.png", "--model", net, "--parquet", tmp_path / "none")
    face, none = (parquet.read_table(tmp_path / name) for name in ("face", "none"))
    assert face.schema.equals(none.schema)
    assert face.schema.metadata[b"model"] == b"tiny"
    assert face["usable"].to_pylist() == [True]
    assert none["yaw"].to_pylist() == [None]


def test_parquet_without_pyarrow_says_how_to_get_it_before_the_run(net, album, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    result = run(album, "--model", net, "--parquet", tmp_path / "x")
    assert isinstance(result.exception, MissingExtra)
    assert "[parquet]" in str(result.exception)


@pytest.mark.parametrize("name", ["x.csv", "x.jsonl"])
@pytest.mark.parametrize("cut", [0, 5, 0.3, 0.6, -40, -1, None])
def test_an_interrupted_run_is_resumed_to_the_same_file(net, album, tmp_path, monkeypatch, name, cut):
    shutil.copy(album / "a.jpg", album / "d.jpg")
    whole, out = tmp_path / "whole" / name, tmp_path / name
    run(album, "--model", net, "--out", whole)
    data = whole.read_bytes()
    at = len(data) if cut is None else int(len(data) * cut) if isinstance(cut, float) else cut % len(data) if cut else 0
    out.write_bytes(data[:at])
    done, find = [], Predictor.find
    monkeypatch.setattr(Predictor, "find", lambda self, pixels: done.append(1) or find(self, pixels))
    result = run(album, "--model", net, "--out", out, "--resume", "--jobs", "2")
    assert out.read_bytes() == data
    assert result.exit_code == 1  # one cannot be read, whichever run found out
    if cut in (-1, None):
        assert len(done) <= 1  # of three that can be read


def test_resume_refuses_what_another_model_wrote_and_out_what_is_there(net, album, tmp_path):
    other = write_net(tmp_path / "o.onnx", ModelSpec("other", FER2013.names))
    fewer = write_net(tmp_path / "f.onnx", ModelSpec("tiny", ("yes", "no")))
    for name in ("x.csv", "x.jsonl"):
        out = tmp_path / name
        run(album, "--model", net, "--out", out)
        before = out.read_bytes()
        assert "is there already" in str(run(album, "--model", net, "--out", out).exception)
        assert "with the model tiny" in str(run(album, "--model", other, "--out", out, "--resume").exception)
        assert out.read_bytes() == before
    assert "its columns" in str(run(album, "--model", fewer, "--out", tmp_path / "x.csv", "--resume").exception)
    (tmp_path / "y.jsonl").write_text('{"a": 1}\n[broken\n{}\n')
    assert isinstance(run(album, "--model", net, "--out", tmp_path / "y.jsonl", "--resume").exception, ConfigError)


def test_a_resumed_run_saves_pictures_under_the_names_of_the_whole(net, tmp_path):
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        cv2.imwrite(str(tmp_path / folder / "b.png"), np.full((40, 50, 3), 99, np.uint8))
    out, drawn = tmp_path / "x.jsonl", tmp_path / "drawn"
    run(tmp_path / "one", "--model", net, "--out", out, "--draw", drawn)
    before = (drawn / "b-mien.png").stat().st_mtime_ns
    run(tmp_path / "one", tmp_path / "two", "--model", net, "--out", out, "--draw", drawn, "--resume")
    assert {f.name for f in drawn.iterdir()} == {"b-mien.png", "b-mien-2.png"}
    assert (drawn / "b-mien.png").stat().st_mtime_ns == before


@pytest.mark.parametrize("name", ["x.csv", "x.jsonl", "x.json", "x.parquet", "stdout"])
def test_ctrl_c_leaves_whole_files_that_are_gone_on_with(net, album, tmp_path, monkeypatch, name):
    if name.endswith("parquet"):
        pytest.importorskip("pyarrow")
    many = Predictor.predict_many

    def interrupted(self, *given, **more):
        yield from list(many(self, *given, **more))[:2]
        raise KeyboardInterrupt

    flags = ("--json",) if name == "stdout" else ("--out", tmp_path / name)
    with monkeypatch.context() as patch:
        patch.setattr(Predictor, "predict_many", interrupted)
        result = run(album, "--model", net, *flags)
    assert result.exit_code == 130
    assert ("--resume goes on with it" in result.stderr) == (name != "stdout")
    if name == "stdout":
        document = json.loads(result.stdout)
        assert (len(document["photos"]), document["complete"]) == (2, False)
        return
    assert outcomes(tmp_path / name) == ["faces", "no face"]
    result = run(album, "--model", net, *flags, "--resume")
    assert "2 photos (1 were there)" in result.stderr
    assert outcomes(tmp_path / name) == ["faces", "no face", "unreadable"]


def test_excel_gets_its_mark_and_no_formulas(net, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    cv2.imwrite("x.png", np.full((60, 60, 3), 99, np.uint8))
    os.rename("x.png", "=1+1.png")
    for flags in (("--csv", "--excel"), ("--out", "out.csv", "--excel")):
        result = run(".", "--model", net, *flags)
        text = result.stdout if "--csv" in flags else Path("out.csv").read_text(encoding="utf-8")
        assert text.startswith("\ufeffphoto,")
        assert "\n'=1+1.png," in text
    assert "0 photos (1 were there)" in run(".", "--model", net, "--out", "out.csv", "--resume").stderr


def test_the_same_table_with_another_detector_or_size_is_refused(net, album, tmp_path):
    out = tmp_path / "x.csv"
    run(album, "--model", net, "--out", out)
    for flags, words in (
        (("--detector-size", "320"), "with the detector size auto, not 320"),
        (("--detector", "none"), "with the detector name centerface, not none"),
    ):
        assert words in str(run(album, "--model", net, "--out", out, "--resume", *flags).exception)
    assert run(album, "--model", net, "--out", out, "--resume", "--jobs", "2").exit_code == 1  # that changes no answer


@pytest.mark.skipif(os.name == "nt", reason="no such names there")
def test_photos_whose_names_are_no_text_stay_apart_when_resumed(net, album, tmp_path):
    for byte in ("\udcfe", "\udcff"):
        shutil.copy(album / "b.png", album / f"odd{byte}.png")
    out = tmp_path / "x.jsonl"
    run(album, "--model", net, "--out", out)
    lines = [json.loads(line)["photo"] for line in out.read_text(encoding="utf-8").splitlines()]
    assert {Path(name).name for name in lines} == {"a.jpg", "b.png", "c.jpg", r"odd\xfe.png", r"odd\xff.png"}
    assert "0 photos (5 were there)" in run(album, "--model", net, "--out", out, "--resume").stderr
