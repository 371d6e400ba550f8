"""How a command is added to ``mien``: its panel in the list of all, its docstring as flowing text, and its examples.

Leaves out: the commands.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import typer
from typer.core import TyperArgument, TyperCommand, TyperGroup

__all__ = ["Command", "Commands", "Group", "examples_of"]

_HEAD = "Examples:"


class Group(TyperGroup):
    """For ``typer.Typer(cls=...)`` of an app that :class:`Commands` are added to."""

    def get_params(self, ctx: Any) -> list[Any]:
        return _plain(super().get_params(ctx))


class Command(TyperCommand):
    """What each command is: see :func:`_plain`."""

    def get_params(self, ctx: Any) -> list[Any]:
        return _plain(super().get_params(ctx))


class Commands:
    """Adds functions as commands to an ``app``."""

    def __init__(self, app: typer.Typer) -> None:
        self._app = app

    def __call__(
        self,
        command: Callable[..., Any],
        panel: str | None = None,
        *examples: str,
        hidden: bool = False,
        cls: type[Command] = Command,
    ) -> None:
        """Add ``command`` under its own name, in a ``panel`` of the list, with ``examples`` below its options.

        cls  how its words are read, where that is not the usual way
        """
        paragraphs = inspect.cleandoc(command.__doc__ or "").split("\n\n")
        about = "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)
        lines = [f"[bold]{_HEAD}[/]", *(f"[cyan]$ {_escaped(example)}[/]" for example in examples)]
        add = self._app.command(
            cls=cls,
            help=about,
            epilog="\n\n".join(lines) if examples else None,
            hidden=hidden,
            rich_help_panel=panel,
        )
        add(command)


def examples_of(epilog: str | None) -> list[str]:
    """The examples that a command's epilog shows, as they are typed."""
    lines = (epilog or "").split("\n\n")[1:]
    return [line.removeprefix("[cyan]$ ").removesuffix("[/]").replace("\\[", "[") for line in lines]


def _plain(parameters: list[Any]) -> list[Any]:
    """Arguments in capitals, as errors name them, and no type beside a flag: typer from 0.29 on has both otherwise."""
    for p in parameters:
        if p.metavar is None and isinstance(p, TyperArgument):
            p.metavar = p.name.upper()
        elif p.metavar is None and p.is_flag:
            p.metavar = ""
    return parameters


def _escaped(text: str) -> str:
    return text.replace("[", "\\[")
