"""Tables for a report: the three forms say the same, and LaTeX takes every sign."""

from __future__ import annotations

import csv

import numpy as np
import pytest

from mien.errors import ConfigError
from mien.evaluation.metrics import score
from mien.reporting.tabular import class_table, write_table, written

TABLE = (("method", "report, %", "p"), [("lbp_svm", "", "0.05 & less"), ("a|b", "", "41.4 ± 0.2")])


def test_columns_without_anything_are_left_out_in_every_form(tmp_path):
    for ending in (".md", ".tex", ".csv"):
        write_table(tmp_path / f"t{ending}", TABLE, ["made of 5 % of it"])
        assert "report" not in (tmp_path / f"t{ending}").read_text()
    assert list(csv.reader((tmp_path / "t.csv").read_text().splitlines())) == [
        ["method", "p"],
        *([r[0], r[2]] for r in TABLE[1]),
    ]
    lines = (tmp_path / "t.md").read_text().splitlines()
    assert lines == [
        "| method | p |",
        "| --- | --- |",
        "| lbp_svm | 0.05 & less |",
        r"| a\|b | 41.4 ± 0.2 |",
        "",
        lines[-1],
    ]
    assert lines[-1] == "made of 5 % of it"


def test_latex_has_signs_that_it_would_take_for_its_own_escaped_and_notes_as_comments():
    lines = written(TABLE, ".tex", ["first\n\nsecond"]).splitlines()
    assert r"lbp\_svm & 0.05 \& less \\" in lines
    assert r"a|b & 41.4 $\pm$ 0.2 \\" in lines
    assert r"\begin{tabular}{lr}" in lines
    assert lines[-3:] == [r"\end{tabular}", "% first", "% second"]


def test_the_table_of_classes_is_the_reports(tmp_path):
    labels, said = np.array([0, 0, 1, 1, 1]), np.array([0, 1, 1, 1, 0])
    report = score(0.9 * np.eye(2)[said] + 0.05, labels, ("angry", "happy"))
    _, rows = class_table(report)
    assert rows[1] == ("happy", "3", "66.7", "66.7", f"{report.per_class['happy']['f1']:.3f}")
    assert rows[2] == ("mean of the classes", "5", "58.3", "58.3", f"{report.macro_f1:.3f}")
    assert rows[3] == ("accuracy", "5", "", "60.0", "")
    with pytest.raises(ConfigError, match=r"\.md, \.tex, \.csv, got .*\.xls"):
        write_table(tmp_path / "t.xls", class_table(report))
