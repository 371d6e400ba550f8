"""The one console that commands print tables with: as wide as the terminal, and never cut in a file or a pipe."""

from __future__ import annotations

import os

from rich.console import Console

__all__ = ["stdout"]

_WHOLE = 1000  # columns; wider than any table of ours


def stdout() -> Console:
    """A console on stdout that neither colours numbers nor wraps sentences."""
    console = Console(highlight=False, soft_wrap=True)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = _WHOLE
    return console
