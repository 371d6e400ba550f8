"""``mien data``: tables a person can read, JSON a program can, one line for every error."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from mien.cli import main

HEAD = "emotion,pixels,Usage\n"
ROWS = "".join(f"{k},{k} {i} 7 9,{s}\n" for s, k, i in [("Training", 3, 1), ("Training", 0, 2), ("PublicTest", 3, 1)])


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")


@pytest.fixture
def table(tmp_path: Path) -> Path:
    (tmp_path / "fer.csv").write_text(HEAD + ROWS)
    return tmp_path / "fer.csv"


def mien(monkeypatch: pytest.MonkeyPatch, *args: object) -> int:
    monkeypatch.setattr(sys, "argv", ["mien", *map(str, args)])
    try:
        main()
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0


def test_info_prints_a_table(table: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert mien(monkeypatch, "data", "info", table) == 0
    out = capsys.readouterr().out
    cells = [[c.strip() for c in line.strip("│┃ ").replace("┃", "│").split("│")] for line in out.splitlines()]
    assert ["class", "Training", "PublicTest", "total", "share"] in cells
    assert ["happy", "1", "1", "2", "66.7 %"] in cells
    assert ["total", "2", "1", "3"] in [c[:4] for c in cells]
    assert "3 images of 2 x 2 pixels" in out
    assert "warning: no image is labelled disgust, fear, sad, surprise, neutral" in out
    assert "warning: 1 of the 1 images in PublicTest have an exact copy in Training" in out


def test_info_as_json_holds_the_same(
    table: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with table.open("a") as file:
        file.write("9,1 2 3 4,Training\n")
    assert mien(monkeypatch, "data", "info", table, "--json", "--skip-bad") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["images"] == 3
    assert found["counts"]["Training"]["angry"] == 1
    assert found["copies"] == 1
    assert found["size"] == [2, 2]
    assert len(found["fingerprint"]) == 16
    assert len(found["skipped"]) == 1
    assert found["skipped"][0].startswith(f"{table}:5: the label is '9'")


def test_info_with_votes(table: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    votes = table.with_name("votes.csv")
    head = "Usage,Image name,neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,unknown,NF\n"
    rows = ["Training,a,0,0,0,0,0,0,0,0,0,10", "Training,b,0,0,0,0,9,0,0,0,0,1", "PublicTest,c,0,0,0,0,0,0,0,0,0,9"]
    votes.write_text(head + "\n".join(rows))
    assert mien(monkeypatch, "data", "info", table, "--votes", votes) == 0
    assert "warning: 2 images without a face" in capsys.readouterr().out


def test_errors_are_one_line(table: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    table.write_text(HEAD + ROWS + "3,1 2 300 4,Training\n")
    for command in (["info", table], ["images", table, table.with_name("out")]):
        assert mien(monkeypatch, "data", *command) == 2
        got = capsys.readouterr()
        assert got.out == ""
        assert got.err.startswith(f"error: {table}:5: pixel 3 is '300'; it must be an integer in 0..255")
        assert got.err.count("\n") == 1


def test_skipped_rows_are_named_on_stderr(
    table: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    table.write_text(HEAD + ROWS + "8,1 2 3 4,Training\n" * 30)
    assert mien(monkeypatch, "data", "info", table, "--skip-bad") == 0
    err = capsys.readouterr().err
    assert f"skipped {table}:5: the label is '8'" in err
    assert "... and 10 more" in err
    assert "skipped: 30 rows or pictures" in err


def test_images_saves_and_goes_on(
    table: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = table.with_name("out")
    assert mien(monkeypatch, "data", "images", table, out) == 0
    assert capsys.readouterr().out.startswith(f"3 images saved in {out}; fingerprint ")
    assert (out / "Training" / "happy" / "00000.png").is_file()
    assert mien(monkeypatch, "data", "images", table, out) == 0
    assert f"0 images saved in {out}, 3 were there already" in capsys.readouterr().out
    prints = []
    for source in (table, out):
        assert mien(monkeypatch, "data", "info", source, "--json") == 0
        prints.append(json.loads(capsys.readouterr().out)["fingerprint"])
    assert prints[0] == prints[1]


def test_an_out_that_cannot_be_written_stops_before_reading(
    table: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert mien(monkeypatch, "data", "images", "no such file", table) == 2
    assert "OUT must be a folder" in capsys.readouterr().err


def test_a_packed_set_takes_the_place_of_its_source(
    table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with table.open("a") as file:
        file.write("9,1 2 3 4,Training\n")
    out = tmp_path / "packed"
    assert mien(monkeypatch, "data", "pack", table, out) == 2
    assert not out.exists()
    assert mien(monkeypatch, "data", "pack", table, out, "--skip-bad", "--size", 8, "--colour") == 0
    said = capsys.readouterr()
    assert said.out == f"3 faces of 8 x 8 pixels, colour, 0.0 MB, in {out}\n"
    assert "skipped: 1 row or picture\n" in said.err
    assert mien(monkeypatch, "data", "info", out) == 0
    assert "3 images of 8 x 8 pixels in colour" in capsys.readouterr().out
    assert mien(monkeypatch, "data", "audit", out, "--sheet", tmp_path / "sheet.png") == 0
    assert mien(monkeypatch, "data", "pack", table, out) == 2
    assert "is there already" in capsys.readouterr().err
