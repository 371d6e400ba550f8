"""Where training runs and in which precision; both choose themselves.

Leaves out: data and models. Nothing here is called at import.
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from torch import Generator, Tensor

from mien.errors import ConfigError

__all__ = ["Graph", "autocast", "describe", "keep_memory", "lent", "pick_device"]


def pick_device(name: str = "auto") -> torch.device:
    """``"auto"`` takes CUDA, then MPS, then the CPU; any other name is checked to be usable. Of several processes that
    torchrun started each has a CUDA device of its own.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    if name == "cuda" and int(os.environ.get("WORLD_SIZE", "1")) > 1:
        name = f"cuda:{os.environ.get('LOCAL_RANK', '0')}"
    try:
        return torch.empty(0, device=name).device
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0]
        raise ConfigError(f"device must be auto, cpu, cuda or mps and present here, got {name!r} ({reason})") from error


def has_bf16(device: torch.device) -> bool:
    """Whether bf16 is fast: CPUs with avx512_bf16 (elsewhere it is slower than float32), GPUs that support it."""
    if device.type == "cpu":
        return bool(getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)())
    return device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)


def autocast(device: torch.device) -> AbstractContextManager[Any]:
    """Forward passes inside run in bf16 where it is fast."""
    return torch.autocast(device.type, torch.bfloat16) if has_bf16(device) else nullcontext()


@contextmanager
def lent(device: torch.device) -> Iterator[Generator]:
    """For as long as it lasts ``device`` is the current one, cuDNN searches for the fastest convolution (batches of one
    size are worth it), and the default generator of ``device``, from which dropout draws, is the caller's to seed.

    Afterwards all three are what they were.
    """
    generator, search = _default_generator(device), torch.backends.cudnn.benchmark
    before = generator.get_state()
    torch.backends.cudnn.benchmark = True
    try:
        with torch.cuda.device(device) if device.type == "cuda" else nullcontext():
            yield generator
    finally:
        generator.set_state(before)
        torch.backends.cudnn.benchmark = search


def _default_generator(device: torch.device) -> Generator:
    if device.type == "cuda":
        return torch.cuda.default_generators[device.index]
    return torch.mps._get_default_mps_generator() if device.type == "mps" else torch.default_generator


def describe(device: torch.device) -> dict[str, Any]:
    """Conditions for results: device, threads, precision."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    return {"device": name, "threads": torch.get_num_threads(), "bf16": has_bf16(device)}


class Graph:
    """A function of tensors on a CUDA device that becomes a CUDA graph: its kernels are launched together, since
    launching them one by one takes longer than running them where networks are small.

    The first calls are ordinary ones, in which libraries choose their algorithms; then a call is recorded, and every
    later one replays it. Each gives the same tensor, overwritten. What the device's default generator draws follows its
    seed as usual. A function that chooses by a value on the device cannot be recorded: torch raises RuntimeError.
    """

    _FIRST = 3

    def __init__(self, function: Callable[..., Tensor]) -> None:
        self.function = function
        self.calls = 0
        self.graph: torch.cuda.CUDAGraph | None = None

    def __call__(self, *x: Tensor) -> Tensor:
        self.calls += 1
        if self.calls == self._FIRST + 1:
            graph, self.x = torch.cuda.CUDAGraph(), [t.clone() for t in x]
            with torch.cuda.graph(graph):
                self.out = self.function(*self.x)
            self.graph = graph
        if self.graph is not None:
            for own, given in zip(self.x, x, strict=True):
                own.copy_(given, non_blocking=True)
            self.graph.replay()
            return self.out
        # not on the default stream, which recording must not depend on
        side, usual = torch.cuda.Stream(), torch.cuda.current_stream()  # type: ignore[no-untyped-call]
        side.wait_stream(usual)
        with torch.cuda.stream(side):
            out = self.function(*x)
        usual.wait_stream(side)
        return out


def keep_memory() -> None:
    """Let glibc keep freed blocks instead of returning each one to the kernel.

    A training step frees and takes the same megabytes again and again; without this every one is mapped and zeroed
    anew (10-25 % of a step of the 2019 network). It holds for the whole process and cannot be taken back, so the
    commands call it and the library does not; call it yourself in a process that is there to train. Does nothing on
    other C libraries.
    """
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(-3, 2**30)  # M_MMAP_THRESHOLD
        mallopt(-1, 2**31 - 1)  # M_TRIM_THRESHOLD
