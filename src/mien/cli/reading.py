"""Reading ``--data`` for every command: what was chosen, left out, skipped or passed over is named on stderr."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args

import typer

from mien.wording import counted

if TYPE_CHECKING:
    from mien.data import FaceDataset, Reading
    from mien.data.votes import Target

__all__ = ["Colour", "Data", "SkipBad", "left_out", "name_left_out", "read_data", "target_of"]

Data = Annotated[
    str,
    typer.Argument(metavar="DATA", help="A FER2013 CSV (also .gz, zip, tar), pictures, Parquet, a pack, synthetic:N."),
]
Colour = Annotated[bool, typer.Option("--colour", help="Read faces in colour (RGB), not in grey.")]
SkipBad = Annotated[
    bool, typer.Option("--skip-bad", help="Leave out rows and pictures that cannot be read, and name them.")
]

_NAMED = 20  # problems that are named one by one; mien data info --json names all


def name_left_out(reading: Reading) -> None:
    """Name what was skipped, count it, and count by kind what was passed over, on stderr."""
    for problem in reading.skipped[:_NAMED]:
        typer.echo(f"skipped {problem}", err=True)
    if len(reading.skipped) > _NAMED:
        typer.echo(f"... and {len(reading.skipped) - _NAMED:,} more (mien data info --json names all)", err=True)
    if reading.skipped:
        typer.echo(f"skipped: {counted(len(reading.skipped), 'row or picture', 'rows or pictures')}", err=True)
    if reading.passed:
        typer.echo(str(reading.passed), err=True)


def left_out(reading: Reading) -> dict[str, Any]:
    """The same and the notes, for JSON."""
    skipped = [str(p) for p in reading.skipped]
    return {"skipped": skipped, "passed_over": reading.passed.to_dict(), "notes": reading.notes}


def target_of(target: str | None, votes: Path | None) -> Target | None:
    """``--target`` as ``data.votes`` takes it; ConfigError for another word, or without ``--votes``."""
    from mien.data.votes import Target
    from mien.errors import ConfigError

    kinds: dict[str | None, Target | None] = {None: None, **{k: k for k in get_args(Target)}}
    if target not in kinds:
        raise ConfigError(f"--target must be one of {', '.join(get_args(Target))}, got {target!r}")
    if target is not None and votes is None:
        raise ConfigError("--target needs --votes FILE")
    return kinds[target]


def read_data(
    data: str,
    *,
    votes: Path | None = None,
    target: str | None = None,
    skip_bad: bool = False,
    size: int | None = None,
    mixed: int = 48,
    colour: bool = False,
) -> FaceDataset:
    """The faces at ``data``; with ``votes`` and ``target`` those that FER+ labels, see ``data.votes``; ``size``,
    ``mixed`` and ``colour`` as for ``data.read_source``.
    """
    from mien.data import read_source

    kind = target_of(target, votes)
    reading = read_source(data, votes=votes, target=kind, skip_bad=skip_bad, size=size, mixed=mixed, colour=colour)
    for note in reading.notes:
        typer.echo(f"note: {note}", err=True)
    name_left_out(reading)
    return reading.dataset
