"""Augmentation of whole batches on tensors, and test-time views.

Every function maps float images ``(N, C, H, W)`` in grey values 0..255 to the same shape (``affine`` can change the
size on the way) and draws anew for each image, from a ``torch.Generator`` or from numbers drawn before
(``augmented_views``). Leaves out: reading, normalising, anything image by image.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from mien.training.recipe import Augment

__all__ = ["Share", "Source", "affine", "augment", "augmented_views", "erase", "flip", "light", "mixup", "uniform"]


@dataclass(frozen=True)
class Share:
    """A generator that draws for a batch of ``n`` images, of which only those at ``rows`` are here: so each image gets
    what it would get if all of them were.
    """

    generator: Generator
    n: int
    rows: slice


#: A generator, a share of one, or numbers of 0..1 for each image that are already drawn, ``(N,)`` at a time.
Source = Generator | Share | Iterator[Tensor]

_DRAWS = 11  # numbers for each image that affine, light and erase take together


def augment(x: Tensor, a: Augment, g: Source, size: int) -> Tensor:
    """All that ``a`` says but mixup; ``size`` is the side of the result in pixels."""
    ratio = size / x.shape[3]
    if a.degrees or a.scale or a.shift:
        x = affine(x, g, degrees=a.degrees, scale=a.scale, shift=a.shift, mirror=a.mirror, size=size)
    elif a.mirror:
        x = flip(x, g, a.mirror)
    if x.shape[3] != size:
        x = F.interpolate(x, (size, size), mode="bilinear", antialias=True)
    if a.brightness or a.contrast:
        x = light(x, g, brightness=a.brightness, contrast=a.contrast)
    if a.erase:
        x = erase(x, g, p=a.erase, low=round(a.erase_low * ratio), high=round(a.erase_high * ratio))
    return x


def augmented_views(n: int, count: int) -> Tensor:
    """Numbers for ``count`` augmented views of ``n`` images, float32 ``(count, n, 11)``: the same ones every time.

    ``iter(augmented_views(n, count)[k].unbind(1))`` is the source of view k.
    """
    return torch.rand(count, n, _DRAWS, generator=torch.Generator().manual_seed(0))


def uniform(n: int, low: float, high: float, x: Tensor, g: Source) -> Tensor:
    """``n`` numbers in low..high on the device of ``x``, one an image."""
    if isinstance(g, Generator):
        return torch.empty(n, device=g.device).uniform_(low, high, generator=g).to(x.device)
    if isinstance(g, Share):
        return uniform(g.n, low, high, x, g.generator)[g.rows]
    return low + (high - low) * next(g)


def flip(x: Tensor, g: Source, p: float = 0.5) -> Tensor:
    """Mirror each image left to right with probability ``p``."""
    chosen = uniform(len(x), 0, 1, x, g) < p
    return torch.where(chosen[:, None, None, None], x.flip(3), x)


def affine(
    x: Tensor,
    g: Source,
    *,
    degrees: float = 12,
    scale: float = 0.15,
    shift: float = 4,
    mirror: float = 0.5,
    size: int | None = None,
) -> Tensor:
    """Turn, scale and shift in one bilinear resampling; what comes in from outside is reflected.

    degrees  largest turn either way
    scale    the factor lies in 1 - scale .. 1 + scale
    shift    largest shift either way, in pixels
    mirror   probability of a left-right flip, free here
    size     side of the result in pixels; the input's where not given
    """
    n, _, height, width = x.shape
    angle = uniform(n, -degrees, degrees, x, g) * (math.pi / 180)
    factor = uniform(n, 1 - scale, 1 + scale, x, g).reciprocal()
    dx, dy = (uniform(n, -2 * shift / side, 2 * shift / side, x, g) for side in (width, height))
    sign = torch.where(uniform(n, 0, 1, x, g) < mirror, -1.0, 1.0)
    cos, sin = angle.cos() * factor, angle.sin() * factor
    a, b, c, d, e, f = (t[:, None, None] for t in (cos * sign, -sin, dx, sin * sign, cos, dy))
    across, down = (((torch.arange(s, device=x.device) * 2 + 1) / s - 1) for s in (size or width, size or height))
    across, down = across[None, None, :], down[None, :, None]
    # the same as F.affine_grid, whose batched product of 3 x 2 matrices takes five times as long
    grid = torch.stack([a * across + b * down + c, d * across + e * down + f], 3)
    return F.grid_sample(x, grid.to(x.dtype), padding_mode="reflection", align_corners=False)


def light(x: Tensor, g: Source, *, brightness: float = 0.2, contrast: float = 0.2) -> Tensor:
    """Change contrast around each image's mean by a factor, then add up to ``brightness`` of the full range."""
    gain = uniform(len(x), 1 - contrast, 1 + contrast, x, g)[:, None, None, None]
    offset = uniform(len(x), -brightness, brightness, x, g)[:, None, None, None] * 255
    mean = x.mean((1, 2, 3), keepdim=True)
    return ((x - mean) * gain + mean + offset).clamp(0, 255)


def erase(x: Tensor, g: Source, *, p: float = 0.5, low: int = 8, high: int = 16) -> Tensor:
    """Grey out a square of ``low..high`` pixels with probability ``p`` (Zhong et al. 2017, arXiv 1708.04896)."""
    n, _, height, width = x.shape
    side = uniform(n, low, high + 1, x, g).floor().clamp_max(min(height, width)) * (uniform(n, 0, 1, x, g) < p)
    top, left = ((uniform(n, 0, 1, x, g) * (s - side)).floor() for s in (height, width))
    y, z = torch.arange(height, device=x.device), torch.arange(width, device=x.device)
    rows = (y >= top[:, None]) & (y < (top + side)[:, None])
    columns = (z >= left[:, None]) & (z < (left + side)[:, None])
    hole = (rows[:, :, None] & columns[:, None, :])[:, None]
    return torch.where(hole, x.mean((1, 2, 3), keepdim=True), x)


def mixup(x: Tensor, target: Tensor, g: Generator, alpha: float) -> tuple[Tensor, Tensor]:
    """Blend each image and its soft target ``(N, K)`` with another's (mixup, Zhang et al. 2018, arXiv 1710.09412)."""
    if alpha <= 0:
        return x, target
    lam = np.random.default_rng(int(torch.randint(2**62, (1,), generator=g))).beta(alpha, alpha)
    other = torch.randperm(len(x), generator=g).to(x.device)
    return lam * x + (1 - lam) * x[other], lam * target + (1 - lam) * target[other]
