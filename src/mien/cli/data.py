"""``mien data``: info, images and audit."""

from __future__ import annotations

import typer

__all__ = ["data_app"]

data_app = typer.Typer(no_args_is_help=True)
