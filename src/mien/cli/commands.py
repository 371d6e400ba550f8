"""How a command is added to ``mien``: its panel in the list of all, its docstring as flowing text, and its examples;
and the panels of its own options, where they are many.

Leaves out: the commands.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import typer
from typer.core import TyperArgument, TyperCommand, TyperGroup

__all__ = ["Command", "Commands", "Group", "examples_of", "value_word"]

_HEAD = "Examples:"
_MANY = 12  # options that are still one list
#: Panel -> the options in it, by the names of their parameters: an option stands in the same one everywhere.
_PANELS = {
    "Data": "data split val_split votes target size colour skip_bad split_seed",
    "Learning": "epochs batch_size lr weight_decay teacher init freeze add_head budget",
    "Time": "fps every look smooth hold max_gap baseline markers bin_",
    "Tests": "measure test alpha scores max_missing max_unsure min_seconds max_lost",
    "External models": "function labels pixels layout",
    "Comparisons": "against group_by groups corrupt",
    "Networks": "model detector detector_model detector_size",
    "Machine": "device threads jobs workers engine partition sync_bn plan",
    "Results": "out name also table results as_json as_csv draw plot corrupt_plot show lsl excel tensorboard resume "
    "force",
}
_PANEL_OF = {name: panel for panel, names in _PANELS.items() for name in names.split()}


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
    """Arguments in capitals, as errors name them, a word for each value in place of its type, and many in panels."""
    options = [p for p in parameters if not isinstance(p, TyperArgument) and not p.hidden and p.name != "help"]
    for p in parameters:
        if p.metavar is None:
            p.metavar = p.name.upper() if isinstance(p, TyperArgument) else value_word(p)
    if len(options) > _MANY:
        for p in options:
            p.rich_help_panel = _PANEL_OF.get(p.name)
    return parameters


def value_word(option: Any) -> str:
    """What stands for an option's value: N for a number, else the option's own name; nothing for a flag."""
    if option.is_flag:
        return ""
    number = isinstance(option.default, int | float) or getattr(option, "min", None) is not None
    return "N" if number else str(option.opts[0].lstrip("-").upper())


def _escaped(text: str) -> str:
    return text.replace("[", "\\[")
