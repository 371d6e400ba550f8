"""CSV and TSV of people: the lines that errors name, line breaks in cells, and rows that do not fit the head."""

from __future__ import annotations

import pytest

from mien.errors import DataError
from mien.study.analysis.design import read_design
from mien.study.annotations import read_coding
from mien.study.delimited import read_sheet
from mien.study.markers import read_markers


def sheet(tmp_path, text):
    path = tmp_path / "sheet.csv"
    path.write_bytes(text.encode())
    return path


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_lines_are_those_of_the_file_whatever_stands_above_and_in_cells(tmp_path, end):
    text = end.join(("sep=;", "a;b", f'1;"two{end}lines"', "", "3;4 \u2028 5\x0b\x85", ""))
    assert read_sheet(sheet(tmp_path, text)).rows == [
        (4, {"a": "1", "b": f"two{end}lines"}),
        (6, {"a": "3", "b": "4 \u2028 5\x0b\x85"}),
    ]


def test_a_row_with_more_cells_than_columns_is_named_and_never_read_askew(tmp_path):
    words = "has 3 cells, and there are 2 columns"
    with pytest.raises(DataError, match=rf"sheet\.csv:3: {words}"):
        read_markers(sheet(tmp_path, "onset,name\n1,a\n1,5,b\n2,c\n"))
    coding = read_coding(sheet(tmp_path, "start,end,label\n0,1,happy\n1,5,2,5\n2,3,sad,\n"))
    assert [a.label for a in coding.tiers["all"]] == ["happy", "sad"]
    assert [str(p).partition(":")[0] for p in coding.problems] == ["sheet.csv, line 3"]
    design = read_design(sheet(tmp_path, "recording,participant\na.mp4,1\nb,2.mp4,2\n"))
    assert [s.recording for s in design.stretches] == ["a.mp4"]
    assert words in design.problems[0].reason
