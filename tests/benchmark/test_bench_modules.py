"""The measurements in bench/ are code too: each imports and says what it does; pages and cards show its results."""

from __future__ import annotations

import contextlib
import importlib
import io
import re
import sys
from pathlib import Path

import pytest

from mien.runtime import shipped_models

ROOT = Path(__file__).resolve().parents[2]
MODULES = sorted(
    ".".join(p.relative_to(ROOT).with_suffix("").parts) for p in (ROOT / "bench").rglob("*.py") if p.stem != "__init__"
)
COMMANDS = [m for m in MODULES if 'if __name__ == "__main__"' in (ROOT / (m.replace(".", "/") + ".py")).read_text()]


@pytest.fixture(autouse=True)
def _at_the_root(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT))


def test_benches_are_found():
    assert "bench.runtime.predict" in COMMANDS
    assert set(MODULES) - set(COMMANDS) >= {"bench.conditions"}


@pytest.mark.parametrize("name", MODULES)
def test_a_bench_imports(name):
    assert importlib.import_module(name).__doc__


@pytest.mark.parametrize("name", COMMANDS)
def test_a_bench_answers_help(name, monkeypatch):
    monkeypatch.setattr(sys, "argv", [name, "--help"])
    said = io.StringIO()
    with contextlib.redirect_stdout(said), pytest.raises(SystemExit) as end:
        importlib.import_module(name).main()
    assert end.value.code == 0
    assert "usage:" in said.getvalue()


def test_a_table_goes_where_its_marker_stands(monkeypatch):
    tables = importlib.import_module("bench.reporting.tables")
    monkeypatch.setattr(tables, "TABLES", {"one": lambda: "| 1 |", "two": lambda: "| 2 |"})
    page = "above\n<!-- two: written by somebody -->\nold\n<!-- /two -->\nbelow\n"
    found, made = tables.with_tables(page)
    assert found == {"two"}
    assert made == "above\n<!-- two: written by somebody -->\n\n| 2 |\n\n<!-- /two -->\nbelow\n"


@pytest.mark.parametrize("page", [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))], ids=lambda p: p.stem)
def test_the_tables_of_a_page_are_those_of_results(page):
    text = page.read_text(encoding="utf-8")
    made = importlib.import_module("bench.reporting.tables").with_tables(text)[1]
    assert made == text, f"{page.name} shows other figures than results/: python -m bench.reporting.tables"


def test_every_table_has_a_place():
    tables = importlib.import_module("bench.reporting.tables")
    text = "".join(p.read_text(encoding="utf-8") for p in (ROOT / "README.md", *(ROOT / "docs").glob("*.md")))
    assert set(re.findall("<!-- ([^/:]+): written by bench/reporting/tables.py", text)) == set(tables.TABLES)


def test_the_cards_of_shipped_networks_are_those_of_their_files_and_records():
    cards = importlib.import_module("bench.export.cards")
    for name in shipped_models():
        text = (cards.WEIGHTS / f"{name}.md").read_text(encoding="utf-8")
        assert cards.card_of(name) == text, f"another card is written now: python -m bench.export.publish card {name}"


def test_nothing_lies_in_results_that_no_page_shows_or_names(monkeypatch):
    tables, comparison = (importlib.import_module(f"bench.reporting.{m}") for m in ("tables", "comparison"))
    shown, really = set[str](), Path.read_text
    monkeypatch.setattr(Path, "read_text", lambda self, *a, **b: shown.add(self.name) or really(self, *a, **b))
    monkeypatch.setattr(comparison.plots, "speed", lambda points, file: file)  # no page is drawn anew
    for table in tables.TABLES.values():
        table()
    assert tables.compared() == (ROOT / "docs" / "results.md").read_text(encoding="utf-8"), "bench.reporting.tables"
    told = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / "src/mien/training/recipes").glob("*.toml")]
    named = set(re.findall(r"results/([\w.-]+\.\w+)", "".join(map(Path.read_text, told))))
    unread = {file.name for file in (ROOT / "results").iterdir()} - shown - named
    assert not unread, "say on a page what it shows (docs/log.md, results/NAME), or delete it"
