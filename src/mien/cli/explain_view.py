"""What ``mien explain`` prints: which parts of a face mattered, and how faithful the maps are, in words and tables.

Leaves out: computing and drawing.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mien.cli.screen import print_folded, stdout

if TYPE_CHECKING:
    from mien.explain import ClassMeans, Explanation, Faithfulness

__all__ = ["say", "say_classes"]


def say(e: Explanation, title: str, path: Path, asked: Sequence[str]) -> None:
    """What mattered, in words."""
    from mien.visualization.explanation_figure import MAP_NAMES, part_shares

    lines = [f"[bold]{_plain(title)}[/]: {_plain(e.label)} {e.probabilities[e.target]:.0%}"]
    for name in e.maps:
        found = part_shares(e, name)
        whole = [(k, *v) for k, v in found.items() if "third" not in k]
        thirds = ", ".join(f"{k} {v[0]:.0%}" for k, v in found.items() if "third" in k)
        if whole:
            whole.sort(key=lambda row: -row[1])
            words = ", ".join(f"{k} {weight:.0%} (of the area {area:.0%})" for k, weight, area in whole)
            lines.append(f"  {MAP_NAMES[name]:<10} {words}")
            lines.append(f"  {'':<10} {thirds}")
        else:
            lines.append(f"  {MAP_NAMES[name]:<10} {thirds}")
    missing = [m for m in asked if m not in e.maps and not (m == "window" and e.window is not None)]
    lines += [f"  {MAP_NAMES.get(m, m):<10} this network has none" for m in missing]
    if e.faithfulness is not None:
        lines += [f"  {'check':<10} {line}" for line in _check_lines(e.faithfulness)]
    lines.append(f"  {'written':<10} {_plain(f'{path}.png, {path}.npz')}")
    for line in lines:
        print_folded(line, 13)


def _check_lines(check: Faithfulness) -> list[str]:
    """One line for deletion, one for insertion: each map's area, and how many random orders it beats."""
    from mien.visualization.explanation_figure import MAP_NAMES

    lines, beaten = [], {name: check.beaten(name) for name in check.maps}
    for i, (kind, better) in enumerate((("deletion", "less"), ("insertion", "more"))):
        area = f"{kind}_area"
        random = sum(getattr(c, area) for c in check.random) / len(check.random)
        words = ", ".join(
            f"{MAP_NAMES[name]} {getattr(c, area):.2f} (beats {beaten[name][i]} of {len(check.random)} random orders)"
            for name, c in check.maps.items()
        )
        middle = getattr(check.centre, area)
        lines.append(f"area under {kind}, {better} is better: {words}; middle first {middle:.2f}, random {random:.2f}")
    return lines


def say_classes(means: ClassMeans, path: Path) -> None:
    """One row an expression."""
    from rich.table import Table

    from mien.explain import by_thirds
    from mien.labels import colour

    table = Table(box=None, pad_edge=False)
    for head in ("expression", "n", "recall"):
        table.add_column(head, justify="left" if head == "expression" else "right")
    maps = {name: m for name in ("occlusion", "attention") if (m := getattr(means, name)) is not None}
    for name in maps:
        table.add_column(f"{name}: upper, middle, lower third", justify="right")
    for i, label in enumerate(means.labels):
        if not means.n[i]:
            continue
        shares = ["  ".join(f"{share:4.0%}" for share, _ in by_thirds(m[i]).values()) for m in maps.values()]
        name = f"[{colour(label)}]{_plain(label)}[/]"
        table.add_row(name, f"{means.n[i]:,}", f"{means.recall[i]:.1%}", *shares)
    stdout().print(table)
    stdout().print(f"written {path}.png, {path}.npz", markup=False)


def _plain(words: str) -> str:
    from rich.markup import escape

    return escape(words)
