"""One way to open an ONNX file: on a device, with a set number of threads, and with an error that says what to do.

It is also the one way to onnxruntime itself, whose telemetry stays off: nothing leaves the machine.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from mien.errors import ConfigError, ModelError
from mien.runtime.devices import CPU, OpenVino, provider_of, providers_for

__all__ = ["load_onnxruntime", "open_session"]

_TELEMETRY = "ORT_DISABLE_TELEMETRY"  # looked at once, when onnxruntime is imported


def load_onnxruntime() -> Any:
    """The module ``onnxruntime``, imported with its telemetry off unless the user's environment says otherwise.

    From version 1.29 it would send events, and keep a device's number and a queue of events in the cache folder. Its
    own function ``disable_telemetry_events`` comes too late: those files are written by the import. A program that
    has imported onnxruntime before mien has decided for itself.
    """
    if "onnxruntime" not in sys.modules and _TELEMETRY not in os.environ:
        os.environ[_TELEMETRY] = "1"
        try:
            import onnxruntime
        finally:
            del os.environ[_TELEMETRY]
    import onnxruntime

    return onnxruntime


def open_session(path: str | os.PathLike[str], threads: int | None = None, device: str = "cpu") -> Any:
    """An ``onnxruntime.InferenceSession``, or what does as one; ``threads`` None lets it choose.

    device  see ``mien.runtime.devices``; ConfigError where it cannot be had
    """
    if threads is not None and threads < 1:
        raise ConfigError(f"threads must be at least 1, got {threads}")
    if not Path(path).is_file():
        raise ModelError(f"{os.fspath(path)}: no such file")
    onnxruntime = load_onnxruntime()  # here, so that a detector that needs none of it starts without it
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors only
    options.intra_op_num_threads = threads or 0
    options.inter_op_num_threads = 1
    # waiting threads sleep: spinning ones take the core from whatever else runs, and that costs more than it gains
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    providers = providers_for(device, onnxruntime.get_available_providers())
    try:
        session = onnxruntime.InferenceSession(os.fspath(path), options, providers=providers or [CPU])
    except Exception as error:  # onnxruntime raises a dozen classes of its own, all derived from Exception
        raise ModelError(f"{os.fspath(path)}: not an ONNX model that onnxruntime can load ({error})") from error
    if not providers:
        return OpenVino(os.fspath(path), session, threads)
    if provider_of(session) != providers[0]:  # it takes the CPU instead, and only logs why
        raise ConfigError(f"--device {device}: onnxruntime cannot start {providers[0]}; are its libraries installed?")
    return session
