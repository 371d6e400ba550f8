"""Saving as PNG: lossless, resumable, and back to the same fingerprint whatever the names are."""

from __future__ import annotations

import shutil
import tempfile
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mien.data import FaceDataset, read_faces, read_source
from mien.data.save_images import save_images
from mien.errors import DataError, OutputError
from mien.files import plain_name
from mien.labels import FER2013


def data(n: int = 12, seed: int = 0, **more: object) -> FaceDataset:
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, (n, 6, 5), dtype=np.uint8)
    split = np.array(["Training", "PublicTest"] * n)[:n]
    given = {"names": FER2013.names, "labels": rng.integers(-1, 7, n), "split": split, **more}
    return FaceDataset(images, **given)  # type: ignore[arg-type]


def test_files_lie_where_they_are_said_to(tmp_path: Path) -> None:
    ds = data(labels=np.arange(12) % 7)
    saved = save_images(ds, tmp_path / "out")
    assert (saved.written, saved.kept) == (12, 0)
    image = cv2.imread(str(tmp_path / "out" / "PublicTest" / "disgust" / "00001.png"), cv2.IMREAD_UNCHANGED)
    assert (image == ds.images[1]).all()
    lines = (tmp_path / "out" / "index.csv").read_text().splitlines()
    assert lines[0] == "path,row,split,label,name,subject"
    assert lines[2] == "PublicTest/disgust/00001.png,1,PublicTest,1,disgust,"
    assert not list((tmp_path / "out").rglob(".*"))


TEXT = st.text(min_size=1, max_size=8).filter(lambda s: s == s.strip("\0") and "\0" not in s and s.isprintable())


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 8),
    st.integers(0, 99),
    st.lists(TEXT, min_size=1, max_size=4, unique=True),
    st.booleans(),
    st.booleans(),
    st.lists(st.one_of(TEXT, st.just("")), min_size=1, max_size=3),
    st.booleans(),
)
def test_round_trip_of_any_data_set(
    n: int, seed: int, names: list[str], labelled: bool, voted: bool, splits: list[str], known: bool
) -> None:
    rng = np.random.default_rng(seed)
    ds = FaceDataset(
        images=rng.integers(0, 256, (n, 3, 4), dtype=np.uint8),
        names=tuple(names),
        labels=rng.integers(-1, len(names), n) if labelled else None,
        votes=rng.random((n, len(names)), dtype=np.float32) if voted else None,
        split=np.array([splits[i % len(splits)] for i in range(n)]),
        subject=np.array([splits[i % len(splits)] for i in range(n)]) if known else None,
        rows=rng.permutation(n * 3)[:n].astype(np.int64),
    )
    with tempfile.TemporaryDirectory() as folder:
        save_images(ds, folder)
        back = read_faces(folder)
        shutil.make_archive(f"{folder}/packed", "zip", folder)
        packed = read_faces(f"{folder}/packed.zip", cache=False)
    for got in (back, packed):
        assert got.fingerprint == ds.fingerprint
        assert got.rows.tolist() == ds.rows.tolist()
        assert (got.subject is None) == (not known)
        assert not known or got.subject.tolist() == ds.subject.tolist()


def test_an_interrupted_run_goes_on(tmp_path: Path) -> None:
    ds, out = data(), tmp_path / "out"

    def stop(done: int) -> None:
        if done == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        save_images(ds, out, stop)
    assert not (out / "index.csv").exists()
    next(out.rglob("00003.png")).write_bytes(b"half")
    saved = save_images(ds, out)
    assert (saved.written, saved.kept) == (8, 4)
    assert read_faces(out).fingerprint == ds.fingerprint


def test_row_numbers_that_repeat_do_not_overwrite(tmp_path: Path) -> None:
    ds = data(rows=np.zeros(12, dtype=np.int64))
    save_images(ds, tmp_path)
    back = read_faces(tmp_path)
    assert back.fingerprint == ds.fingerprint
    assert back.rows.tolist() == [0] * 12


