"""A VGG-style network for faces of 48 x 48, which classifies and whose last hidden layers serve an SVM as features.

Blocks of 3x3 convolutions, each block followed by max-pooling, then fully connected layers: Simonyan & Zisserman 2014,
https://arxiv.org/abs/1409.1556, in the shape that Barsoum et al. 2016, https://arxiv.org/abs/1608.01041, section 4,
gave it for FER+ (blocks of 2, 2, 3 and 3 convolutions, two fully connected layers of 1024, dropout after each block
and layer). Georgescu, Ionescu & Popescu 2018, "Local Learning with Deep and Handcrafted Features for Facial Expression
Recognition", https://arxiv.org/abs/1804.10892, take what the fully connected layers of such networks (VGG-13 among
them) say as features for an SVM: ``features``.

Deviates from Barsoum: half as many channels (32, 64, 128, 128), so that two CPU cores can train it; images of 48, not
64 pixels; batch norm, which ``layers.fuse`` takes away; the last pooling goes to 3 x 3, which at 48 pixels is the usual
2 x 2 pooling and lets other sizes through. From Georgescu: both hidden layers together are the features (theirs, as
remembered, come from one layer of each of several networks, two of which had learnt on millions of other images).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mien.errors import ModelError
from mien.models.layers import RepLinear, conv_block, pool_to
from mien.models.registry import Output, register

__all__ = ["VGG"]

_SIDE = 3  # of the map that is flattened


@register("vgg")
class VGG(nn.Module):
    """``forward`` maps images ``(N, in_chans, S, S)``, S from 16 pixels, to logits ``(N, num_classes)``.

    widths, depths  channels and convolutions of each block
    hidden          width of the two fully connected layers
    drop_block      dropout after each block
    dropout         after each hidden layer
    """

    def __init__(
        self,
        num_classes: int = 7,
        in_chans: int = 1,
        *,
        widths: Sequence[int] = (32, 64, 128, 128),
        depths: Sequence[int] = (2, 2, 3, 3),
        hidden: int = 1024,
        drop_block: float = 0.1,
        dropout: float = 0.4,
    ) -> None:
        super().__init__()
        if len(widths) != len(depths) or not widths or min(*widths, *depths) < 1:
            raise ModelError(f"widths and depths must be as many whole numbers >= 1, got {widths} and {depths}")
        self.blocks = nn.ModuleList()
        before = in_chans
        for width, depth in zip(widths, depths, strict=True):
            self.blocks.append(conv_block(before, width, depth))
            before = width
        self.drop_block = nn.Dropout(drop_block)
        self.fc1 = RepLinear(before * _SIDE * _SIDE, hidden)
        self.fc2 = RepLinear(hidden, hidden)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(hidden, num_classes)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, x: Tensor) -> Output:
        return Output(self.head(self.dropout(self._hidden(x)[1])))  # (N, num_classes)

    def features(self, x: Tensor) -> Tensor:
        """What both hidden layers say, after ReLU, side by side: ``(N, 2 * hidden)``."""
        return torch.cat(self._hidden(x), 1)

    def _hidden(self, x: Tensor) -> tuple[Tensor, Tensor]:
        for number, block in enumerate(self.blocks, 1):
            x = block(x)  # (N, widths[i], S/2^i, S/2^i)
            x = F.max_pool2d(x, 2) if number < len(self.blocks) else pool_to(x, _SIDE)  # the last: (N, w, 3, 3)
            x = self.drop_block(x)
        one = F.relu(self.fc1(x.flatten(1)))  # (N, hidden)
        return one, F.relu(self.fc2(self.dropout(one)))  # (N, hidden) each
