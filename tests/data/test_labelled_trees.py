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


HEAD = "subDirectory_filePath,face_x,face_y,face_width,face_height,facial_landmarks,expression,valence,arousal"


def affectnet_tables(root: Path, *more: str) -> Path:
    """Eight photographs of 40 x 30 with a face of 10 x 10 at (20, 10), and one beside its edge."""
    tree, rows = {}, {"training": [HEAD], "validation": [HEAD]}
    for i in range(9):
        photo = np.full((30, 40), 200, np.uint8)
        photo[10:20, 20:30] = 10 * i + 10
        tree[f"Manually_Annotated_Images/{i % 3}/{i}.png"] = png(photo)
        name = "validation" if i > 5 else "training"
        rows[name].append(f"{i % 3}/{i}.png,20,10,10,10,1.5;2.5;3,{i},0.1,-0.2")
    rows["training"] += more
    tree |= {f"{name}.csv": "\n".join(lines).encode() for name, lines in rows.items()}
    return write(root, tree)


def test_affectnets_tables_say_where_the_faces_are(tmp_path):
    reading = read_source(affectnet_tables(tmp_path))
    ds = reading.dataset
    assert reading.notes == (
        "read as AffectNet: faces and labels from training.csv, validation.csv",
        "1 row of none, uncertain or no face: left out",
        "1 picture in no table with an expression: left out",
    )
    assert ds.size == (10, 10)
    assert (ds.images == ds.images[:, :1, :1]).all()
    shown = {(int(f[0, 0]), ds.names[k], s) for f, k, s in zip(ds.images, ds.labels, ds.split, strict=True)}
    assert shown == {(10 * i + 10, AFFECTNET[i], "validation" if i > 5 else "train") for i in range(8)}
    assert not reading.passed


def test_a_face_at_the_edge_of_its_photograph_repeats_the_edge(tmp_path):
    root = affectnet_tables(tmp_path)
    table = (root / "training.csv").read_text().replace("0/0.png,20,10,10,10", "0/0.png,-4,-6,8,12")
    (root / "training.csv").write_text(table)
    ds = read_source(root, size=12).dataset
    first = ds.images[ds.labels == ds.names.index("neutral")][0]
    assert (first == 200).all()


def test_rows_of_affectnets_tables_that_say_nothing_are_named(tmp_path):
    more = ("0/0.png,1,1,0,5,,1,0,0", "1/1.png,1,1,5,5,,11,0,0", "0/3.png,20,10,10,10,,1,0,0", "7/7.png,1,1,5,5,,1,0,0")
    root = affectnet_tables(tmp_path, *more, "2/5.png,90,1,5,5,,1,0,0")
    with pytest.raises(DataError, match=r"face_height above 0 and expression 0 to 10"):
        read_source(root)
    reading = read_source(root, skip_bad=True)
    assert len(reading.dataset) == 8
    assert [p.where.rpartition("/")[2] for p in reading.skipped] == ["training.csv:8", "training.csv:9"] + 2 * [
        "training.csv"
    ]
    assert "1 picture of the tables not there" in reading.notes
    table = (root / "validation.csv").read_text().replace("0/6.png,20", "0/6.png,90")
    (root / "validation.csv").write_text(table)
    reading = read_source(root, skip_bad=True)
    assert "lies beyond its 40 x 30 pixels" in str(reading.skipped[-1])
    assert len(reading.dataset) == 7
