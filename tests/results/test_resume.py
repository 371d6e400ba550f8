"""Going on with a table: what is kept, what is compared, and what a spreadsheet has made of it."""

from __future__ import annotations

import csv
import io
import json
import os
from dataclasses import replace

import pytest
from test_schema import RUN
from test_writers import MADE, SUFFIXES, opened, photos_in, written

from mien.errors import ConfigError
from mien.files import sha256_of
from mien.results.provenance import sidecar
from mien.results.schema import Record

NAMES = {"a.jpg": "a.jpg", "b.jpg": "b.jpg", "c.jpg": "c.jpg"}


def kept_of(path, made=MADE, **ways):
    table, kept = opened(path, made, resume=True, pictures=NAMES, **ways)
    table.close(False, {})
    return kept


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_whole_table_is_kept_whole_and_goes_on(tmp_path, suffix):
    path = tmp_path / f"t{suffix}"
    written(path)
    table, kept = opened(path, resume=True, pictures=NAMES)
    assert (kept.photos, kept.unreadable) == ({"a.jpg", "b.jpg", "c.jpg"}, 1)
    table.add(Record(replace(RUN[1], source="=d.jpg")))
    table.close(True, {})
    assert photos_in(path)[-2:] == ["c.jpg", "'=d.jpg" if suffix == ".csv" else "=d.jpg"]
    assert "=d.jpg" in kept_of(path).photos


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_what_a_killed_run_left_is_gone_on_with_and_its_last_photo_done_again(tmp_path, suffix):
    path = tmp_path / f"t{suffix}"
    table, _ = opened(path)
    for photo in RUN:
        table.add(Record(photo))
    table._stream.close()  # as far as kill -9 lets it come
    with pytest.raises(ConfigError, match=r"is there already: .*--resume"):
        opened(path, pictures=NAMES)
    table, kept = opened(path, resume=True, pictures=NAMES)
    assert kept.photos == {"a.jpg", "b.jpg"}
    table.add(Record(RUN[2]))
    table.close(True, {})
    written(tmp_path / f"whole{suffix}")
    whole, found = ((tmp_path / f"{name}{suffix}").read_bytes() for name in ("whole", "t"))
    if suffix != ".json":
        assert photos_in(path) == photos_in(tmp_path / f"whole{suffix}")
    if suffix in (".csv", ".jsonl"):
        assert found == whole
    assert not list(tmp_path.glob("*.part*"))


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize(
    ("made", "words"),
    [
        (replace(MADE, detector={**MADE.detector, "size": 320}), "with the detector size 640, not 320"),
        (replace(MADE, detector={**MADE.detector, "name": "yunet"}), "with the detector name centerface, not yunet"),
        (replace(MADE, model={**MADE.model, "sha256": "cd" * 32}), r"model's SHA-256 abababababab\.\.\., not cdcd"),
        (replace(MADE, settings={"smooth": 0.3}), "with the smooth none, not 0.3"),
    ],
)
def test_another_run_is_refused_and_what_differs_is_named(tmp_path, suffix, made, words):
    path = tmp_path / f"t{suffix}"
    written(path)
    before = path.read_bytes()
    with pytest.raises(ConfigError, match=words):
        kept_of(path, made)
    assert path.read_bytes() == before
    if suffix in (".csv", ".jsonl"):  # the rows say so themselves
        sidecar(path).unlink()
        with pytest.raises(ConfigError, match="other settings"):
            kept_of(path, made)


def test_another_version_of_mien_is_refused(tmp_path, monkeypatch):
    written(tmp_path / "t.csv")
    monkeypatch.setattr("mien.results.provenance.__version__", "99")
    with pytest.raises(ConfigError, match=r"version of mien .*, not 99"):
        kept_of(tmp_path / "t.csv")


def test_metadata_that_are_lost_are_said(tmp_path):
    written(tmp_path / "t.csv")
    sidecar(tmp_path / "t.csv").unlink()
    kept = kept_of(tmp_path / "t.csv")
    assert kept.photos == {"a.jpg", "b.jpg"}  # nobody knows whether the last was whole
    assert "t.csv.json is missing" in kept.notes[0]


def test_a_photo_whose_file_has_changed_is_done_again(tmp_path):
    photos = {name: tmp_path / name for name in NAMES}
    for name, file in photos.items():
        file.write_text(name)
    path = tmp_path / "t.csv"
    table, _ = opened(path)
    for photo in RUN:
        table.add(Record(photo, sha256=sha256_of(photos[photo.source])))
    table.close(True, {})
    photos["a.jpg"].write_text("another")
    photos["c.jpg"].unlink()
    table, kept = opened(path, resume=True, pictures={name: str(file) for name, file in photos.items()})
    table.close(True, {})
    assert (kept.photos, kept.changed) == ({"b.jpg", "c.jpg"}, 1)
    assert photos_in(path) == ["b.jpg", "c.jpg"]


