"""The 2019 network: Minaee & Abdolrashidi, "Deep-Emotion: Facial Expression Recognition Using Attentional Convolutional
Network", https://arxiv.org/abs/1902.01019, section III and figure 2.

Faithful: the localization network (two convolutions, each followed by max-pooling and ReLU, then two fully connected
layers), affine theta, sampling grid T(theta); four 3x3 convolutions of 10 channels, each two followed by max-pooling
and ReLU; dropout; fully connected layers of 50 and ``num_classes``. Kernel sizes and widths of the localizer, which the
paper does not give, are those of the public copies: 7x7 with 8 channels, 5x5 with 10, hidden layer of 32.

Deviates, in the deployed graph: theta is bounded (``stn.bounded_theta``); the localizer's hidden layer has tanh where
copies have ReLU, which dies; a ReLU stands between the two convolutions of a pair, without which they would be one
linear map (the public copies have it, the paper is silent). While training only: parallel branches, standardised
kernels and batch norm of the fully connected layers, which ``layers.fuse`` takes away (the figure's graph is what is
deployed). ``plain=True`` takes all of these back: no helpers, PyTorch's initial weights, ReLU before theta, theta
unbounded, as the public copies are.

Where theta acts: the report warps the input, the paper's figure the 10 x 9 x 9 feature map, with theta from a parallel
localizer that sees the input.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mien.errors import ModelError
from mien.models.layers import RepConv2d, RepLinear
from mien.models.registry import Output, register
from mien.models.stn import Transformed, bounded_theta, free_theta, warp, warp_grid

__all__ = ["DeepEmotion2019", "Localizer", "deep_emotion_2019"]

_PLACES = ("input", "feature", "none")


def _conv(in_chans: int, out_chans: int, kernel: int, plain: bool, branches: int = 2) -> nn.Module:
    if plain:
        return nn.Conv2d(in_chans, out_chans, kernel)
    return RepConv2d(in_chans, out_chans, kernel, branches=branches)


def _linear(in_features: int, out_features: int, plain: bool) -> nn.Module:
    return nn.Linear(in_features, out_features) if plain else RepLinear(in_features, out_features)


class Localizer(nn.Module):
    """Image ``(N, C, 48, 48)`` -> theta ``(N, 2, 3)``; starts as the identity."""

    def __init__(self, in_chans: int, plain: bool) -> None:
        super().__init__()
        self.plain = plain
        self.conv1 = _conv(in_chans, 8, 7, plain, branches=1)
        self.conv2 = _conv(8, 10, 5, plain, branches=1)
        self.fc1 = _linear(640, 32, plain)
        self.fc2 = nn.Linear(32, 6)
        nn.init.zeros_(self.fc2.weight)
        nn.init.zeros_(self.fc2.bias)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(F.max_pool2d(self.conv1(x), 2))  # (N, 8, 21, 21)
        x = F.relu(F.max_pool2d(self.conv2(x), 2))  # (N, 10, 8, 8)
        x = self.fc1(x.flatten(1))  # (N, 32)
        if self.plain:
            return free_theta(self.fc2(F.relu(x)))  # (N, 2, 3)
        return bounded_theta(self.fc2(torch.tanh(x)))  # (N, 2, 3)


class DeepEmotion2019(Transformed):
    """The 2019 network for 48 x 48 images; ``forward`` gives logits ``(N, num_classes)``."""

    def __init__(
        self,
        num_classes: int = 7,
        in_chans: int = 1,
        *,
        transformer: str = "input",
        dropout: float = 0.5,
        plain: bool = False,
        second: int = 0,
    ) -> None:
        super().__init__()
        if transformer not in _PLACES:
            raise ModelError(f"transformer must be one of {', '.join(_PLACES)}, got {transformer!r}")
        self.transformer = transformer
        self.localizer = Localizer(in_chans, plain) if transformer != "none" else None
        self.conv1 = _conv(in_chans, 10, 3, plain)
        self.conv2 = _conv(10, 10, 3, plain)
        self.conv3 = _conv(10, 10, 3, plain)
        self.conv4 = _conv(10, 10, 3, plain)
        self.dropout = nn.Dropout(dropout)
        self.fc1 = _linear(810, 50, plain)
        self.head = nn.Linear(50, num_classes)
        self.second = nn.Linear(50, second) if second else None

    def forward(self, x: Tensor) -> Output:
        theta = None if self.localizer is None else self.theta(x)
        if theta is not None and self.transformer == "input":
            x = warp(x, theta)
        x = F.relu(self.conv1(x))  # (N, 10, 46, 46)
        x = F.relu(F.max_pool2d(self.conv2(x), 2))  # (N, 10, 22, 22)
        x = F.relu(self.conv3(x))  # (N, 10, 20, 20)
        x = F.relu(F.max_pool2d(self.conv4(x), 2))  # (N, 10, 9, 9)
        if theta is not None and self.transformer == "feature":
            x = warp(x, theta)
        x = F.relu(self.fc1(self.dropout(x).flatten(1)))  # (N, 50)
        second = None if self.second is None else self.second(x)
        return Output(self.head(x), theta, second=second)  # (N, num_classes)

    @torch.no_grad()
    def attention_maps(self, x: Tensor) -> dict[str, Tensor]:
        """``theta (N, 2, 3)`` and the warped ``grid (N, S, S, 2)`` of positions looked at, -1..1 over the image."""
        theta = self.theta(x)
        return {"theta": theta, "grid": warp_grid(theta, (x.shape[2], x.shape[3]))}


@register("deep-emotion-2019")
def deep_emotion_2019(
    num_classes: int = 7,
    in_chans: int = 1,
    *,
    transformer: str = "input",
    dropout: float = 0.5,
    plain: bool = False,
    second: int = 0,
) -> nn.Module:
    """The 2019 network.

    transformer  "input", "feature" or "none"
    plain        without any helper, as the report
    second       classes of a second head on the same trunk, 0 for none
    """
    return DeepEmotion2019(num_classes, in_chans, transformer=transformer, dropout=dropout, plain=plain, second=second)
