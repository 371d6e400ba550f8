"""Which files of a folder are pictures, and that nothing else in it vanishes: counted and named by kind."""

from __future__ import annotations

import json
import os
from importlib.util import find_spec
from pathlib import Path

import pytest

from mien.errors import DataError
from mien.images import is_picture
from mien.picture_files import PassedOver, find_pictures, kind_passed_over, walk_files


def tree(root: Path, *names: str) -> Path:
    for name in names:
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"x")
    return root


def found(root: Path, passed: PassedOver | None = None) -> list[str]:
    return [p.relative_to(root).as_posix() for p in find_pictures(root, passed)]


@pytest.mark.parametrize("name", ["a.jpg", "a.JPEG", "a.jpe", "a.jfif", "a.avif", "a.PNG", "a.webp", "a.tiff", "a.pgm"])
def test_names_of_pictures(name):
    assert is_picture(name)
    assert kind_passed_over(f"folder/{name}") == ""


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("._a.jpg", "apple_double"),
        (".a.jpg", "hidden"),
        (".DS_Store", "hidden"),
        ("@eaDir", "hidden"),
        ("a.txt", "other_ending"),
        ("jpg", "other_ending"),
        ("a.jpg.part", "other_ending"),
    ],
)
def test_names_that_are_none(name, kind):
    assert kind_passed_over(f"x/{name}") == kind


def test_heic_is_read_where_the_extra_is_there(monkeypatch):
    for there in (True, False):
        monkeypatch.setattr("mien.decoding.find_spec", lambda name, there=there: find_spec("json") if there else None)
        assert [is_picture(f"a{suffix}") for suffix in (".heic", ".HEIF", ".hif")] == [there] * 3
        assert kind_passed_over("a.HEIC") == ("" if there else "heic_without_extra")


def test_a_walk_is_in_order_and_counts_what_it_passes_over(tmp_path):
    tree(
        tmp_path,
        "b.jpg",
        "a/z.png",
        "a/._z.png",
        "a/notes.TXT",
        "c.mp4",
        ".git/x.jpg",
        "a/@eaDir/z.png/thumb.jpg",
        "e.avif",
        "Makefile",
    )
    (tmp_path / "broken.jpg").symlink_to(tmp_path / "nowhere.jpg")
    (tmp_path / "itself.jpg").symlink_to(tmp_path / "itself.jpg")
    (tmp_path / "again").symlink_to(tmp_path / "a", target_is_directory=True)
    (tmp_path / "link.jpg").symlink_to(tmp_path / "b.jpg")
    os.mkfifo(tmp_path / "pipe.jpg")
    passed = PassedOver()
    assert found(tmp_path, passed) == ["a/z.png", "b.jpg", "e.avif", "link.jpg"]
    counts = {"apple_double": 1, "other_ending": 3, "hidden": 2, "broken_link": 2, "linked_folder": 1, "no_file": 1}
    assert passed.counts == counts
    said = str(passed)
    assert said.startswith("passed over: 3 files of other kinds (Makefile, .txt, .mp4), ")
    for part in (
        "1 linked folder (",
        "2 broken links (",
        "1 side file of macOS (._*) (",
        "._z.png",
        "2 hidden files or folders (",
    ):
        assert part in said
    as_json = json.loads(json.dumps(passed.to_dict()))
    assert as_json["broken_link"]["count"] == 2
    assert as_json["linked_folder"]["examples"] == [str(tmp_path / "again")]


def test_linked_folders_are_entered_once_where_asked(tmp_path):
    tree(tmp_path, "faces/a/1.png")
    tree(tmp_path, "elsewhere/2.png")
    root = tmp_path / "faces"
    (root / "b").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    (root / "c").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    (root / "a" / "up").symlink_to(root, target_is_directory=True)
    passed = PassedOver()
    assert list(walk_files(root, passed, follow=True)) == [root / "a" / "1.png", root / "b" / "2.png"]
    assert passed.counts == {"linked_folder": 2}
    assert found(root) == ["a/1.png"]


def test_many_are_counted_and_a_few_named(tmp_path):
    tree(tmp_path, *(f"._{i}.jpg" for i in range(9)))
    passed = PassedOver()
    assert found(tmp_path, passed) == []
    assert passed.counts["apple_double"] == 9
    assert len(passed.examples["apple_double"]) == 3
    assert ", ...)" in str(passed)


def test_nothing_passed_over_says_nothing(tmp_path):
    passed = PassedOver()
    assert found(tree(tmp_path, "a.jpg"), passed) == ["a.jpg"]
    assert not passed
    assert str(passed) == ""


def test_a_folder_that_cannot_be_listed_is_counted_below_and_an_error_at_the_root(tmp_path, monkeypatch):
    tree(tmp_path, "a/1.jpg", "secret/2.jpg")
    listing = os.scandir

    def scandir(folder):
        if Path(folder).name == "secret":
            raise PermissionError(13, "Permission denied")
        return listing(folder)

    monkeypatch.setattr("mien.picture_files.os.scandir", scandir)
    passed = PassedOver()
    assert found(tmp_path, passed) == ["a/1.jpg"]
    assert passed.counts == {"unreadable_folder": 1}
    with pytest.raises(DataError, match="cannot be read"):
        list(walk_files(tmp_path / "secret"))


@pytest.mark.parametrize("folder", ["", "nowhere", "a.jpg"])
def test_no_folder_is_an_error(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tree(tmp_path, "a.jpg"))
    with pytest.raises(DataError, match="no such folder"):
        list(find_pictures(folder))


def test_names_that_are_no_utf8_can_be_printed(tmp_path):
    (tmp_path / os.fsdecode(b"._\xff.jpg")).write_bytes(b"")
    passed = PassedOver()
    assert found(tmp_path, passed) == []
    json.dumps(passed.to_dict(), ensure_ascii=False).encode("utf-8")
