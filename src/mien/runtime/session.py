"""One way to open an ONNX file: on the CPU, with a set number of threads, and with an error that says what to do."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from mien.errors import ConfigError, ModelError

__all__ = ["open_session"]


def open_session(path: str | os.PathLike[str], threads: int | None = None) -> Any:
    """An ``onnxruntime.InferenceSession`` on the CPU; ``threads`` None lets onnxruntime choose."""
    if threads is not None and threads < 1:
        raise ConfigError(f"threads must be at least 1, got {threads}")
    if not Path(path).is_file():
        raise ModelError(f"{os.fspath(path)}: no such file")
    import onnxruntime  # here, so that a detector that needs none of it starts without it

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors only
    options.intra_op_num_threads = threads or 0
    options.inter_op_num_threads = 1
    # waiting threads sleep: spinning ones take the core from whatever else runs, and that costs more than it gains
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return onnxruntime.InferenceSession(os.fspath(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime raises a dozen classes of its own, all derived from Exception
        raise ModelError(f"{os.fspath(path)}: not an ONNX model that onnxruntime can load ({error})") from error
