"""Batch transforms against slow per-image ones, their ranges, and that the generator decides everything."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
import torch
from torch import Generator, Tensor

from mien.models import inference
from mien.training import transforms
from mien.training.recipe import Augment


def gen(seed: int = 0) -> Generator:
    return torch.Generator().manual_seed(seed)


def batch(n: int = 6) -> Tensor:
    return torch.randint(0, 256, (n, 1, 48, 48), generator=gen(9)).float()


EACH = {
    "flip": lambda x, g: transforms.flip(x, g),
    "affine": lambda x, g: transforms.affine(x, g),
    "light": lambda x, g: transforms.light(x, g),
    "erase": lambda x, g: transforms.erase(x, g, p=1.0),
}


@pytest.mark.parametrize("name", EACH)
def test_shape_range_and_the_generator_decides(name: str) -> None:
    x = batch()
    out = EACH[name](x, gen())
    assert out.shape == x.shape
    assert out.min() >= 0
    assert out.max() <= 255.01
    torch.testing.assert_close(out, EACH[name](x, gen()), rtol=0, atol=0)
    assert not torch.equal(out, EACH[name](x, gen(1)))
    assert torch.equal(x, batch())  # the input is left alone


FULL = Augment(degrees=12, scale=0.15, shift=4, mirror=0.5, brightness=0.2, contrast=0.2, erase=0.5)


def test_a_generator_draws_anew_and_augmented_views_stay() -> None:
    x, drawn = batch(), transforms.augmented_views(6, 2)
    first, again, other = (transforms.augment(x, FULL, iter(drawn[k].unbind(1)), 48) for k in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(drawn, transforms.augmented_views(6, 2))
    # each face of a view is its own, wherever it stands in a batch
    order = torch.tensor([4, 1])
    few = transforms.augment(x[order], FULL, iter(drawn[0, order].unbind(1)), 48)
    torch.testing.assert_close(few, first[order])


def test_augmented_views_hold_as_many_numbers_as_augmentation_takes() -> None:
    source = iter(transforms.augmented_views(6, 1)[0].unbind(1))
    transforms.augment(batch(), FULL, source, 40)
    assert next(source, None) is None


def test_drawn_numbers_reach_the_ranges() -> None:
    lowest, highest = (iter([torch.full((1,), v)] * 11) for v in (0.0, 1.0))
    x = torch.full((1, 1, 48, 48), 100.0)
    dark, bright = (transforms.light(x, g, brightness=0.2, contrast=0.0).mean() for g in (lowest, highest))
    assert dark == pytest.approx(100 - 51)
    assert bright == pytest.approx(100 + 51)


def test_affine_of_nothing_is_the_identity() -> None:
    x = batch()
    out = transforms.affine(x, gen(), degrees=0, scale=0, shift=0, mirror=0)
    torch.testing.assert_close(out, x, atol=0.01, rtol=0)
    mirrored = transforms.affine(x, gen(), degrees=0, scale=0, shift=0, mirror=1)
    torch.testing.assert_close(mirrored, x.flip(3), atol=0.01, rtol=0)


def test_affine_agrees_with_a_slow_rotation() -> None:
    smooth = cv2.GaussianBlur(np.random.default_rng(0).uniform(0, 255, (48, 48)).astype(np.float32), (0, 0), 3)
    x = torch.from_numpy(smooth)[None, None]
    g = gen(3)
    angle = float(torch.empty(1).uniform_(-30, 30, generator=g))
    fast = transforms.affine(x, gen(3), degrees=30, scale=0, shift=0, mirror=0)[0, 0].numpy()
    matrix = cv2.getRotationMatrix2D((23.5, 23.5), angle, 1.0)
    slow = cv2.warpAffine(smooth, matrix, (48, 48), flags=cv2.INTER_LINEAR)
    inside = (slice(14, 34), slice(14, 34))  # away from the border, which the two fill differently
    assert np.abs(fast[inside] - slow[inside]).max() < 1.5
    assert abs(angle) > 5


def test_affine_shift_is_in_pixels() -> None:
    x = torch.zeros(200, 1, 48, 48)
    x[:, :, 24, 24] = 255
    out = transforms.affine(x, gen(), degrees=0, scale=0, shift=4, mirror=0)
    places = out.flatten(1).argmax(1)
    moved = torch.stack([places // 48 - 24, places % 48 - 24]).abs()
    assert moved.max() == 4
    assert moved.float().mean() == pytest.approx(2, abs=0.3)


def test_light_keeps_a_flat_image_flat_within_its_range() -> None:
    out = transforms.light(torch.full((500, 1, 4, 4), 128.0), gen(), brightness=0.2, contrast=0.2)
    assert torch.allclose(out.amax((1, 2, 3)), out.amin((1, 2, 3)))
    assert (out - 128).abs().max() <= 51.01
    assert (out - 128).abs().max() > 45


def test_erase_takes_one_square_of_the_stated_size() -> None:
    x = batch(100)
    out = transforms.erase(x, gen(), p=1.0, low=8, high=16)
    changed = (out != x)[:, 0]
    heights, widths = changed.any(2).sum(1), changed.any(1).sum(1)
    assert heights.min() >= 7  # a grey that happens to be the mean may hide one row
    assert heights.max() <= 16
    assert (heights - widths).abs().max() <= 1
    assert transforms.erase(x, gen(), p=0.0).equal(x)


def test_flip_takes_about_half() -> None:
    x = torch.arange(48.0).expand(1000, 1, 48, 48)
    flipped = (transforms.flip(x, gen())[:, 0, 0, 0] == 47).sum()
    assert 430 < flipped < 570


def test_mixup_keeps_the_sum_of_targets_and_follows_beta() -> None:
    x, target = batch(), torch.eye(6)
    mixed, soft = transforms.mixup(x, target, gen(), 0.4)
    torch.testing.assert_close(soft.sum(1), torch.ones(6))
    lam = soft.diagonal().max()
    assert 0 < lam <= 1
    assert mixed.shape == x.shape
    draws = [float(transforms.mixup(torch.zeros(2, 1, 1, 1), torch.eye(2), gen(s), 1.0)[1][0, 0]) for s in range(400)]
    shares = [d for d in draws if d < 1]  # a row blended with itself stays one
    assert np.mean(shares) == pytest.approx(0.5, abs=0.06)
    assert np.std(shares) == pytest.approx(math.sqrt(1 / 12), abs=0.04)


@pytest.mark.parametrize("alpha", [0.2, 10.0])
def test_mixup_draws_from_beta_by_its_generator_alone(alpha: float) -> None:
    x, target = torch.zeros(2, 1, 1, 1), torch.eye(2)
    draws = [float(transforms.mixup(x, target, gen(s), alpha)[1].max()) for s in range(600)]
    shares = [max(d, 1 - d) for d in draws if d < 1]
    expected = np.random.default_rng(0).beta(alpha, alpha, 20_000)
    assert np.mean(shares) == pytest.approx(np.maximum(expected, 1 - expected).mean(), abs=0.02)
    np.random.default_rng(3)
    assert [float(transforms.mixup(x, target, gen(s), alpha)[1].max()) for s in range(5)] == draws[:5]


def test_a_square_is_never_larger_than_the_picture() -> None:
    x = torch.rand(20, 1, 16, 16) * 255
    out = transforms.erase(x, gen(), p=1.0, low=40, high=60)
    torch.testing.assert_close(out, x.mean((1, 2, 3), keepdim=True).expand_as(x))


def test_views_are_the_image_its_mirror_and_shifts() -> None:
    x = batch(2)
    ten = inference.test_time_views(x, 10)
    assert len(ten) == 10
    assert torch.equal(ten[0], x)
    assert torch.equal(ten[1], x.flip(3))
    assert torch.equal(ten[2][:, :, :-2], x[:, :, 2:])
    assert all(v.shape == x.shape for v in ten)
