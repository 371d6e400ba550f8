"""A smaller face detector learns to say what CenterFace says: distillation (Hinton et al. 2015, arXiv 1503.02531).

Targets are the float network's maps, before the sigmoid, where either hints at a face, and on every texture what it has
between its blocks (hints: Romero et al. 2015, arXiv 1412.6550), so that features that were learnt on photographs stay
where generated scenes have nothing to say. First each block learns alone: all at once did not learn at all, and is the
better way once the blocks say about the same. Weights are learnt in units of their channel's size, since batch norms
are folded and Adam takes steps of one length. Leaves out: which channels there are (``detector_pruning``).
"""

from __future__ import annotations

import math
import queue
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from bench.export.detector_network import HEAT, OUTPUTS, Steps, convolved, maps_of
from bench.runtime.scenes import KINDS, Scenes, whole_photographs

__all__ = ["PHASES", "Phase", "distilled", "loss_of", "pictures", "teacher", "tensor_of"]

Batch = tuple[Tensor, dict[str, Tensor]]

TAPS = ("369", "377", "387", "394", "404", "413", "420", "430", "439", "448", "455", "465", "474", "481", "491", "500")
NEAR, AROUND = 8.0, 9  # how much more a cell counts near a face, and the side of what is near, in cells of the heat map
SMALL, LARGE = (320, 256), (640, 512)  # sides of most pictures and of every fourth batch's
SLOW, DECAY = 50, 0.997  # first batches of a phase, over which the rate rises, and of the average of weights


@dataclass(frozen=True)
class Phase:
    """Batches that are learnt from in one way.

    rates    Adam's first and last; in between along a cosine
    apart    each block learns alone what the whole network has there, else the loss of all goes back through all
    weights  of the parts of the loss
    """

    batches: int
    rates: tuple[float, float]
    apart: bool
    weights: Mapping[str, float]

    def rate(self, number: int) -> float:
        first, last = self.rates
        return min(1, number / SLOW) * (last + (first - last) * (1 + math.cos(math.pi * number / self.batches)) / 2)


PHASES = (
    Phase(3750, (1e-3, 7.4e-4), True, {HEAT: 1, "scale": 4, "offset": 1, "landmarks": 2, "features": 8}),
    Phase(2500, (6e-4, 3.4e-4), False, {HEAT: 1, "scale": 6, "offset": 1, "landmarks": 8, "features": 6}),
    Phase(3000, (3.4e-4, 3e-5), False, {HEAT: 1, "scale": 15, "offset": 1, "landmarks": 16, "features": 4}),
)


def tensor_of(images: list[NDArray[np.uint8]]) -> Tensor:
    """uint8 ``(H, W, 3)`` BGR pictures of one size -> float32 ``(n, 3, H, W)`` RGB, 0..255."""
    stacked = np.stack(images)[..., ::-1].transpose(0, 3, 1, 2)
    return torch.from_numpy(np.ascontiguousarray(stacked, dtype=np.float32)).contiguous(
        memory_format=torch.channels_last
    )


