"""Options that several commands share, word for word, the completion and meaning of their values, and old names.

Leaves out: what is done with them.
"""

from __future__ import annotations

import re
from typing import Any, TypeVar

import typer

__all__ = [
    "DETECTOR",
    "DETECTOR_FILE",
    "DETECTOR_SIZE",
    "DEVICE",
    "DRAW_OLD",
    "MODEL",
    "complete_from",
    "complete_models",
    "renamed",
    "seconds_of",
]

_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0}

T = TypeVar("T")


def complete_from(*words: str) -> Any:
    """A completion of ``words``; what begins like none of them is completed as a file's name by the shell."""
    return lambda incomplete: [word for word in words if word.startswith(incomplete)]


def complete_models(incomplete: str) -> list[str]:
    """The names of shipped models."""
    from mien.runtime import shipped_models

    return [name for name in shipped_models() if name.startswith(incomplete)]


def renamed(old: str, new: str, given: T, instead: T) -> T:
    """The value of an option by its new or its old name, which works for one release and says so."""
    if not given:
        return instead
    typer.echo(f"{old} is called {new} now; the old name goes with the next release", err=True)
    return instead or given


MODEL: Any = typer.Option(
    "",
    help="A shipped model (see `mien info`) or an .onnx file; MODEL:HEAD for one head.",
    autocompletion=complete_models,
)
DETECTOR: Any = typer.Option(
    "centerface",
    help="centerface, fast (half the time), yunet (with --detector-model), or none for face crops.",
    autocompletion=complete_from("centerface", "fast", "yunet", "none"),
)
DETECTOR_FILE: Any = typer.Option("", help="The detector's own ONNX file.", metavar="FILE")
#: For ``make_detector(size=...)``, which knows the rule.
DETECTOR_SIZE: Any = typer.Option(
    "auto",
    metavar="PIXELS",
    help="Long side at which faces are searched for. auto: 480, then larger where small faces show or none is found.",
)
#: For ``Predictor(device=...)`` and ``make_detector(device=...)``.
DEVICE: Any = typer.Option(
    "cpu",
    help="cpu, cuda, openvino, coreml, or auto: cuda where it is there.",
    autocompletion=complete_from("cpu", "cuda", "openvino", "coreml", "auto"),
)
#: What ``--draw`` was called.
DRAW_OLD: Any = typer.Option("", "--save", hidden=True)


def seconds_of(budget: str | None) -> float | None:
    """What ``--budget`` says: ``"90s"``, ``"10m"``, ``"2h"`` or a plain number of seconds."""
    from mien.errors import ConfigError

    if budget is None:
        return None
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smh]?)", budget.strip().lower())
    seconds = float(found[1]) * _UNITS[found[2] or "s"] if found else 0.0
    if seconds <= 0:
        raise ConfigError(f"--budget must be a time above 0 such as 90s, 10m or 2h, got {budget!r}")
    return seconds
