"""``mien video``: its files, what goes to stdout and stderr, and the exit codes."""

from __future__ import annotations

import csv
import hashlib
import json
import shutil
import time
from pathlib import Path

import cv2
import pytest
from onnx_nets import write_net
from typer.testing import CliRunner
from video_files import square, write_av, write_cv

from mien.cli import app, video_run
from mien.errors import ConfigError, DataError, MissingExtra, need
from mien.results import recorder
from mien.video import read_frames, timeline


@pytest.fixture(scope="module")
def net(tmp_path_factory):
    return str(write_net(tmp_path_factory.mktemp("nets") / "tiny.onnx"))


@pytest.fixture
def clip(tmp_path):
    return write_cv(tmp_path / "clip.avi", [square(i) for i in range(24)], rate=20)


def run(net, *arguments, detector="none"):
    return CliRunner().invoke(app, ["video", *map(str, arguments), "--model", net, "--detector", detector])


def table(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_a_table_segments_a_timeline_and_a_summary(net, clip, tmp_path):
    pytest.importorskip("matplotlib")
    result = run(net, clip, "--out", tmp_path / "t.csv")
    assert result.exit_code == 0
    rows = table(tmp_path / "t.csv")
    assert [int(r["frame"]) for r in rows] == list(range(24))
    assert [float(r["time"]) for r in rows] == pytest.approx([i / 20 for i in range(24)], abs=1e-3)
    for row in rows:
        labels = [float(row[k]) for k in ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")]
        assert sum(labels) == pytest.approx(1, abs=1e-4)
        assert float(row["confidence"]) == max(labels) == float(row[row["label"]])
        assert row["raw_label"]
        assert row["track"] == "1"
    segments = table(tmp_path / "t-segments.csv")
    assert sum(int(e["frames"]) for e in segments) == sum(r["usable"] == "1" for r in rows)
    assert float(segments[-1]["end"]) == pytest.approx(1.2)  # 24 frames of 0.05 s
    assert json.loads((tmp_path / "t.csv.json").read_text())["counts"]["end"] == pytest.approx(1.2)
    assert cv2.imread(str(tmp_path / "t-timeline.png")) is not None
    assert "frames             24   from 0.00 to 1.15 s" in result.stdout
    assert "in 1 track" in result.stdout
    assert "without a face     0 frames (0.0%)" in result.stdout
    assert "tiny: 63.1 % on PublicTest" in result.stdout
    assert "t-segments.csv" in result.stderr


def test_markers_join_the_table_by_time(net, clip, tmp_path):
    (tmp_path / "m.csv").write_text("time,end,marker\n0.12,,bell\n0.5,0.6,film\n9,,late\n")
    result = run(net, clip, "--out", tmp_path / "t.csv", "--markers", tmp_path / "m.csv")
    assert result.exit_code == 0
    assert "1 marker lies behind the last frame, from late at 9 s on" in result.stderr
    marked = {round(float(r["time"]), 2): r["marker"] for r in table(tmp_path / "t.csv") if r["marker"]}
    assert marked == {0.1: "bell", 0.5: "film", 0.55: "film"}
    assert json.loads((tmp_path / "t.csv.json").read_text())["video"]["markers"]["count"] == 3
    for arguments, words in (
        ((clip, "--markers", tmp_path / "m.csv"), "name it with --out"),
        (("0", "--out", tmp_path / "c.csv", "--markers", tmp_path / "m.csv"), "belongs to a film"),
        ((clip, clip, "--out", tmp_path / "all", "--markers", tmp_path / "m.csv"), "--markers is for one video"),
        ((clip, "--out", tmp_path / "n.csv", "--markers", tmp_path / "no.csv"), "cannot be read"),
    ):
        failed = run(net, *arguments)
        assert words in str(failed.exception)
    assert not (tmp_path / "n.csv").exists()


def test_a_stream_of_the_lab_gets_every_frame(net, clip, monkeypatch):
    sent = []
    monkeypatch.setattr(video_run, "LslOutlet", lambda labels, about: sent.append(about) or sent)
    monkeypatch.setattr(video_run, "_sent", lambda seen, outlet: (outlet.append(one) or one for one in seen))
    assert run(net, clip, "--lsl").exit_code == 0
    assert sent[0]["source"] == str(clip)
    assert len(sent) == 1 + 24


def test_all_formats_hold_the_same(net, clip, tmp_path):
    pq = pytest.importorskip("pyarrow.parquet")
    for name in ("a.jsonl", "b.parquet", "c.csv"):
        assert run(net, clip, "--every", "5", "--out", tmp_path / name).exit_code == 0
    lines = [json.loads(line) for line in (tmp_path / "a.jsonl").read_text(encoding="utf-8").splitlines()]
    assert pq.read_table(tmp_path / "b.parquet").to_pylist() == lines
    assert [line["frame"] for line in lines] == [0, 5, 10, 15, 20]
    rows = table(tmp_path / "c.csv")
    assert list(rows[0]) == list(lines[0])
    assert [float(r["happy"]) for r in rows] == [line["happy"] for line in lines]


def test_frames_without_a_face_are_counted_and_have_a_row(net, clip, tmp_path):
    result = run(net, clip, "--out", tmp_path / "t.csv", "--detector-size", "64", detector="centerface")
    assert result.exit_code == 0
    rows = table(tmp_path / "t.csv")
    assert [r["outcome"] for r in rows] == ["no face"] * 24
    assert {r["label"] for r in rows} == {""}
    assert "without a face     24 frames (100.0%)" in result.stdout
    assert not (tmp_path / "t-timeline.png").exists()
    assert table(tmp_path / "t-segments.csv") == []


def test_a_marked_video_has_the_same_times(net, clip, tmp_path):
    pytest.importorskip("av")
    assert run(net, clip, "--draw", tmp_path / "m.mp4").exit_code == 0
    marked = list(read_frames(tmp_path / "m.mp4"))
    assert [f.time for f in marked] == pytest.approx([i / 20 for i in range(24)], abs=2e-3)
    assert abs(marked[0].pixels.astype(int) - square(0)).mean() > 5  # the marks


def test_a_file_cut_short_keeps_what_was_read_and_ends_with_1(net, tmp_path):
    pytest.importorskip("av")
    path = write_av(tmp_path / "cut.mp4", [square(i) for i in range(90)], options={"movflags": "faststart"})
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    result = run(net, path, "--out", tmp_path / "t.csv")
    assert result.exit_code == 1
    rows = table(tmp_path / "t.csv")
    good = sum(r["outcome"] != "unreadable" for r in rows)
    assert good > 10
    assert "frames are missing" in rows[-1]["error"]
    assert "frames are missing" in result.stderr
    assert f"{90 - good} frames missing or unreadable" in result.stderr
    assert f"broken or missing  {90 - good} frames" in result.stdout


def test_joined_streams_are_told_and_are_no_error(net, tmp_path):
    pytest.importorskip("av")
    one = write_av(tmp_path / "one.ts", [square(i) for i in range(20)], codec="mpeg4").read_bytes()
    (tmp_path / "two.ts").write_bytes(2 * one)
    result = run(net, tmp_path / "two.ts", "--out", tmp_path / "t.csv", "--draw", tmp_path / "m.mp4")
    assert result.exit_code == 0
    assert "note: the clock goes back" in result.stderr
    times = [float(r["time"]) for r in table(tmp_path / "t.csv")]
    assert len(times) == 40
    assert times == sorted(set(times))
    marked = list(read_frames(tmp_path / "m.mp4"))
    assert marked[-1].time - marked[20].time == pytest.approx(19 / 30, abs=0.05)


@pytest.mark.parametrize("name", ["t-segments.csv", "t-timeline.png", "m.mp4"])
def test_nothing_that_is_there_is_overwritten_unless_it_is_forced(net, clip, tmp_path, name):
    pytest.importorskip("av")
    (tmp_path / name).write_bytes(b"mine")
    flags = ("--out", tmp_path / "t.csv", "--draw", tmp_path / "m.mp4")
    result = run(net, clip, *flags)
    assert isinstance(result.exception, ConfigError)
    assert f"{name} is there already: --force" in str(result.exception)
    assert (tmp_path / name).read_bytes() == b"mine"
    assert run(net, clip, *flags, "--force").exit_code == 0
    assert (tmp_path / name).read_bytes() != b"mine"


@pytest.mark.parametrize("name", ["t.csv", "t.parquet"])
def test_ctrl_c_leaves_whole_files(net, clip, tmp_path, monkeypatch, name):
    pytest.importorskip("av")
    pq = pytest.importorskip("pyarrow.parquet")
    add, seen = recorder.VideoRecorder.add, []

    def interrupted(self, one):
        add(self, one)
        seen.append(one)
        if len(seen) == 9:
            raise KeyboardInterrupt

    monkeypatch.setattr(recorder.VideoRecorder, "add", interrupted)
    result = run(net, clip, "--out", tmp_path / name, "--draw", tmp_path / "m.mp4")
    assert result.exit_code == 130
    assert "what was read is kept" in result.stderr
    found = table(tmp_path / name) if name == "t.csv" else pq.read_table(tmp_path / name).to_pylist()
    assert len(found) == 9
    assert len(list(read_frames(tmp_path / "m.mp4"))) == 8
    assert len(table(tmp_path / "t-segments.csv")) >= 1
    assert "frames             9" in result.stdout
    assert not [p for p in tmp_path.iterdir() if p.name.startswith(".") or ".part" in p.name]
    if name == "t.csv":
        beside = json.loads((tmp_path / "t.csv.json").read_text(encoding="utf-8"))
        assert (beside["complete"], beside["counts"]["frames"]) == (False, 9)


def test_a_camera_that_is_not_there_and_one_that_stops(net, tmp_path, monkeypatch):
    class Camera:
        def __init__(self, number):
            self.left = 3 if number == 1 else 0

        def isOpened(self):
            return self.left > 0

        def read(self):
            self.left -= 1
            time.sleep(0.2)
            return (True, square(0)) if self.left > 0 else (False, None)

        def release(self):
            pass

    monkeypatch.setattr(cv2, "VideoCapture", Camera)
    monkeypatch.chdir(tmp_path)
    result = run(net, "0")
    assert isinstance(result.exception, DataError)
    assert "camera 0: this camera is not there" in str(result.exception)
    result = run(net, "1", "--out", tmp_path / "t.jsonl")
    assert result.exit_code == 1
    assert "camera 1 stopped" in result.stderr
    assert (tmp_path / "t.jsonl").read_text(encoding="utf-8").count("\n") >= 2


def test_a_window_needs_an_opencv_that_has_one(net, clip, monkeypatch):
    def none(*_):
        raise cv2.error("The function is not implemented")

    monkeypatch.setattr(cv2, "namedWindow", none)
    result = run(net, clip, "--show")
    assert isinstance(result.exception, MissingExtra)
    assert "pip install opencv-python" in str(result.exception)
    assert "mien serve" in str(result.exception)


def test_q_in_the_window_ends_it(net, clip, monkeypatch):
    shown = []
    monkeypatch.setattr(cv2, "namedWindow", lambda *_: None)
    monkeypatch.setattr(cv2, "imshow", lambda _, picture: shown.append(picture))
    monkeypatch.setattr(cv2, "waitKey", lambda _: ord("q") if len(shown) == 3 else -1)
    result = run(net, clip, "--show")
    assert result.exit_code == 0
    assert len(shown) == 3


def test_without_matplotlib_the_tables_are_there_and_the_line_to_install_it(net, clip, tmp_path, monkeypatch):
    def missing(module, extra):
        if module == "matplotlib":
            raise MissingExtra(f"pip install 'mien[{extra}]'")
        return need(module, extra)

    monkeypatch.setattr(timeline, "need", missing)
    result = run(net, clip, "--out", tmp_path / "t.csv")
    assert result.exit_code == 0
    assert "no timeline was drawn: pip install 'mien[video]'" in result.stderr
    assert len(table(tmp_path / "t.csv")) == 24


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--fps", "5", "--every", "2"], "exclude"),
        (["--fps", "0"], "greater than 0"),
        (["--out", "t.txt"], "must end in"),
        (["--draw", "t.avi"], r"writes \.mp4"),
    ],
)
def test_flags_say_what_they_want_before_anything_is_made(net, clip, tmp_path, monkeypatch, flags, words):
    monkeypatch.chdir(tmp_path)
    result = run(net, clip, *flags)
    assert isinstance(result.exception, ConfigError)
    with pytest.raises(ConfigError, match=words):
        raise result.exception
    assert [p.name for p in tmp_path.iterdir()] == ["clip.avi"]


