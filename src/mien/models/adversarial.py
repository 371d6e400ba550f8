"""A network that tells expressions and hides who it sees: Feutry, Piantanida, Bengio & Duhamel 2018, "Learning
Anonymized Representations with Adversarial Neural Networks", https://arxiv.org/abs/1802.09386, section 4.

Faithful: an encoder, a branch that names the expression from the representation, and a branch that tries to name the
person from the same representation. That branch learns to name people as well as it can; the encoder learns
expressions, and to leave that branch without a clue: its answers are pushed towards the same share for every person
(cross-entropy against that distribution), not merely away from the right one, which an encoder could fake by making
the branch err. ``Recipe.adversary`` is the weight of this.

Deviates: the encoder's layers are ours (three stages of two 3x3 convolutions, mean pooling, one fully connected layer;
theirs differ by data set and we do not remember them); batch norm, which ``layers.fuse`` takes away; all parts take one
step a batch together, where the paper trains in turns, with several steps of the person's branch for each of the
encoder. The person's branch exists only while training.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from mien.errors import ModelError
from mien.models.layers import RepLinear, conv_block
from mien.models.registry import Output, register

__all__ = ["Adversarial"]


@register("adversarial")
class Adversarial(nn.Module):
    """``forward`` maps images ``(N, in_chans, S, S)``, S from 16 pixels, to logits ``(N, num_classes)`` and, while it
    trains with an adversary, that one's logits twice, ``(N, identities)``, see ``registry.Output``.

    identities  people in the training data, 0 for no adversary
    widths      channels of the encoder's stages, each at half the side of the one before
    size        length of the representation
    hidden      width of the adversary's hidden layers
    dropout     before the expression head
    """

    training_only = ("adversary",)

    def __init__(
        self,
        num_classes: int = 7,
        in_chans: int = 1,
        *,
        identities: int = 0,
        widths: Sequence[int] = (32, 64, 128),
        size: int = 128,
        hidden: int = 256,
        dropout: float = 0.2,
    ) -> None:
        super().__init__()
        if identities < 0:
            raise ModelError(f"identities must be a whole number >= 0, got {identities}")
        if not widths or min(widths) < 1:
            raise ModelError(f"widths must be whole numbers >= 1, got {widths}")
        self.stages = nn.ModuleList()
        before = in_chans
        for width in widths:
            self.stages.append(conv_block(before, width, 2))
            before = width
        self.fc = RepLinear(before, size)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(size, num_classes)
        self.adversary: nn.Module | None = None
        if identities:
            layers = (nn.Linear(size, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU())
            self.adversary = nn.Sequential(*layers, nn.Linear(hidden, identities))
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, x: Tensor) -> Output:
        z = self.features(x)
        logits = self.head(self.dropout(z))
        if self.adversary is None or not self.training:
            return Output(logits)
        fixed = {name: p.detach() for name, p in self.adversary.named_parameters()}
        hidden = functional_call(self.adversary, fixed, (z,))
        return Output(logits, identity=self.adversary(z.detach()), hidden=hidden)

    def features(self, x: Tensor) -> Tensor:
        """The representation, ``(N, size)``."""
        for i, stage in enumerate(self.stages):
            x = stage(F.max_pool2d(x, 2) if i else x)  # (N, widths[i], S/2^i, S/2^i)
        x = x.mean((2, 3))  # (N, widths[-1])
        return F.relu(self.fc(x))  # (N, size)
