"""Small files of faces for the tests of the readers: CSV, zip, tar and folders, all made in memory."""

from __future__ import annotations

import io
import tarfile
import zipfile
from pathlib import Path

import cv2
import numpy as np

from mien.data import FaceDataset
from mien.labels import FER2013


def faces(n: int = 9, side: int = 5, seed: int = 0, split: bool = True) -> FaceDataset:
    rng = np.random.default_rng(seed)
    return FaceDataset(
        images=rng.integers(0, 256, (n, side, side), dtype=np.uint8),
        names=FER2013.names,
        labels=rng.integers(0, 7, n),
        split=np.array(["Training", "PublicTest", "PrivateTest"] * n)[:n] if split else None,
    )


def pixels(image: np.ndarray) -> str:
    return " ".join(map(str, image.ravel().tolist()))


def csv_of(ds: FaceDataset, columns: str = "emotion,pixels,Usage", header: bool = True, end: str = "\n") -> bytes:
    parts = {"pixels": [pixels(i) for i in ds.images]}
    parts["emotion"] = [] if ds.labels is None else [str(k) for k in ds.labels]
    parts["usage"] = ds.split.tolist()
    keys = [c.strip().lower() for c in columns.split(",")]
    rows = [",".join(parts[k][i] for k in keys) for i in range(len(ds))]
    return end.join([*([columns] if header else []), *rows, ""]).encode()


def tar_of(files: dict[str, bytes], mode: str = "w:gz") -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode) as tar:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


def zip_of(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as z:
        for name, data in files.items():
            z.writestr(name, data)
    return out.getvalue()


def png(image: np.ndarray) -> bytes:
    return bytes(cv2.imencode(".png", image)[1])


def put(folder: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


def tree(
    n: int = 3, classes: tuple[str, ...] = FER2013.names, splits: tuple[str, ...] = ("train", "test")
) -> dict[str, bytes]:
    rng = np.random.default_rng(0)
    return {
        f"{s}/{c}/{i}.png": png(rng.integers(0, 256, (6, 6), dtype=np.uint8))
        for s in splits
        for c in classes
        for i in range(n)
    }