def saved(path, encoding, delimiter, *, quote_all=False, decimal=".", first=""):
    """What a spreadsheet makes of a CSV: the same cells, saved in its own way."""
    rows = list(csv.reader(io.StringIO(path.read_text(encoding="utf-8"), newline="")))
    out = io.StringIO()
    quoting = csv.QUOTE_ALL if quote_all else csv.QUOTE_MINIMAL
    numbers = [[c.replace(".", decimal) if c.replace(".", "").isdigit() else c for c in row] for row in rows]
    csv.writer(out, delimiter=delimiter, lineterminator="\r\n", quoting=quoting).writerows(
        [*numbers, [""] * len(rows[0])]
    )
    path.write_bytes((first + out.getvalue()).encode(encoding))


@pytest.mark.parametrize(
    ("encoding", "delimiter", "more"),
    [
        ("utf-8-sig", ";", {"decimal": ","}),
        ("utf-8-sig", ",", {"quote_all": True}),
        ("utf-8", ",", {}),
        ("utf-16", "\t", {"decimal": ","}),
        ("utf-16-le", "\t", {}),
        ("utf-8", ";", {"first": "sep=;\r\n"}),
    ],
)
def test_a_table_that_a_spreadsheet_saved_is_read(tmp_path, encoding, delimiter, more):
    path = tmp_path / "t.csv"
    written(path, [replace(RUN[0], source="ž.jpg"), *RUN])
    before = path.read_text(encoding="utf-8")
    saved(path, encoding, delimiter, **more)
    assert kept_of(path).photos == {"ž.jpg", "a.jpg", "b.jpg", "c.jpg"}
    assert path.read_text(encoding="utf-8-sig") == before
    assert path.read_bytes().startswith(b"\xef\xbb\xbf") == (encoding != "utf-8")  # it is used in a spreadsheet


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            lambda data: data.replace(b"0.75", b"75. Jan", 1),
            r"line 2: confidence is '75. Jan', not a number; has a spreadsheet",
        ),
        (
            lambda data: data.decode().replace("b.jpg", "ž.jpg").encode("cp1250"),
            r"line 4: photo is no UTF-8 text.*CSV UTF-8",
        ),
        (lambda data: data + b'"' + b"x" * 200_000, "field larger than field limit"),
        (lambda data: b"PK\x03\x04" + data, r"is a spreadsheet \(.xlsx"),
        (lambda data: data.replace(b"photo,face", b"picture,face", 1), r"missing: photo; unknown: picture"),
        (lambda data: data.replace(b",1,faces", b",faces", 1), r"line 2: has \d+ cells, \d+ columns are needed"),
    ],
)
def test_what_a_spreadsheet_has_spoilt_is_named_and_not_the_model(tmp_path, change, words):
    path = tmp_path / "t.csv"
    written(path)
    path.write_bytes(change(path.read_bytes()))
    before = path.read_bytes()
    with pytest.raises(ConfigError, match=words) as error:
        kept_of(path)
    assert "written with the model" not in str(error.value)
    assert path.read_bytes() == before


@pytest.mark.parametrize("text", ['{"a": 1}\n', "[1]\n", '{"photo": "a"\n{}\n', "no\n"])
@pytest.mark.parametrize("suffix", [".jsonl", ".json", ".parquet"])
def test_files_of_others_are_refused(tmp_path, suffix, text):
    (tmp_path / f"t{suffix}").write_text(text)
    with pytest.raises(ConfigError, match="cannot be resumed"):
        kept_of(tmp_path / f"t{suffix}")
    assert (tmp_path / f"t{suffix}").read_text() == text


@pytest.mark.skipif(os.name == "nt", reason="no such names there")
def test_lines_of_json_with_ends_of_lines_in_names_are_kept(tmp_path):
    odd = ["a\u2028.jpg", "b\u2029.jpg", "c\x85.jpg", "d\n.jpg"]
    written(tmp_path / "t.jsonl", [replace(RUN[1], source=name) for name in odd])
    assert kept_of(tmp_path / "t.jsonl").photos == set(odd)
    assert len(json.loads(sidecar(tmp_path / "t.jsonl").read_text(encoding="utf-8"))) > 5


def test_there_is_force_and_there_is_resume(tmp_path):
    written(tmp_path / "t.parquet")
    with pytest.raises(ConfigError, match="is there already: --resume goes on with it, --force overwrites it"):
        opened(tmp_path / "t.parquet", pictures=NAMES)
    with pytest.raises(ConfigError, match="is there already: --force overwrites it, or"):
        opened(tmp_path / "t.parquet")
    written(tmp_path / "t.parquet", RUN[:1], force=True)
    assert photos_in(tmp_path / "t.parquet") == ["a.jpg", "a.jpg"]
