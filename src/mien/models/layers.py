"""Layers of more than one network; most are richer while they learn than when they are deployed.

A :class:`RepConv2d` is trained as a standardised sum of branches, a :class:`ConvNorm` and a :class:`RepLinear` with
batch norm; ``fuse`` turns each into the plain ``nn.Conv2d`` or ``nn.Linear`` that computes the same function, so that
the deployed graph stays the paper's, and leaves out what a network lists as ``training_only``. ``split_heads`` makes
two networks of one with two heads.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# keeps the variance of a ReLU layer's output at one for a unit normal input (Brock et al. 2021, section 4.1)
_RELU_GAIN = (2 / (1 - 1 / math.pi)) ** 0.5

__all__ = [
    "ECA",
    "SE",
    "ConvNorm",
    "Inception",
    "RepConv2d",
    "RepLinear",
    "conv_block",
    "fuse",
    "pool_to",
    "unfuse",
]


class RepConv2d(nn.Module):
    """A k x k convolution without padding whose kernel is made, while learning, from standardised branches.

    ``branches`` parallel k x k kernels, a 1 x 1 kernel at the centre and an identity are added before the convolution
    (Ding et al. 2021, RepVGG, arXiv 2101.03697, section 3, in the kernel-space form of Hu et al. 2022, OREPA, arXiv
    2204.00826, section 3.2); the sum of the kernels is brought to zero mean and unit gain for each output channel
    (scaled weight standardisation, Brock et al. 2021, arXiv 2101.08692, section 4.1), which stands in for batch norm
    and costs nothing per pixel: batch norm on these 10-channel maps would double the time of a step.
    """

    def __init__(self, in_chans: int, out_chans: int, kernel: int, *, branches: int = 2) -> None:
        super().__init__()
        self.kernel = kernel
        self.weight = nn.Parameter(torch.empty(branches, out_chans, in_chans, kernel, kernel))
        for w in self.weight:
            nn.init.kaiming_normal_(w, nonlinearity="relu")
        self.point = nn.Parameter(torch.empty(out_chans, in_chans))
        nn.init.normal_(self.point, std=(in_chans * kernel * kernel) ** -0.5)
        self.identity = nn.Parameter(torch.zeros(out_chans)) if in_chans == out_chans else None
        self.gain = nn.Parameter(torch.full((out_chans,), _RELU_GAIN))
        self.bias = nn.Parameter(torch.zeros(out_chans))

    def merged(self) -> Tensor:
        """The one kernel that the branches amount to, ``(out, in, k, k)``."""
        centre = self.point if self.identity is None else self.point + torch.diag(self.identity)
        half = self.kernel // 2
        kernel = self.weight.sum(0) + F.pad(centre[..., None, None], [half] * 4)
        var, mean = torch.var_mean(kernel, dim=(1, 2, 3), keepdim=True, correction=0)
        fan_in = kernel[0].numel()
        return (kernel - mean) * (self.gain[:, None, None, None] * (var * fan_in + 1e-6).rsqrt())

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(_channels_last(x), self.merged(), self.bias)

    @torch.no_grad()
    def fused(self) -> nn.Conv2d:
        """The deployed convolution."""
        kernel = self.merged()
        conv = nn.Conv2d(kernel.shape[1], kernel.shape[0], self.kernel).to(kernel.device)
        conv.weight.copy_(kernel)
        assert conv.bias is not None
        conv.bias.copy_(self.bias)
        return conv

    @torch.no_grad()
    def unfused(self, plain: nn.Conv2d, mean: Tensor, var: Tensor) -> None:
        """Undo :meth:`fused`: become ``plain``, a kernel of zero mean; the statistics are not needed."""
        own, branches = plain.weight, len(self.weight)
        fan_in = own[0].numel()
        size = (own.var((1, 2, 3), correction=0, keepdim=True) * fan_in + 1e-12).sqrt()
        self.weight.copy_(own * (2**0.5 / size) / branches)  # the size of fresh kernels
        self.point.zero_()
        if self.identity is not None:
            self.identity.zero_()
        self.gain.copy_(size.flatten())
        assert plain.bias is not None
        self.bias.copy_(plain.bias)


class ConvNorm(nn.Module):
    """A k x k convolution that keeps the size (``stride`` 2 halves it), then batch norm, which ``fused`` takes in."""

    def __init__(self, in_chans: int, out_chans: int, kernel: int, *, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_chans, out_chans, kernel, stride, kernel // 2, bias=False)
        nn.init.kaiming_normal_(self.conv.weight, mode="fan_out", nonlinearity="relu")
        self.norm = nn.BatchNorm2d(out_chans)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.norm(self.conv(_channels_last(x)))
        return out

    @torch.no_grad()
    def fused(self) -> nn.Conv2d:
        """The deployed convolution."""
        gain, shift = _gain_and_shift(self.norm)
        old = self.conv
        sides = (old.kernel_size[0], old.stride[0], old.padding[0])
        conv = nn.Conv2d(old.in_channels, old.out_channels, *sides).to(gain.device)
        conv.weight.copy_(old.weight * gain[:, None, None, None])
        assert conv.bias is not None
        conv.bias.copy_(shift)
        return conv

    @torch.no_grad()
    def unfused(self, plain: nn.Conv2d, mean: Tensor, var: Tensor) -> None:
        """Undo :meth:`fused`: compute what ``plain`` does, whose outputs have ``mean`` and ``var``."""
        self.conv.weight.copy_(plain.weight)
        assert plain.bias is not None
        _set_norm(self.norm, plain.bias, mean, var)


class ECA(nn.Module):
    """Efficient channel attention (Wang et al. 2019, arXiv 1910.03151, section 3.3), over three neighbours."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv1d(1, 1, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        weight = torch.sigmoid(self.conv(x.mean((2, 3))[:, None]))[:, 0]  # (N, C)
        return x * weight[:, :, None, None]