def test_the_video_itself_is_never_overwritten(net, clip, tmp_path):
    pytest.importorskip("av")
    shutil.copy(clip, tmp_path / "same.mp4")
    before = (tmp_path / "same.mp4").read_bytes()
    result = run(net, tmp_path / "same.mp4", "--draw", tmp_path / "same.mp4")
    assert isinstance(result.exception, ConfigError)
    assert (tmp_path / "same.mp4").read_bytes() == before


def test_a_missing_file_is_named(net, tmp_path):
    result = run(net, tmp_path / "none.mp4")
    assert isinstance(result.exception, DataError)
    assert "none.mp4: no such file" in str(result.exception)


def test_what_is_there_is_overwritten_with_force_only(net, clip, tmp_path):
    out = tmp_path / "t.csv"
    out.write_text("mine")
    result = run(net, clip, "--out", out)
    assert "is there already: --force overwrites it" in str(result.exception)
    assert out.read_text() == "mine"
    assert run(net, clip, "--out", out, "--force").exit_code == 0
    assert len(table(out)) == 24
    (tmp_path / "m.mp4").write_text("mine")
    assert "is there already" in str(run(net, clip, "--draw", tmp_path / "m.mp4").exception)


def test_the_metadata_name_the_video_the_model_the_detector_and_the_settings(net, clip, tmp_path):
    assert run(net, clip, "--every", "6", "--out", tmp_path / "t.json").exit_code == 0
    document = json.loads((tmp_path / "t.json").read_text(encoding="utf-8"))
    assert document["video"]["sha256"] == hashlib.sha256(clip.read_bytes()).hexdigest()
    assert document["model"]["sha256"] == hashlib.sha256(Path(net).read_bytes()).hexdigest()
    assert document["detector"]["name"] == "none"
    assert {"fps": None, "every": 6, "look": 0.2, "smooth": 0.3}.items() <= document["settings"].items()
    assert document["complete"] is True
    assert [photo["frame"] for photo in document["photos"]] == [0, 6, 12, 18]
    assert all(photo["faces"][0]["raw_label"] for photo in document["photos"])
