"""Sets that stay on the disk: packed from any source, the same faces, and read in parts."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from face_files import csv_of, faces

from mien.data import FaceDataset, read_faces, read_source, split_train_val
from mien.data.audit import audit
from mien.data.duplicates import near_duplicates
from mien.data.packed import pack
from mien.data.save_images import save_images
from mien.data.summary import summarise
from mien.data.synthetic.generate import generate
from mien.errors import ConfigError, DataError
from mien.stored import StoredImages, blocks


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[FaceDataset, FaceDataset]:
    """Drawn faces in memory, and the same ones packed."""
    out = tmp_path_factory.mktemp("packs") / "drawn"
    return generate(120, seed=1), pack(lambda kept: read_source("synthetic:120,seed=1", kept=kept), out).dataset


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Six pictures in colour, of two sizes."""
    rng = np.random.default_rng(0)
    for i, name in enumerate(("happy", "sad", "happy", "sad", "happy", "sad")):
        folder = tmp_path / "tree" / ("test" if i > 3 else "train") / name
        folder.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(folder / f"{i}.png"), rng.integers(0, 256, (30 + i % 2, 30, 3), dtype=np.uint8))
    return tmp_path / "tree"


def test_a_packed_set_is_the_same_set(pair: tuple[FaceDataset, FaceDataset]) -> None:
    memory, packed = pair
    assert isinstance(packed.images, StoredImages)
    assert packed.fingerprint == memory.fingerprint
    assert packed.statistics == memory.statistics
    assert packed.names == memory.names
    assert packed.subject.tolist() == memory.subject.tolist() if memory.subject is not None else packed.subject is None
    order = [7, 3, 4, 5, 119, 3]
    assert (packed.take(order).array == memory.images[order]).all()
    assert (packed.images[5] == memory.images[5]).all()
    assert packed.resized(32).fingerprint == memory.resized(32).fingerprint
    assert packed.with_channels(3).fingerprint == memory.with_channels(3).fingerprint
    assert (np.load(packed.images.path, mmap_mode="r") == memory.images).all()


def test_whatever_passes_through_all_faces_finds_the_same(pair: tuple[FaceDataset, FaceDataset]) -> None:
    _, packed = pair
    one, other = (vars(summarise(ds)) | {"source": ""} for ds in pair)
    assert one == other
    parts = [split_train_val(ds, 0.3) for ds in pair]
    assert [p.fingerprint for p in parts[0]] == [p.fingerprint for p in parts[1]]
    both = [audit(ds, within=True).to_dict() | {"source": ""} for ds in pair]
    assert both[0] == both[1]
    near = [near_duplicates(val.images, train.images, 0.8).tolist() for train, val in parts]
    assert near[0] == near[1]
    assert any(near[0])
    assert [len(block) for block in blocks(packed.images, 50)] == [50, 50, 20]


def test_pictures_are_packed_one_at_a_time_in_colour(tree: Path, tmp_path: Path) -> None:
    (tree / "train" / "sad" / "broken.png").write_bytes(b"no picture")
    read = lambda kept: read_source(tree, size=24, colour=True, skip_bad=True, kept=kept)  # noqa: E731
    reading = pack(read, tmp_path / "packed")
    assert [p.where for p in reading.skipped] == [str(tree / "train" / "sad" / "broken.png")]
    ds, plain = reading.dataset, read_faces(tree, size=24, colour=True, skip_bad=True)
    assert ds.images.shape == (6, 24, 24, 3)
    assert ds.fingerprint == plain.fingerprint == read_faces(tmp_path / "packed").fingerprint
    assert ds.splits == ("train", "test")
    first = cv2.imread(str(tree / "train" / "happy" / "0.png"))
    assert (ds.images[0] == cv2.resize(first, (24, 24), interpolation=cv2.INTER_AREA)[..., ::-1]).all()  # RGB
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".")] == []


def test_what_cannot_be_packed_leaves_nothing(tree: Path, tmp_path: Path) -> None:
    out = tmp_path / "packed"
    with pytest.raises(ConfigError, match="give --size"):
        pack(lambda kept: read_source(tree, kept=kept), out)
    assert [p.name for p in tmp_path.iterdir()] == ["tree"]
    with pytest.raises(ConfigError, match="is there already"):
        pack(lambda kept: read_source(tree, kept=kept), tree)


def test_tables_votes_and_marks_are_packed_too(tmp_path: Path) -> None:
    ds = faces()
    (tmp_path / "a.csv").write_bytes(csv_of(ds, "emotion,pixels,Usage", header=True))
    packed = pack(lambda kept: read_source(tmp_path / "a.csv", kept=kept), tmp_path / "packed").dataset
    assert packed.fingerprint == ds.fingerprint
    assert packed.split.tolist() == ds.split.tolist()
    assert packed.rows.tolist() == ds.rows.tolist()


def test_damage_is_named(tmp_path: Path) -> None:
    out = tmp_path / "packed"
    pack(lambda kept: read_source("synthetic:20", kept=kept), out)
    content = (out / "images.npy").read_bytes()
    (out / "images.npy").write_bytes(content[:-100])
    with pytest.raises(DataError, match="cut off"):
        read_faces(out)
    (out / "images.npy").write_bytes(content)
    found = read_faces(out)
    (out / "images.npy").unlink()
    with pytest.raises(DataError, match="was it moved"):
        found.images[0]
    (out / "pack.json").write_text(json.dumps({"mien_pack": 99}))
    with pytest.raises(DataError, match="newer mien"):
        read_faces(out)
    (out / "pack.json").write_text("{")
    with pytest.raises(DataError, match="is damaged"):
        read_faces(out)


def test_faces_in_colour_are_exported_and_read_back(tree: Path, tmp_path: Path) -> None:
    ds = pack(lambda kept: read_source(tree, size=24, colour=True, kept=kept), tmp_path / "packed").dataset
    save_images(ds, tmp_path / "pictures")
    reading = read_source(tmp_path / "pictures")
    assert reading.notes == ()
    assert reading.dataset.fingerprint == ds.fingerprint
