"""Records in results/, and how a cell of a table says a figure."""

from __future__ import annotations

import json
from typing import Any

from bench.conditions import RESULTS

__all__ = ["mean_cell", "record_of", "seeds_word"]


def record_of(name: str) -> dict[str, Any] | None:
    file = RESULTS / f"{name}.json"
    return json.loads(file.read_text()) if file.is_file() else None


def mean_cell(entry: dict[str, Any]) -> str:
    spread = "" if entry["sd"] is None else f" ± {100 * entry['sd']:.1f}"
    return f"{100 * entry['mean']:.1f}{spread}"


def seeds_word(seeds: int) -> str:
    return "one seed" if seeds == 1 else f"{seeds} seeds"
