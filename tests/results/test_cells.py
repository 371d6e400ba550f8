"""Cells of CSV and lines of JSON, whatever text is in them."""

from __future__ import annotations

import csv
import io
import json
import os
import re
from pathlib import Path

import pytest

from mien.results.cells import FORMULA, csv_line, from_cell, json_line, one_line, printable

ODD = [
    "=1+1",
    "+x",
    "-x",
    "@x",
    "\tx",
    "\rx",
    "\nx",
    "'=x",
    "''-x",
    "'x",
    "a,b",
    'a"b',
    "a\rb",
    "a\nb",
    "a;b",
    "é\u2028",
    " ",
]


def test_every_text_comes_back_from_csv_as_it_was():
    text = "".join(csv_line([name, i]) for i, name in enumerate(ODD))
    read = list(csv.reader(io.StringIO(text, newline="")))
    assert [from_cell(cell, str) for cell, _ in read] == ODD
    assert [from_cell(number, int) for _, number in read] == list(range(len(ODD)))


def test_no_cell_of_text_begins_a_formula_and_numbers_stay_numbers():
    cells = next(csv.reader(io.StringIO("".join(csv_line(ODD)), newline="")))
    assert not [cell for cell in cells if re.match(r"[=+\-@\t\r\n]", cell)]
    assert csv_line([-1.5, -3, True, False, None]) == "-1.5,-3,1,0,\n"


def test_the_web_page_marks_the_same_text():
    page = Path(__file__).parents[2] / "src" / "mien" / "web" / "page" / "dom.js"
    assert f"/^{FORMULA.pattern}/.test(text)" in page.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("cell", "kind"), [("12. Mai", float), ("1.5", int), ("ja", bool), ("1e999", int), ("#NAME?", int)]
)
def test_a_cell_of_another_type_is_an_error(cell, kind):
    with pytest.raises((ValueError, KeyError, OverflowError)):
        from_cell(cell, kind)


def test_what_a_spreadsheet_makes_of_values_is_read():
    assert from_cell("0,25", float, decimal_comma=True) == 0.25
    assert [from_cell(cell, bool) for cell in ("1", "TRUE", "0", "False")] == [True, True, False, False]
    assert (from_cell("3", float), from_cell("3.0", int), from_cell("", float)) == (3.0, 3, None)


def test_a_line_of_json_is_one_line_for_every_reader():
    value = {"photo": "a\u2028b\u2029c\x85d\x0be\x1cf\udcff", "é": "ž😀"}
    line = json_line(value)
    assert line.splitlines() == [line[:-1]]
    assert json.loads(line.encode("utf-8")) == value
    assert "ž😀" in line


@pytest.mark.skipif(os.name == "nt", reason="no such names there")
def test_names_that_are_no_utf8_stay_apart():
    names = [os.fsdecode(b"a\xff.jpg"), os.fsdecode(b"a\xfe.jpg"), "é.jpg"]
    assert [printable(name) for name in names] == [r"a\xff.jpg", r"a\xfe.jpg", "é.jpg"]


def test_a_name_commands_no_terminal():
    assert one_line("a\x1b[2Jb\nc\x9bd é\t") == r"a\x1b[2Jb\x0ac\x9bd é\x09"
