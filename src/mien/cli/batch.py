"""``mien batch``: photos by the million into a folder of Parquet files. Leaves out: everything but flags and a bar."""

from __future__ import annotations

import sys
from time import monotonic
from types import TracebackType
from typing import TYPE_CHECKING, Any

import typer

from mien.cli.options import DETECTOR, DETECTOR_FILE, DETECTOR_SIZE, DEVICE, MODEL
from mien.wording import counted

if TYPE_CHECKING:
    from mien.batch import Summary

__all__ = ["batch"]

_OUTCOMES = {"faces": "with faces", "unusable": "with none to use", "no face": "without", "unreadable": "unreadable"}
_EVERY = 30.0  # seconds between lines where stderr is no terminal


def batch(
    photos: list[str] = typer.Argument(
        help="Photos, folders, patterns, and Parquet files with a column of pictures; paths or addresses (s3://...)."
    ),
    out: str = typer.Option(..., help="The folder of results, a path or an address.", metavar="FOLDER"),
    engine: str = typer.Option("local", help="What carries it: local (processes), daft or ray."),
    workers: int = typer.Option(0, help="Processes; 0: one for each processor.", min=0),
    partition: int = typer.Option(1000, help="The most photos of one file of results.", min=1),
    image_column: str = typer.Option("", help="Column of the pictures' bytes in Parquet files.", metavar="NAME"),
    id_column: str = typer.Option("", help="Column that names the pictures there.", metavar="NAME"),
    model: str = MODEL,
    detector: str = DETECTOR,
    detector_model: str = DETECTOR_FILE,
    detector_size: str = DETECTOR_SIZE,
    device: str = DEVICE,
    resume: bool = typer.Option(False, "--resume", help="Go on with what --out holds, and with photos that are new."),
    force: bool = typer.Option(False, "--force", help="Take away the results that --out holds, and begin anew."),
) -> None:
    """Find and name the faces in very many photos; the results are Parquet files, docs/scale.md says more.

    A file of results is there whole or not at all, and each photo is in one of them alone, whoever is killed meanwhile:
    --resume does what is missing. A photo that cannot be read is a row with its error, and the exit code is then 1.
    """
    from mien.batch import run_batch
    from mien.runtime import Predictor, make_detector

    finder = make_detector(detector, detector_model or None, size=detector_size, threads=1, device=device)
    with _Progress() as shown:
        summary = run_batch(
            photos,
            out,
            Predictor(model or None, finder, 1, device=device),
            engine=engine,
            workers=workers or None,
            size=partition,
            image=image_column or None,
            id=id_column or None,
            resume=resume,
            force=force,
            begun=shown.begin,
            progress=shown.at,
        )
    typer.echo(_told(summary, out), err=True)
    if summary.passed:
        typer.echo(summary.passed, err=True)
    if summary.counts["unreadable"]:
        raise typer.Exit(1)


class _Progress:
    """How far it is and how fast: a bar on a terminal, else a line every half minute; on Ctrl-C, what to do next."""

    def __init__(self) -> None:
        self._bar: Any = None
        self._total = self._began = self._told = 0.0

    def begin(self, summary: Summary) -> None:
        self._total, self._began = summary.total - summary.kept, monotonic()
        self._told = self._began
        kept = f", {summary.kept:,} of them done before" if summary.kept else ""
        typer.echo(f"{counted(summary.total, 'photo')}{kept}", err=True)
        if sys.stderr.isatty():
            self._bar = _bar(self._total)

    def at(self, done: int) -> None:
        if self._bar:
            self._bar.update(self._bar.task_ids[0], completed=done)
        elif monotonic() - self._told > _EVERY:
            self._told = monotonic()
            rate = done / (self._told - self._began)
            left = _duration((self._total - done) / rate) if rate else "unknown"
            typer.echo(f"{done:,} of {self._total:,.0f} photos, {rate:,.1f} a second, {left} left", err=True)

    def __enter__(self) -> _Progress:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        if self._bar:
            self._bar.stop()
        if kind is KeyboardInterrupt:
            typer.echo("what is written is kept, --resume goes on with it", err=True)


def _bar(total: float) -> Any:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.speed:.1f} a second"), TimeRemainingColumn())
    bar = Progress(*columns, console=Console(stderr=True), transient=True, redirect_stdout=False)
    bar.add_task("photos", total=total)
    bar.start()
    return bar


def _told(summary: Summary, out: str) -> str:
    counts = summary.counts
    if not counts:
        return f"all of it had been done ({counted(summary.total, 'photo')}): nothing to do"
    outcomes = ", ".join(f"{counts[name]:,} {words}" for name, words in _OUTCOMES.items())
    rate = counts["photos"] / summary.seconds if summary.seconds else 0
    return (
        f"{counted(counts['photos'], 'photo')} in {_duration(summary.seconds)}, {rate:,.1f} a second: "
        f"{counted(counts['face'], 'face')}; "
        f"{outcomes}; results in {out}"
    )


def _duration(seconds: float) -> str:
    """``2 d 3 h``, ``3 h 20 min``, ``4 min 10 s``: the two largest units."""
    units = (("d", 86400), ("h", 3600), ("min", 60), ("s", 1))
    rest, parts = round(seconds), list[str]()
    for name, size in units:
        if rest >= size or (name == "s" and not parts):
            parts.append(f"{rest // size} {name}")
        rest %= size
    return " ".join(parts[:2])
