"""Records in results/, and how tables and their cells say a figure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from bench.conditions import RESULTS
from mien.reporting.tabular import written

__all__ = ["mean_cell", "percent", "record_if_there", "record_of", "seeds_word", "table"]


def record_of(name: str) -> dict[str, Any]:
    """results/NAME.json; ends the program where it is missing, so that no page loses its figures unseen."""
    found = record_if_there(name)
    if found is None:
        raise SystemExit(f"results/{name}.json is missing: run the bench that writes it (grep -r {name}.json bench)")
    return found


def record_if_there(name: str) -> dict[str, Any] | None:
    """The same, of what need not have been measured."""
    file = RESULTS / f"{name}.json"
    return json.loads(file.read_text(encoding="utf-8")) if file.is_file() else None


def table(head: Sequence[str], rows: Iterable[Sequence[str]], note: str = "") -> str:
    """A table in Markdown, without columns that are empty in every row, and a paragraph below it."""
    return written((head, list(rows)), ".md", [note] if note else []).rstrip("\n")


def percent(share: float) -> str:
    """0.6531 -> ``"65.3"``."""
    return f"{100 * share:.1f}"


def mean_cell(entry: dict[str, Any]) -> str:
    """``{"mean": 0.653, "sd": 0.004}`` -> ``"65.3 ± 0.4"``; without a spread the mean alone."""
    return percent(entry["mean"]) + ("" if entry["sd"] is None else f" ± {percent(entry['sd'])}")


def seeds_word(seeds: int) -> str:
    return "one seed" if seeds == 1 else f"{seeds} seeds"
