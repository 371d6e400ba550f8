"""The recogniser of DeepExpr: Aneja, Colburn, Faigin, Shapiro & Mones 2016, "Modeling Stylized Character Expressions
via Deep Learning", https://doi.org/10.1007/978-3-319-54184-6_9, section 4 (the paper that FERG comes from).

Faithful, as remembered: three convolution layers, each followed by ReLU and max-pooling, then two fully connected
layers with dropout between them, softmax over seven expressions; trained from scratch on faces alone.

Deviates: faces of 48 x 48 in grey where theirs were larger than 200 x 200; so kernels (5x5, 5x5, 3x3) and widths are
our choice. Batch norm, which ``layers.fuse`` takes away. The last pooling goes to 6 x 6, which at 48 pixels is the
usual 2 x 2 pooling, so that larger faces fit too. Left out: the rest of DeepExpr, which carries expressions from people
over to drawn characters.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mien.errors import ModelError
from mien.models.layers import ConvNorm, RepLinear, pool_to
from mien.models.registry import Output, register

__all__ = ["DeepExpr"]

_SIDE = 6  # of the map that is flattened


@register("deepexpr")
class DeepExpr(nn.Module):
    """``forward`` maps images ``(N, in_chans, S, S)``, S from 16 pixels, to logits ``(N, num_classes)``.

    widths   channels of the three convolutions
    hidden   width of the first fully connected layer
    dropout  after it
    """

    def __init__(
        self,
        num_classes: int = 7,
        in_chans: int = 1,
        *,
        widths: Sequence[int] = (32, 96, 192),
        hidden: int = 512,
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        if len(widths) != 3 or min(widths) < 1:
            raise ModelError(f"widths must be three whole numbers >= 1, got {widths}")
        self.conv1 = ConvNorm(in_chans, widths[0], 5)
        self.conv2 = ConvNorm(widths[0], widths[1], 5)
        self.conv3 = ConvNorm(widths[1], widths[2], 3)
        self.fc = RepLinear(widths[2] * _SIDE * _SIDE, hidden)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(hidden, num_classes)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, x: Tensor) -> Output:
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)  # (N, 32, S/2, S/2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)  # (N, 96, S/4, S/4)
        x = pool_to(F.relu(self.conv3(x)), _SIDE)  # (N, 192, 6, 6)
        x = F.relu(self.fc(x.flatten(1)))  # (N, 512)
        return Output(self.head(self.dropout(x)))  # (N, num_classes)
