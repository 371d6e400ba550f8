"""Probabilities of a network, or of any function, for whole arrays of faces; test-time views.

Leaves out: training (``mien.training``) and photos (``mien.runtime``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from mien.errors import ConfigError
from mien.models.registry import Output, outputs
from mien.preprocessing import Normalisation, channels_first, normalise
from mien.spec import Scale
from mien.stored import Images, blocks

__all__ = ["Forward", "faces_at_once", "logits_of_views", "predict", "test_time_views", "view_logits"]


_AT_ONCE = 512  # faces of 48 x 48


class _Normalisation(NamedTuple):
    mean: Scale
    std: Scale


Forward = Callable[[Tensor], Output | Tensor]


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
    forward: Forward, images: Images, *, mean: Scale, std: Scale, views: int = 1, temperature: float = 1.0
) -> NDArray[np.float64]:
    """Probabilities ``(N, K)`` for images uint8 ``(N, S, S)`` or ``(N, S, S, 3)``, the mean over test-time
    :func:`test_time_views`; those that are stored are read block by block.

    forward  a model in eval mode, or any function from normalised float ``(N, C, S, S)`` to logits ``(N, K)`` or an
             ``Output``
    """
    logits = _in_blocks(forward, images, mean, std, views)
    return np.asarray(torch.cat([F.softmax(z / temperature, 2).mean(0) for z in logits]))


@torch.no_grad()
def view_logits(forward: Forward, images: Images, *, mean: Scale, std: Scale, views: int = 1) -> NDArray[np.float64]:
    """Logits ``(views, N, K)`` for images as :func:`predict` takes them, one test-time view
    after the other; those of fewer views are the first of them."""
    return np.asarray(torch.cat(list(_in_blocks(forward, images, mean, std, views)), 1))


def logits_of_views(forward: Forward, x: Tensor, scale: Normalisation, views: int = 1) -> Tensor:
    """Logits ``(views, n, K)`` for faces float ``(n, C, S, S)`` in grey values 0..255, all on one device.

    scale  mean and standard deviation that the network's faces are normalised by, such as its spec
    """
    return torch.stack([outputs(forward, v).logits for v in test_time_views(normalise(x, scale), views)])


def faces_at_once(side: int) -> int:
    """How many faces of so many pixels a network is given at a time, so that what its layers hold is bounded."""
    return max(16, min(_AT_ONCE, _AT_ONCE * 48**2 // side**2))


def _in_blocks(forward: Forward, images: Images, mean: Scale, std: Scale, views: int) -> Iterator[Tensor]:
    """Logits float64 ``(views, n, K)`` on the CPU, block by block, which bounds memory."""
    if not 1 <= views <= 10:
        raise ConfigError(f"views must lie in 1..10, got {views}")
    if not len(images):
        raise ConfigError("images must hold at least one image, got none")
    device = next(forward.parameters()).device if isinstance(forward, nn.Module) else torch.device("cpu")
    for block in blocks(images, faces_at_once(images.shape[1])):
        part = torch.from_numpy(np.ascontiguousarray(channels_first(block)))
        said = logits_of_views(forward, part.to(device).float(), _Normalisation(mean, std), views)
        yield said.cpu().double()  # to the CPU first: MPS has no float64