def pictures(crops: NDArray[np.uint8], seed: int, batch: int = 6) -> Iterator[list[NDArray[np.uint8]]]:
    """Batches without end: generated scenes of all kinds, and one picture in six made of whole photographs."""
    small, large = Scenes(crops, seed, SMALL), Scenes(crops, seed + 1, LARGE)
    kinds, number = [*KINDS, "few", "few", "near", "many"], 0
    while True:
        rng = np.random.default_rng([seed, number])
        if number % 4 == 3:
            images = [large.one(number, kinds[(number // 4) % len(kinds)]).image]
        else:
            images = [small.one(number * batch + i, kinds[(number + i) % len(kinds)]).image for i in range(1, batch)]
            images.append(whole_photographs(rng, SMALL))
        yield [_tinted(rng, image) if rng.random() < 0.5 else image for image in images]
        number += 1


def _tinted(rng: np.random.Generator, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Another gamma, colour and contrast: any picture will do, since the float network says what is in it."""
    out = (image / np.float32(255)) ** rng.uniform(0.6, 1.6) * rng.uniform(0.7, 1.2, 3)
    out = (out - 0.5) * rng.uniform(0.6, 1.2) + 0.5
    return np.asarray(np.clip(out * 255, 0, 255), np.uint8)


def teacher(path: Path) -> Callable[[Tensor], dict[str, Tensor]]:
    """CenterFace's file on onnxruntime: a batch -> outputs and taps."""
    import onnx
    import onnxruntime

    model, names = onnx.load(str(path)), [*OUTPUTS, *TAPS]
    for name in (HEAT, *TAPS):
        model.graph.output.append(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None))
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])

    def told(images: Tensor) -> dict[str, Tensor]:
        made = session.run(names, {"image": images.numpy()})
        return {name: torch.from_numpy(values) for name, values in zip(names, made, strict=True)}

    return told


def loss_of(found: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Parts of the loss.

    A cell counts from a logit of -4 on, in full from 0 on, for whichever of both says more; sizes, places and
    landmarks by the float network's probability. Features by squared error in variances of the float network's channel.
    """
    said, heat = found[HEAT].clamp(-6, 4), wanted[HEAT].clamp(-6, 4)
    counts = ((torch.maximum(said.detach(), heat) + 4) / 4).clamp(0, 1)
    cells = counts.sum().clamp_min(20)
    parts = {HEAT: (F.smooth_l1_loss(said, heat, reduction="none", beta=0.5) * counts).sum() / cells}
    for name in OUTPUTS[1:]:
        off = (found[name] - wanted[name]).abs().clamp_max(3).mean(1, keepdim=True)
        parts[name] = (off * heat.sigmoid()).sum() / cells
    near = 1 + NEAR * F.max_pool2d(heat.sigmoid(), AROUND, 1, AROUND // 2)
    parts["features"] = torch.stack([_off(found[name], wanted[name], near) for name in TAPS]).mean()
    return parts


def _off(found: Tensor, wanted: Tensor, near: Tensor) -> Tensor:
    every = max(1, wanted.shape[2] // 32)
    spread, counts = wanted[..., ::every, ::every].var((0, 2, 3)), F.interpolate(near, wanted.shape[2:], mode="area")
    factor = 1 / (spread + 0.05 * spread.mean() + 1e-6).sqrt()
    off = (found - wanted) * ((counts / counts.sum()).sqrt() * factor[:, None, None])
    return off.square().sum() / len(factor)


class Student:
    """Weights to learn, each in units of its channel's: of the root mean square, biases of the output's spread."""

    def __init__(self, steps: Steps, images: Tensor) -> None:
        self.steps = steps
        self.units: dict[str, tuple[Tensor, Tensor]] = {}
        self.learnt: dict[str, tuple[Tensor, Tensor]] = {}
        with torch.no_grad():
            kept = maps_of(steps, images, {name for step in steps for name in step.inputs})
            for step in steps:
                if step.weight is None or step.bias is None:
                    continue
                weight, bias = torch.from_numpy(step.weight.copy()), torch.from_numpy(step.bias.copy())
                size = weight.square().mean((1, 2, 3), keepdim=True).sqrt()
                spread = convolved(step, kept[step.inputs[0]]).std((0, 2, 3))
                spread = spread.view(len(bias), -1).mean(1)
                units = tuple(torch.maximum(unit, 0.1 * unit.median()).clamp_min(1e-6) for unit in (size, spread))
                self.units[step.output] = (units[0], units[1])
                self.learnt[step.output] = (
                    (weight / units[0]).contiguous(memory_format=torch.channels_last).requires_grad_(),
                    (bias / units[1]).requires_grad_(),
                )

    def parameters(self) -> list[Tensor]:
        return [values for both in self.learnt.values() for values in both]

    def scaled(self) -> dict[str, tuple[Tensor, Tensor]]:
        """Weights and biases as they count."""
        return {n: (self.learnt[n][0] * u[0], self.learnt[n][1] * u[1]) for n, u in self.units.items()}

    def folded(self, parameters: list[Tensor]) -> Steps:
        """Steps with the given parameters."""
        given = dict(zip(self.learnt, zip(parameters[::2], parameters[1::2], strict=True), strict=True))
        out = Steps()
        for step in self.steps:
            if step.output in given:
                weight, bias = (
                    np.ascontiguousarray((v * u).detach().numpy())
                    for v, u in zip(given[step.output], self.units[step.output], strict=True)
                )
                step = replace(step, weight=weight, bias=bias)
            out.append(step)
        return out


def _ahead(batches: Iterator[list[NDArray[np.uint8]]], ask: Callable[[Tensor], dict[str, Tensor]]) -> Iterator[Batch]:
    """The same, with the float network's maps, made by a thread beside."""
    made: queue.Queue[Batch] = queue.Queue(4)

    def work() -> None:
        for images in batches:
            x = tensor_of(images)
            made.put((x, ask(x)))

    threading.Thread(target=work, daemon=True).start()
    while True:
        yield made.get()


def distilled(
    steps: Steps,
    batches: Iterator[list[NDArray[np.uint8]]],
    ask: Callable[[Tensor], dict[str, Tensor]],
    phases: Sequence[Phase] = PHASES,
    kept: Callable[[Steps], None] = lambda steps: None,
) -> Steps:
    """Steps that have learnt what ``ask`` says of ``batches``: averages of the weights of the last some hundred.

    kept  is called every 250 batches with what there is
    """
    stream, started = _ahead(batches, ask), time.monotonic()
    student = Student(steps, next(stream)[0])
    parameters = student.parameters()
    average = [p.detach().clone() for p in parameters]
    optimiser = torch.optim.Adam(parameters, betas=(0.9, 0.99))
    schedule = [(phase, number) for phase in phases for number in range(1, phase.batches + 1)]
    said = list[dict[str, float]]()
    for done, (phase, number) in enumerate(schedule, 1):
        optimiser.param_groups[0]["lr"] = phase.rate(number)
        images, wanted = next(stream)
        parts = loss_of(maps_of(student.steps, images, TAPS, student.scaled(), apart=phase.apart), wanted)
        optimiser.zero_grad(set_to_none=True)
        torch.stack([phase.weights[name] * value for name, value in parts.items()]).sum().backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimiser.step()
        for mean, p in zip(average, parameters, strict=True):
            mean.lerp_(p.detach(), 1 - min(DECAY, done / (done + 10)))
        said.append({name: float(value.detach()) for name, value in parts.items()})
        if done % 50 == 0:
            means = "  ".join(f"{name} {np.mean([one[name] for one in said[-50:]]):.4f}" for name in parts)
            print(f"{done} of {len(schedule)}, {time.monotonic() - started:.0f} s: {means}", flush=True)
        if done % 250 == 0:
            kept(student.folded(average))
    return student.folded(average)
