"""``mien compare``: every method that the report names, on one data set under one protocol, as a table."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from rich.markup import escape

from mien.cli.screen import stdout

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mien.benchmark import Event, Row

__all__ = ["compare"]

_WIDE = 170  # columns that the whole table needs
_LESSER = ("95 % interval", "macro-F1", "size", "peak MB")
_SIZE = 48  # pixels, what the networks take


def compare(
    data: str = typer.Option("", help="CSV, folder, archive or Parquet of faces, or synthetic[:N]."),
    methods: str | None = typer.Option(None, help="Names, A[,B...]; all that the data allow where not given."),
    out: Path = typer.Option(Path("compare"), help="Folder for table, plot, results and what has been trained."),
    budget: str | None = typer.Option(None, help="Training time for each method, such as 90s, 10m or 2h."),
    jobs: int = typer.Option(1, min=1, help="Methods at a time; they share the cores."),
    protocol: str = typer.Option("split", help="split, or leave-one-subject-out where people are known."),
    val_split: str | None = typer.Option(None, help="Part to evaluate on; PublicTest or validation where not given."),
    seed: int = typer.Option(0, min=0, help="Seed of splits, weights and features."),
    list_methods: bool = typer.Option(False, "--list", help="Only list the methods with their sources."),
    skip_bad: bool = typer.Option(False, "--skip-bad", help="Leave bad rows out, counted, instead of stopping."),
) -> None:
    """Train and evaluate many methods under one protocol; stopped or run again, it goes on with what is missing."""
    from mien.errors import ConfigError, need

    if list_methods:
        _show_methods()
        return
    for module, extra in (("torch", "train"), ("matplotlib", "train"), ("sklearn", "classical")):
        need(module, extra)
    from mien.benchmark import choose, make_protocol, markdown, notes, record, table
    from mien.benchmark import compare as run
    from mien.cli.options import seconds_of
    from mien.cli.reading import read_data
    from mien.files import check_writable, write_text
    from mien.reporting import plots
    from mien.reporting.tabular import write_table

    if not data:
        raise ConfigError("--data is needed: a CSV, folder, archive or Parquet of faces, or synthetic")
    seconds = seconds_of(budget)
    check_writable(out)
    faces = read_data(data, skip_bad=skip_bad, size=_SIZE).with_channels(1)
    chosen, left_out = choose(methods.split(",") if methods else None, faces)
    plan = make_protocol(faces, protocol, val_split=val_split, seed=seed)
    for text in (plan.about, *(f"not run: {line}" for line in left_out)):
        typer.echo(text, err=True)
    with _Display(len(chosen)) as show:
        rows = run(chosen, plan, out, seed=seed, budget=seconds, jobs=jobs, on_event=show.on_event)
    write_text(out / "compare.json", json.dumps(record(rows, left_out), indent=1) + "\n")
    write_text(out / "compare.md", markdown(rows, left_out))
    for ending in (".csv", ".tex"):
        write_table(out / f"compare{ending}", table(rows), notes(rows, left_out))
    if any(not row.error for row in rows):
        plots.speed({r.method: (r.faces_per_second, r.scored) for r in rows if not r.error}, out / "compare.png")
    _show_table(rows)
    typer.echo(f"table, plot and results: {out}", err=True)
    if all(row.error for row in rows):
        raise typer.Exit(1)


def _show_methods() -> None:
    from rich.table import Table

    from mien.benchmark import METHODS

    table = Table("method", "what", "reported, %", "source", box=None)
    for m in METHODS.values():
        reported = ", ".join(f"{data} {figure:g}" for data, figure in m.reported.items())
        table.add_row(m.name, m.what, reported, m.source)
    stdout().print(table)


class _Display:
    """A bar for every method at work on stderr, and a line for each that has ended."""

    def __init__(self, total: int) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

        self.total, self.ended = total, 0
        self.console = Console(stderr=True, highlight=False, soft_wrap=True)
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f} %  {task.fields[step]}"),
            TimeElapsedColumn(),
            console=self.console,
            transient=True,
        )
        self._tasks: dict[str, Any] = {}

    def __enter__(self) -> _Display:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def on_event(self, event: Event) -> None:
        """Show what happened."""
        if event.kind == "start":
            self._tasks[event.method] = self._progress.add_task(event.method, total=1.0, step="reading")
        elif event.kind == "progress":
            self._progress.update(self._tasks[event.method], completed=event.share, step=event.step)
        else:
            self.ended += 1
            if event.method in self._tasks:
                self._progress.remove_task(self._tasks.pop(event.method))
            self.console.print(f"{self.ended}/{self.total} {event.method}: {_outcome(event)}")


def _outcome(event: Event) -> str:
    row = event.row
    assert row is not None
    if row.error:
        return f"[red]failed[/red], {escape(row.error)}"
    return f"{row.scored}{', from before' if event.kind == 'kept' else ''}"


def _show_table(rows: Sequence[Row]) -> None:
    """The table on stdout, without its lesser columns where the terminal is narrow; what must be known below it."""
    from rich.table import Table

    from mien.benchmark.tables import conditions, failures, remarks, sort_rows, table
    from mien.reporting.tabular import filled

    console = stdout()
    done, (head, lines) = sort_rows(rows), filled(table(rows))
    if done:
        narrow = console.width < _WIDE
        columns = [i for i, name in enumerate(head) if not (narrow and name in _LESSER)]
        shown = Table(*(head[i] for i in columns), box=None)
        for column in shown.columns[1:]:
            column.justify = "right"
        for line in lines:
            shown.add_row(*(line[i] for i in columns))
        shown.columns[0].no_wrap = True
        console.print(shown)
    for text in (*remarks(done), *failures(rows), conditions(rows)):
        console.print(escape(text))
