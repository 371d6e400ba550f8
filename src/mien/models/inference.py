"""Probabilities of a network, or of any function, for whole arrays of faces; test-time views.

Leaves out: training (``mien.training``) and photos (``mien.runtime``).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from mien.errors import ConfigError

__all__ = ["predict", "test_time_views"]

Forward = Callable[[Tensor], Tensor]


def test_time_views(x: Tensor, count: int) -> list[Tensor]:
    """Test-time views: the image, its mirror, then both shifted by 2 pixels in four directions (``count`` <= 10)."""
    moves = [(0, 0), (2, 0), (-2, 0), (0, 2), (0, -2)]
    out = []
    for dy, dx in moves:
        padded = F.pad(x, [2, 2, 2, 2], mode="replicate")
        moved = padded[:, :, 2 + dy : 2 + dy + x.shape[2], 2 + dx : 2 + dx + x.shape[3]]
        out += [moved, moved.flip(3)]
    return out[:count]


@torch.no_grad()
def predict(
    forward: Forward, images: NDArray[np.uint8], *, mean: float, std: float, views: int = 1, temperature: float = 1.0
) -> NDArray[np.float64]:
    """Probabilities ``(N, K)`` for grey images uint8 ``(N, S, S)``, the mean over test-time :func:`test_time_views`.

    forward  a model in eval mode, or any function from normalised float ``(N, 1, S, S)`` to logits ``(N, K)``
    """
    if not 1 <= views <= 10:
        raise ConfigError(f"views must lie in 1..10, got {views}")
    if not len(images):
        raise ConfigError("images must hold at least one image, got none")
    device = next(forward.parameters()).device if isinstance(forward, nn.Module) else torch.device("cpu")
    out = []
    for part in torch.split(torch.from_numpy(np.ascontiguousarray(images))[:, None], 512):
        x = (part.to(device).float() - 255 * mean) / (255 * std)
        p = [F.softmax(forward(v).double() / temperature, 1) for v in test_time_views(x, views)]
        out.append(torch.stack(p).mean(0).cpu())
    return np.asarray(torch.cat(out))