def test_folders_that_are_not_ours_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "thesis.txt").write_text("x")
    with pytest.raises(OutputError, match="is not empty and holds no earlier export"):
        save_images(data(), tmp_path / "a")
    assert [p.name for p in (tmp_path / "a").iterdir()] == ["thesis.txt"]
    save_images(data(), tmp_path / "b")
    with pytest.raises(OutputError, match="holds the images of other data"):
        save_images(data(seed=1), tmp_path / "b")
    with pytest.raises(OutputError, match="is a file"):
        save_images(data(), tmp_path / "a" / "thesis.txt")
    with pytest.raises(OutputError, match="cannot be written"):
        save_images(data(), tmp_path / "a" / "thesis.txt" / "out")


def test_a_full_disk_is_an_error_of_ours_and_leaves_no_half_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Path.write_bytes

    def full(self: Path, content: bytes) -> int:
        if "00004" in self.name:
            real(self, content[:10])
            raise OSError(28, "No space left on device", str(self))
        return real(self, content)

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OutputError, match="No space left on device"):
        save_images(data(), tmp_path)
    assert not list(tmp_path.rglob("*00004*"))


def test_an_export_that_was_changed_says_so(tmp_path: Path) -> None:
    ds = data()
    save_images(ds, tmp_path)
    picture = next(tmp_path.rglob("00003.png"))
    picture.write_bytes(next(tmp_path.rglob("00002.png")).read_bytes())
    assert read_source(tmp_path).notes == (f"the images differ from those exported (then {ds.fingerprint})",)
    picture.unlink()
    with pytest.raises(DataError, match=r"00003.png: the picture is missing"):
        read_faces(tmp_path)
    assert len(read_faces(tmp_path, skip_bad=True)) == 11


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("index.csv", "path,row\n"),
        ("index.csv", "path,row,split,label,name,subject\na.png,x,,0,,\n"),
        ("index.csv", "path,row,split,label,name,subject\na.png\n"),
        ("index.csv", "path,row,split,label,name,subject\na.png,0,,99,,\n"),
        ("index.csv", "path,row,split,label,name,subject\n../../a.png,0,,0,,\n"),
        ("index.json", '{"mien_index": 1}'),
        ("index.json", '["mien_index"]'),
        ("index.json", "mien_index"),
    ],
)
def test_a_damaged_index_is_an_error(tmp_path: Path, file: str, text: str) -> None:
    save_images(data(), tmp_path)
    (tmp_path / file).write_text(text)
    with pytest.raises(DataError):
        read_faces(tmp_path)


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("happy", "happy"),
        ("PublicTest", "PublicTest"),
        ("v1.2", "v1.2"),
        ("a/b", "0003-a_b"),
        ("a:b", "0003-a_b"),
        ("..", "0003"),
        ("con", "0003-con"),
        ("NUL.x", "0003-NUL_x"),
        (".hidden", "0003-hidden"),
        ("dot.", "0003-dot"),
        ("été", "0003-t"),
        ("x" * 41, f"0003-{'x' * 40}"),
    ],
)
def test_names_for_folders(name: str, safe: str) -> None:
    assert plain_name(name, 3) == safe


def test_archives_of_an_export_may_have_an_outer_folder(tmp_path: Path) -> None:
    ds = data()
    save_images(ds, tmp_path / "out")
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as z:
        for p in (tmp_path / "out").rglob("*"):
            z.write(p, p.relative_to(tmp_path))
    assert read_faces(tmp_path / "a.zip", cache=False).fingerprint == ds.fingerprint


def test_only_the_outermost_export_counts(tmp_path: Path) -> None:
    save_images(data(), tmp_path / "a" / "one")
    save_images(data(seed=1), tmp_path / "a" / "two")
    with pytest.raises(DataError, match="holds several exports: one/, two/"):
        read_faces(tmp_path / "a")
    (tmp_path / "b").mkdir()
    (tmp_path / "a").rename(tmp_path / "b" / "a")
    with pytest.raises(DataError, match="lies too deep"):  # too far inside to be taken for what is meant
        read_faces(tmp_path / "b")
