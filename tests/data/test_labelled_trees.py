"""RAF-DB and AffectNet as they lie on disk: small trees made here."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from face_files import png

from mien.data import read_source, train_val
from mien.errors import DataError

RAF = ("surprise", "fear", "disgust", "happy", "sad", "angry", "neutral")
AFFECTNET = ("neutral", "happy", "sad", "surprise", "fear", "disgust", "angry", "contempt")


def grey(value: int) -> bytes:
    return png(np.full((20, 20), value, np.uint8))


def write(root: Path, tree: dict[str, bytes]) -> Path:
    for name, data in tree.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    return root


def raf_db(root: Path, **more: bytes) -> Path:
    names = [f"train_{i:05}" for i in range(1, 8)] + [f"test_{i:04}" for i in range(1, 8)]
    tree = {f"Image/aligned/{name}_aligned.png": grey(10 * i + 10) for i, name in enumerate(names)}
    tree |= {f"Image/original/{name}.png": grey(255) for name in names}
    lines = [f"{name}.jpg {i % 7 + 1}" for i, name in enumerate(names)]
    return write(root, {**tree, "EmoLabel/list_patition_label.txt": "\n".join(lines).encode(), **more})


def test_raf_db_is_read_by_its_list_and_only_the_aligned_pictures(tmp_path):
    reading = read_source(raf_db(tmp_path))
    ds = reading.dataset
    assert reading.notes == ("read as RAF-DB: labels from EmoLabel/list_patition_label.txt, aligned pictures",)
    shown = {(int(image[0, 0]), ds.names[k], s) for image, k, s in zip(ds.images, ds.labels, ds.split, strict=True)}
    assert shown == {(10 * i + 10, RAF[i % 7], "train" if i < 7 else "test") for i in range(14)}


def test_what_raf_dbs_list_does_not_say_is_named(tmp_path):
    root = raf_db(tmp_path, **{"Image/aligned/train_99999_aligned.png": grey(1)})
    listed = root / "EmoLabel" / "list_patition_label.txt"
    listed.write_text(listed.read_text() + "\ntrain_00008.jpg 9")
    with pytest.raises(DataError, match=r"must be a name and a number 1 to 7, got 'train_00008\.jpg 9'"):
        read_source(root)
    reading = read_source(root, skip_bad=True)
    assert len(reading.dataset) == 14
    assert [str(p).rpartition("/")[2][:26] for p in reading.skipped] == [
        "list_patition_label.txt:15",
        "train_99999_aligned.png: i",
    ]


def affectnet(root: Path, **more: bytes) -> Path:
    tree = {}
    for part, first in (("train_set", 0), ("val_set", 8)):
        for i in range(first, first + 8):
            array = io.BytesIO()
            np.save(array, np.array(str(i % 8)))
            tree[f"{part}/images/{i}.png"] = grey(10 * i + 10)
            tree[f"{part}/annotations/{i}_exp.npy"] = array.getvalue()
            tree[f"{part}/annotations/{i}_val.npy"] = b"0.5"
    return write(root, {**tree, **more})


def test_affectnet_is_read_by_its_arrays(tmp_path):
    ds = read_source(affectnet(tmp_path)).dataset
    shown = {(int(image[0, 0]), ds.names[k]) for image, k in zip(ds.images, ds.labels, strict=True)}
    assert shown == {(10 * i + 10, AFFECTNET[i % 8]) for i in range(16)}
    train, val = train_val(ds)
    assert (len(train), len(val)) == (8, 8)


def test_affectnets_numbers_that_are_no_expression_are_named(tmp_path):
    array = io.BytesIO()
    np.save(array, np.array("10"))
    root = affectnet(tmp_path, **{"val_set/annotations/8_exp.npy": array.getvalue(), "val_set/images/77.png": grey(1)})
    reading = read_source(root, skip_bad=True)
    assert len(reading.dataset) == 15
    assert {str(p).partition("val_set/images/")[2] for p in reading.skipped} == {
        "8.png: its _exp.npy says 10, which is no expression: it must be 0 to 7",
        "77.png: has no array in annotations/ beside its folder: take it out",
    }
