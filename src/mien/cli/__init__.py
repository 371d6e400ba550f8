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
from mien.cli.commands import Commands, Group
from mien.cli.compare import compare
from mien.cli.data import data_app
from mien.cli.demo import demo
from mien.cli.doctor import doctor
from mien.cli.evaluate import evaluate, export
from mien.cli.explain import explain
from mien.cli.hub import hub_app
from mien.cli.info import info
from mien.cli.inspect import inspect
from mien.cli.json_option import PrintsJson
from mien.cli.predict import predict
from mien.cli.screen import one_speaks, prepare_streams, speaks
from mien.cli.serve import serve
from mien.cli.signals import term_stops
from mien.cli.study import study
from mien.cli.train import train
from mien.cli.video import video
from mien.cli.web import web
from mien.errors import MienError

__all__ = ["app", "main"]

app = typer.Typer(
    cls=Group,
    help="Facial expression recognition: train, evaluate, explain and use it.",
    no_args_is_help=True,
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


_USE, _STUDY, _TRAIN, _HERE = "Photos and videos", "Studies", "Data and networks", "This installation"

add = Commands(app)
add(
    predict,
    _USE,
    "mien predict photo.jpg",
    "mien predict album --out faces.csv --draw marked",
    "mien predict 'party/*.jpg' --json",
)
add(
    batch,
    _USE,
    "mien batch album --out answers",
    "mien batch s3://bucket/photos --out answers --resume",
)
add(
    video,
    _USE,
    "mien video talk.mp4 --out talk.csv --draw marked.mp4",
    "mien video films --out results --jobs 2",
    "mien video 0 --show",
)
add(
    explain,
    _USE,
    "mien explain photo.jpg --out maps --faithfulness",
    "mien explain photo.jpg --method stability --json",
    "mien explain --data fer2013.csv --split PublicTest --per-class --out maps",
)
add(web, _USE, "mien web public")
add(
    serve,
    _USE,
    "mien serve --open",
    "mien serve --video talk.mp4 --open",
    "mien serve --host 0.0.0.0 --allow-host faces.example.org",
)
add(
    agree,
    _STUDY,
    "mien agree talk.csv coder1.eaf coder2.eaf",
    "mien agree talk.csv coder.eaf --map 'a=angry,h=happy' --out agreement.csv",
)
add(
    study,
    _STUDY,
    "mien study design.csv --out study",
    "mien study design.csv --results results --out study --measure latency",
)
app.add_typer(
    data_app,
    name="data",
    help="Look at a data set, audit it; draw a study.",
    rich_help_panel=_TRAIN,
)
add(
    train,
    _TRAIN,
    "mien train mien-nano --data fer2013.csv --out runs/a",
    "mien train mien-nano --data fer2013.csv --out runs/a --resume",
)
add(
    evaluate,
    _TRAIN,
    "mien evaluate mien-small --data fer2013.csv --split PublicTest",
    "mien evaluate runs/a --against mien-small --data faces --corrupt",
    "mien evaluate runs/a --data fer2013.csv --split PublicTest --out table.tex",
    cls=PrintsJson,
)
add(compare, _TRAIN, "mien compare --data fer2013.csv --budget 10m --out compare", "mien compare --list")
add(export, _TRAIN, "mien export runs/a mine.onnx", "mien export runs/a mine.onnx --int8 --data fer2013.csv")
app.add_typer(hub_app, name="hub", help="A model as a folder for Hugging Face's hub.", rich_help_panel=_TRAIN)
add(demo, _HERE, "mien demo", "mien demo --data faces --photo me.jpg --seconds 120")
add(info, _HERE, "mien info", "mien info mien-nano")
add(doctor, _HERE, "mien doctor", "mien doctor --json")
add(inspect, hidden=True)


def main() -> None:
    """Entry point: errors of ours become one clear line on stderr and exit code 2."""
    with term_stops():
        _run()


def _run() -> None:
    prepare_streams()
    usual = warnings.showwarning

    def show(message: Warning | str, category: type[Warning], *where: Any, **more: Any) -> None:
        """Words that have changed are one line for who types them, not a place in our code."""
        if issubclass(category, FutureWarning):
            typer.echo(f"warning: {message}", err=True)
        else:
            usual(message, category, *where, **more)

    try:
        with warnings.catch_warnings(), one_speaks():
            warnings.showwarning = show
            app()
    except MienError as error:
        if speaks(error):
            typer.secho("error: ", fg="red", bold=True, nl=False, err=True)
            typer.echo(str(error), err=True)
        sys.exit(2)
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        typer.echo("error: the disk is full where stdout goes: make room", err=True)
        sys.exit(2)
    except (KeyboardInterrupt, ImportError) as error:
        if isinstance(error, ImportError) and not isinstance(error.__cause__ or error.__context__, KeyboardInterrupt):
            raise  # what a compiled module makes of Ctrl-C while it is loaded
        typer.echo("stopped", err=True)
        sys.exit(130)
