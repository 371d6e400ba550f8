"""The page of the command line, from the commands themselves: usage, what it does, arguments, options, examples.

Leaves out: what ``mien --help`` shows in a terminal.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from typer.main import get_command

from mien.cli import app
from mien.cli.commands import examples_of, value_word

__all__ = ["commands_page"]

_HEAD = """# The command line

`mien --help` and `mien COMMAND --help` say the same in a terminal. stdout carries data, stderr progress; the exit code
is 0 where all went well, 1 where a picture, a film or a part of it could not be read, 2 for what cannot be done as it
was asked, 130 after Ctrl-C. `--out` is where results go, `--draw` the pictures or the video that were given with faces
marked in them; neither overwrites anything without `--force`. `mien --install-completion` sets up completion for bash,
zsh, fish or PowerShell.
"""


def commands_page() -> str:
    """Markdown, a section a command."""
    return "\n\n".join([_HEAD, *_group(get_command(app), "mien")]) + "\n"


def _group(group: Any, path: str) -> Iterator[str]:
    for name, command in group.commands.items():
        if getattr(command, "commands", None):
            yield from _group(command, f"{path} {name}")
        elif not command.hidden:
            yield from _command(command, f"{path} {name}")


def _command(command: Any, path: str) -> Iterator[str]:
    yield f"## {path}"
    yield _text(command.help or "")
    shown = [p for p in command.params if not getattr(p, "hidden", False) and p.name != "help"]
    examples = "\n".join(f"$ {example}" for example in examples_of(command.epilog))
    yield f"```console\n{examples}\n```"
    rows = ["| | default | |", "| --- | --- | --- |"]
    for p in shown:
        if p.param_type_name == "argument":
            name = f"`{(p.metavar or p.name).upper()}`" + (" (needed)" if p.required else "")
        else:
            value = f" {p.metavar or value_word(p)}".rstrip()
            name = f"`{', '.join(p.opts)}{value}`" + (" (needed)" if p.required else "")
        rows.append(f"| {name} | {_default(p)} | {_cell(p.help or '')} |")
    yield "\n".join(rows)


def _default(p: Any) -> str:
    value = p.default
    if p.required or callable(value) or value in (None, "", False, True, (), []):
        return ""
    return f"`{value}`"


def _cell(text: str) -> str:
    return _text(text).replace("|", "\\|").replace("\n", " ")


def _text(text: str) -> str:
    """Patterns and placeholders are text, what stands in backquotes is code, names of pages are links."""
    parts = text.split("`")
    parts[::2] = [re.sub(r"([*<\[])", r"\\\1", part) for part in parts[::2]]
    return re.sub(r"\bdocs/([\w-]+)\.md", r"[\1.md](\1.md)", "`".join(parts))
