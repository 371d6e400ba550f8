"""What folders, columns and numbers say of classes and people: one spelling, one class; nobody is taken for a split."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import numpy as np
import pytest
from face_files import csv_of, faces, png, put, tree, zip_of

from mien.data import describe_split, read_faces, read_source, train_val
from mien.data.readers.classes import class_words
from mien.errors import ConfigError, DataError
from mien.labels import FER2013, FERPLUS, canonical, fold

RNG = np.random.default_rng(0)
COMPOSED, DECOMPOSED = unicodedata.normalize("NFC", "Müde"), unicodedata.normalize("NFD", "Müde")


def face() -> bytes:
    return png(RNG.integers(0, 256, (6, 6), dtype=np.uint8))


@pytest.mark.parametrize(
    ("train", "test", "name"),
    [
        ("Bored", "bored", "Bored"),
        ("bored", "BORED", "bored"),
        (COMPOSED, DECOMPOSED, COMPOSED),
        (DECOMPOSED, COMPOSED.upper(), COMPOSED),
        ("bored ", "Bored", "bored"),
        ("Straße", "STRASSE", "Straße"),
        ("Joy", "HAPPY ", "happy"),
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_spellings_of_one_class_are_one_class(tmp_path: Path, train: str, test: str, name: str, packed: bool) -> None:
    files = {f"Train/{train}/0.png": face(), f"Train/calm/{train}.png": face(), f"test/{test}/0.png": face()}
    if packed:
        (tmp_path / "a.zip").write_bytes(zip_of(files))
    ds = read_faces(tmp_path / "a.zip" if packed else put(tmp_path, files))
    assert set(ds.names) == {name, "neutral"}
    assert ds.splits == ("Train", "test")
    assert ds.labels is not None
    assert [ds.names[k] for k in ds.labels] == [*sorted([name, "neutral"], key=ds.names.index), name]


def test_two_spellings_in_one_part_are_one_class(tmp_path: Path) -> None:
    ds = read_faces(put(tmp_path, {"Bored/0.png": face(), "bored/1.png": face(), "calm/2.png": face()}))
    assert ds.names == ("neutral", "Bored")
    assert ds.counts().tolist() == [1, 2]


def test_words_that_one_part_tells_apart_stay_apart() -> None:
    words = class_words({"train": {"happy", "joy", "anger"}, "test": {"Joy", "HAPPY", "angry"}})
    assert words == {
        ("train", "anger"): "angry",
        ("train", "happy"): "happy",
        ("train", "joy"): "joy",
        ("test", "HAPPY"): "happy",
        ("test", "Joy"): "joy",
        ("test", "angry"): "angry",
    }


def test_canonical_words() -> None:
    assert [canonical(w) for w in (" Joy ", "NO_EMOTION", "no-emotion", DECOMPOSED, "x ")] == [
        *("happy", "neutral", "neutral"),
        *(COMPOSED, "x"),
    ]
    assert fold(DECOMPOSED) == fold(COMPOSED.upper())


@pytest.mark.parametrize("outer", [(), ("data",), ("train",), ("Train", "test")])
def test_folders_of_people_below_classes(tmp_path: Path, outer: tuple[str, ...]) -> None:
    files = {
        "/".join((*((o,) if o else ()), k, who, f"{i}.jpg")): face()
        for o in outer or ("",)
        for k in ("happy", "Sad", "anger")
        for who in ("ann", "bob", "s 03")
        for i in range(2)
    }
    reading = read_source(put(tmp_path, files))
    ds = reading.dataset
    assert ds.names == ("angry", "happy", "sad")
    assert set(ds.subject.tolist()) == {"ann", "bob", "s 03"}
    assert ds.splits == (outer if outer and outer != ("data",) else ("",))
    assert reading.notes == ("read as <class>/<person>/: the inner folders are taken for people",)
    if not outer:
        assert "subject-independent" in describe_split(*train_val(ds, fraction=0.3))


def test_one_class_with_people(tmp_path: Path) -> None:
    ds = read_faces(put(tmp_path, {f"happy/{who}/0.png": face() for who in ("ann", "bob")}))
    assert ds.names == ("happy",)
    assert ds.subject.tolist() == ["ann", "bob"]


def test_unknown_outer_folders_are_splits_and_it_is_said(tmp_path: Path) -> None:
    reading = read_source(put(tmp_path, {f"fold{f}/{k}/0.png": face() for f in (1, 2) for k in ("happy", "sad")}))
    assert reading.dataset.splits == ("fold1", "fold2")
    assert reading.dataset.subject is None
    (note,) = reading.notes
    assert note.startswith("the outer folders are taken for splits, though none is known as one: fold1, fold2; people")


def test_too_deep_a_tree_names_the_forms(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"must lie in <split>/<class>/, <class>/ or <class>/<person>/"):
        read_faces(put(tmp_path, {f"a{i}/b/c/d{i}/0.png": face() for i in range(2)}))


def test_a_class_may_be_missing_in_a_part(tmp_path: Path) -> None:
    files = {k: v for k, v in tree(2, ("happy", "sad", "bored")).items() if not k.startswith("test/sad")}
    train, test = (read_faces(put(tmp_path, files)).part(s) for s in ("train", "test"))
    assert train.names == test.names == ("happy", "sad", "bored")
    assert (train.counts().tolist(), test.counts().tolist()) == ([2, 2, 2], [2, 0, 2])


@pytest.mark.parametrize("word", ["7", "contempt", "7.0"])
def test_an_eighth_label_is_contempt(tmp_path: Path, word: str) -> None:
    lines = csv_of(faces(14, side=4)).decode().splitlines()
    for i in range(14):
        lines[1 + i] = f"{i % 7},{lines[1 + i].split(',', 1)[1]}"
    lines[3] = f"{word},{lines[3].split(',', 1)[1]}"
    (tmp_path / "a.csv").write_text("\n".join(lines))
    reading = read_source(tmp_path / "a.csv")
    ds = reading.dataset
    assert ds.names == FERPLUS.names
    want = [*FER2013.names, *FER2013.names]
    want[2] = "contempt"
    assert [ds.names[k] for k in ds.labels] == want
    assert reading.notes[0].startswith("label 7 is taken for contempt (1 row): eight classes")
    assert read_source(tmp_path / "a.csv").notes == reading.notes  # from the cache, too


def test_a_ninth_label_is_no_class(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("emotion,pixels,Usage\n8,1 2 3 4,Training\n7,1 2 3 4,Training\n")
    with pytest.raises(DataError, match=r":2: the label is '8'; it must be 0\.\.7"):
        read_faces(tmp_path / "a.csv")
    assert len(read_faces(tmp_path / "a.csv", skip_bad=True)) == 1


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-8-sig"])
@pytest.mark.parametrize("header", [True, False])
def test_tables_of_every_unicode_encoding_are_read(tmp_path: Path, encoding: str, header: bool) -> None:
    ds = faces(side=8)
    data = csv_of(ds, header=header, end="\r\n").decode().encode(encoding)
    (tmp_path / "a.csv").write_bytes(data)
    (tmp_path / "a.zip").write_bytes(zip_of({"x/a.csv": data}))
    for name in ("a.csv", "a.zip"):
        assert read_faces(tmp_path / name).fingerprint == ds.fingerprint


def test_a_table_cut_within_a_letter_is_damaged(tmp_path: Path) -> None:
    data = csv_of(faces(side=8)).decode().encode("utf-16")
    (tmp_path / "a.csv").write_bytes(data[:-1])
    with pytest.raises(DataError, match=r"a\.csv:\d+: .*damaged"):
        read_faces(tmp_path / "a.csv")


@pytest.mark.parametrize("junk", [b"\x01\x00\x00\x00" * 40, b"\x89a\x00b" * 40, bytes(100)])
def test_bytes_that_are_no_text_are_no_table(tmp_path: Path, junk: bytes) -> None:
    (tmp_path / "a.csv").write_bytes(junk)
    with pytest.raises(DataError, match="is no CSV text"):
        read_faces(tmp_path / "a.csv")


def test_one_row_and_odd_sizes(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("emotion,pixels,Usage\n3,7,Training\n")
    assert read_faces(tmp_path / "a.csv").images.tolist() == [[[7]]]
    put(tmp_path / "b", {"happy/0.png": png(np.zeros((3, 5), np.uint8)), "sad/1.png": png(np.ones((3, 5), np.uint8))})
    ds = read_faces(tmp_path / "b")
    assert ds.size == (3, 5)
    assert ds.resized(48).size == (48, 48)


def test_no_path_is_not_the_current_folder() -> None:
    with pytest.raises(ConfigError, match="data must be a file, a folder"):
        read_faces("")


def test_rows_that_are_no_square_name_the_remedy(tmp_path: Path) -> None:
    rows = "".join(f"3,{' '.join(['7'] * 15)},Training\n" for _ in range(3))
    (tmp_path / "a.csv").write_text("emotion,pixels,Usage\n" + rows)
    with pytest.raises(DataError, match=r"have 15 pixels, which make no square, .* as pictures in <class>/ folders"):
        read_faces(tmp_path / "a.csv", skip_bad=True)


@pytest.mark.parametrize("labels", [7, 8])
def test_numbers_in_parquet_are_fer2013_s_and_7_is_contempt(tmp_path: Path, labels: int) -> None:
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    table = arrow.table({"image": [face() for _ in range(labels)], "label": list(range(labels))})
    parquet.write_table(table, tmp_path / "a.parquet")
    reading = read_source(tmp_path / "a.parquet")
    ds = reading.dataset
    assert ds.names == (FER2013.names if labels == 7 else FERPLUS.names)
    assert [ds.names[k] for k in ds.labels] == [*FER2013.names, "contempt"][:labels]
    assert f"the labels 0..{labels - 1} have no names" in reading.notes[1]


def test_class_names_of_parquet_files_are_compared_by_what_they_mean(tmp_path: Path) -> None:
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    for part, words in (("train", ["Bored", COMPOSED]), ("test", ["bored ", DECOMPOSED.upper()])):
        table = arrow.table({"image": [face(), face()], "label": words})
        parquet.write_table(table, tmp_path / f"{part}.parquet")
    ds = read_faces(tmp_path)
    assert ds.names == ("Bored", COMPOSED)
    assert ds.labels.tolist() == [0, 1, 0, 1]
