"""Nothing vanishes from a data set on disk: pictures of every ending are read, all else is counted and named."""

from __future__ import annotations

import io
import json
import os
import sys
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from face_files import csv_of, faces, png, put, tree, zip_of
from PIL import Image

from mien.cli import main
from mien.data import read_faces, read_source
from mien.data.save_images import save_images
from mien.errors import DataError

FACE = np.arange(64, dtype=np.uint8).reshape(8, 8)


def picture(kind: str) -> bytes:
    out = io.BytesIO()
    Image.fromarray(FACE).save(out, kind)
    return out.getvalue()


@pytest.mark.parametrize(
    ("ending", "kind"),
    [("jfif", "JPEG"), ("jpe", "JPEG"), ("JPG", "JPEG"), ("avif", "AVIF"), ("webp", "WEBP"), ("ppm", "PPM")],
)
@pytest.mark.parametrize("packed", [False, True])
def test_pictures_of_every_ending_are_read(tmp_path: Path, ending: str, kind: str, packed: bool) -> None:
    files = {f"{k}/a.{ending}": picture(kind) for k in ("happy", "sad")}
    if packed:
        (tmp_path / "a.zip").write_bytes(zip_of(files))
    reading = read_source(tmp_path / "a.zip" if packed else put(tmp_path, files))
    assert len(reading.dataset) == 2
    assert not reading.passed


STRAYS = {"happy/._a.png": b"x", ".DS_Store": b"x", "happy/film.mp4": b"x", "happy/notes.txt": b"x", "readme": b"x"}


def test_everything_else_in_a_folder_is_counted(tmp_path: Path) -> None:
    data = put(tmp_path / "data", {**tree(1, ("happy", "sad"), ("train",)), **STRAYS})
    (data / "train" / "happy" / "gone.png").symlink_to(tmp_path / "nowhere.png")
    (data / "train" / "again").symlink_to(data / "train")
    os.mkfifo(data / "train" / "happy" / "pipe.png")
    reading = read_source(data)
    assert len(reading.dataset) == 2
    assert dict(reading.passed.counts) == {
        "apple_double": 1,
        "hidden": 1,
        "other_ending": 3,
        "broken_link": 1,
        "linked_folder": 1,
        "no_file": 1,
    }
    assert "1 broken link" in str(reading.passed)
    assert "gone.png" in str(reading.passed)


def test_an_archive_is_counted_alike_also_from_the_cache(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(zip_of({**tree(1, ("happy", "sad"), ("train",)), **STRAYS, "__MACOSX/b": b"x"}))
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        for name, data in {**tree(1, ("happy", "sad"), ("train",)), **STRAYS}.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
        link = tarfile.TarInfo("train/happy/link.png")
        link.type, link.linkname = tarfile.SYMTYPE, "0.png"
        tar.addfile(link)
    common = {"apple_double": 1, "other_ending": 3}
    for name, want in (("a.zip", {**common, "hidden": 2}), ("a.tar", {**common, "hidden": 1, "link_in_archive": 1})):
        for _ in range(2):
            reading = read_source(tmp_path / name)
            assert len(reading.dataset) == 2
            assert dict(reading.passed.counts) == want
        (tmp_path / "moved").mkdir(exist_ok=True)
        (tmp_path / name).rename(tmp_path / "moved" / name)
        assert str(tmp_path) not in str(read_source(tmp_path / "moved" / name).passed)


def test_folders_of_links_are_read(tmp_path: Path) -> None:
    put(tmp_path / "store", tree(2, ("happy", "sad"), ("train", "test")))
    (tmp_path / "data").mkdir()
    for part in ("train", "test"):
        (tmp_path / "data" / part).symlink_to(tmp_path / "store" / part)
    reading = read_source(tmp_path / "data")
    assert reading.dataset.fingerprint == read_faces(tmp_path / "store").fingerprint
    assert not reading.passed
    os.symlink(tmp_path / "data", tmp_path / "data" / "train" / "loop")  # a circle ends, and is counted
    assert read_source(tmp_path / "data").passed.counts == {"linked_folder": 1}


def test_links_to_pictures_are_pictures(tmp_path: Path) -> None:
    put(tmp_path, {"store/a.png": png(FACE)})
    for k in ("happy", "sad"):
        (tmp_path / "data" / k).mkdir(parents=True)
        (tmp_path / "data" / k / "a.png").symlink_to(tmp_path / "store" / "a.png")
    assert len(read_faces(tmp_path / "data")) == 2


def test_pictures_added_to_an_export_are_counted(tmp_path: Path) -> None:
    save_images(faces(6), tmp_path)
    put(tmp_path, {"Training/happy/new.png": png(FACE), "Training/happy/new.jpg": picture("JPEG"), "notes.txt": b"x"})
    reading = read_source(tmp_path)
    assert reading.dataset.fingerprint == faces(6).fingerprint
    assert dict(reading.passed.counts) == {"not_in_index": 2, "other_ending": 1}
    assert "2 pictures that are not in the index" in str(reading.passed)
    assert "new.png" in str(reading.passed)


def test_beside_a_table(tmp_path: Path) -> None:
    put(tmp_path, {"fer2013/fer2013.csv": csv_of(faces()), "fer2013/README": b"x", "fer2013/fer2013.bib": b"x"})
    reading = read_source(tmp_path)
    assert len(reading.dataset) == 9
    assert str(reading.passed) == "passed over: 2 files of other kinds (README, .bib)"


def test_a_folder_without_faces_says_what_is_there(tmp_path: Path) -> None:
    put(tmp_path, {"happy/a.mp4": b"x", "happy/._b.png": b"x"})
    with pytest.raises(DataError, match=r"1 file of another kind \(\.mp4\), 1 side file of macOS"):
        read_faces(tmp_path)


@pytest.mark.parametrize("command", [("info",), ("info", "--json"), ("audit", "--json")])
def test_commands_name_what_was_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: tuple[str, ...]
) -> None:
    put(tmp_path, {**tree(1, ("happy", "sad"), ("train",)), "train/happy/film.mp4": b"x"})
    monkeypatch.setattr(sys, "argv", ["mien", "data", command[0], str(tmp_path), *command[1:]])
    with pytest.raises(SystemExit) as end:
        main()
    assert not end.value.code
    got = capsys.readouterr()
    if "--json" in command:
        found = json.loads(got.out)
        assert found["passed_over"] == {"other_ending": {"count": 1, "examples": [".mp4"]}}
        assert found["skipped"] == found["notes"] == []
    if command != ("info", "--json"):
        assert "passed over: 1 file of another kind (.mp4)" in got.err


@pytest.mark.parametrize("cut", [0.5, 0.9])
def test_a_cut_jpeg_is_said_to_be_cut_short(tmp_path: Path, cut: float) -> None:
    data = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64), dtype=np.uint8)).save(data, "JPEG")
    whole = data.getvalue()
    files = {"happy/a.jpg": whole, "sad/b.jpg": whole[: int(cut * len(whole))]}
    put(tmp_path / "data", files)
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    for source in (tmp_path / "data", tmp_path / "a.zip"):
        with pytest.raises(DataError, match="cut short"):
            read_faces(source)
        (problem,) = read_source(source, skip_bad=True).skipped
        assert problem.where == f"{source}/sad/b.jpg"
