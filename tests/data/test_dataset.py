"""The record itself: its statistics, its sizes, and what it refuses."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from face_files import faces

from mien.data import FaceDataset
from mien.errors import ConfigError, DataError


@pytest.mark.parametrize(("n", "height", "width"), [(1, 1, 1), (9, 5, 5), (2500, 3, 5)])
def test_statistics_are_numpy_s(n: int, height: int, width: int) -> None:
    images = np.random.default_rng(n).integers(0, 256, (n, height, width), dtype=np.uint8)
    mean, std = FaceDataset(images, ("a",)).statistics
    assert mean == pytest.approx((images / 255).mean())
    assert std == pytest.approx((images / 255).std() or 1.0)


@pytest.mark.parametrize("n", [0, 2])
def test_statistics_of_nothing_divide_by_one(n: int) -> None:
    assert FaceDataset(np.zeros((n, 4, 4), np.uint8), ("a",)).statistics == (0.0, 1.0)


@pytest.mark.parametrize("shape", [(3, 5), (8, 8), (48, 30), (200, 7), (1, 1)])
@pytest.mark.parametrize("side", [1, 4, 48])
def test_faces_of_any_shape_are_resized_to_a_square(shape: tuple[int, int], side: int) -> None:
    images = np.random.default_rng(0).integers(0, 256, (4, *shape), dtype=np.uint8)
    ds = FaceDataset(images, ("a", "b"), np.array([0, 1, 0, -1]), subject=np.array(["x", "y", "", "x"]))
    got = ds.resized(side)
    assert got.images.shape == (4, side, side)
    assert got.images.dtype == np.uint8
    how = cv2.INTER_AREA if min(shape) > side else cv2.INTER_LINEAR
    assert (got.images[1] == cv2.resize(images[1], (side, side), interpolation=how)).all()
    assert got.labels is ds.labels
    assert got.subject is ds.subject
    assert got.resized(side) is got


@pytest.mark.parametrize("side", [0, -1, 4097])
def test_a_size_out_of_range_is_refused(side: int) -> None:
    with pytest.raises(ConfigError, match=rf"size must lie in 1\.\.4096 pixels, got {side}"):
        faces().resized(side)


def test_an_empty_set_is_resized() -> None:
    assert faces(3).take([]).resized(7).images.shape == (0, 7, 7)
    with pytest.raises(DataError, match=r"labels must have shape \(3,\)"):
        replace(faces(3), labels=np.zeros(2, np.int64))
