"""Corruption for training: ranges, shares of a batch, ranks, and the JPEG step beside OpenCV's."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
from torch import Generator, Tensor

from mien.training import corruption
from mien.training.corruption import corrupt
from mien.training.recipe import Degrade
from mien.training.transforms import Share

AMOUNTS = {
    "framing": 0.2,
    "gamma": 0.5,
    "contrast": 0.7,
    "cover": 0.4,
    "blur": 0.06,
    "low_resolution": 0.7,
    "noise": 0.15,
    "jpeg": 0.9,
}
ALL = Degrade(probability=0.5, **AMOUNTS)


def gen(seed: int = 0) -> Generator:
    return torch.Generator().manual_seed(seed)


def faces(n: int = 8, size: int = 48) -> Tensor:
    """Smooth pictures with all grey values, so that every kind shows."""
    noise = torch.randn((n, 1, size, size), generator=gen(9)).numpy()
    smooth = np.stack([cv2.GaussianBlur(x[0], (0, 0), size / 12) for x in noise])
    low, high = smooth.min((1, 2), keepdims=True), smooth.max((1, 2), keepdims=True)
    return torch.from_numpy(255 * (smooth - low) / (high - low))[:, None].round()


@pytest.mark.parametrize("kind", AMOUNTS)
@pytest.mark.parametrize("size", [48, 36])
def test_each_kind_befalls_its_share_and_stays_in_range(kind: str, size: int) -> None:
    x = faces(size=size)
    d = Degrade(probability=0.5, **{kind: AMOUNTS[kind]})
    out = corrupt(x, d, gen())
    assert out.shape == x.shape
    assert out.min() >= 0
    assert out.max() <= 255
    assert (out != x).any((1, 2, 3)).sum() == 4
    assert torch.equal(out, corrupt(x, d, gen()))
    assert not torch.equal(out, corrupt(x, d, gen(1)))
    assert torch.equal(x, faces(size=size))  # the input is left alone


def test_nothing_is_done_where_nothing_is_named() -> None:
    assert torch.equal(corrupt(faces(), Degrade(probability=1.0), gen()), faces())
    assert torch.equal(corrupt(faces(), replace(ALL, probability=0.0), gen()), faces())


@pytest.mark.parametrize("rows", [slice(0, 3), slice(3, 8)])
def test_a_share_gets_what_the_whole_batch_would(rows: slice) -> None:
    g = gen(5)
    part = corrupt(faces()[rows], ALL, Share(g, 8, rows))
    torch.testing.assert_close(part, corrupt(faces(), ALL, gen(5))[rows], rtol=0, atol=1e-3)


@pytest.mark.parametrize("quality", [5, 15, 50])
def test_jpeg_is_as_opencv_writes_it(quality: int, monkeypatch: pytest.MonkeyPatch) -> None:
    x = faces()
    monkeypatch.setattr(corruption, "uniform", lambda n, *_: torch.full((n,), float(quality)))
    mine = corruption._jpeg(x, 0.99, None).clamp(0, 255)[:, 0].numpy()  # type: ignore[arg-type]
    for own, face in zip(mine, x[:, 0].numpy().astype(np.uint8), strict=True):
        written = cv2.imencode(".jpg", face, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
        assert np.abs(own - cv2.imdecode(written, cv2.IMREAD_GRAYSCALE)).mean() < 1


def test_blur_is_as_opencv_does_it(monkeypatch: pytest.MonkeyPatch) -> None:
    x, sigma = faces(), 2.0
    monkeypatch.setattr(corruption, "uniform", lambda n, *_: torch.full((n,), sigma))
    mine = corruption._blur(x, sigma / 48, None)[:, 0].numpy()  # type: ignore[arg-type]
    other = np.stack([cv2.GaussianBlur(f, (11, 11), sigma) for f in x[:, 0].numpy()])
    np.testing.assert_allclose(mine, other, atol=0.01)
