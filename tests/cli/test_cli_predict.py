"""``mien predict`` and ``mien info``: what goes to stdout, what to stderr, and the exit codes."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import math
import os
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from onnx_nets import write_net
from predicting import run
from typer.testing import CliRunner

from mien.cli import app
from mien.errors import ConfigError, ModelError, OutputError
from mien.labels import FER2013
from mien.results.schema import columns
from mien.runtime import DEFAULT_MODEL, Predictor
from mien.spec import ModelSpec

ASTRONAUT = Path(__file__).parents[2] / "examples" / "astronaut.jpg"


def test_table_names_photo_expression_and_the_models_accuracy(net):
    result = run(ASTRONAUT, "--model", net)
    assert result.exit_code == 0
    assert "astronaut.jpg" in result.stdout
    assert any(name in result.stdout for name in FER2013.names)
    assert "tiny: 63.1 % on PublicTest (n=3,589)" in result.stdout
    assert result.stderr == ""


def test_one_photo_shows_the_whole_distribution_and_several_what_comes_next(album, tmp_path):
    net = str(write_net(tmp_path / "vague.onnx", ModelSpec("vague", FER2013.names, temperature=50.0)))
    (face,) = Predictor(net).predict(ASTRONAUT)
    ranked = sorted(face.probabilities.items(), key=lambda item: -item[1])
    one = run(ASTRONAUT, "--model", net).stdout.splitlines()
    bars = {words[0]: (words[1], words[-1]) for line in one[2:9] if len(words := line.split()) == 3}
    shown = [(name, p) for name, p in ranked if p >= 0.005]
    assert len(shown) > 3
    assert list(bars)[: len(shown)] == [name for name, _ in shown]
    assert all(bars[name][1] == f"{p:.1%}" and len(bars[name][0]) == math.ceil(round(240 * p) / 8) for name, p in shown)
    several = run(album / "a.jpg", album / "b.png", "--model", net).stdout
    assert f"{face.confidence:.0%}" in several
    assert f"{ranked[1][0]} {ranked[1][1]:.0%}, {ranked[2][0]} {ranked[2][1]:.0%}" in several


def test_json_is_one_document_and_a_bad_photo_does_not_stop_it(net, album):
    result = run(album, "--model", net, "--json")
    assert result.exit_code == 1
    document = json.loads(result.stdout)
    assert document["model"]["name"] == "tiny"
    assert document["model"]["labels"] == list(FER2013.names)
    a, b, c = document["photos"]
    assert len(a["faces"]) == 1
    assert b["faces"] == []
    assert [p["outcome"] for p in (a, b, c)] == ["faces", "no face", "unreadable"]
    assert "not a picture" in c["error"]
    assert "c.jpg" in result.stderr
    assert "1 of the photos" in result.stderr


def test_csv_has_one_row_a_face_and_one_for_a_photo_without(net, album):
    result = run(album / "a.jpg", album / "b.png", "--model", net, "--csv")
    assert result.exit_code == 0
    rows = list(csv.DictReader(io.StringIO(result.stdout)))
    assert list(rows[0]) == list(columns(FER2013.names, file=True))
    assert [r["outcome"] for r in rows] == ["faces", "no face"]
    assert (rows[0]["usable"], rows[0]["problems"], rows[0]["model"]) == ("1", "", "tiny")
    assert float(rows[0]["side"]) > 50
    assert abs(float(rows[0]["yaw"])) < 20
    assert rows[1]["usable"] == rows[1]["yaw"] == rows[1]["label"] == ""
    assert [r["face"] for r in rows] == ["1", "0"]
    assert sum(float(rows[0][name]) for name in FER2013.names) == pytest.approx(1, abs=1e-5)
    assert rows[0]["label"] == max(FER2013.names, key=lambda name: float(rows[0][name]))
    candidates = rows[0]["prediction_set"].split()
    assert candidates[0] == rows[0]["label"]
    assert rows[0]["uncertain"] == str(int(len(candidates) > 1))
    assert {k: v for k, v in rows[1].items() if v} == {
        **{"photo": str(album / "b.png"), "face": "0", "outcome": "no face", "model": "tiny", "run": rows[0]["run"]},
        **{"width": "120", "height": "90", "sha256": hashlib.sha256((album / "b.png").read_bytes()).hexdigest()},
    }


def test_table_names_the_other_candidates_of_an_uncertain_face(tmp_path):
    def lines(threshold):
        spec = ModelSpec("c", ("yes", "no"), temperature=1000.0, calibration={"threshold": threshold})
        result = run(ASTRONAUT, "--model", write_net(tmp_path / "c.onnx", spec))
        assert result.exit_code == 0
        return next(line for line in result.stdout.splitlines() if "%" in line)

    unsure, sure = lines(0.1), lines(0.9)
    assert ("or no" if unsure.split()[2] == "yes" else "or yes") in unsure
    assert "unsure, or" in unsure
    assert " or " not in sure


def test_a_photo_without_a_face_is_no_error(net, album):
    result = run(album / "b.png", "--model", net)
    assert result.exit_code == 0
    assert "no face found" in result.stdout


def test_patterns_and_folders_are_searched_and_no_photo_comes_twice(net, album):
    (album / "sub").mkdir()
    shutil.copy(album / "b.png", album / "sub" / "d.PNG")
    result = run(album / "*.png", album / "sub", album / "b.png", "--model", net, "--json")
    assert [Path(p["photo"]).name for p in json.loads(result.stdout)["photos"]] == ["b.png", "d.PNG"]


def test_what_names_nothing_is_reported(net, tmp_path):
    (tmp_path / "empty").mkdir()
    result = run(tmp_path / "no.jpg", tmp_path / "*.gif", tmp_path / "empty", "--model", net, "--csv")
    assert result.exit_code == 1
    assert "no.jpg" in result.stderr
    assert "*.gif" in result.stderr
    assert "a folder without pictures" in result.stderr
    assert "3 of the photos" in result.stderr


def test_draw_writes_a_png_a_photo_beside_the_photos_without_touching_them(net, album, tmp_path):
    (album / "c.jpg").unlink()
    (album / "sub").mkdir()
    shutil.copy(album / "b.png", album / "sub" / "b.png")
    before = {f: f.read_bytes() for f in album.rglob("*") if f.is_file()}
    result = run(album, "--model", net, "--draw", album)
    assert result.exit_code == 0
    made = {f.name for f in album.rglob("*") if f.is_file()} - {f.name for f in before}
    assert made == {"a-mien.png", "b-mien.png", "b-mien-2.png"}
    assert all(f.read_bytes() == data for f, data in before.items())
    assert cv2.imread(str(album / "a-mien.png")).shape[1] > 1000
    again = run(album, "--model", net, "--json")
    assert len(json.loads(again.stdout)["photos"]) == 3  # what was drawn is not taken for photos
    (album / "a-mien.png").write_bytes(b"mine")
    for flag in ("--draw", "--save"):
        refused = run(album, "--model", net, flag, album)
        assert "a-mien.png is there already: --force overwrites it" in str(refused.exception)
    assert "--save is called --draw now" in refused.stderr
    assert (album / "a-mien.png").read_bytes() == b"mine"
    assert run(album, "--model", net, "--draw", album, "--force").exit_code == 0
    assert cv2.imread(str(album / "a-mien.png")) is not None


def test_table_says_that_a_face_is_unusable_and_why(net, tmp_path):
    small = cv2.resize(cv2.imread(str(ASTRONAUT)), None, fx=0.1, fy=0.1, interpolation=cv2.INTER_AREA)
    cv2.imwrite(str(tmp_path / "small.png"), small)
    result = run(tmp_path / "small.png", "--model", net)
    assert result.exit_code == 0
    assert "no face can be used" in result.stdout
    assert "unusable: too small: " in result.stdout


def test_a_bad_file_is_a_csv_row_with_its_error(net, album):
    result = run(album, "--model", net, "--csv")
    assert result.exit_code == 1
    a, b, c = csv.DictReader(io.StringIO(result.stdout))
    assert (c["outcome"], c["face"], c["label"]) == ("unreadable", "0", "")
    assert "not a picture" in c["error"]
    assert a["error"] == b["error"] == ""


def test_jobs_change_no_answer(net, album):
    for i in range(3):
        shutil.copy(album / "a.jpg", album / f"e{i}.jpg")
    one, four = (run(album, "--model", net, "--csv", "--jobs", n).stdout for n in (1, 4))
    assert one == four


def test_the_bar_is_on_a_terminal_s_stderr_only_and_takes_no_data_from_stdout(net, album, monkeypatch):
    monkeypatch.setenv("TTY_COMPATIBLE", "1")  # rich takes every stream for a terminal
    plain = run(album, "--model", net, "--csv")
    assert "photos" in plain.stderr
    assert "100%" in plain.stderr
    rows = list(csv.reader(io.StringIO(plain.stdout)))
    assert [len(row) for row in rows] == [len(rows[0])] * 4
    monkeypatch.setenv("TTY_COMPATIBLE", "0")
    assert "100%" not in run(album, "--model", net, "--csv").stderr


def test_unwritable_folder_fails_before_anything_is_read(net, tmp_path):
    (tmp_path / "file").write_text("x")
    result = run(ASTRONAUT, "--model", "nosuch", "--draw", tmp_path / "file" / "out")
    assert isinstance(result.exception, OutputError)
    assert "cannot be written" in str(result.exception)


def test_without_a_detector_the_whole_picture_is_the_face(net, tmp_path):
    crop = cv2.resize(cv2.imread(str(ASTRONAUT))[62:170, 172:280], (48, 48))
    cv2.imwrite(str(tmp_path / "crop.png"), crop)
    result = run(tmp_path / "crop.png", "--model", net, "--detector", "none", "--json")
    (photo,) = json.loads(result.stdout)["photos"]
    left, top, right, bottom = photo["faces"][0]["box"]
    assert 0 < left < 5 < 40 < right < 48
    assert 0 < top < 5 < 40 < bottom < 48


def test_wrong_flags_say_the_rule(net):
    for flags, error, words in [
        (("--json", "--csv"), ConfigError, "exclude"),
        (("--out", "a.csv", "--parquet", "b"), ConfigError, "exclude"),
        (("--out", "a.xlsx"), ConfigError, ".csv, .jsonl, .json, .parquet"),
        (("--resume",), ConfigError, "--out FILE"),
        (("--resume", "--force", "--out", "a.json"), ConfigError, "exclude"),
        (("--force",), ConfigError, "--out FILE"),
        (("--excel", "--out", "a.json"), ConfigError, "ends in .csv"),
        (("--detector", "haar"), ConfigError, "centerface, fast, yunet or none"),
        (("--detector", "yunet"), ConfigError, "--detector-model"),
        (("--detector-size", "3"), ConfigError, "size"),
    ]:
        result = run(ASTRONAUT, "--model", net, *flags)
        assert isinstance(result.exception, error)
        assert words in str(result.exception)
    assert isinstance(run(ASTRONAUT, "--model", "nosuch").exception, ModelError)


def test_names_with_brackets_are_printed_as_they_are(net, tmp_path):
    shutil.copy(ASTRONAUT, tmp_path / "me [bold].jpg")
    result = run(tmp_path / "me [bold].jpg", "--model", net)
    assert "me [bold].jpg" in result.stdout


def test_info_lists_models_and_prints_a_card(monkeypatch, tmp_path):
    write_net(tmp_path / f"{DEFAULT_MODEL}.onnx")
    write_net(tmp_path / "other.onnx")
    (tmp_path / "other.md").write_text("# the card\n", encoding="utf-8")
    monkeypatch.setattr("mien.runtime.classifier._WEIGHTS", tmp_path)
    listed = CliRunner().invoke(app, ["info"]).stdout.splitlines()
    assert listed[0].startswith(f"{DEFAULT_MODEL}")
    assert "default" in listed[0]
    assert "63.1 %" in listed[1]
    assert CliRunner().invoke(app, ["info", "other"]).stdout == "# the card\n"
    assert "labels: angry" in CliRunner().invoke(app, ["info", DEFAULT_MODEL]).stdout
    result = CliRunner().invoke(app, ["info", "nosuch"])
    assert isinstance(result.exception, ModelError)
    assert "other" in str(result.exception)


def test_info_without_models_says_what_to_do(monkeypatch, tmp_path):
    monkeypatch.setattr("mien.runtime.classifier._WEIGHTS", tmp_path)
    result = CliRunner().invoke(app, ["info"])
    assert result.exit_code == 0
    assert "mien train" in result.stderr
    assert result.stdout == ""


@pytest.mark.skipif(os.name == "nt", reason="no such names there")
def test_broken_names_do_not_stop_the_batch(net, album):
    odd = album / "odd\udcff.jpg"
    shutil.copy(ASTRONAUT, odd)
    result = run(odd, album / "b.png", "--model", net, "--json")
    assert result.exit_code == 0
    assert len(json.loads(result.stdout)["photos"]) == 2


def mac_folder(folder):
    """One photo, and beside it what is none."""
    folder.mkdir()
    cv2.imwrite(str(folder / "a.png"), np.full((60, 60, 3), 99, np.uint8))
    for name in ("._a.png", ".hidden.png", "clip.mp4", "notes.txt", "b-mien.png"):
        (folder / name).write_bytes(b"x")
    (folder / "broken.jpg").symlink_to("nowhere.jpg")
    (folder / "linked").symlink_to(folder, target_is_directory=True)
    return folder


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
def test_what_is_passed_over_is_counted_and_named_everywhere(net, tmp_path):
    folder = mac_folder(tmp_path / "mac")
    expected = {"apple_double": 1, "hidden": 1, "other_ending": 2, "drawing": 1, "broken_link": 1, "linked_folder": 1}
    result = run(folder, "--model", net, "--json")
    assert result.exit_code == 0
    document = json.loads(result.stdout)
    assert {kind: of["count"] for kind, of in document["passed_over"].items()} == expected
    assert (document["counts"]["photos"], document["complete"]) == (1, True)
    for flags in ((), ("--csv",), ("--out", tmp_path / "x.csv")):
        told = run(folder, "--model", net, *flags)
        assert told.exit_code == 0
        assert "passed over: 2 files of other kinds (.mp4, .txt), 1 side file of macOS" in told.stderr
    beside = json.loads((tmp_path / "x.csv.json").read_text(encoding="utf-8"))
    assert beside["passed_over"] == document["passed_over"]


def test_an_empty_name_is_refused_and_a_pattern_s_folders_are_searched(net, album):
    assert "must not be empty" in str(run("", "--model", net).exception)
    (album / "sub").mkdir()
    shutil.copy(album / "b.png", album / "sub" / "d.png")
    result = run(album / "s*", "--model", net, "--json")
    assert [Path(p["photo"]).name for p in json.loads(result.stdout)["photos"]] == ["d.png"]


def test_the_old_name_of_a_head_is_understood_with_one_line_that_names_the_new_one() -> None:
    command = [sys.executable, "-m", "mien", "predict", str(ASTRONAUT), "--model", "mien-nano-ferplus", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert (
        "warning: mien-nano-ferplus is the head fer+ of mien-nano now: say mien-nano:fer+" in done.stderr.splitlines()
    )
    assert "contempt" in json.loads(done.stdout)["model"]["labels"]
