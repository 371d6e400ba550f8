"""GoogLeNet for faces of 48 x 48: Giannopoulos, Perikos & Hatzilygeroudis 2018, "Deep Learning Approaches for Facial
Emotion Recognition: A Case Study on FER-2013", https://doi.org/10.1007/978-3-319-66790-4_1, who train GoogLeNet
(Szegedy et al. 2014, "Going Deeper with Convolutions", https://arxiv.org/abs/1409.4842, section 5 and table 1).

Faithful to table 1: the convolutions of the stem, the nine Inception modules and their widths, where they are pooled,
mean pooling, dropout of 0.4, one fully connected layer; while training, two auxiliary classifiers after 4a and 4d
(mean pooling, 1x1 convolution of 128, fully connected layers of 1024 and ``num_classes``, dropout of 0.7), whose loss
counts 0.3 (``Recipe.aux_weight``). They are gone from the deployed network.

Deviates: the pooling between the stem's convolutions is left out, so that 48 pixels arrive at the modules as 12, 6 and
3, not as 6, 3 and 1 (we do not know what the case study did about the size); batch norm, which ``layers.fuse`` takes
away, after every convolution and the auxiliary classifiers' first fully connected layer, in place of local response
normalisation; the auxiliary classifiers pool to 2 x 2, which is less than the paper's 4 x 4. ``width`` makes all
layers narrower by one factor.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mien.errors import ModelError
from mien.models.layers import ConvNorm, Inception, RepLinear
from mien.models.registry import Output, register

__all__ = ["WIDTHS", "GoogLeNet"]

#: Widths of the nine modules as in table 1: 1x1; before the 3x3, 3x3; before the 5x5, 5x5; after the pooling.
WIDTHS = {
    "3a": (64, 96, 128, 16, 32, 32),
    "3b": (128, 128, 192, 32, 96, 64),
    "4a": (192, 96, 208, 16, 48, 64),
    "4b": (160, 112, 224, 24, 64, 64),
    "4c": (128, 128, 256, 24, 64, 64),
    "4d": (112, 144, 288, 32, 64, 64),
    "4e": (256, 160, 320, 32, 128, 128),
    "5a": (256, 160, 320, 32, 128, 128),
    "5b": (384, 192, 384, 48, 128, 128),
}


class Auxiliary(nn.Module):
    """A classifier on a map inside the network, ``(N, C, h, w)`` -> ``(N, num_classes)``."""

    def __init__(self, in_chans: int, hidden: tuple[int, int], num_classes: int) -> None:
        super().__init__()
        self.conv = ConvNorm(in_chans, hidden[0], 1)
        self.fc = RepLinear(4 * hidden[0], hidden[1])
        self.dropout = nn.Dropout(0.7)
        self.head = nn.Linear(hidden[1], num_classes)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.conv(F.adaptive_avg_pool2d(x, 2)))  # (N, 128, 2, 2)
        x = F.relu(self.fc(x.flatten(1)))  # (N, 1024)
        logits: Tensor = self.head(self.dropout(x))  # (N, num_classes)
        return logits


@register("googlenet")
class GoogLeNet(nn.Module):
    """``forward`` maps images ``(N, in_chans, S, S)``, S from 16 pixels, to logits ``(N, num_classes)`` and,
    while training, those of the two auxiliary classifiers.

    width    factor on the channels of every layer, 0.125..2; what results is rounded to multiples of 8
    dropout  before the fully connected layer
    """

    training_only = ("aux1", "aux2")

    def __init__(self, num_classes: int = 7, in_chans: int = 1, *, width: float = 1.0, dropout: float = 0.4) -> None:
        super().__init__()
        if not 0.125 <= width <= 2:
            raise ModelError(f"width must lie in 0.125..2, got {width}")

        def scaled(channels: int) -> int:
            return max(8, round(channels * width / 8) * 8)

        self.conv1 = ConvNorm(in_chans, scaled(64), 7, stride=2)
        self.conv2 = ConvNorm(scaled(64), scaled(64), 1)
        self.conv3 = ConvNorm(scaled(64), scaled(192), 3)
        modules, before = dict[str, Inception](), scaled(192)
        for name, widths in WIDTHS.items():
            modules[name] = Inception(before, [scaled(w) for w in widths])
            before = modules[name].out_chans
        self.inception3 = nn.Sequential(modules["3a"], modules["3b"])
        self.inception4a = modules["4a"]
        self.inception4bcd = nn.Sequential(modules["4b"], modules["4c"], modules["4d"])
        self.inception4e = modules["4e"]
        self.inception5 = nn.Sequential(modules["5a"], modules["5b"])
        hidden = (scaled(128), scaled(1024))
        self.aux1: nn.Module | None = Auxiliary(modules["4a"].out_chans, hidden, num_classes)
        self.aux2: nn.Module | None = Auxiliary(modules["4d"].out_chans, hidden, num_classes)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(before, num_classes)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, x: Tensor) -> Output:
        auxiliary: tuple[Tensor, ...] = ()
        x = F.relu(self.conv1(x))  # (N, 64, S/2, S/2)
        x = F.relu(self.conv3(F.relu(self.conv2(x))))  # (N, 192, S/2, S/2)
        x = self.inception3(F.max_pool2d(x, 3, 2, 1))  # (N, 480, S/4, S/4)
        x = self.inception4a(F.max_pool2d(x, 3, 2, 1))  # (N, 512, S/8, S/8)
        if self.training and self.aux1 is not None:
            auxiliary += (self.aux1(x),)  # (N, num_classes)
        x = self.inception4bcd(x)  # (N, 528, S/8, S/8)
        if self.training and self.aux2 is not None:
            auxiliary += (self.aux2(x),)  # (N, num_classes)
        x = self.inception4e(x)  # (N, 832, S/8, S/8)
        x = self.inception5(F.max_pool2d(x, 3, 2, 1))  # (N, 1024, S/16, S/16)
        x = x.mean((2, 3))  # (N, 1024)
        return Output(self.head(self.dropout(x)), auxiliary=auxiliary)  # (N, num_classes)
