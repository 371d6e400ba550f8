"""``mien video`` with several recordings: tables of each and of all, bad ones, resuming, jobs; and files for coders."""

from __future__ import annotations

import csv
import json
import os
import shutil
from pathlib import Path

import pytest
from onnx_nets import write_net
from typer.testing import CliRunner
from video_files import square, write_cv

from mien.cli import app, video_folder
from mien.cli.video_paths import find_videos, result_names
from mien.cli.video_run import Files, VideoSettings
from mien.errors import ConfigError
from mien.results import recorder


@pytest.fixture(scope="module")
def net(tmp_path_factory):
    return str(write_net(tmp_path_factory.mktemp("nets") / "tiny.onnx"))


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    return write_cv(tmp_path_factory.mktemp("clips") / "clip.avi", [square(i) for i in range(12)], rate=20)


@pytest.fixture
def films(tmp_path, clip):
    """Two films of one name, one that is no film, and what is passed over."""
    folder = tmp_path / "films"
    (folder / "day2").mkdir(parents=True)
    for name in ("talk.avi", "day2/talk.avi"):
        shutil.copy(clip, folder / name)
    (folder / "bad.mp4").write_bytes(b"no film")
    (folder / "notes.txt").write_text("x")
    (folder / "._talk.avi").write_bytes(b"x")
    return folder


def run(net, *arguments):
    return CliRunner().invoke(app, ["video", *map(str, arguments), "--model", net, "--detector", "none"])


