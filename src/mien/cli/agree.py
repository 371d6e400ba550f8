"""``mien agree``: how far mien agrees with human coders, and they with each other.

Leaves out: all arithmetic (``mien.study``).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import typer
from rich.markup import escape

from mien.cli.screen import stdout
from mien.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Table

    from mien.study import Comparison, Level, Problem
    from mien.study.agreement import Figure

__all__ = ["agree"]

_NAMED = 20  # problems on the screen


def agree(
    files: list[Path] = typer.Argument(
        help="Tables of mien video (.csv, .jsonl, .parquet) and coders' files (.eaf, .TextGrid, .boris, .csv, .tsv)."
    ),
    tier: list[str] | None = typer.Option(None, help="Tier to compare; again for another coder.", metavar="NAME"),
    map_: str = typer.Option("", "--map", help="The coder's words, such as a=angry,h=happy; b= leaves b out."),
    uncoded: str = typer.Option(
        "", help="The label of what no annotation covers; else it is missing.", metavar="LABEL"
    ),
    track: str = typer.Option("", help="The person's track or tracks, such as 1 or 1,4.", metavar="N[,N]"),
    column: str = typer.Option("label", help="label, raw_label, or relative_label (mien video --baseline)."),
    hold: float = typer.Option(0.4, min=0, help="Seconds that a label of mien must last to be a segment."),
    overlap: float = typer.Option(0.5, help="What two segments must share of what they cover, to be the same one."),
    block: float = typer.Option(5.0, help="Seconds of a block of the bootstrap over time."),
    bootstrap: str = typer.Option("", help="time or recordings; recordings where there are 8 or more.", metavar="OVER"),
    seed: int = typer.Option(0, min=0, help="Seed of the bootstrap."),
    json_: bool = typer.Option(False, "--json", help="Print one JSON document with everything."),
    out: Path | None = typer.Option(None, help="Write the figures as CSV, a row each."),
    force: bool = typer.Option(False, "--force", help="Write --out anew if it is there already."),
) -> None:
    """Compare what mien said with what people coded: percent, kappa, alpha, F1 and confusion, by frames and segments.

    What cannot be used is named on stderr; where that is a recording or a coder's file the exit code is 1, and the
    others are compared. docs/study.md says how.
    """
    from mien.files import check_new
    from mien.results.writers import CsvFile
    from mien.study import AGREEMENT_COLUMNS, Rules, compare, document, read_recordings, rows

    if out is not None:
        check_new(out, force=force)
        if out.suffix.lower() != ".csv":
            raise ConfigError(f"--out must end in .csv, got {out}")
    if bootstrap not in ("", "time", "recordings"):
        raise ConfigError(f"--bootstrap must be time or recordings, got {bootstrap!r}")
    rules = Rules(hold, overlap, block, bootstrap, seed=seed)
    recordings, labels, problems = read_recordings(
        files, tiers=tier or (), mapping=map_, uncoded=uncoded, tracks=_tracks(track), column=column
    )
    _name(problems)
    found = compare(recordings, labels, rules)
    if out is not None:
        from mien.files import replace_file

        def write(path: Path) -> None:
            with CsvFile(path, AGREEMENT_COLUMNS) as file:
                file.write(list(rows(found)))

        replace_file(out, write)
        typer.echo(f"table: {out}", err=True)
    if json_:
        typer.echo(json.dumps(document(found, problems), indent=1, ensure_ascii=False))
    else:
        _show(found)
    if any(p.whole for p in problems):
        raise typer.Exit(1)


def _tracks(text: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",") if part.strip()]
    except ValueError as error:
        raise ConfigError(f"--track must be numbers such as 1 or 1,4, got {text!r}") from error


def _name(problems: Sequence[Problem]) -> None:
    for problem in problems[:_NAMED]:
        typer.echo(f"not used: {problem}", err=True)
    if len(problems) > _NAMED:
        typer.echo(f"not used: {len(problems) - _NAMED:,} more; --json names all", err=True)


def _show(found: Comparison) -> None:
    from mien.study.agreement_tables import shares

    console = stdout()
    console.print(_missing(list(shares(found.recordings))))
    console.print(_summary(found))
    for name, figure in found.alphas.items():
        console.print(escape(f"alpha of {name} together, by frames: {_words(figure)}"))
    for level in found.levels:
        if level.level == "frames" and level.n:
            console.print(_confusion(level, found.labels))
    over = f"blocks of {found.rules.block:g} s" if found.over == "time" else "recordings"
    draws = f"{found.rules.draws:,} draws, seed {found.rules.seed}"
    text = f"Intervals: 95 %, bootstrap over {over}, {draws}; none where there is too little."
    console.print(f"[dim]{escape(text)}[/]", soft_wrap=True, highlight=False)


def _missing(told: Sequence[dict[str, object]]) -> Table:
    from rich.table import Table

    table = Table("recording", "coder", "frames", "coded", "unsure", "missing", box=None, pad_edge=False)
    for t in told:
        missing = t["missing"]
        assert isinstance(missing, dict)
        why = ", ".join(f"{n:,} {reason}" for reason, n in missing.items()) or "0"
        cells = (str(t["recording"]), str(t["coder"]), f"{t['frames']:,}", f"{t['coded']:,}", str(t.get("unsure", "")))
        table.add_row(*map(escape, (*cells, why)))
    return table


def _summary(found: Comparison) -> Table:
    from rich.table import Table

    table = Table("between", "by", "n", "percent", "kappa", "alpha", box=None, pad_edge=False)
    for level in found.levels:
        m = level.measures
        kappa = m.get("kappa") or m["kappa of linked"]
        cells = (_words(m["percent"], 1), _words(kappa), _words(m["alpha"]) if "alpha" in m else "")
        table.add_row(escape(f"{level.first}, {level.second}"), level.level, f"{level.n:,}", *cells)
    return table


def _confusion(level: Level, labels: Sequence[str]) -> Table:
    from rich.table import Table

    from mien.labels import short

    title = f"\nframes: {level.first} (rows), {level.second} (columns)"
    table = Table("", *map(short, labels), "F1", title=escape(title), title_justify="left", box=None, pad_edge=False)
    for column in table.columns[1:]:
        column.justify = "right"
    for label, counts in zip(labels, level.counts.tolist(), strict=True):
        table.add_row(escape(label), *(f"{n:,}" for n in counts), _words(level.measures[f"f1 {label}"]))
    return table


def _words(figure: Figure, digits: int = 2) -> str:
    if figure.value is None:
        return "undefined"
    span = "" if figure.low is None else f" ({figure.low:.{digits}f} to {figure.high:.{digits}f})"
    return f"{figure.value:.{digits}f}{span}"