class SE(nn.Module):
    """Squeeze and excitation (Hu et al. 2017, arXiv 1709.01507, section 3), reduction 8."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.squeeze = nn.Linear(channels, max(channels // 8, 4))
        self.excite = nn.Linear(max(channels // 8, 4), channels)

    def forward(self, x: Tensor) -> Tensor:
        weight = torch.sigmoid(self.excite(F.relu(self.squeeze(x.mean((2, 3))))))  # (N, C)
        return x * weight[:, :, None, None]


class Inception(nn.Module):
    """Convolutions of 1x1, 3x3 and 5x5 and max-pooling side by side, made narrower by 1x1 convolutions (Szegedy et al.
    2014, arXiv 1409.4842, section 4, figure 2b). Batch norm is ours; the three 1x1 convolutions that see the input run
    as one, whose output is split.

    widths  channels of the 1x1; before the 3x3 and of it; before the 5x5 and of it; after the pooling
    """

    def __init__(self, in_chans: int, widths: Sequence[int]) -> None:
        super().__init__()
        one, before3, three, before5, five, pooled = widths
        self.parts = [one, before3, before5]
        self.out_chans = one + three + five + pooled
        self.point = ConvNorm(in_chans, sum(self.parts), 1)
        self.conv3 = ConvNorm(before3, three, 3)
        self.conv5 = ConvNorm(before5, five, 5)
        self.pooled = ConvNorm(in_chans, pooled, 1)

    def forward(self, x: Tensor) -> Tensor:
        one, three, five = torch.split(F.relu(self.point(x)), self.parts, 1)  # (N, widths[0] | [1] | [3], h, w)
        pooled = self.pooled(F.max_pool2d(x, 3, 1, 1))  # (N, widths[5], h, w)
        # (N, out_chans, h, w)
        return torch.cat((one, *(F.relu(y) for y in (self.conv3(three), self.conv5(five), pooled))), 1)


class RepLinear(nn.Module):
    """A fully connected layer followed by batch norm, which ``fused`` takes into its weight and bias."""

    def __init__(self, in_features: int, out_features: int) -> None:
        super().__init__()
        self.linear = nn.Linear(in_features, out_features, bias=False)
        nn.init.kaiming_normal_(self.linear.weight, nonlinearity="relu")
        self.norm = nn.BatchNorm1d(out_features)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.norm(self.linear(x))
        return out

    @torch.no_grad()
    def fused(self) -> nn.Linear:
        """The deployed layer."""
        gain, shift = _gain_and_shift(self.norm)
        linear = nn.Linear(self.linear.in_features, self.linear.out_features).to(gain.device)
        linear.weight.copy_(self.linear.weight * gain[:, None])
        linear.bias.copy_(shift)
        return linear

    @torch.no_grad()
    def unfused(self, plain: nn.Linear, mean: Tensor, var: Tensor) -> None:
        """Undo :meth:`fused`: compute what ``plain`` does, whose outputs have ``mean`` and ``var``."""
        self.linear.weight.copy_(plain.weight)
        _set_norm(self.norm, plain.bias, mean, var)


def _gain_and_shift(norm: nn.BatchNorm1d | nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """What batch norm does in eval mode, ``gain * x + shift`` for each channel."""
    mean, var = norm.running_mean, norm.running_var
    assert mean is not None
    assert var is not None
    gain = norm.weight / torch.sqrt(var + norm.eps)
    return gain, norm.bias - gain * mean


def _set_norm(norm: nn.BatchNorm1d | nn.BatchNorm2d, bias: Tensor, mean: Tensor, var: Tensor) -> None:
    """Make ``norm`` add ``bias`` to an input that, with the bias, has ``mean`` and ``var`` for each channel."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    norm.running_mean.copy_(mean - bias)
    norm.running_var.copy_(var)
    norm.weight.copy_((var + norm.eps).sqrt())
    norm.bias.copy_(mean)


