"""``mien data``: info, images, audit, and the films of a made-up study."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mien.cli.audit import audit
from mien.cli.commands import Commands, Group
from mien.cli.reading import Data, SkipBad, left_out, name_left_out
from mien.cli.screen import stdout

if TYPE_CHECKING:
    from rich.table import Table

    from mien.data.summary import Summary

__all__ = ["data_app"]

data_app = typer.Typer(cls=Group, no_args_is_help=True)


def info(
    data: Data,
    votes: Annotated[Path | None, typer.Option(metavar="FILE", help="FER+ votes, fer2013new.csv.")] = None,
    skip_bad: SkipBad = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Show what a data set holds: images per class and split, size, fingerprint, and what to beware of."""
    from mien.data.sources import read_source
    from mien.data.summary import summarise

    reading = read_source(data, votes=votes, skip_bad=skip_bad)
    summary = summarise(reading.dataset)
    if as_json:
        typer.echo(json.dumps({**asdict(summary), **left_out(reading)}, indent=2, ensure_ascii=False))
        return
    console = stdout()
    console.print(_table(summary))
    height, width = summary.size
    for text in (f"{summary.images:,} images of {height} x {width} pixels, from {summary.source}",
                 f"fingerprint {summary.fingerprint}",
                 *(f"note: {n}" for n in reading.notes),
                 *(f"warning: {w}" for w in summary.warnings)):  # fmt: skip
        console.print(text, markup=False, highlight=False, soft_wrap=True)
    name_left_out(reading)


def images(
    data: Data,
    out: Annotated[Path, typer.Argument(metavar="OUT", help="A new or empty folder, or one to go on with.")],
    skip_bad: SkipBad = False,
) -> None:
    """Save every image as a lossless PNG in OUT/split/class/, with an index that reads back to the same data."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from mien.data.save_images import check_out, save_images
    from mien.data.sources import read_source

    check_out(out)
    reading = read_source(data, skip_bad=skip_bad)
    columns = (TextColumn("saving"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("saving", total=len(reading.dataset))
        saved = save_images(reading.dataset, out, lambda done: bar.update(task, completed=done))
    there = f", {saved.kept:,} were there already" if saved.kept else ""
    typer.echo(f"{saved.written:,} images saved in {out}{there}; fingerprint {reading.dataset.fingerprint}")
    name_left_out(reading)


def study(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="A new or empty folder.")],
    participants: Annotated[int, typer.Option(min=2, help="How many drawn people are filmed.")] = 12,
    seconds: Annotated[float, typer.Option(min=1, help="That the rest, and each of four clips, last.")] = 4.0,
    fps: Annotated[float, typer.Option(min=5, max=60, help="Frames a second.")] = 12.0,
    seed: Annotated[int, typer.Option(min=0, help="Seed of who they are and how they react.")] = 0,
) -> None:
    """Draw the films of a made-up study and write its design, to try `mien study` on before anybody is filmed."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from mien.data.save_images import check_out
    from mien.errors import need
    from mien.study.made_up import make_study

    need("av", "video")
    check_out(out)
    columns = (TextColumn("drawing"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("drawing", total=participants)
        design = make_study(
            out,
            participants=participants,
            seconds=seconds,
            rate=fps,
            seed=seed,
            tell=lambda done: bar.update(task, completed=done),
        )
    typer.echo(f"written: {design}, and the films in {out / 'films'}")


def _table(summary: Summary) -> Table:
    from rich.table import Table

    several = len(summary.counts) > 1
    table = Table(show_footer=True)
    table.add_column("class", footer="total")
    total = sum(sum(c.values()) for c in summary.counts.values())
    for split, counts in summary.counts.items():
        footer = f"{sum(counts.values()) + summary.unlabelled[split]:,}"
        table.add_column(split or "images", footer=footer, justify="right")
    if several:
        table.add_column("total", footer=f"{summary.images:,}", justify="right")
    table.add_column("share", justify="right")
    for name in next(iter(summary.counts.values()), {}):
        row = [counts[name] for counts in summary.counts.values()]
        share = f"{100 * sum(row) / total:.1f} %" if total else "-"
        table.add_row(name, *(f"{n:,}" for n in row), *([f"{sum(row):,}"] if several else []), share)
    if any(summary.unlabelled.values()):
        row = list(summary.unlabelled.values())
        table.add_row("(unlabelled)", *(f"{n:,}" for n in row), *([f"{sum(row):,}"] if several else []), "")
    return table


_add = Commands(data_app)
_add(info, None, "mien data info fer2013.csv", "mien data info faces --json")
_add(
    audit,
    None,
    "mien data audit fer2013.csv --sheet worst.png",
    "mien data audit fer2013.csv --votes fer2013new.csv --json audit.json",
)
_add(images, None, "mien data images fer2013.csv pictures")
_add(study, None, "mien data study made-up", "mien data study made-up --participants 20 --seconds 8")
