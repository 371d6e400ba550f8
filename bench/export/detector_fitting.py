"""What is done to the face detector before its numbers are rounded, so that rounding costs less; nothing is trained.

balanced   channels that only the next convolution reads are scaled so that all of them use the range of 8 bits that
           they share; the next weights undo it. Where that is a depthwise convolution, whose channels have a scale
           each, this is free; else both sides share the cost (cross-layer equalization: Nagel et al. 2019, arXiv
           1906.04721)
corrected  layer by layer: a bias takes up by how much the rounded network is off on average (section 4.2 there), and
           the heads, which stay float32, are fitted anew to what rounding leaves of the features: least squares that
           stay near the weights they had, over the cells in which float32 hints at a face

Leaves out: the graph (``detector_steps``), the file (``detector``).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from bench.export.detector_steps import HEADS, HEAT, STEPS, Floats, Range, Step, Steps, best_range, weight_scale

__all__ = ["fitted"]

_SAMPLES = 400  # values of a channel and batch of four that balance it
_HINT, _ELSEWHERE = -5.0, 0.002  # logit from which a cell counts for the heads, and how much another does
_STAY = 0.01  # weight of staying near the heads' own weights, in mean squares of a feature
_FREE = (*HEADS, HEAT, "blocks")  # outputs that are not rounded


def fitted(
    steps: Steps, pictures: Sequence[NDArray[np.uint8]], faces: Sequence[NDArray[np.uint8]]
) -> tuple[Steps, dict[str, Range]]:
    """Steps and ranges to be rounded.

    pictures, faces  uint8 ``(H, W, 3)`` BGR of one size: those that set the ranges, and, with large faces, that correct
    """
    with torch.no_grad():
        steps, seen = balanced(steps, sampled(steps, tensor_of(pictures)))
        found = {name: best_range(values.ravel()) for name, values in seen.items()}
        found |= {"image": Range(1.0, 0), "blocks": Range(1.0, 0)}  # whole numbers already
        found |= {s.inputs[0]: found[s.output] for s in steps if s.kind == "DepthToSpace"}  # which moves values only
        return corrected(steps, found, tensor_of(faces)), found


def tensor_of(pictures: Sequence[NDArray[np.uint8]]) -> Tensor:
    return torch.from_numpy(np.stack(pictures)[..., ::-1].transpose(0, 3, 1, 2).astype(np.float32))


def computed(step: Step, inputs: Sequence[Tensor], weight: Floats | None = None) -> Tensor:
    """What a step makes of its inputs, in float32, before its ReLU; ``weight`` in place of its own."""
    if step.kind == "Add":
        return inputs[0] + inputs[1]
    (x,) = inputs
    if step.kind != "Conv":
        n, c, rows, columns = x.shape
        if step.kind == "SpaceToDepth":  # torch has the channel first, ONNX the place in the block
            return F.pixel_unshuffle(x, 2).view(n, c, 4, rows // 2, columns // 2).transpose(1, 2).flatten(1, 2)
        return F.pixel_shuffle(x.view(n, 4, c // 4, rows, columns).transpose(1, 2).flatten(1, 2), 2)
    own, bias = (torch.tensor(v) for v in step.learnt)
    top, left, bottom, right = step.attributes.get("pads", (0, 0, 0, 0))
    used = own if weight is None else torch.tensor(weight)
    stride = step.attributes.get("strides", (1, 1))[0]
    return F.conv2d(F.pad(x, (left, right, top, bottom)), used, bias, stride, groups=groups_of(step))


def groups_of(step: Step) -> int:
    return int(step.attributes.get("group", 1))


def sampled(steps: Steps, images: Tensor) -> dict[str, Floats]:
    """Some values of each channel of each activation: name -> ``(C, n)``."""
    rng, out = np.random.default_rng(0), dict[str, list[Floats]]()
    for batch in torch.split(images, 4):
        kept = {"image": batch}
        for step in steps:
            made = computed(step, [kept[name] for name in step.inputs])
            kept[step.output] = F.relu(made) if step.relu else made
        for name, values in kept.items():
            if name not in (*_FREE, "image"):
                flat = values.transpose(0, 1).flatten(1).numpy()
                out.setdefault(name, []).append(flat[:, rng.integers(0, flat.shape[1], _SAMPLES)])
    return {name: np.concatenate(values, axis=1) for name, values in out.items()}


def balanced(steps: Steps, seen: dict[str, Floats]) -> tuple[Steps, dict[str, Floats]]:
    """Steps that compute the same with channels that are alike, and their samples."""
    out, seen = list(steps), dict(seen)
    for at, then in _pairs(steps):
        step, reader = out[at], out[then]
        width = np.array([best_range(channel).scale * 255 for channel in seen[step.output]]) + 1e-6
        weight = reader.learnt[0]
        if groups_of(reader) > 1:
            factor = np.clip(width / np.median(width), 0.02, 50)
        else:
            shared = np.sqrt(width / (np.abs(weight).max(axis=(0, 2, 3)) + 1e-9))
            factor = np.clip(shared / np.exp(np.log(shared).mean()), 0.1, 10)
        f = factor.astype(np.float32)
        out[at] = replace(step, learnt=(step.learnt[0] / f[:, None, None, None], step.learnt[1] / f))
        along = (slice(None), None, None, None) if groups_of(reader) > 1 else (None, slice(None), None, None)
        out[then] = replace(reader, learnt=(weight * f[along], reader.learnt[1]))
        seen[step.output] = seen[step.output] / f[:, None]
    return out, seen


def _pairs(steps: Steps) -> Iterator[tuple[int, int]]:
    """Convolutions with a ReLU whose one reader is a convolution, and that reader."""
    for at, step in enumerate(steps):
        readers = [i for i, other in enumerate(steps) if step.output in other.inputs]
        if step.kind == "Conv" and step.relu and len(readers) == 1 and steps[readers[0]].kind == "Conv":
            yield at, readers[0]


def corrected(steps: Steps, found: dict[str, Range], images: Tensor) -> Steps:
    """Steps whose biases and heads make up for rounding, as far as that is the same everywhere."""
    exact, rough, out = {"image": images}, {"image": images}, Steps()
    for at, step in enumerate(steps):
        wanted = computed(step, [exact[name] for name in step.inputs])
        sources = [rough[name] for name in step.inputs]
        if step.output in (*HEADS, HEAT):
            exact[step.output] = wanted
            out.append(_head(step, sources[0], wanted, exact[HEAT]))
            continue
        made = computed(step, sources, _on_the_grid(step.learnt[0]) if step.learnt else None)
        if step.learnt:
            off = (wanted - made).mean(dim=(0, 2, 3))
            made = made + off[None, :, None, None]
            step = replace(step, learnt=(step.learnt[0], (torch.tensor(step.learnt[1]) + off).numpy()))
        exact[step.output] = F.relu(wanted) if step.relu else wanted
        rough[step.output] = _in_8_bits(made, found[step.output])
        out.append(step)
        later = {name for other in steps[at + 1 :] for name in other.inputs}
        exact, rough = ({k: v for k, v in kept.items() if k in later} for kept in (exact, rough))
    return out


def _on_the_grid(weight: Floats) -> Floats:
    scale = weight_scale(weight)[:, None, None, None]
    return np.asarray(np.clip(np.rint(weight / scale), -STEPS, STEPS) * scale, np.float32)


def _in_8_bits(values: Tensor, r: Range) -> Tensor:
    """What rounding leaves; a ReLU is in it, since its zero is the lowest number."""
    return ((values / r.scale).round().add(r.zero).clamp(0, 255) - r.zero) * r.scale


def _head(step: Step, features: Tensor, wanted: Tensor, heat: Tensor) -> Step:
    """A head for rounded features that says what it said of the exact ones."""
    inputs, outputs = features.shape[1], wanted.shape[1]
    counts = ((heat[:, 0] > _HINT).double() + _ELSEWHERE).reshape(-1, 1)
    x = F.pad(features.permute(0, 2, 3, 1).reshape(-1, inputs), (0, 1), value=1.0).double()
    y = wanted.permute(0, 2, 3, 1).reshape(-1, outputs).double()
    weight, bias = (torch.tensor(v) for v in step.learnt)
    own = torch.cat([weight.reshape(outputs, inputs), bias[:, None]], dim=1).double()
    squares = (x * counts).T @ x
    near = _STAY * torch.diagonal(squares).mean() * torch.eye(inputs + 1, dtype=torch.double)
    new = (own + torch.linalg.solve(squares + near, (x * counts).T @ (y - x @ own.T)).T).float()
    return replace(step, learnt=(new[:, :inputs].reshape(weight.shape).numpy(), new[:, inputs].numpy()))