def table(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def shape(folder):
    return sorted(p.name for p in folder.iterdir() if not p.name.endswith(".png"))


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_folder_of_films(net, films, tmp_path, jobs):
    out = tmp_path / "results"
    result = run(net, films, "--out", out, "--jobs", jobs)
    assert result.exit_code == 1  # bad.mp4
    assert "unreadable" in result.stderr
    assert "bad.mp4" in result.stderr
    assert "1 file of another kind (.txt)" in result.stderr
    assert "1 side file of macOS" in result.stderr
    assert "1 of 3 recordings" in result.stderr
    assert "recordings         3   2 done, 1 unreadable" in result.stdout
    rows = table(out / "all.csv")
    names = [str(films / n) for n in ("bad.mp4", "day2/talk.avi", "talk.avi")]
    assert list(dict.fromkeys(r["source"] for r in rows)) == names
    assert [r["outcome"] for r in rows[:1]] == ["unreadable"]
    assert rows[0]["error"]
    assert len(rows) == 1 + 12 + 12
    assert [r["person"] for r in rows[1::12]] == ["talk/1", "talk-2/1"]
    assert {r["model"] for r in rows} == {"tiny"}
    assert json.loads(rows[5]["settings"])["hold"] == 0.4
    one = table(out / "talk-2.csv")
    assert [{k: r[k] for k in one[0]} for r in rows[13:]] == one
    segments = table(out / "all-segments.csv")
    assert [s["source"] for s in segments] == names[1:]
    assert list(segments[0].values())[2:] == list(table(out / "talk.csv".replace(".csv", "-segments.csv"))[0].values())
    each = {r["name"]: r for r in table(out / "recordings.csv")}
    assert [each[n]["outcome"] for n in ("bad", "talk", "talk-2")] == ["unreadable", "done", "done"]
    assert each["bad"]["error"]
    assert (each["talk"]["frames"], each["talk"]["last"], each["bad"]["frames"]) == ("12", "0.55", "")
    assert json.loads((out / "all.csv.json").read_text())["complete"] is True
    assert not any("bad" in name for name in shape(out))


def test_formats_hold_the_same(net, films, tmp_path):
    pq = pytest.importorskip("pyarrow.parquet")
    (films / "bad.mp4").unlink()
    for kind in ("parquet", "jsonl"):
        assert run(net, films, "--out", tmp_path / kind, "--format", kind, "--every", 3).exit_code == 0
    rows = pq.read_table(tmp_path / "parquet" / "all.parquet").to_pylist()
    lines = (tmp_path / "jsonl" / "all.jsonl").read_text(encoding="utf-8").splitlines()
    assert rows == [json.loads(line) for line in lines]
    assert len(rows) == 8
    assert rows[0]["confidence"] > 0


def test_resume_does_only_what_is_left(net, films, tmp_path, monkeypatch):
    out = tmp_path / "results"
    assert run(net, films, "--out", out).exit_code == 1
    before = (out / "all.csv").read_bytes()
    refused = run(net, films, "--out", out)
    assert isinstance(refused.exception, ConfigError)
    assert "--resume goes on" in str(refused.exception)
    done, one = [], video_folder._one
    monkeypatch.setattr(video_folder, "_one", lambda task: done.append(task.name) or one(task))
    result = run(net, films, "--out", out, "--resume")
    assert result.exit_code == 1
    assert done == ["bad"]
    assert "kept: 2 recordings" in result.stderr
    assert (out / "all.csv").read_bytes() == before
    shutil.copy(films / "talk.avi", films / "bad.mp4")  # mended
    write_cv(films / "talk.avi", [square(i) for i in range(7)])  # changed
    done.clear()
    assert run(net, films, "--out", out, "--resume").exit_code == 0
    assert done == ["bad", "talk-2"]
    assert len(table(out / "all.csv")) == 12 + 12 + 7
    done.clear()
    assert run(net, films, "--out", out, "--resume", "--also", "vtt").exit_code == 0
    assert len(done) == 3  # what was not asked for then
    other = run(net, films, "--out", out, "--resume", "--smooth", "0.5")
    assert "smooth 0.3, not 0.5" in str(other.exception)
    alone = run(net, films / "day2" / "talk.avi", films / "bad.mp4", "--out", out, "--resume")
    assert alone.exit_code == 0  # the same name, the same film


def test_a_table_of_another_film_is_not_taken_for_this_one(net, clip, tmp_path):
    out = tmp_path / "results"
    (tmp_path / "other").mkdir()
    other = write_cv(tmp_path / "other" / "clip.avi", [square(i) for i in range(3)])
    assert run(net, clip, "--out", out).exit_code == 0
    result = run(net, other, "--out", out, "--resume")
    assert isinstance(result.exception, ConfigError)
    assert f"is of {clip}, not {other}" in str(result.exception)


def test_ctrl_c_keeps_what_was_done_and_resume_goes_on(net, films, tmp_path, monkeypatch):
    (films / "bad.mp4").unlink()
    out, add, seen = tmp_path / "results", recorder.VideoRecorder.add, []

    def interrupted(self, one):
        add(self, one)
        seen.append(one)
        if len(seen) == 16:
            raise KeyboardInterrupt

    monkeypatch.setattr(recorder.VideoRecorder, "add", interrupted)
    result = run(net, films, "--out", out)
    assert result.exit_code == 130
    assert "--resume goes on with it" in result.stderr
    assert [r["outcome"] for r in table(out / "recordings.csv")] == ["done", "stopped"]
    assert json.loads((out / "all.csv.json").read_text())["complete"] is False
    monkeypatch.setattr(recorder.VideoRecorder, "add", add)
    again = run(net, films, "--out", out, "--resume")
    assert again.exit_code == 0
    assert "kept: 1 recording of" in again.stderr
    assert len(table(out / "all.csv")) == 24


def test_a_fault_in_one_recording_is_a_row(net, films, tmp_path, monkeypatch):
    (films / "bad.mp4").unlink()
    work = video_folder.record

    def record(predictor, settings, given, *rest, **named):
        if "day2" in given:
            raise RuntimeError("boom")
        return work(predictor, settings, given, *rest, **named)

    monkeypatch.setattr(video_folder, "record", record)
    result = run(net, films, "--out", tmp_path / "results")
    assert result.exit_code == 1
    assert "RuntimeError: boom" in table(tmp_path / "results" / "all.csv")[0]["error"]
    assert len(table(tmp_path / "results" / "all.csv")) == 13


def test_a_process_that_dies_takes_no_other_recording_along(tmp_path):
    tasks = [_task(tmp_path, name) for name in ("deadly", "good")]
    found = {r.name: r for r in video_folder._run(tasks, 2)}
    assert {name: r.outcome for name, r in found.items()} == {"good": "done", "deadly": "unreadable"}
    assert "has died" in found["deadly"].error


class _Deadly(VideoSettings):
    """Settings whose predictor ends the process that makes it, as a decoder's fault does."""

    def predictor(self):
        os._exit(1)


def _task(tmp_path, name):
    net, clip = tmp_path / "tiny.onnx", tmp_path / f"{name}.avi"
    if not net.exists():
        write_net(net)
    write_cv(clip, [square(i) for i in range(4)])
    kind = _Deadly if name == "deadly" else VideoSettings
    settings = kind(str(net), "none", "", "auto", 1, None, None, 0.2, 0.3, 0.4, 10.0)
    files = Files(tmp_path / f"{name}.csv", force=True)
    return video_folder._Task(str(clip), name, name, settings, files)


def test_files_for_coders_beside_the_table_or_alone(net, clip, tmp_path):
    parselmouth = pytest.importorskip("parselmouth")
    assert run(net, clip, "--out", tmp_path / "t.csv", "--also", "textgrid,vtt", "--also", "boris").exit_code == 0
    assert {"t.csv", "t.TextGrid", "t.vtt", "t.boris"} <= set(shape(tmp_path))
    assert run(net, clip, "--out", tmp_path / "sub-1_events.tsv").exit_code == 0
    assert {"sub-1_events.tsv", "sub-1_events.json"} <= set(shape(tmp_path))
    assert "sub-1_events.csv" not in shape(tmp_path)
    segments = table(tmp_path / "t-segments.csv")
    grid, call = parselmouth.read(str(tmp_path / "t.TextGrid")), parselmouth.praat.call
    found = [
        (call(grid, "Get start time of interval", 1, n), call(grid, "Get end time of interval", 1, n), text)
        for n in range(1, call(grid, "Get number of intervals", 1) + 1)
        if (text := call(grid, "Get label of interval", 1, n))
    ]
    assert call(grid, "Get tier name", 1) == "person 1"
    assert found == [
        (pytest.approx(float(s["start"])), pytest.approx(float(s["end"]), abs=1e-3), s["label"]) for s in segments
    ]
    again = run(net, clip, "--out", tmp_path / "t.csv", "--also", "vtt", "--force")
    assert again.exit_code == 0
    refused = run(net, clip, "--out", tmp_path / "u.csv", "--also", "docx")
    assert "--also must be one of eaf" in str(refused.exception)
    (tmp_path / "v.vtt").write_text("mine")
    refused = run(net, clip, "--out", tmp_path / "v.vtt")
    assert "is there already" in str(refused.exception)
    assert (tmp_path / "v.vtt").read_text() == "mine"


def test_what_only_one_video_or_only_several_can_have(net, films, clip, tmp_path):
    for flags, words in (
        ((films,), "need --out FOLDER"),
        ((films, "--out", tmp_path / "all.csv"), "need a folder"),
        ((films, "--out", tmp_path / "r", "--draw", tmp_path / "m.mp4"), "--draw is for one video"),
        ((films, "--out", tmp_path / "r", "--format", "json"), "--format must be one of"),
        ((films, "--out", tmp_path / "r", "--format", "jsonl", "--excel"), "--excel is for CSV"),
        ((films, "0", "--out", tmp_path / "r"), "camera 0"),
        ((clip, "--jobs", "2"), "--jobs is for several videos"),
    ):
        result = run(net, *flags)
        assert isinstance(result.exception, ConfigError), flags
        assert words in str(result.exception)
    empty = tmp_path / "empty"
    empty.mkdir()
    result = run(net, empty, tmp_path / "none.mp4", "--out", tmp_path / "r")
    assert result.exit_code == 1
    assert [r["error"].split(": ")[-1] for r in table(tmp_path / "r" / "all.csv")] == [
        "a folder without videos",
        "no such file",
    ]


def test_names_of_results_never_meet():
    paths = ["a/x.mp4", "b/X.avi", "x-segments.mp4", "all.mp4", "recordings.mov", "c/x.mp4", "x-2.mp4"]
    names = list(result_names(paths).values())
    files = [n.lower() + end for n in names for end in ("", "-segments", "-timeline")]
    assert len(set(files)) == len(files)
    assert not {"all", "all-segments", "recordings"} & set(files)
    assert names[0] == "x"


def test_patterns_and_files_are_found_once(films):
    found = find_videos([str(films / "*.avi"), str(films), "none.mp4"])
    assert [Path(p).name for p in found.names] == ["talk.avi", "bad.mp4", "talk.avi", "none.mp4"]
