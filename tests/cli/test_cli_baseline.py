"""``mien video --baseline``: both values in every format, segments beside, metadata, and what is refused."""

from __future__ import annotations

import csv
import json

import cv2
import numpy as np
import pytest
from onnx_nets import write_net
from typer.testing import CliRunner
from video_files import square, write_cv

from mien.cli import app
from mien.errors import ConfigError
from mien.video import relative, rest_of

NAMES = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")


@pytest.fixture(scope="module")
def net(tmp_path_factory):
    return str(write_net(tmp_path_factory.mktemp("nets") / "tiny.onnx"))


@pytest.fixture
def clip(tmp_path):
    return write_cv(tmp_path / "clip.avi", [square(i) for i in range(24)], rate=20)


def run(net, *arguments):
    return CliRunner().invoke(app, ["video", *map(str, arguments), "--model", net, "--detector", "none"])


def read(path):
    return list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))


def test_both_values_stand_in_every_format_and_are_by_the_formula(net, clip, tmp_path):
    pq = pytest.importorskip("pyarrow.parquet")
    for name in ("a.csv", "b.jsonl", "c.json", "d.parquet"):
        result = run(net, clip, "--out", tmp_path / name, "--baseline", "0-0.5")
        assert result.exit_code == 0, result.exception
        assert "baseline: track 1 from " in result.stderr
    rows = read(tmp_path / "a.csv")
    assert len(rows) == 24
    p = np.array([[float(r[name]) for name in NAMES] for r in rows])
    calm = [i for i, r in enumerate(rows) if float(r["time"]) <= 0.5 and r["usable"] == "1"]
    expected = relative(p, rest_of(p[calm]), 6)
    np.testing.assert_allclose([[float(r[f"relative_{n}"]) for n in NAMES] for r in rows], expected, atol=1e-4)
    assert [r["relative_label"] for r in rows] == [NAMES[i] for i in expected.argmax(1)]
    lines = [json.loads(line) for line in (tmp_path / "b.jsonl").read_text(encoding="utf-8").splitlines()]
    assert pq.read_table(tmp_path / "d.parquet").to_pylist() == lines
    assert list(lines[0]) == list(rows[0])
    assert [line["relative_happy"] for line in lines] == [float(r["relative_happy"]) for r in rows]
    document = json.loads((tmp_path / "c.json").read_text(encoding="utf-8"))
    assert [f["relative"]["label"] for photo in document["photos"] for f in photo["faces"]] == [
        r["relative_label"] for r in rows
    ]
    beside = json.loads((tmp_path / "a.csv.json").read_text(encoding="utf-8"))
    assert beside["settings"]["baseline"] == "0-0.5"
    assert "rest_k = mean" in beside["baseline"]["formula"]
    assert beside["baseline"]["persons"]["1"]["frames"] == len(calm)
    segments = read(tmp_path / "a-relative-segments.csv")
    assert sum(int(s["frames"]) for s in segments) == sum(r["usable"] == "1" for r in rows)


def test_without_it_nothing_of_it_is_there(net, clip, tmp_path):
    assert run(net, clip, "--out", tmp_path / "t.csv").exit_code == 0
    assert not [name for name in read(tmp_path / "t.csv")[0] if name.startswith("relative")]
    assert not (tmp_path / "t-relative-segments.csv").exists()


def test_a_picture_holds_for_everybody_and_a_stretch_without_a_frame_is_named(net, clip, tmp_path):
    cv2.imwrite(str(tmp_path / "rest.png"), square(0))
    assert run(net, clip, "--out", tmp_path / "t.csv", "--baseline", tmp_path / "rest.png").exit_code == 0
    assert all(r["relative_label"] for r in read(tmp_path / "t.csv"))
    result = run(net, clip, "--out", tmp_path / "u.csv", "--baseline", "50-60")
    assert "track 1 has no usable frame in it" in result.stderr
    assert {r["relative_label"] for r in read(tmp_path / "u.csv")} == {""}
    assert read(tmp_path / "u-relative-segments.csv") == []


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--baseline", "median"], "--out"),
        (["--baseline", "5-2", "--out", "t.csv"], "end after its start"),
        (["--baseline", "none.jpg", "--out", "t.csv"], "no file"),
    ],
)
def test_what_it_wants_is_said_before_anything_is_made(net, clip, tmp_path, monkeypatch, flags, words):
    monkeypatch.chdir(tmp_path)
    result = run(net, clip, *flags)
    assert isinstance(result.exception, ConfigError)
    assert words in str(result.exception)
    assert [p.name for p in tmp_path.iterdir()] == ["clip.avi"]


def test_several_films_have_it_and_one_sav_of_all(net, clip, tmp_path):
    pyreadstat = pytest.importorskip("pyreadstat")
    other, out = clip.with_name("other.avi"), tmp_path / "r"
    other.write_bytes(clip.read_bytes())
    given = (clip, other, "--out", out, "--baseline", "0-0.5", "--also", "sav")
    result = run(net, *given)
    assert result.exit_code == 0, result.exception
    assert "baseline: track 1 from " in result.stderr
    rows = read(out / "all.csv")
    assert {r["source"] for r in rows} == {str(clip), str(other)}
    assert all(r["relative_label"] for r in rows)
    assert len(read(out / "all-relative-segments.csv")) == 2 * len(read(out / "clip-relative-segments.csv"))
    both, one = (pyreadstat.read_sav(str(out / f"{name}.sav"))[0] for name in ("all", "clip"))
    assert both.source.value_counts().to_dict() == {str(clip): len(one), str(other): len(one)}
    assert both[both.source == str(clip)].drop(columns="source").equals(one.drop(columns="source"))
    (out / "other-relative-segments.csv").unlink()
    assert "kept: 1 recording of" in run(net, *given, "--resume").stderr
