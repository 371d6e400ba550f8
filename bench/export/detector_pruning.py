"""A smaller CenterFace without training: fewer channels, and weights that read what is left by least squares.

He, Zhang and Sun 2017 (arXiv 1707.06168) and ThiNet (Luo, Wu and Lin 2017, arXiv 1707.06342): from input to output, the
channels of a block's hidden layer that say most of what the next convolution makes of all are chosen one by one, and
that convolution is solved anew, so that it gives on pictures what the whole network gave there: what the blocks before
lost is made up for as far as it can be. The way up is fitted alike, and is made narrow where it is wide in pixels.
Leaves out: training (``detector_training``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor
from torch.nn import functional as F

from bench.export.detector_network import HEAT, OUTPUTS, Step, Steps, computed, convolved, maps_of

__all__ = ["HIDDEN", "WIDTHS", "chosen", "pruned"]

#: Channels that stay of each block's hidden layer, multiples of 16 as onnxruntime's convolutions have them: of 32, 96,
#: 144 twice, 192 three times, 384 four, 576 three and 960 three times. More where a block halves the sides or widens
#: the network, which is where most was lost.
HIDDEN = {
    "368": 16, "376": 64, "384": 80, "393": 80, "401": 112, "410": 112, "419": 144, "427": 192, "436": 192, "445": 192,
    "454": 288, "462": 256, "471": 256, "480": 384, "488": 384, "497": 384, "506": 384,
}  # fmt: skip
#: And of the way up, from 24: where a sum or a convolution is read.
WIDTHS = {"511": 24, "518": 24, "525": 24, "532": 16, "535": 16}

_CELLS = 60_000  # of all pictures that a fit sees at most
_HINT, _ELSEWHERE = -4.0, 0.05  # on the way up: logit from which a cell counts, and how much another does
_STAY = 1e-5  # ridge, in mean squares of a channel

Values = dict[str, Tensor]


def pruned(
    steps: Steps, images: Tensor, hidden: Mapping[str, int] = HIDDEN, widths: Mapping[str, int] = WIDTHS
) -> Steps:
    """Steps with the channels that ``hidden`` and ``widths`` leave, fitted on ``images`` ``(n, 3, H, W)``."""
    with torch.no_grad():
        torch.manual_seed(0)
        return _upwards(steps, _blocks(steps, images, hidden), images, widths)


def chosen(squares: Tensor, products: Tensor, count: int) -> list[int]:
    """``count`` of the inputs whose squares ``(d, d)`` and products with outputs ``(d, o)`` are given: one by one, the
    one that then explains most."""
    squares, products, out = squares.clone(), products.clone(), list[int]()
    least = 1e-7 * torch.diagonal(squares)
    for _ in range(count):
        own = torch.diagonal(squares)
        gain = products.square().sum(1) / own.clamp_min(1e-12)
        gain[own <= least] = -1
        gain[out] = -1
        best = int(gain.argmax())
        out.append(best)
        column, row = squares[:, best].clone(), products[best].clone()
        squares -= torch.outer(column, column) / column[best]
        products -= torch.outer(column, row) / column[best]
    return sorted(out)


def _rows(values: Tensor) -> Tensor:
    return values.permute(0, 2, 3, 1).flatten(0, 2)


def _solved(x: Tensor, y: Tensor, counts: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Squares and products of what is off the means, and the means."""
    x_mean, y_mean = ((v * counts).sum(0) / counts.sum() for v in (x, y))
    x, y = x - x_mean, y - y_mean
    squares, products = x.T @ (x * counts), x.T @ (y * counts)
    squares += _STAY * torch.diagonal(squares).mean() * torch.eye(len(squares), dtype=squares.dtype)
    return squares, products, x_mean, y_mean


def _in_parts(step: Step, inputs: Sequence[Tensor]) -> Tensor:
    return torch.cat([computed(step, part) for part in zip(*(torch.split(x, 12) for x in inputs), strict=True)])


def _blocks(steps: Steps, images: Tensor, hidden: Mapping[str, int]) -> Steps:
    """Steps whose blocks have fewer hidden channels: ``expanding``, depthwise, and the convolution that reads them."""
    out, place = list(steps), {step.output: i for i, step in enumerate(steps)}
    skips = {step.inputs[1]: step.inputs[0] for step in steps if step.weight is None}
    exact, rough = {"image": images}, {"image": images}
    for i, step in enumerate(steps):
        exact[step.output] = _in_parts(step, [exact[name] for name in step.inputs])
        source = step.inputs[0]
        if source in hidden:
            wanted = exact[step.output]
            if step.relu:
                wanted = torch.cat([convolved(step, part) for part in torch.split(exact[source], 12)])
            if step.output in skips:
                skip = skips[step.output]
                wanted = wanted + exact[skip] - rough[skip]
            stay, out[i] = _fewer(step, rough[source], wanted, hidden[source])
            depthwise = place[source]
            expanding = place[steps[depthwise].inputs[0]]
            out[depthwise] = replace(_only(out[depthwise], stay), groups=len(stay))
            out[expanding] = _only(out[expanding], stay)
            rough[source] = rough[source][:, stay]
        rough[step.output] = _in_parts(out[i], [rough[name] for name in step.inputs])
        later = {name for other in steps[i + 1 :] for name in other.inputs}
        exact, rough = ({k: v for k, v in kept.items() if k in later} for kept in (exact, rough))
    return out


