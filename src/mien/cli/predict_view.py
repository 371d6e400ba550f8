"""What ``mien predict`` says to people: each photo's faces on stdout, and on stderr what came of the run.

Leaves out: data (``mien.results``).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import typer

from mien.cli.screen import letters, stdout
from mien.faces import Face
from mien.results.cells import one_line
from mien.results.resume import Kept
from mien.results.schema import Record
from mien.spec import ModelSpec
from mien.wording import counted

if TYPE_CHECKING:
    from rich.table import Table

__all__ = ["PhotoTables", "report"]

_SHOWN = 0.005  # a probability that rounds to 1 %; what is below is summed
_BAR = 30  # letters of a certain answer
_WIDE = 110  # columns from which places of faces are shown
_NEXT = 2  # expressions after the first, in a line
_EIGHTHS = " ▏▎▍▌▋▊▉"


class PhotoTables:
    """Each photo's faces on stdout, at the end how good the model is.

    alone  only one photo was given: its faces get a bar an expression, else a line each with what comes next
    """

    on_stdout = True

    def __init__(self, spec: ModelSpec, *, alone: bool = False) -> None:
        self._console, self._spec, self._alone = stdout(), spec, alone

    def add(self, record: Record) -> None:
        """Print one photo."""
        from rich.markup import escape

        photo = record.photo
        if photo.error:
            return  # stderr names it
        note = {"no face": "  no face found", "unusable": "  no face can be used"}.get(photo.outcome, "")
        self._console.print(f"[bold]{escape(one_line(photo.source))}[/]{note}", soft_wrap=True)
        if self._alone:
            for i, face in enumerate(photo, start=1):
                for line in _with_bars(i, face, blocks=letters(_EIGHTHS + "█")):
                    self._console.print(line, soft_wrap=True)
        elif photo.faces:
            self._console.print(_lines(photo.faces, self._console.width >= _WIDE))

    def close(self, complete: bool, about: Mapping[str, Any]) -> None:
        """Print how good the model is."""
        from rich.markup import escape

        from mien.runtime import accuracy_line

        self._console.print(f"[dim]{escape(accuracy_line(self._spec))}[/]", soft_wrap=True, highlight=False)


def _lines(faces: Sequence[Face], wide: bool) -> Table:
    """A line a face: its expression, those that come next, where there is room its place, and what is to be doubted."""
    from rich.markup import escape
    from rich.table import Table

    table = Table("face", "expression", "", "next", box=None, pad_edge=False)
    table.columns[2].justify = "right"
    if wide:
        table.add_column("left, top, right, bottom")
    table.add_column("")
    for i, face in enumerate(faces, start=1):
        following = [f"{name} {p:.0%}" for name, p in _ranked(face)[1 : 1 + _NEXT] if p >= _SHOWN]
        place = [_place(face)] if wide else []
        cells = (_coloured(face.label), f"{face.confidence:.0%}", escape(", ".join(following)), *place)
        table.add_row(str(i), *cells, escape(_doubt(face)))
    return table


def _with_bars(number: int, face: Face, *, blocks: bool) -> Iterator[str]:
    """A head line, and one for each expression of a percent or more, the most probable first."""
    from rich.markup import escape

    from mien.labels import colour

    doubt = _doubt(face)
    yield f"face {number}  {_coloured(face.label)} {face.confidence:.1%}{escape('  ' + doubt if doubt else '')}"
    ranked = _ranked(face)
    wide = max(len(name) for name, _ in ranked)
    shown = [(name, p) for name, p in ranked if p >= _SHOWN]
    for name, p in shown:
        yield f"  {escape(name):<{wide}} [{colour(name)}]{_bar(p, blocks=blocks)}[/] {p:6.1%}"
    if rest := len(ranked) - len(shown):
        yield f"  [dim]{f'{rest} others':<{wide}} {'':<{_BAR}} {sum(p for _, p in ranked[-rest:]):6.1%}[/]"
    yield f"  [dim]at left, top, right, bottom: {_place(face)}[/]"


def _bar(p: float, *, blocks: bool) -> str:
    """``_BAR`` letters of which the share ``p`` is filled, to an eighth of a letter where there are such letters."""
    if not blocks:
        return ("#" * round(p * _BAR)).ljust(_BAR)
    whole, part = divmod(round(p * _BAR * 8), 8)
    return ("█" * whole + (_EIGHTHS[part] if part else "")).ljust(_BAR)


def _ranked(face: Face) -> list[tuple[str, float]]:
    return sorted(face.probabilities.items(), key=lambda item: -item[1])


def _coloured(label: str) -> str:
    from rich.markup import escape

    from mien.labels import colour

    return f"[{colour(label)}]{escape(label)}[/]"


def _place(face: Face) -> str:
    return ", ".join(f"{v:.0f}" for v in face.box)


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
        parts = [counted(count["face"], "face"), f"{counted(count['no face'], 'photo')} without a face"]
        if count["unusable"]:
            parts.append(f"{count['unusable']} with unusable faces only")
        typer.echo(f"{path}: {counted(count['photos'], 'photo')}{again}{before}, {', '.join(parts)}", err=True)
    if passed:
        typer.echo(passed, err=True)
