"""Options that several commands share, word for word."""

from __future__ import annotations

from typing import Any

import typer

__all__ = ["DETECTOR_SIZE"]

#: For ``make_detector(size=...)``, which knows the rule.
DETECTOR_SIZE: Any = typer.Option(
    "auto",
    metavar="PIXELS",
    help="Long side at which faces are searched for. auto: 640, then larger where small faces show or none is found.",
)
