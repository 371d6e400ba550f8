"""What ``mien predict`` says to people: a small table a photo on stdout, and on stderr what came of the run.

Leaves out: data (``mien.results``).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import typer

from mien.cli.screen import stdout
from mien.faces import Face
from mien.results.cells import one_line
from mien.results.resume import Kept
from mien.results.schema import Record
from mien.spec import ModelSpec

__all__ = ["PhotoTables", "report"]


class PhotoTables:
    """A small table a photo on stdout; at the end how good the model is."""

    on_stdout = True

    def __init__(self, spec: ModelSpec) -> None:
        self._console, self._spec = stdout(), spec

    def add(self, record: Record) -> None:
        """Print one photo."""
        from rich.markup import escape
        from rich.table import Table

        from mien.labels import colour

        photo = record.photo
        if photo.error:
            return  # stderr names it
        title = f"[bold]{escape(one_line(photo.source))}[/]"
        if not photo.faces:
            self._console.print(f"{title}  no face found", soft_wrap=True)
            return
        table = Table("face", "expression", "probability", "left, top, right, bottom", "", box=None, pad_edge=False)
        for i, f in enumerate(photo, start=1):
            name = f"[{colour(f.label)}]{escape(f.label)}[/]"
            place = ", ".join(f"{v:.0f}" for v in f.box)
            table.add_row(str(i), name, f"{f.confidence:.1%}", place, escape(_doubt(f)))
        self._console.print(title + ("  no face can be used" if photo.outcome == "unusable" else ""), soft_wrap=True)
        self._console.print(table)

    def close(self, complete: bool, about: Mapping[str, Any]) -> None:
        """Print how good the model is."""
        from rich.markup import escape

        from mien.runtime import accuracy_line

        self._console.print(f"[dim]{escape(accuracy_line(self._spec))}[/]", soft_wrap=True, highlight=False)


def _doubt(face: Face) -> str:
    """``unusable: too small: ...``, ``unsure, or sad``, or nothing."""
    if not face.usable and face.quality is not None:
        return "unusable: " + "; ".join(face.quality.problems)
    return f"unsure, or {', '.join(face.prediction_set[1:])}" if face.uncertain else ""


def report(count: Counter[str], path: str, kept: Kept, passed: str) -> None:
    """What came of the run and where it went, on stderr."""
    for note in kept.notes:
        typer.echo(f"note: {note}", err=True)
    if path:
        before = f" ({len(kept.photos)} were there)" if kept.photos else ""
        again = f" ({kept.changed} of them again, their files have changed)" if kept.changed else ""
        parts = [f"{count['face']} faces", f"{count['no face']} photos without a face"]
        if count["unusable"]:
            parts.append(f"{count['unusable']} with unusable faces only")
        typer.echo(f"{path}: {count['photos']} photos{again}{before}, {', '.join(parts)}", err=True)
    if passed:
        typer.echo(passed, err=True)
