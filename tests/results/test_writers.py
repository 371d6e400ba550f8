"""Tables that grow: what lies on the disk while, after, and without the end of a run."""

from __future__ import annotations

import csv
import io
import json

import pytest
from test_schema import LABELS, RUN, face

from mien.errors import ConfigError, MissingExtra, OutputError
from mien.faces import Photo
from mien.results import forms
from mien.results.forms import form_of
from mien.results.provenance import Provenance, read_sidecar, sidecar
from mien.results.resume import open_table
from mien.results.schema import FORMAT, Record, columns
from mien.results.writers import CsvFile, PrintedJson

MADE = Provenance(
    {"name": "tiny", "sha256": "ab" * 32, "labels": list(LABELS), "scores": {}, "licence": "MIT"},
    {"name": "centerface", "size": 640, "threshold": 0.5},
)
SUFFIXES = [".csv", ".jsonl", ".json", ".parquet"]


def opened(path, made=MADE, *, video=False, excel=False, **ways):
    if path.suffix == ".parquet":
        pytest.importorskip("pyarrow")
    return open_table(path, form_of(path, made, video=video, excel=excel), made, **ways)


def written(path, photos=RUN, complete=True, **ways):
    table, _ = opened(path, **ways)
    for photo in photos:
        table.add(Record(photo))
    table.close(complete, {"counts": {"photos": len(photos)}})


def photos_in(path):
    """The photo of each row, or of each picture in JSON, as another reader finds them."""
    if path.suffix == ".csv":
        return [row["photo"] for row in csv.DictReader(io.StringIO(path.read_text(encoding="utf-8"), newline=""))]
    if path.suffix == ".json":
        return [photo["photo"] for photo in json.loads(path.read_text(encoding="utf-8"))["photos"]]
    if path.suffix == ".parquet":
        from pyarrow import parquet

        return parquet.read_table(path)["photo"].to_pylist()
    return [json.loads(line)["photo"] for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_every_row_is_on_the_disk_at_once_and_the_end_makes_the_table(tmp_path, suffix):
    path = tmp_path / f"t{suffix}"
    table, _ = opened(path)
    grown = path if suffix in (".csv", ".jsonl") else tmp_path / f"t{suffix}.part"
    before = 0
    for photo in RUN:
        table.add(Record(photo))
        assert grown.stat().st_size > before
        before = grown.stat().st_size
    assert path.exists() == (grown == path)
    assert read_sidecar(grown)["complete"] is False
    table.close(True, {"counts": {"photos": 3}})
    expected = ["a.jpg", "a.jpg", "b.jpg", "c.jpg"]
    assert photos_in(path) == (["a.jpg", "b.jpg", "c.jpg"] if suffix == ".json" else expected)
    beside = {sidecar(path).name} if suffix in (".csv", ".jsonl") else set()
    assert {p.name for p in tmp_path.iterdir()} == {path.name} | beside


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_metadata_say_what_decided_the_answers(tmp_path, suffix):
    path = tmp_path / f"t{suffix}"
    written(path, complete=False)
    if suffix == ".parquet":
        from pyarrow import parquet

        found = json.loads(parquet.read_schema(path).metadata[b"mien"])
    else:
        found = json.loads(path.read_text(encoding="utf-8")) if suffix == ".json" else read_sidecar(path)
    assert (found["format"], found["run"], found["complete"]) == (FORMAT, MADE.run, False)
    assert (found["model"], found["detector"]) == (MADE.model, MADE.detector)
    assert found["counts"] == {"photos": 3}


def test_csv_jsonl_and_parquet_hold_the_same_values(tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    for suffix in (".csv", ".jsonl", ".parquet"):
        written(tmp_path / f"t{suffix}")
    kinds = columns(LABELS, file=True)
    lines = [json.loads(line) for line in (tmp_path / "t.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [list(line) for line in lines] == [list(kinds)] * 4
    table = parquet.read_table(tmp_path / "t.parquet")
    assert table.to_pylist() == lines
    assert table.column_names == list(kinds)
    cells = csv.DictReader(io.StringIO((tmp_path / "t.csv").read_text(encoding="utf-8"), newline=""))
    for cell, line in zip(cells, lines, strict=True):
        assert cell == {
            name: "" if v is None else str(int(v) if v is True or v is False else v) for name, v in line.items()
        }
    assert {line["run"] for line in lines} == {MADE.run}


def test_many_rows_are_converted_in_groups(tmp_path, monkeypatch):
    parquet = pytest.importorskip("pyarrow.parquet")
    monkeypatch.setattr("mien.results.writers._GROUP", 5)
    written(tmp_path / "t.parquet", RUN * 3)
    assert parquet.ParquetFile(tmp_path / "t.parquet").num_row_groups == 3
    written(tmp_path / "none.parquet", [])
    assert parquet.read_table(tmp_path / "none.parquet").num_rows == 0


def test_excel_gets_its_mark_and_only_csv_can_have_it(tmp_path):
    written(tmp_path / "t.csv", excel=True)
    assert (tmp_path / "t.csv").read_bytes().startswith(b"\xef\xbb\xbfphoto,")
    with pytest.raises(ConfigError, match=r"--excel is for CSV"):
        opened(tmp_path / "t.json", excel=True)
    with CsvFile(tmp_path / "s.csv", ["a", "b"], bom=True) as out:
        out.write([{"a": "=1", "b": None}])
        assert (tmp_path / "s.csv").read_text(encoding="utf-8-sig") == "a,b\n'=1,\n"


def test_a_printed_document_is_whole_after_an_interrupt(tmp_path):
    stream = io.StringIO()
    out = PrintedJson(stream, MADE.to_dict())
    for photo in RUN[:2]:
        out.add(Record(photo, sha256="00"))
    out.close(False, {"passed_over": {}})
    found = json.loads(stream.getvalue())
    assert [photo["photo"] for photo in found["photos"]] == ["a.jpg", "b.jpg"]
    assert (found["complete"], found["passed_over"], found["photos"][1]["sha256"]) == (False, {}, "00")
    empty = io.StringIO()
    PrintedJson(empty, MADE.to_dict()).close(True, {})
    assert json.loads(empty.getvalue())["photos"] == []


def test_a_frame_has_its_number_and_what_it_shows_alone(tmp_path):
    seen = Photo("v.mp4", (face(0.6, track=1, time=2.0),), 8, 9, time=2.0)
    table, _ = opened(tmp_path / "t.jsonl", video=True)
    table.add(Record(seen, (face(0.9, track=1, time=2.0),), 50))
    table.close(True, {})
    (row,) = map(json.loads, (tmp_path / "t.jsonl").read_text(encoding="utf-8").splitlines())
    assert (row["frame"], row["time"], row["track"], row["outcome"]) == (50, 2.0, 1, "faces")
    assert (row["confidence"], row["raw_confidence"]) == (0.6, 0.9)
    assert "photo" not in row


def test_a_table_says_what_it_cannot_write(tmp_path, monkeypatch):
    with pytest.raises(ConfigError, match=r"\.csv, \.jsonl, \.json, \.parquet"):
        form_of(tmp_path / "t.xlsx", MADE)
    (tmp_path / "none").write_text("x")
    with pytest.raises(OutputError, match="cannot be written"):
        opened(tmp_path / "none" / "t.csv")

    def missing(module, extra):
        raise MissingExtra(f"pip install 'mien[{extra}]'")

    monkeypatch.setattr(forms, "need", missing)
    with pytest.raises(MissingExtra, match=r"mien\[parquet\]"):
        form_of(tmp_path / "t.parquet", MADE)
