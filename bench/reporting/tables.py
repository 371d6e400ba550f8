"""Figures in README.md, docs/ and the heads of the recipes, from results/: ``python -m bench.reporting.tables``.

Each table stands in its page between ``<!-- NAME: ... -->`` and ``<!-- /NAME -->``; docs/results.md is made whole, from
what ``mien compare`` left in results/compare-NAME.json.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable
from pathlib import Path

from bench.conditions import ROOT
from bench.reporting.browsers import browser_agreement, browser_detectors, browser_sizes
from bench.reporting.comparison import compared, side_by_side
from bench.reporting.detectors import detectors, search
from bench.reporting.experiments import finetune, float_weights, graph, students, teachers, trials, words
from bench.reporting.records import record_if_there
from bench.reporting.rivals import browser_beside, browser_beside_short
from bench.reporting.scale import batch, cost, devices, larger, ranks
from bench.reporting.scores import RECORDS, expected, expected_by_comparison, ferplus, heads, results, robust, summary
from bench.reporting.speeds import faithfulness, networks, speed, wild
from bench.reporting.studies import own_baseline, study_effects
from mien.files import write_text

#: name of a marker -> what makes the table
TABLES: dict[str, Callable[[], str]] = {
    "summary": summary,
    "heads": heads,
    "robust": robust,
    "results": results,
    "ferplus": ferplus,
    "networks": networks,
    "speed": speed,
    "compare": side_by_side,
    "faithfulness": faithfulness,
    "wild": wild,
    "trials": lambda: trials("2019"),
    "family trials": lambda: trials("family"),
    "wide teachers": lambda: teachers("wide"),
    "six teachers": lambda: teachers("six"),
    "six students": lambda: students("six"),
    "copies": lambda: trials("copies"),
    "graph": graph,
    "teachers": lambda: teachers("eight"),
    "students": lambda: students("eight"),
    "words": words,
    "study effects": study_effects,
    "own baseline": own_baseline,
    "finetune": finetune,
    "float weights": float_weights,
    "browser sizes": browser_sizes,
    "browser agreement": browser_agreement,
    "browser detectors": browser_detectors,
    "browser beside": browser_beside,
    "browser beside, short": browser_beside_short,
    "detectors": detectors,
    "search": search,
    "devices": devices,
    "batch": batch,
    "cost": cost,
    "larger": larger,
    "ranks": ranks,
}


def main() -> None:
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    placed: set[str] = set()
    for page in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))):
        text = page.read_text(encoding="utf-8")
        found, made = with_tables(text)
        placed |= found
        if made != text:
            write_text(page, made)
    for name in sorted(set(TABLES) - placed):
        print(f"no page has a place for the table {name!r}", file=sys.stderr)
    write_text(ROOT / "docs" / "results.md", compared())
    for recipe in sorted((ROOT / "src" / "mien" / "training" / "recipes").glob("*.toml")):
        expect(recipe)


def with_tables(text: str) -> tuple[set[str], str]:
    """The names of the tables that a page has a place for, and the page with them made anew."""
    found = set()
    for name, table in TABLES.items():
        start = re.search(rf"<!-- {re.escape(name)}: written by [^>]*-->", text)
        if start is None:
            continue
        end = text.index(f"<!-- /{name} -->", start.end())
        text = f"{text[: start.end()]}\n\n{table()}\n\n{text[end:]}"
        found.add(name)
    return found, text


def expect(recipe: Path) -> None:
    """Put the expected score into the head of a recipe, where one is known."""
    record = record_if_there(RECORDS.get(recipe.stem, recipe.stem))
    line = expected(record) if record is not None and "summary" in record else expected_by_comparison(recipe.stem)
    if line is None:
        return
    lines = recipe.read_text(encoding="utf-8").splitlines()
    at = next(i for i, old in enumerate(lines) if old.startswith("# Expected"))
    lines[at] = line
    write_text(recipe, "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
