"""What runs the networks that predict: the CPU by onnxruntime, and what else is installed; chosen here for everything.

    cpu       onnxruntime, whose answers every other figure of ours is about
    cuda      onnxruntime's CUDA provider, from the package onnxruntime-gpu
    coreml    its CoreML provider, in onnxruntime's package for macOS
    openvino  its OpenVINO provider (onnxruntime-openvino), or the package openvino itself
    auto      cuda where it can be had, else cpu: nothing else was measured to be faster (docs/scale.md)

Leaves out: opening a file (``session``), and training, whose devices are torch's.
"""

from __future__ import annotations

import importlib.util
import threading
from collections.abc import Mapping, Sequence
from typing import Any

from mien.errors import ConfigError, need

__all__ = ["CPU", "DEVICES", "OpenVino", "provider_of", "providers_for"]

#: What ``device`` may say.
DEVICES = ("cpu", "cuda", "openvino", "coreml", "auto")

#: onnxruntime's name of the CPU.
CPU = "CPUExecutionProvider"

_PROVIDERS = {
    "cuda": "CUDAExecutionProvider",
    "openvino": "OpenVINOExecutionProvider",
    "coreml": "CoreMLExecutionProvider",
}
_REMEDY = {
    "cuda": "pip install onnxruntime-gpu, in the place of onnxruntime",
    "coreml": "onnxruntime has it on macOS only",
    "openvino": "pip install openvino",
}


def providers_for(device: str, available: Sequence[str]) -> list[str]:
    """onnxruntime's providers for ``device``, the wanted one first; empty: the package openvino itself.

    available  the providers that this onnxruntime has

    ConfigError for a device that is unknown, or that is not here, with what to install.
    """
    if device not in DEVICES:
        raise ConfigError(f"device must be {', '.join(DEVICES)}, got {device!r}")
    if device == "auto":
        device = "cuda" if _PROVIDERS["cuda"] in available else "cpu"
    if device == "cpu":
        return [CPU]
    if _PROVIDERS[device] in available:
        return [_PROVIDERS[device], CPU]
    if device == "openvino" and importlib.util.find_spec("openvino"):
        return []
    there = ", ".join(p.removesuffix("ExecutionProvider") for p in available)
    raise ConfigError(f"device {device} is not to be had here, where onnxruntime has {there}: {_REMEDY[device]}")


def provider_of(session: Any) -> str:
    """What runs a session's network, as onnxruntime calls it, or ``openvino`` for the package."""
    return str(session.get_providers()[0])


class OpenVino:
    """A file on OpenVINO, with as much of a session of onnxruntime as is used here; for several threads at once.

    session  the same file in onnxruntime, which knows its metadata, inputs and outputs
    """

    def __init__(self, path: str, session: Any, threads: int | None) -> None:
        openvino = need("openvino", "openvino")
        settings = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"}
        if threads:
            settings["INFERENCE_NUM_THREADS"] = str(threads)
        self._compiled, self._session, self._own = (
            openvino.Core().compile_model(path, "CPU", settings),
            session,
            threading.local(),
        )

    def run(self, names: Sequence[str], feeds: Mapping[str, Any], options: Any = None) -> list[Any]:
        """Arrays of the outputs called ``names``."""
        if not hasattr(self._own, "request"):
            self._own.request = self._compiled.create_infer_request()
        found = self._own.request.infer(dict(feeds))
        return [found[name].copy() for name in names]

    def get_providers(self) -> list[str]:
        """Who runs it."""
        return ["openvino"]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)
