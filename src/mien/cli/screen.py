"""The streams and the console of every command: nothing that is printed can fail for want of a letter.

Files and pipes get UTF-8, whatever the platform's code page is; a terminal keeps its encoding, and gets what it
has no letter for escaped as JSON writes it. Leaves out: what is printed.
"""

from __future__ import annotations

import codecs
import io
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout

import typer
from rich.console import Console

__all__ = [
    "first_rank",
    "letters",
    "one_speaks",
    "prepare_streams",
    "print_folded",
    "show_warnings",
    "speaks",
    "stdout",
]

_WHOLE = 1000  # columns; wider than any table of ours
_ESCAPE = "mien.escape"  # the name of our error handler of codecs


def prepare_streams() -> None:
    """Let stdout and stderr of this process take any text; called once, by the command itself."""
    codecs.register_error(_ESCAPE, _escaped)
    for stream in (sys.stdout, sys.stderr):
        if not isinstance(stream, io.TextIOWrapper):
            continue  # a notebook's, or none at all
        unicode = codecs.lookup(stream.encoding).name.startswith("utf-8")
        stream.reconfigure(encoding=None if unicode or stream.isatty() else "utf-8", errors=_ESCAPE)


def first_rank() -> bool:
    """Whether this process speaks: the first of those that torchrun started, or the only one."""
    return os.environ.get("RANK", "0") == "0"


def speaks(error: Exception) -> bool:
    """Whether this process tells of an error: the first does, or the first of those that are left."""
    return os.environ.get("RANK", "0") == str(getattr(error, "told_by", 0))


@contextmanager
def one_speaks() -> Iterator[None]:
    """Of several processes only the first prints; what ends one of the others unexpectedly is printed all the same."""
    if first_rank():
        yield
        return
    with open(os.devnull, "w", encoding="utf-8") as nowhere, redirect_stdout(nowhere), redirect_stderr(nowhere):
        yield


@contextmanager
def show_warnings() -> Iterator[None]:
    """Print what the library warns of on stderr, for as long as it lasts, whoever else listens to its log."""
    handler = logging.Handler(logging.WARNING)
    handler.emit = lambda record: typer.echo(record.getMessage(), err=True)  # type: ignore[method-assign]
    log = logging.getLogger("mien")
    log.addHandler(handler)
    try:
        yield
    finally:
        log.removeHandler(handler)


def stdout() -> Console:
    """A console on stdout that neither colours numbers nor wraps sentences."""
    console = Console(highlight=False, soft_wrap=True)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = _WHOLE
    return console


def print_folded(line: str, indent: int) -> None:
    """Print ``line``, in rich's markup; what is wider than the terminal goes on below, after ``indent`` blanks."""
    from rich.text import Text

    console = stdout()
    text = Text.from_markup(line)
    if not console.is_terminal or len(text) <= console.width or console.width <= 2 * indent:
        console.print(text, soft_wrap=True, highlight=False)
        return
    first, *rest = text.wrap(console, console.width)
    tail = Text(" ").join(rest).wrap(console, console.width - indent)
    for part in (first, *(Text(" " * indent) + piece for piece in tail)):
        console.print(part, soft_wrap=True, highlight=False)


def letters(words: str) -> bool:
    """Whether stdout's encoding has all letters of ``words``."""
    try:
        words.encode(getattr(sys.stdout, "encoding", None) or "utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _escaped(error: UnicodeError) -> tuple[str, int]:
    """What an encoding lacks as UTF-16 units ``\\uXXXX``: valid in a JSON string and readable elsewhere."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    units = error.object[error.start : error.end].encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[i : i + 2].hex()}" for i in range(0, len(units), 2)), error.end
