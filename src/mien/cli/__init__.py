"""The ``mien`` command. Each command imports what it needs, inside; stdout carries data, stderr carries progress.

Leaves out: all logic. A command turns flags into arguments, calls the library and prints what comes back.
"""

from __future__ import annotations

import errno
import sys
import warnings
from typing import Any

import typer

from mien import __version__
from mien.cli.agree import agree
from mien.cli.batch import batch
from mien.cli.compare import compare
from mien.cli.data import data_app
from mien.cli.demo import demo
from mien.cli.evaluate import evaluate, export
from mien.cli.explain import explain
from mien.cli.info import info
from mien.cli.inspect import inspect
from mien.cli.predict import predict
from mien.cli.screen import prepare_streams
from mien.cli.serve import serve
from mien.cli.train import train
from mien.cli.video import video
from mien.errors import MienError

__all__ = ["app", "main"]

app = typer.Typer(
    help="Facial expression recognition: train, evaluate, explain and use it.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)


def _version(value: bool) -> None:
    if value:
        typer.echo(f"mien {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Show the version."),
) -> None:
    """Facial expression recognition: train, evaluate, explain and use it."""


app.command()(demo)
app.command()(predict)
app.command()(batch)
app.command()(serve)
app.command()(video)
app.command()(agree)
app.command()(explain)
app.command()(inspect)
app.command()(info)
app.command()(train)
app.command()(evaluate)
app.command()(export)
app.command()(compare)
app.add_typer(data_app, name="data", help="Look at a data set, save its images, audit it.")


def main() -> None:
    """Entry point: errors of ours become one clear line on stderr and exit code 2."""
    prepare_streams()
    usual = warnings.showwarning

    def show(message: Warning | str, category: type[Warning], *where: Any, **more: Any) -> None:
        """Words that have changed are one line for who types them, not a place in our code."""
        if issubclass(category, FutureWarning):
            typer.echo(f"warning: {message}", err=True)
        else:
            usual(message, category, *where, **more)

    try:
        with warnings.catch_warnings():
            warnings.showwarning = show
            app()
    except MienError as error:
        typer.secho("error: ", fg="red", bold=True, nl=False, err=True)
        typer.echo(str(error), err=True)
        sys.exit(2)
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        typer.echo("error: the disk is full where stdout goes: make room", err=True)
        sys.exit(2)
    except KeyboardInterrupt:
        typer.echo("stopped", err=True)
        sys.exit(130)
