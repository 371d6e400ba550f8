"""Faces that any network learns at once: noise with a bright square whose place tells the class."""

from __future__ import annotations

import numpy as np

from mien.data import FaceDataset

NAMES = ("angry", "happy", "sad")


def blobs(n: int, seed: int = 0) -> FaceDataset:
    """``n`` faces of 48 x 48 pixels, the three classes in turn."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 3
    images = rng.integers(0, 60, (n, 48, 48)).astype(np.uint8)
    for image, label in zip(images, labels, strict=True):
        image[10 + 10 * label : 18 + 10 * label, 20:28] += 180
    return FaceDataset(images, NAMES, labels.astype(np.int64), source="blobs")


TRAIN, VAL = blobs(64), blobs(30, 1)
