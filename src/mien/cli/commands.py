"""How a command is added to ``mien``: its panel in the list of all, its docstring as flowing text, and its examples.

Leaves out: the commands.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import typer

__all__ = ["Commands", "examples_of"]

_HEAD = "Examples:"


class Commands:
    """Adds functions as commands to an ``app``."""

    def __init__(self, app: typer.Typer) -> None:
        self._app = app

    def __call__(
        self, command: Callable[..., Any], panel: str | None = None, *examples: str, hidden: bool = False
    ) -> None:
        """Add ``command`` under its own name, in a ``panel`` of the list, with ``examples`` below its options."""
        paragraphs = inspect.cleandoc(command.__doc__ or "").split("\n\n")
        about = "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)
        lines = [f"[bold]{_HEAD}[/]", *(f"[cyan]$ {_escaped(example)}[/]" for example in examples)]
        add = self._app.command(
            help=about, epilog="\n\n".join(lines) if examples else None, hidden=hidden, rich_help_panel=panel
        )
        add(command)


def examples_of(epilog: str | None) -> list[str]:
    """The examples that a command's epilog shows, as they are typed."""
    lines = (epilog or "").split("\n\n")[1:]
    return [line.removeprefix("[cyan]$ ").removesuffix("[/]").replace("\\[", "[") for line in lines]


def _escaped(text: str) -> str:
    return text.replace("[", "\\[")
