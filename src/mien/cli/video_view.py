"""What ``mien video`` says of a recording at its end: the sums and segments on the screen, and the timeline's file.

Leaves out: what is kept (``mien.results.recorder``).
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import typer
from rich.markup import escape
from rich.table import Table

from mien.cli.screen import stdout
from mien.labels import colour
from mien.results.recorder import VideoRecorder
from mien.runtime import accuracy_line
from mien.spec import ModelSpec
from mien.wording import counted

__all__ = ["draw_timeline", "report"]

_LISTED = 40  # segments on the screen


def draw_timeline(recorder: VideoRecorder, table: Path, source: str, spec: ModelSpec) -> Path | None:
    """Draw ``NAME-timeline.png`` beside the table; None where no face was followed, MissingExtra without matplotlib."""
    path = table.with_name(f"{table.stem}-timeline.png")
    drawn = recorder.timeline.draw(path, f"{Path(source).name}   |   {accuracy_line(spec)}", recorder.end)
    return path if drawn else None


def report(recorder: VideoRecorder, written: Iterable[tuple[str, Path | None]], spec: ModelSpec) -> None:
    """Print sums and segments; the names of the files that were ``written`` go to stderr."""
    console = stdout()
    share = f" ({recorder.without / recorder.frames:.1%})" if recorder.frames else ""
    console.print(f"frames             {recorder.frames:,}   from {recorder.first or 0:.2f} to {recorder.last:.2f} s")
    console.print(f"faces              {recorder.faces:,}   in {counted(recorder.tracks, 'track')}")
    console.print(f"without a face     {counted(recorder.without, 'frame')}{share}")
    console.print(f"with unusable ones {counted(recorder.unusable, 'frame')}")
    if recorder.broken:
        console.print(f"broken or missing  {counted(recorder.missing, 'frame')}")
    console.print(f"segments           {recorder.count:,}")
    if recorder.segments:
        console.print(_table(recorder))
    if recorder.count > _LISTED:
        where = f"; {recorder.segment_path} has all" if recorder.segment_path else "; --out FILE keeps all"
        console.print(escape(f"... and {counted(recorder.count - _LISTED, 'segment')} more{where}"))
    for what, path in written:
        if path is not None:
            typer.echo(f"{what}: {path}", err=True)
    console.print(f"[dim]{escape(accuracy_line(spec))}[/]", soft_wrap=True, highlight=False)


def _table(recorder: VideoRecorder) -> Table:
    table = Table("track", "label", "start s", "end s", "mean probability", "frames", box=None, pad_edge=False)
    for e in recorder.segments[:_LISTED]:
        name = f"[{colour(e.label)}]{escape(e.label)}[/]"
        table.add_row(str(e.track), name, f"{e.start:.2f}", f"{e.end:.2f}", f"{e.probability:.1%}", f"{e.frames:,}")
    return table
