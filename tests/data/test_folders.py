"""Pictures in folders and archives, their classes, sizes and faults."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from face_files import png, put, tar_of, tree, zip_of

from mien.data import read_faces, read_source
from mien.data.readers.classes import class_order
from mien.errors import DataError
from mien.images import dimensions, resize
from mien.labels import FER2013, FERPLUS


def test_folders_with_and_without_splits(tmp_path: Path) -> None:
    ds = read_faces(
        put(tmp_path / "a", tree(classes=("Happy", "anger", "Sadness", "fear", "SURPRISED", "disgust", "calm")))
    )
    assert ds.names == FER2013.names
    assert ds.splits == ("train", "test")
    assert ds.counts().tolist() == [6] * 7
    assert ds.labels is not None
    assert ds.labels[0] == 0
    plain = read_faces(put(tmp_path / "b", {k[6:]: v for k, v in tree(splits=("train",)).items()}))
    assert plain.splits == ("",)
    assert len(plain) == 21


def test_a_folder_and_its_archives_give_the_same_data(tmp_path: Path) -> None:
    files = dict(reversed(tree().items()))
    want = read_faces(put(tmp_path / "a", files))
    wrapped = {f"archive/{k}": v for k, v in files.items()}
    for name, data in {"zip": zip_of(files), "tgz": tar_of(files), "wrapped": zip_of(wrapped)}.items():
        (tmp_path / name).write_bytes(data)
        assert read_faces(tmp_path / name).fingerprint == want.fingerprint, name


@pytest.mark.parametrize("suffix", [".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".PNG"])
def test_kinds_of_pictures(tmp_path: Path, suffix: str) -> None:
    image = np.full((12, 10, 3), 90, dtype=np.uint8)
    data = bytes(cv2.imencode(suffix.lower(), image)[1])
    assert dimensions(data) == (10, 12)
    ds = read_faces(put(tmp_path, {f"happy/a{suffix}": data}))
    assert ds.size == (12, 10)
    assert abs(int(ds.images.mean()) - 90) <= 2
    assert ds.names == ("happy",)


def test_pictures_of_mixed_sizes_become_one(tmp_path: Path) -> None:
    big, small = np.full((96, 96), 10, np.uint8), np.full((20, 30), 200, np.uint8)
    put(tmp_path, {"happy/a.png": png(big), "sad/b.png": png(small)})
    ds = read_faces(tmp_path)
    assert ds.size == (48, 48)
    assert (ds.images[0] == 10).all()
    assert (ds.images[1] == 200).all()
    assert read_faces(tmp_path, size=24).size == (24, 24)
    larger = read_source(tmp_path, mixed=96).dataset
    assert larger.size == (96, 96)
    put(tmp_path / "same", {"happy/a.png": png(small)})
    assert read_source(tmp_path / "same", mixed=96).dataset.size == (20, 30)


def test_order_of_classes() -> None:
    assert class_order(FERPLUS.names) == FERPLUS.names
    assert class_order(reversed(FER2013.names)) == FER2013.names
    assert class_order(["zest", "sad", "happy", "contempt", "10", "9"]) == (
        "happy",
        "sad",
        "contempt",
        "9",
        "10",
        "zest",
    )


def test_bad_pictures_are_errors_or_skipped_and_named(tmp_path: Path) -> None:
    good = png(np.arange(36, dtype=np.uint8).reshape(6, 6))
    head = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 0, 0, 0, 0)
    bomb = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + b"IHDR" + head + struct.pack(">I", zlib.crc32(b"IHDR" + head))
    bomb += good[good.index(b"IDAT") - 4 :]
    bad = {"happy/bomb.png": bomb, "happy/none.jpg": b"hello", "happy/zero.png": b"", "sad/cut.png": good[:40]}
    put(tmp_path, {"happy/a.png": good, "sad/b.png": good, **bad})
    with pytest.raises(DataError, match=r"bomb.png: 60000 x 60000 pixels are over the limit"):
        read_faces(tmp_path)
    reading = read_source(tmp_path, skip_bad=True)
    assert len(reading.dataset) == 2
    assert sorted(p.where for p in reading.skipped) == sorted(str(tmp_path / b) for b in bad)
    (tmp_path / "stray.png").write_bytes(good)
    assert any("another depth" in p.message for p in read_source(tmp_path, skip_bad=True).skipped)


def test_pictures_without_folders_have_no_labels(tmp_path: Path) -> None:
    ds = read_faces(put(tmp_path, {"a.png": png(np.zeros((4, 4), np.uint8)), "notes.txt": b"x"}))
    assert ds.labels is None


def test_a_large_jpeg_is_decoded_small_where_a_small_size_is_asked_for(tmp_path: Path, monkeypatch) -> None:
    wave = np.add.outer(np.sin(np.arange(1600) / 150), np.cos(np.arange(1600) / 90))
    large = np.uint8(127 + 60 * wave)
    put(tmp_path, {"happy/a.jpg": cv2.imencode(".jpg", large, [cv2.IMWRITE_JPEG_QUALITY, 95])[1].tobytes()})
    decoded = []
    monkeypatch.setattr(
        "mien.data.readers.pictures.resize", lambda face, size: decoded.append(face.shape) or resize(face, size)
    )
    ds = read_faces(tmp_path, size=48)
    assert decoded == [(400, 400)]
    assert np.abs(ds.images[0].astype(int) - resize(large, 48)).max() <= 2