def _channels_last(x: Tensor) -> Tensor:
    """``x`` laid out for the fast convolution: one channel fits both layouts, and torch then takes the slow one."""
    n, c, h, w = x.shape
    return x.contiguous().as_strided((n, c, h, w), (h * w, 1, w, 1)) if c == 1 else x


def conv_block(in_chans: int, out_chans: int, depth: int) -> nn.Sequential:
    """``depth`` 3x3 convolutions with ReLU, ``(N, in_chans, h, w)`` -> ``(N, out_chans, h, w)``."""
    layers: list[nn.Module] = []
    for i in range(depth):
        layers += [ConvNorm(out_chans if i else in_chans, out_chans, 3), nn.ReLU()]
    return nn.Sequential(*layers)


def pool_to(x: Tensor, side: int) -> Tensor:
    """Max-pooling to ``side`` x ``side``; the windows overlap where the sides of ``x`` are no multiples of it."""
    height, width = x.shape[2:]
    if height % side or width % side:
        return F.adaptive_max_pool2d(x, side)
    return F.max_pool2d(x, (height // side, width // side))


#: Layers that are richer while they learn.
_RICHER = (RepConv2d, ConvNorm, RepLinear)


def fuse(model: nn.Module) -> nn.Module:
    """A copy of ``model`` for deployment, in eval mode: every Rep layer replaced by its plain equivalent, and the
    parts that a module names in ``training_only`` replaced by None.
    """
    fused = copy.deepcopy(model).eval()
    for module in list(fused.modules()):
        for name in getattr(module, "training_only", ()):
            setattr(module, name, None)
    for name, module in list(fused.named_modules()):
        if isinstance(module, _RICHER):
            parent = fused.get_submodule(name.rpartition(".")[0])
            setattr(parent, name.rpartition(".")[2], module.fused())
    return fused


@torch.no_grad()
def unfuse(model: nn.Module, deployed: nn.Module, batches: Iterable[Tensor], *, but: Sequence[str] = ()) -> None:
    """Undo :func:`fuse`: give ``model``, a fresh network, the weights by which it computes what ``deployed`` does.

    A folded batch norm is lost; the one that is made here has as running statistics what its layer gives for
    ``batches``, normalised images ``(N, C, S, S)``, and the scale and shift that leave the output as it is. In training
    mode, by the statistics of a batch, the network then says nearly the same.

    but  modules by name that keep the weights they have, such as heads
    """
    richer: dict[str, Any] = {name: module for name, module in model.named_modules() if isinstance(module, _RICHER)}
    plain: dict[str, Any] = {name: deployed.get_submodule(name) for name in richer}
    for name, (mean, var) in _output_statistics(deployed, plain, batches).items():
        richer[name].unfused(plain[name], mean, var)
    own, done = model.state_dict(), (*richer, *but)
    for key, value in deployed.state_dict().items():
        if key in own and not key.startswith(tuple(f"{name}." for name in done)):
            own[key].copy_(value)


def _output_statistics(
    model: nn.Module, layers: Mapping[str, nn.Module], batches: Iterable[Tensor]
) -> dict[str, tuple[Tensor, Tensor]]:
    """Mean and variance of each layer's output, for each channel, over all images of ``batches``."""
    sums: dict[str, list[Tensor]] = {}

    def note(name: str) -> Callable[[nn.Module, object, Tensor], None]:
        def hook(_module: nn.Module, _given: object, out: Tensor) -> None:
            y = out.double().transpose(0, 1).flatten(1)  # (channels, all places)
            new = [torch.tensor(y.shape[1]), y.sum(1), y.square().sum(1)]
            sums[name] = [a + b for a, b in zip(sums[name], new, strict=True)] if name in sums else new

        return hook

    hooks = [layer.register_forward_hook(note(name)) for name, layer in layers.items()]
    try:
        for x in batches:
            model(x)
    finally:
        for hook in hooks:
            hook.remove()
    means = {name: (total / n, squares / n) for name, (n, total, squares) in sums.items()}
    return {name: (m.float(), (s - m.square()).clamp_min(0).float()) for name, (m, s) in means.items()}
