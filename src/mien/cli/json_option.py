"""``--json`` of commands whose results can go into a file: it prints, ``--out`` writes; the old way, one release more.

Leaves out: what is printed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from mien.cli.commands import Command

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["PrintsJson", "todays_words"]


class PrintsJson(Command):
    """A command whose ``--json`` took a file: ``--json FILE`` is ``--out FILE`` now, and ``--json -`` is ``--json``."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """The command line with today's words."""
        return super().parse_args(ctx, list(todays_words(args)))


def todays_words(args: Sequence[str]) -> Iterator[str]:
    """``args`` with ``--out FILE`` for ``--json FILE``; what is renamed is told on stderr."""
    given = iter(args)
    for word in given:
        if word.startswith("--json="):
            yield from _renamed(word.removeprefix("--json="))
        elif word == "--json":
            after = next(given, None)
            if after is not None and (after == "-" or after.lower().endswith(".json")):
                yield from _renamed(after)
            else:
                yield word
                yield from () if after is None else (after,)
        else:
            yield word


def _renamed(file: str) -> tuple[str, ...]:
    new = ("--json",) if file == "-" else ("--out", file)
    typer.echo(f"--json {file} is {' '.join(new)} now; the old way goes with the next release", err=True)
    return new
