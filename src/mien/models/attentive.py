"""The family ``mien-nano``, ``mien-small``, ``mien-base``: a spatial transformer, residual 3x3 convolutions and a head
that pools by attention. One file, sizes by a few numbers (``SIZES``).

Parts and their sources: affine transformer on the input (Jaderberg et al. 2015, arXiv 1506.02025, section 3; localizer
of two convolutions, each with max-pooling and ReLU, and two fully connected layers, on the image at 24 pixels); basic
residual blocks (He et al. 2015, arXiv 1512.03385, section 3.3) with mean pooling before the shortcut's 1x1 convolution
(He et al. 2018, arXiv 1812.01187, section 4.2); channel attention "eca" (Wang et al. 2019, arXiv 1910.03151, section
3.3) or "se" (Hu et al. 2017, arXiv 1709.01507, section 3); attention pooling over positions (Ilse et al. 2018, arXiv
1802.04712, section 2.4, with a linear score), whose weights are the map that a user sees.

Deviates from these: theta is bounded and starts as the identity (``stn.bounded_theta``); the localizer has batch norm,
and tanh before theta. Batch norm is fused into its convolution for deployment (``layers.fuse``). Dense 3x3 convolutions
with channels in multiples of 16, because those run fastest on CPUs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mien.errors import ModelError
from mien.models.layers import ECA, SE, ConvNorm, RepLinear
from mien.models.registry import Output, register
from mien.models.stn import Transformed, bounded_theta, warp, warp_grid

__all__ = ["SIZES", "AttentiveNet"]

_PLACES = ("input", "feature", "none")
_CHANNEL: dict[str, Callable[[int], nn.Module]] = {"eca": ECA, "se": SE, "none": lambda _: nn.Identity()}
_POOLS = ("attention", "mean")

#: name -> channels and residual blocks of each stage, and the zoom; the first stage runs at half the side that the
#: transformer gives, each next at half.
SIZES: dict[str, tuple[tuple[int, ...], tuple[int, ...], float]] = {
    "mien-nano": ((16, 48, 80), (1, 2, 1), 1.0),
    "mien-small": ((16, 80, 160), (1, 2, 2), 1.0),
    "mien-base": ((64, 128, 256), (2, 2, 2), 4 / 3),
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
    """``forward`` maps images ``(N, in_chans, S, S)`` to logits ``(N, num_classes)``, theta, attention and a second
    head's logits, as far as it has the parts; S times zoom a multiple of 2 to the power of the number of stages.

    The handles have timm's names: ``forward_features``, ``forward_head``, ``get_classifier``, ``reset_classifier``,
    ``num_classes``, ``num_features``.

    widths, depths  channels and blocks of each stage
    transformer     "input" warps the image, "feature" the first stage's output, "none" leaves the transformer out
    zoom            side of what the transformer gives, as a multiple of the input's: with "input" it may sample more
                    places than the image has pixels, so that maps are larger (Jaderberg et al. 2015, section 3.3)
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
        zoom: float = 1.0,
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
        if zoom <= 0 or (zoom != 1 and transformer != "input"):
            raise ModelError(f"zoom must be above 0, and 1 without a transformer on the input, got {zoom}")
        self.transformer, self.zoom = transformer, zoom
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
        self.num_classes, self.num_features = num_classes, before
        self.head: nn.Module = nn.Linear(before, num_classes)
        self.second = nn.Linear(before, second) if second else None
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, x: Tensor) -> Output:
        x, theta = self._trunk(x)
        x, attention = self._pool(x)  # (N, w)
        x = self.dropout(x)
        second = None if self.second is None else self.second(x)
        return Output(self.head(x), theta, attention, second)

    def forward_features(self, x: Tensor) -> Tensor:
        """The last stage's map, ``(N, num_features, h, w)``."""
        return self._trunk(x)[0]

    def forward_head(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        """Logits ``(N, num_classes)`` of what :meth:`forward_features` gives; with ``pre_logits`` the pooled map."""
        x = self.dropout(self._pool(x)[0])
        return x if pre_logits else self.head(x)

    def get_classifier(self) -> nn.Module:
        """The fully connected layer."""
        return self.head

    def reset_classifier(self, num_classes: int) -> None:
        """Put a new, untrained fully connected layer in the place of the present one; 0 for none at all, so that
        ``forward`` gives the pooled map in the place of logits.
        """
        if num_classes < 0:
            raise ModelError(f"num_classes must be a whole number >= 0, got {num_classes}")
        where = next(self.parameters())
        new = nn.Linear(self.num_features, num_classes) if num_classes else nn.Identity()
        self.num_classes, self.head = num_classes, new.to(where.device, where.dtype)

    def _trunk(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """The last stage's map and theta."""
        step, height, width = 2 ** len(self.stages), *(round(self.zoom * s) for s in x.shape[2:])
        if height % step or width % step:
            times = "" if self.zoom == 1 else f" after a zoom of {self.zoom:.3g}"
            raise ModelError(f"images must have sides of a multiple of {step} pixels{times}, got {tuple(x.shape[2:])}")
        theta = None if self.localizer is None else self.theta(x)
        if theta is not None and self.transformer == "input":
            x = warp(x, theta, (height, width))
        x = F.relu(self.stem1(x))  # (N, w/2, S, S)
        x = F.relu(self.stem2(x))  # (N, w, S/2, S/2)
        for i, stage in enumerate(self.stages):
            x = stage(x)  # (N, widths[i], S/2^(i+1), S/2^(i+1))
            if theta is not None and i == 0 and self.transformer == "feature":
                x = warp(x, theta)
        return x, theta

    def _pool(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """The mean over positions, weighted by attention ``(N, h, w)`` where the head has it."""
        if self.score is None:
            return x.mean((2, 3)), None  # (N, w)
        attention = self.score(x).float().flatten(1).softmax(1).unflatten(1, x.shape[2:])  # (N, h, w)
        return (x * attention[:, None].to(x.dtype)).sum((2, 3)), attention  # (N, w)

    @torch.no_grad()
    def attention_maps(self, x: Tensor) -> dict[str, Tensor]:
        """``theta (N, 2, 3)``, the warped ``grid (N, S, S, 2)`` of positions looked at, -1..1 over the image, and the
        head's weights over positions ``attention (N, h, w)``, which lie on that grid when the input is warped.
        """
        out = self(x)
        theta = self.theta(x) if out.theta is None else out.theta
        maps = {"theta": theta, "grid": warp_grid(theta, (x.shape[2], x.shape[3]))}
        return maps if out.attention is None else {**maps, "attention": out.attention}


def _add(name: str) -> None:
    @register(name)
    def build(num_classes: int = 7, in_chans: int = 1, **options: object) -> nn.Module:
        widths, depths, zoom = SIZES[name]
        sizes = {
            "widths": widths,
            "depths": depths,
            "zoom": zoom if options.get("transformer", "input") == "input" else 1.0,
        }
        return AttentiveNet(num_classes, in_chans, **{**sizes, **options})  # type: ignore[arg-type]


for _name in SIZES:
    _add(_name)
