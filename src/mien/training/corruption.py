"""What photos lose before a network sees them, for training: tone, sharpness, noise, compression, framing, cover.

Works on whole batches after ``transforms.augment``, and anew each time a face is seen: the label, and what a teacher
predicted about the uncorrupted view, stay (consistency as in Xie et al. 2020, arXiv 1911.04252, section 2, where the
student is noised and the teacher is not). Not the code that measures it (``mien.evaluation.corruptions``): kinds
are drawn together, amounts from a range. Leaves out: which faces, and what is learnt of them (``mien.training.loop``).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from mien.training.recipe import Degrade
from mien.training.transforms import Share, affine, uniform

__all__ = ["corrupt"]

Random = Generator | Share

# Luminance quantization, ITU-T T.81 (JPEG), annex K, table K.1.
_QUANTIZATION = (
    (16, 11, 10, 16, 24, 40, 51, 61),
    (12, 12, 14, 19, 26, 58, 60, 55),
    (14, 13, 16, 24, 40, 57, 69, 56),
    (14, 17, 22, 29, 51, 87, 80, 62),
    (18, 22, 37, 56, 68, 109, 103, 77),
    (24, 35, 55, 64, 81, 104, 113, 92),
    (49, 64, 78, 87, 103, 121, 120, 101),
    (72, 92, 95, 98, 112, 100, 103, 99),
)
_LEVELS = 5  # of low resolution: all are computed for each chosen face, which is cheaper than one by one


def corrupt(x: Tensor, d: Degrade, g: Random) -> Tensor:
    """Float images ``(N, C, H, W)`` in 0..255; each kind that ``d`` names befalls a share ``d.probability`` of them."""
    kinds: list[tuple[float, Callable[[Tensor, float, _Draws], Tensor]]] = [
        (d.framing, _framing),
        (d.gamma, _gamma),
        (d.contrast, _contrast),
        (d.cover, _cover),
        (d.blur, _blur),
        (d.low_resolution, _low_resolution),
        (d.noise, _noise),
        (d.jpeg, _jpeg),
    ]
    for amount, kind in kinds:
        if amount:
            draws = _Draws(x, g, _befallen(len(x), d.probability, x, g))
            x = x.index_copy(0, draws.chosen, kind(x[draws.chosen], amount, draws).clamp(0, 255))
    return x


def _befallen(n: int, share: float, x: Tensor, g: Random) -> Tensor:
    """Which of ``n`` images: always the same number of a batch, since a recorded step knows no other."""
    if isinstance(g, Share):
        every = _befallen(g.n, share, x, g.generator)
        own: Tensor = every[(every >= g.rows.start) & (every < g.rows.stop)] - g.rows.start
        return own
    first: Tensor = uniform(n, 0, 1, x, g).argsort()[: round(share * n)]
    return first


@dataclass(frozen=True)
class _Draws:
    """Random numbers for the chosen ones of a batch, drawn for all of it: a ``transforms.Source``."""

    batch: Tensor
    generator: Random
    chosen: Tensor

    def __iter__(self) -> _Draws:
        return self

    def __next__(self) -> Tensor:
        return uniform(len(self.batch), 0, 1, self.batch, self.generator)[self.chosen]

    def normal(self) -> Tensor:
        """One for each pixel."""
        g, shape = self.generator, self.batch.shape
        if isinstance(g, Share):
            drawn = torch.randn((g.n, *shape[1:]), generator=g.generator, device=g.generator.device)[g.rows]
        else:
            drawn = torch.randn(shape, generator=g, device=g.device)
        return drawn.to(self.batch.device)[self.chosen]


def _framing(x: Tensor, amount: float, g: _Draws) -> Tensor:
    side = x.shape[3]
    return affine(x, g, degrees=60 * amount, scale=amount, shift=amount / 2 * side, mirror=0)


def _gamma(x: Tensor, amount: float, g: _Draws) -> Tensor:
    power = uniform(len(x), -amount, amount, x, g).exp()[:, None, None, None]
    return 255 * (x / 255).clamp(1e-4, 1) ** power


def _contrast(x: Tensor, amount: float, g: _Draws) -> Tensor:
    """What is left of the contrast lies in 1 - amount .. 1; the mean goes up or down by up to half of what is lost."""
    gain = uniform(len(x), 1 - amount, 1, x, g)[:, None, None, None]
    drift = uniform(len(x), -1, 1, x, g)[:, None, None, None]
    mean = x.mean((1, 2, 3), keepdim=True)
    return (x - mean) * gain + mean + drift * (1 - gain) * 128


def _cover(x: Tensor, amount: float, g: _Draws) -> Tensor:
    """A rectangle of one grey value, up to ``amount`` of the side high, and wider than high."""
    n, _, rows, columns = x.shape
    high = uniform(n, 0.08, amount, x, g)
    wide = high + (1 - high) * uniform(n, 0, 1, x, g)
    top, left = (1 - high) * uniform(n, 0, 1, x, g), (1 - wide) * uniform(n, 0, 1, x, g)
    grey = uniform(n, 0, 255, x, g)[:, None, None, None]
    y, z = (torch.arange(s, device=x.device) / s for s in (rows, columns))
    inside_y = (y >= top[:, None]) & (y < (top + high)[:, None])
    inside_z = (z >= left[:, None]) & (z < (left + wide)[:, None])
    return torch.where((inside_y[:, :, None] & inside_z[:, None, :])[:, None], grey, x)


def _blur(x: Tensor, amount: float, g: _Draws) -> Tensor:
    """Gaussian, sigma up to ``amount`` of the side; images as channels, each with a kernel of its own."""
    n, c, height, width = x.shape
    sigma = uniform(n, 0.2, max(0.3, amount * width), x, g)
    reach = min(max(1, math.ceil(2.5 * amount * width)), min(height, width) - 1)
    at = torch.arange(-reach, reach + 1, device=x.device)
    if not n:  # none of this rank's share
        return x
    kernel = (-(at**2) / (2 * sigma[:, None] ** 2)).exp()
    kernel = (kernel / kernel.sum(1, keepdim=True)).repeat_interleave(c, 0)
    y = F.pad(x.reshape(1, n * c, height, width), (reach,) * 4, mode="reflect")
    y = F.conv2d(y, kernel[:, None, None, :], groups=n * c)
    return F.conv2d(y, kernel[:, None, :, None], groups=n * c).reshape(x.shape)


def _low_resolution(x: Tensor, amount: float, g: _Draws) -> Tensor:
    """What is left of the side lies in 1 - amount .. 1, in five steps."""
    level = uniform(len(x), 0, _LEVELS, x, g).floor()[:, None, None, None]
    out = x
    for k in range(_LEVELS):
        side = max(4, round(x.shape[3] * (1 - amount * (k + 1) / _LEVELS)))
        small = F.interpolate(x, (side, side), mode="bilinear", antialias=True)
        large = F.interpolate(small, x.shape[2:], mode="bilinear", align_corners=False)
        out = torch.where(level == k, large, out)
    return out


def _noise(x: Tensor, amount: float, g: _Draws) -> Tensor:
    return x + uniform(len(x), 0, 255 * amount, x, g)[:, None, None, None] * g.normal()


@cache  # a copy from the host cannot be part of a CUDA graph
def _quantization(device: torch.device) -> Tensor:
    return torch.tensor(_QUANTIZATION, device=device, dtype=torch.float32)


def _jpeg(x: Tensor, amount: float, g: _Draws) -> Tensor:
    """Blocks of 8 x 8 rounded as at a JPEG quality of 100 (1 - amount) .. 60 or less."""
    low = 100 * (1 - amount)
    quality = uniform(len(x), low, max(low, 60), x, g).clamp_min(1)
    scale = torch.where(quality < 50, 50 / quality, 2 - quality / 50)[:, None, None, None, None, None]
    step = (scale * _quantization(x.device)).round().clamp_min(1)
    n, c, height, width = x.shape
    down, right = -height % 8, -width % 8
    y = F.pad(x, (0, right, 0, down), mode="replicate") - 128
    k = torch.arange(8, device=x.device, dtype=x.dtype)
    dct = torch.cos((2 * k[None] + 1) * k[:, None] * math.pi / 16) / 2
    dct[0] /= math.sqrt(2)
    blocks = y.reshape(n, c, (height + down) // 8, 8, (width + right) // 8, 8).transpose(3, 4)
    rounded = ((dct @ blocks @ dct.T) / step).round() * step
    y = (dct.T @ rounded @ dct).transpose(3, 4).reshape(y.shape) + 128
    return y[:, :, :height, :width]