def _fewer(step: Step, source: Tensor, wanted: Tensor, count: int) -> tuple[list[int], Step]:
    """The channels of ``source`` that stay, and a convolution of 1 x 1 that makes of them what is wanted."""
    x, y = _rows(source), _rows(wanted)
    some = torch.randperm(len(x))[:_CELLS]
    counts = torch.ones(len(some), 1, dtype=torch.float64)
    squares, products, x_mean, y_mean = _solved(x[some].double(), y[some].double(), counts)
    stay = chosen(squares, products, count)
    weight = torch.linalg.solve(squares[stay][:, stay], products[stay])
    bias = y_mean - x_mean[stay] @ weight
    return stay, replace(
        step, weight=weight.T[:, :, None, None].float().contiguous().numpy(), bias=bias.float().numpy()
    )


def _only(step: Step, stay: Sequence[int]) -> Step:
    """A step with these of its output channels."""
    pixels = 4 if step.upward else 1
    weight = step.weight.reshape(-1, pixels, *step.weight.shape[1:])[stay].reshape(-1, *step.weight.shape[1:])
    return replace(step, weight=weight, bias=step.bias[stay])


def _upwards(steps: Steps, made: Steps, images: Tensor, widths: Mapping[str, int]) -> Steps:
    """``made`` with a way up as narrow as ``widths`` say, which gives what that of ``steps`` gave."""
    out = {step.output: step for step in made}
    names = {name for step in steps if step.output in {*widths, *OUTPUTS} for name in step.inputs} | {*widths, HEAT}
    exact = _kept(steps, images, names)
    for name, width in widths.items():
        rough = _kept([out[step.output] for step in made], images, {name})
        readers = [step for step in steps if name in step.inputs]
        wanted = torch.cat([convolved(step, exact[name]) for step in readers], dim=1)
        side = readers[0].weight.shape[2]
        stay, weight, bias = _narrow(rough[name], wanted, exact[HEAT], width, side)
        for step in _makers(steps, name):
            out[step.output] = _only(out[step.output], stay)
        at = 0
        for step in readers:
            count = len(step.weight)
            own = bias[at : at + count].reshape(len(step.bias), -1).mean(1)
            own_weight = weight[at : at + count].reshape(count, len(stay), side, side)
            out[step.output] = replace(step, weight=own_weight.float().contiguous().numpy(), bias=own.float().numpy())
            at += count
    return [out[step.output] for step in made]


def _kept(steps: Steps, images: Tensor, names: set[str]) -> Values:
    parts = [maps_of(steps, part, names) for part in torch.split(images, 12)]
    return {name: torch.cat([part[name] for part in parts]) for name in names}


def _makers(steps: Steps, name: str) -> list[Step]:
    """The convolutions whose output channels are those of ``name``: its own, or both of a sum."""
    (step,) = (s for s in steps if s.output == name)
    return [step] if step.weight is not None else [s for s in steps if s.output in step.inputs]


def _narrow(source: Tensor, wanted: Tensor, heat: Tensor, width: int, side: int) -> tuple[list[int], Tensor, Tensor]:
    """The channels that stay, and weights and biases of convolutions that read them; channels go one by one."""
    channels = source.shape[1]
    hints = F.max_pool2d(heat, heat.shape[2] // source.shape[2]) > _HINT
    counts = torch.where(hints, 1.0, _ELSEWHERE).flatten()
    some = torch.randperm(len(counts))[:_CELLS]
    x = F.unfold(source, side, padding=side // 2).transpose(1, 2).flatten(0, 1)[some].double()
    squares, products, x_mean, y_mean = _solved(x, _rows(wanted)[some].double(), counts[some, None].double())
    spread = (_rows(wanted)[some].double() - y_mean).square().mean(0).sqrt()

    def inputs(stay: Sequence[int]) -> list[int]:
        return [channel * side * side + i for channel in stay for i in range(side * side)]

    def explained(stay: Sequence[int]) -> float:
        own = inputs(stay)
        scaled = products[own] / spread
        return float((scaled * torch.linalg.solve(squares[own][:, own], scaled)).sum())

    stay = list(range(channels))
    while len(stay) > width:
        stay.remove(max(stay, key=lambda one: explained([other for other in stay if other != one])))
    own = inputs(stay)
    weight = torch.linalg.solve(squares[own][:, own], products[own])
    return stay, weight.T, y_mean - x_mean[own] @ weight
