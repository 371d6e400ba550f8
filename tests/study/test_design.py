"""The design of a study: columns under usual names, times as people write them, and rows that cannot be used."""

from __future__ import annotations

import pytest

from mien.errors import DataError
from mien.study.analysis.design import Stretch, read_design


def design(tmp_path, text):
    path = tmp_path / "design.csv"
    path.write_text(text, encoding="utf-8")
    return read_design(path)


def test_rows_under_usual_names_and_with_a_clock(tmp_path):
    found = design(
        tmp_path,
        "Video;Subject;Group;Item;Onset;Offset;Track;Rest\na.mp4;1;x;cat;1:02,5;0:01:10;1+4;\na.mp4;1;;;;10;;yes\n",
    )
    assert found.stretches == [
        Stretch(2, "a.mp4", "1", "x", "cat", 62.5, 70.0, (1, 4)),
        Stretch(3, "a.mp4", "1", "", "", None, 10.0, (), True),
    ]
    assert found.conditions() == ("x",)
    assert not found.problems


def test_without_conditions_there_is_one(tmp_path):
    assert design(tmp_path, "recording,participant\na.mp4,1\n").conditions() == ("all",)


def test_a_table_of_results_is_no_design_though_it_names_recordings_and_persons(tmp_path):
    with pytest.raises(DataError, match=r"table of results \(it has prediction_set\), not a design.*--results"):
        design(tmp_path, "source,person,label,prediction_set\na.mp4,a/1,happy,happy\n")


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (",1,x,0,5,", "recording is empty"),
        ("a,,x,0,5,", "participant is empty"),
        ("a,1,,0,5,", "condition is empty"),
        ("a,1,x,5,5,", "ends at 5 s, not after its start at 5 s"),
        ("a,1,x,soon,5,", "start is 'soon': seconds such as 12.5"),
        ("a,1,x,-1,5,", "before the recording starts"),
        ("a,1,x,nan,5,", "start is 'nan'"),
        ("a,1,x,1:75,99,", "seconds, and minutes behind hours, go up to 59"),
        ("a,1,x,0,5,maybe", "baseline is 'maybe'"),
        ("b,2,y,0,5,", "says the same as line 2"),
    ],
)
def test_a_row_that_cannot_be_used_is_named_and_the_others_stay(tmp_path, row, words):
    found = design(tmp_path, f"recording,participant,condition,start,end,baseline\nb,2,y,0,5,\n{row}\n")
    assert [s.recording for s in found.stretches] == ["b"]
    (problem,) = found.problems
    assert words in problem.reason
    assert problem.where == "design.csv, line 3"


@pytest.mark.parametrize(
    ("text", "words"), [("recording,condition\na,x\n", "participant"), ("recording,participant\n", "only a head")]
)
def test_a_design_of_which_nothing_can_be_used_is_refused(tmp_path, text, words):
    with pytest.raises(DataError, match=words):
        design(tmp_path, text)
