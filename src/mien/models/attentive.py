"""The family ``mien-nano``, ``mien-small``, ``mien-base``: a spatial transformer, residual 3x3 convolutions and a head
that pools by attention. One file, sizes by a few numbers (``SIZES``).

Parts and their sources: affine transformer on the input (Jaderberg et al. 2015, arXiv 1506.02025, section 3; localizer
of two convolutions, each with max-pooling and ReLU, and two fully connected layers, on the image at 24 pixels); basic
residual blocks (He et al. 2015, arXiv 1512.03385, section 3.3) with mean pooling before the shortcut's 1x1 convolution
(He et al. 2018, arXiv 1812.01187, section 4.2); channel attention "eca" (Wang et al. 2019, arXiv 1910.03151, section
3.3) or "se" (Hu et al. 2017, arXiv 1709.01507, section 3); attention pooling over positions (Ilse et al. 2018, arXiv
1802.04712, section 2.4, with a linear score), whose weights are the map that a user sees.

Deviates from these: theta is bounded and starts as the identity (``stn.bounded_theta``); the localizer has batch norm,
and tanh before theta. Batch norm is folded away for deployment (``layers.fold``). Dense 3x3 convolutions with channels
in multiples of 16, because those run fastest on CPUs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mien.errors import ModelError
from mien.models.layers import ECA, SE, ConvNorm, RepLinear
from mien.models.registry import register
from mien.models.stn import Transformed, bounded_theta, warp, warp_grid

__all__ = ["SIZES", "AttentiveNet"]

_PLACES = ("input", "feature", "none")
_CHANNEL: dict[str, Callable[[int], nn.Module]] = {"eca": ECA, "se": SE, "none": lambda _: nn.Identity()}
_POOLS = ("attention", "mean")

#: name -> channels and residual blocks of each stage; the first stage runs at half the input's side, each next at half.
SIZES: dict[str, tuple[tuple[int, ...], tuple[int, ...]]] = {
    "mien-nano": ((16, 48, 80), (1, 2, 1)),
    "mien-small": ((16, 80, 160), (1, 2, 2)),
    "mien-base": ((80, 160, 320), (2, 2, 2)),
}


class Localizer(nn.Module):
    """Image ``(N, C, S, S)`` of any size -> theta ``(N, 2, 3)``; starts as the identity."""

    def __init__(self, in_chans: int) -> None:
        super().__init__()
        self.conv1 = ConvNorm(in_chans, 8, 5)
        self.conv2 = ConvNorm(8, 16, 5)
        self.fc1 = RepLinear(576, 32)
        self.fc2 = nn.Linear(32, 6)
        nn.init.zeros_(self.fc2.weight)
        nn.init.zeros_(self.fc2.bias)

    def forward(self, x: Tensor) -> Tensor:
        x = F.adaptive_avg_pool2d(x, 24)  # (N, C, 24, 24)
        x = F.relu(F.max_pool2d(self.conv1(x), 2))  # (N, 8, 12, 12)
        x = F.relu(F.max_pool2d(self.conv2(x), 2))  # (N, 16, 6, 6)
        return bounded_theta(self.fc2(torch.tanh(self.fc1(x.flatten(1)))))  # (N, 2, 3)


class Block(nn.Module):
    """Two 3x3 convolutions and channel attention beside a shortcut; ``stride`` 2 halves the side."""

    def __init__(self, in_chans: int, out_chans: int, stride: int, channel: str) -> None:
        super().__init__()
        self.stride = stride
        self.conv1 = ConvNorm(in_chans, out_chans, 3, stride=stride)
        self.conv2 = ConvNorm(out_chans, out_chans, 3)
        self.attention = _CHANNEL[channel](out_chans)
        self.shortcut = ConvNorm(in_chans, out_chans, 1) if in_chans != out_chans else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        y = self.attention(self.conv2(F.relu(self.conv1(x))))
        if self.stride > 1:
            x = F.avg_pool2d(x, self.stride)
        return F.relu(y + self.shortcut(x))


class AttentiveNet(Transformed):
    """``forward`` maps images ``(N, in_chans, S, S)`` to logits ``(N, num_classes)``; S a multiple of 2 to the power of
    the number of stages.

    widths, depths  channels and blocks of each stage
    transformer     "input" warps the image, "feature" the first stage's output, "none" leaves the transformer out
    channel         channel attention in the blocks: "eca", "se" or "none"
    pool            "attention" or "mean" over positions
    dropout         before the fully connected layer
    second          classes of a second head on the same trunk, 0 for none
    """

    def __init__(
        self,
        num_classes: int = 7,
        in_chans: int = 1,
        *,
        widths: Sequence[int],
        depths: Sequence[int],
        transformer: str = "input",
        channel: str = "eca",
        pool: str = "attention",
        dropout: float = 0.2,
        second: int = 0,
    ) -> None:
        super().__init__()
        for key, value, choices in (
            ("transformer", transformer, _PLACES),
            ("channel", channel, tuple(_CHANNEL)),
            ("pool", pool, _POOLS),
        ):
            if value not in choices:
                raise ModelError(f"{key} must be one of {', '.join(choices)}, got {value!r}")
        if len(widths) != len(depths) or not widths or min(*widths, *depths) < 1:
            raise ModelError(f"widths and depths must be as many whole numbers >= 1, got {widths} and {depths}")
        self.transformer = transformer
        self.localizer = Localizer(in_chans) if transformer != "none" else None
        self.stem1 = ConvNorm(in_chans, widths[0] // 2, 3)
        self.stem2 = ConvNorm(widths[0] // 2, widths[0], 3, stride=2)
        self.stages = nn.ModuleList()
        before = widths[0]
        for i, (width, depth) in enumerate(zip(widths, depths, strict=True)):
            blocks = [Block(before, width, 2 if i else 1, channel)]
            blocks += [Block(width, width, 1, channel) for _ in range(depth - 1)]
            self.stages.append(nn.Sequential(*blocks))
            before = width
        self.score = nn.Conv2d(before, 1, 1) if pool == "attention" else None
        if self.score is not None:
            nn.init.zeros_(self.score.weight)  # the start is the mean over positions
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(before, num_classes)
        self.second = nn.Linear(before, second) if second else None
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, x: Tensor) -> Tensor:
        return self.outputs(x)["logits"]

    def outputs(self, x: Tensor) -> dict[str, Tensor]:
        """``logits (N, num_classes)`` and, as far as the network has the parts, ``theta (N, 2, 3)``, ``attention
        (N, h, w)``, whose weights over positions sum to 1, and ``second (N, second)``, the other head's logits.
        """
        step = 2 ** len(self.stages)
        if x.shape[2] % step or x.shape[3] % step:
            raise ModelError(f"images must have sides of a multiple of {step} pixels, got {tuple(x.shape[2:])}")
        out: dict[str, Tensor] = {}
        if self.transformer != "none":
            out["theta"] = self.theta(x)
        if self.transformer == "input":
            x = warp(x, out["theta"])
        x = F.relu(self.stem1(x))  # (N, w/2, S, S)
        x = F.relu(self.stem2(x))  # (N, w, S/2, S/2)
        for i, stage in enumerate(self.stages):
            x = stage(x)  # (N, widths[i], S/2^(i+1), S/2^(i+1))
            if i == 0 and self.transformer == "feature":
                x = warp(x, out["theta"])
        if self.score is None:
            x = x.mean((2, 3))  # (N, w)
        else:
            out["attention"] = self.score(x).float().flatten(1).softmax(1).unflatten(1, x.shape[2:])  # (N, h, w)
            x = (x * out["attention"][:, None].to(x.dtype)).sum((2, 3))  # (N, w)
        x = self.dropout(x)
        out["logits"] = self.head(x)
        if self.second is not None:
            out["second"] = self.second(x)
        return out

    @torch.no_grad()
    def attention_maps(self, x: Tensor) -> dict[str, Tensor]:
        """``theta (N, 2, 3)``, the warped ``grid (N, S, S, 2)`` of positions looked at, -1..1 over the image, and the
        head's weights over positions ``attention (N, h, w)``, which lie on that grid when the input is warped.
        """
        out = self.outputs(x)
        theta = out["theta"] if "theta" in out else self.theta(x)
        maps = {"theta": theta, "grid": warp_grid(theta, (x.shape[2], x.shape[3]))}
        return maps | ({"attention": out["attention"]} if "attention" in out else {})


def _add(name: str) -> None:
    @register(name)
    def build(num_classes: int = 7, in_chans: int = 1, **options: object) -> nn.Module:
        widths, depths = SIZES[name]
        sizes = {"widths": widths, "depths": depths}
        return AttentiveNet(num_classes, in_chans, **{**sizes, **options})  # type: ignore[arg-type]


for _name in SIZES:
    _add(_name)
