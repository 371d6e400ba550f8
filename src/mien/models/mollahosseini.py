"""The network of Mollahosseini, Chan & Mahoor 2016, "Going Deeper in Facial Expression Recognition using Deep Neural
Networks", https://arxiv.org/abs/1511.04110, section 3 and its table of layers.

Faithful: images of 48 x 48; two convolutions, each followed by 3x3 max-pooling of stride 2, then four Inception layers
(3a, 3b, a max-pooling, 4a, 4b), mean pooling, fully connected layers of 4096 and 1024. Kernels and widths of the
layers up to 4a as remembered from the table (they are GoogLeNet's); those of 4b, which we do not remember, are
GoogLeNet's too.

Deviates: batch norm after every layer, which ``layers.fuse`` takes away, stands in for local response normalisation;
dropout before the fully connected layers; mean pooling over whatever is left, so that other sizes work too.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mien.models.googlenet import WIDTHS
from mien.models.layers import ConvNorm, Inception, RepLinear
from mien.models.registry import Output, register

__all__ = ["Mollahosseini"]


@register("mollahosseini")
class Mollahosseini(nn.Module):
    """``forward`` maps images ``(N, in_chans, S, S)``, S from 16 pixels, to logits ``(N, num_classes)``.

    dropout  before each of the three fully connected layers
    """

    def __init__(self, num_classes: int = 7, in_chans: int = 1, *, dropout: float = 0.2) -> None:
        super().__init__()
        self.conv1 = ConvNorm(in_chans, 64, 7, stride=2)
        self.conv2 = ConvNorm(64, 192, 3)
        self.inception3a = Inception(192, WIDTHS["3a"])
        self.inception3b = Inception(256, WIDTHS["3b"])
        self.inception4a = Inception(480, WIDTHS["4a"])
        self.inception4b = Inception(512, WIDTHS["4b"])
        self.dropout = nn.Dropout(dropout)
        self.fc1 = RepLinear(512, 4096)
        self.fc2 = RepLinear(4096, 1024)
        self.head = nn.Linear(1024, num_classes)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, x: Tensor) -> Output:
        x = F.relu(self.conv1(x))  # (N, 64, S/2, S/2)
        x = F.max_pool2d(x, 3, 2, 1)  # (N, 64, S/4, S/4)
        x = F.relu(self.conv2(x))  # (N, 192, S/4, S/4)
        x = F.max_pool2d(x, 3, 2, 1)  # (N, 192, S/8, S/8)
        x = self.inception3b(self.inception3a(x))  # (N, 480, S/8, S/8)
        x = F.max_pool2d(x, 3, 2, 1)  # (N, 480, S/16, S/16)
        x = self.inception4b(self.inception4a(x))  # (N, 512, S/16, S/16)
        x = x.mean((2, 3))  # (N, 512)
        x = F.relu(self.fc1(self.dropout(x)))  # (N, 4096)
        x = F.relu(self.fc2(self.dropout(x)))  # (N, 1024)
        return Output(self.head(self.dropout(x)))  # (N, num_classes)
