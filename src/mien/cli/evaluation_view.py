"""What ``mien evaluate`` shows: tables on stdout, a bar on stderr.

Leaves out: finding it out (``mien.evaluation.assess``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from mien.cli.screen import stdout
from mien.wording import counted

if TYPE_CHECKING:
    from mien.evaluation import Against, Evaluation
    from mien.evaluation.metrics import Report, Robustness

__all__ = ["passes_bar", "show_against", "show_evaluation", "show_groups", "show_report", "show_robustness"]

_GROUPS = 40  # groups shown one by one; --json holds all


@contextmanager
def passes_bar(wanted: bool) -> Iterator[Callable[[int, int], None]]:
    """What ``measure_robustness`` calls after each pass: a bar on stderr, where it is ``wanted`` and a terminal."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    if not wanted or not console.is_terminal:
        yield lambda done, total: None
        return
    with Progress(console=console, transient=True) as bar:
        task = bar.add_task("corrupted faces", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def show_evaluation(found: Evaluation) -> None:
    """Print all that was found on stdout."""
    show_report(found.report)
    if found.against:
        show_against(found.report, found.against)
    if found.group_by:
        show_groups(found)
    if found.robustness:
        show_robustness(found.robustness)


def show_report(report: Report) -> None:
    """Print the figures and the confusion matrix as tables on stdout."""
    from rich.table import Table

    from mien.labels import short

    console = stdout()
    console.print(str(report), style="bold", markup=False)
    if report.clean:
        console.print(f"clean, without faces that have a near-duplicate in Training: {report.clean}", markup=False)
    console.print(
        f"macro-F1 {report.macro_f1:.3f}   log loss {report.log_loss:.3f} nats   "
        f"expected calibration error {report.ece:.3f}   views {report.conditions.get('views')}"
    )
    if resized := report.conditions.get("resized"):
        console.print(f"the faces were resized {resized}, which this model needs", markup=False)
    if report.conditions.get("output") == "labels only":
        console.print("it predicts labels only: log loss and calibration error say little about it")
    table = Table("true", "n", "precision", "recall", "F1", *(_plain(short(n)) for n in report.names), box=None)
    for column in table.columns[1:]:
        column.justify = "right"
    for i, (name, c) in enumerate(report.per_class.items()):
        cells = [f"[bold]{v}[/bold]" if i == j else str(v) for j, v in enumerate(report.confusion[i])]
        row = (*(f"{c[k]:.1%}" for k in ("precision", "recall")), f"{c['f1']:.3f}", *cells)
        table.add_row(_plain(name), str(c["n"]), *row)
    console.print(table)


def show_against(report: Report, against: Against) -> None:
    """Print both models' accuracy on the faces whose class both know, and what the paired test says, on stdout."""
    console = stdout()
    names = [str(r.conditions.get("model", "")) for r in (report, against.report)]
    if names[0] == names[1]:
        names = [f"{n} ({word})" for n, word in zip(names, ("MODEL", "--against"), strict=True)]
    wide = max(map(len, names))
    console.print()
    for name, r in zip(names, (report, against.report), strict=True):
        console.print(f"{name:{wide}}  {r}", style="bold", markup=False)
    console.print(against.paired.sentence(*names), markup=False)
    if against.clean:
        console.print(f"clean: {against.clean.sentence(*names)}", markup=False)
    paired = against.paired
    console.print(
        f"only {names[0]} is right on {paired.only_a:,} faces, only {names[1]} on {paired.only_b:,}", markup=False
    )
    for name, n in against.left_out.items():
        console.print(
            f"left out: {counted(n, 'face')} labelled {name}, a class that one of the two does not know", markup=False
        )


def show_groups(found: Evaluation) -> None:
    """Print accuracy and macro-F1 of each group, which groups are too small, and the largest gap, on stdout."""
    from rich.table import Table

    from mien.evaluation.groups import SMALL, largest_gap

    console = stdout()
    table = Table(_plain(found.group_by), "n", "accuracy", "95 % interval", "macro-F1", "", box=None)
    for column in table.columns[1:5]:
        column.justify = "right"
    for g in found.groups[:_GROUPS]:
        span = f"{g.ci95[0]:.1%} to {g.ci95[1]:.1%}"
        note, f1 = "few faces" if g.small else "", "-" if g.macro_f1 is None else f"{g.macro_f1:.3f}"
        table.add_row(_plain(g.group), f"{g.n:,}", f"{g.accuracy:.1%}", span, f1, note)
    console.print()
    console.print(table)
    if len(found.groups) > _GROUPS:
        console.print(f"... and {len(found.groups) - _GROUPS:,} smaller groups (--json holds all)")
    if small := sum(g.small for g in found.groups):
        console.print(
            f"warning: {small:,} of {len(found.groups):,} groups have fewer than {SMALL} faces, too few to compare"
        )
    console.print(largest_gap(found.groups, found.homogeneity), markup=False)


def show_robustness(robustness: Robustness) -> None:
    """Print accuracy by kind and severity of corruption, the means and the drops against clean on stdout, in %."""
    from rich.table import Table

    console = stdout()
    console.print(f"\n[bold]{robustness}[/bold]")
    severities = map(str, range(1, len(robustness.by_severity) + 1))
    table = Table("accuracy, % at severity", *severities, "mean", "drop", box=None)
    for column in table.columns[1:]:
        column.justify = "right"
    for name, row in robustness.rows():
        table.add_row(name, *(f"{100 * v:.1f}" for v in row), style="bold" if name == "mean" else "")
    console.print(table)
    if robustness.coverage:
        console.print(robustness.coverage, markup=False)


def _plain(text: str) -> str:
    """Text that is not ours, with nothing that rich takes for markup."""
    from rich.markup import escape

    return escape(text)
