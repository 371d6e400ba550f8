"""Spatial transformer (Jaderberg et al. 2015, arXiv 1506.02025): bounded affine theta, grid and bilinear sampling."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["Transformed", "bounded_theta", "free_theta", "warp", "warp_grid"]

# farthest that theta may move from the identity: scale 0.8-1.2, shear and turn of 20 degrees (sin 20 = 0.34),
# shift of 15 % of the side (normalised coordinates run from -1 to 1, so 0.3)
_SCALE, _TURN, _SHIFT = 0.2, 0.34, 0.3


def bounded_theta(raw: Tensor) -> Tensor:
    """Six numbers a face ``(N, 6)`` of any size -> affine matrices ``(N, 2, 3)`` near the identity.

    Bounding keeps the sampling inside the face: an unbounded theta runs off the image early in training, where its
    gradient is zero, and never returns.
    """
    # made on the device: a copy from the host cannot be part of a CUDA graph
    reach = F.pad(_TURN + (_SCALE - _TURN) * torch.eye(2, device=raw.device), [0, 1], value=_SHIFT)  # (2, 3)
    return free_theta(reach * torch.tanh(raw.float()).view(-1, 2, 3))


def free_theta(raw: Tensor) -> Tensor:
    """Six numbers a face -> affine matrices ``(N, 2, 3)``, added to the identity, without bounds."""
    return torch.eye(2, 3, device=raw.device) + raw.float().view(-1, 2, 3)


def warp_grid(theta: Tensor, size: tuple[int, int]) -> Tensor:
    """Sampling positions ``(N, H, W, 2)``, x then y, -1..1 from edge to edge of the image (align_corners=False)."""
    # the same as F.affine_grid, whose exported product of thin matrices takes longer than all else in a transformer
    down, across = ((torch.arange(s, device=theta.device) * 2 + 1) / s - 1 for s in size)
    a, b, c = (theta[:, None, None, :, i] for i in range(3))  # (N, 1, 1, 2)
    return a * across[:, None] + (b * down[:, None, None] + c)


def warp(x: Tensor, theta: Tensor, size: tuple[int, int] | None = None) -> Tensor:
    """Sample ``x (N, C, H, W)`` at T(theta), in ``size`` rows and columns, its own where not given; what lies outside
    is mirrored in.
    """
    grid = warp_grid(theta, size or (x.shape[2], x.shape[3])).to(x.dtype)
    return F.grid_sample(x, grid, mode="bilinear", padding_mode="reflection", align_corners=False)


class Transformed(nn.Module):
    """What networks with a spatial transformer share; ``localizer`` maps images to theta, None leaves it out."""

    localizer: nn.Module | None

    def theta(self, x: Tensor) -> Tensor:
        """Where the transformer looks, ``(N, 2, 3)``; the identity for ``transformer="none"``."""
        if self.localizer is None:
            return bounded_theta(x.new_zeros(x.shape[0], 6))
        theta: Tensor = self.localizer(x)
        return theta

    def transformer_parameters(self) -> list[nn.Parameter]:
        """The transformer's parameters, which a recipe trains with a learning rate of their own."""
        return [] if self.localizer is None else list(self.localizer.parameters())
