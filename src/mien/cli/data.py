"""``mien data``: info, images, pack, audit, and the films of a made-up study."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mien.cli.audit import audit
from mien.cli.commands import Commands, Group
from mien.cli.json_option import PrintsJson
from mien.cli.reading import Colour, Data, SkipBad, left_out, name_left_out
from mien.cli.screen import stdout
from mien.wording import counted

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
    colour = " in colour" if summary.channels == 3 else ""
    for text in (f"{counted(summary.images, 'image')} of {height} x {width} pixels{colour}, from {summary.source}",
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
    from mien.data.save_images import check_out, save_images
    from mien.data.sources import read_source

    check_out(out)
    reading = read_source(data, skip_bad=skip_bad)
    with _bar("saving", len(reading.dataset)) as done:
        saved = save_images(reading.dataset, out, done)
    there = f", {saved.kept:,} were there already" if saved.kept else ""
    typer.echo(f"{counted(saved.written, 'image')} saved in {out}{there}; fingerprint {reading.dataset.fingerprint}")
    name_left_out(reading)


def pack(
    data: Data,
    out: Annotated[Path, typer.Argument(metavar="OUT", help="A new folder.")],
    size: Annotated[
        int | None, typer.Option(min=1, max=4096, help="Side in pixels that faces are resized to; their own without.")
    ] = None,
    colour: Colour = False,
    votes: Annotated[Path | None, typer.Option(metavar="FILE", help="FER+ votes, fer2013new.csv.")] = None,
    target: Annotated[str | None, typer.Option(help="With --votes: majority, argmax, soft or both.")] = None,
    skip_bad: SkipBad = False,
) -> None:
    """Write a data set to a folder from which faces are read as they are needed, for sets that memory does not hold.

    OUT takes the place of the data in every command. Pictures and Parquet pass through memory one at a time.
    """
    from mien.cli.reading import target_of
    from mien.data import read_source
    from mien.data.packed import pack as write

    kind = target_of(target, votes)
    with _bar("packing", None) as done:
        reading = write(
            lambda kept: read_source(
                data, votes=votes, target=kind, skip_bad=skip_bad, size=size, colour=colour, kept=kept
            ),
            out,
            done,
        )
    faces = reading.dataset
    height, width = faces.size
    kinds = f"{height} x {width} pixels, {'colour' if faces.channels == 3 else 'grey'}"
    typer.echo(f"{counted(len(faces), 'face')} of {kinds}, {faces.images.nbytes / 1e6:,.1f} MB, in {out}")
    name_left_out(reading)


def study(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="A new or empty folder.")],
    participants: Annotated[int, typer.Option(min=2, help="How many drawn people are filmed.")] = 12,
    seconds: Annotated[float, typer.Option(min=1, help="That the rest, and each of four clips, last.")] = 4.0,
    fps: Annotated[float, typer.Option(min=5, max=60, help="Frames a second.")] = 12.0,
    seed: Annotated[int, typer.Option(min=0, help="Seed of who they are and how they react.")] = 0,
) -> None:
    """Draw the films of a made-up study and write its design, to try `mien study` on before anybody is filmed."""
    from mien.data.save_images import check_out
    from mien.errors import need
    from mien.study.made_up import make_study

    need("av", "video")
    check_out(out)
    with _bar("drawing", participants) as done:
        design = make_study(out, participants=participants, seconds=seconds, rate=fps, seed=seed, tell=done)
    typer.echo(f"written: {design}, and the films in {out / 'films'}")


@contextmanager
def _bar(what: str, total: int | None) -> Iterator[Callable[[int], None]]:
    """A bar on stderr while it lasts, told how many are done; ``total`` where that is known."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=total)
        yield lambda done: bar.update(task, completed=done)


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
    "mien data audit fer2013.csv --votes fer2013new.csv --out audit.json",
    cls=PrintsJson,
)
_add(
    pack,
    None,
    "mien data pack affectnet packed --size 112 --colour",
    "mien data pack fer2013.csv packed --votes fer2013new.csv --target both",
)
_add(images, None, "mien data images fer2013.csv pictures")
_add(study, None, "mien data study made-up", "mien data study made-up --participants 20 --seconds 8")
