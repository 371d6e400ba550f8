"""Coders' files: the same coding out of every format, and everything unusable named."""

from __future__ import annotations

import json

import numpy as np
import pytest
from study.coder_files import CODED, LABELS, write_boris, write_eaf, write_sheet, write_textgrid

from mien.errors import ConfigError, DataError
from mien.study.annotations import Annotation, read_coding
from mien.study.coders import codes_at, named, parse_map

SAME = [Annotation(*row) for row in CODED]


@pytest.mark.parametrize(
    "write",
    [
        lambda p: write_eaf(p / "t.eaf", {"all": CODED}),
        lambda p: write_textgrid(p / "t.TextGrid", {"all": CODED}),
        lambda p: write_textgrid(p / "t.TextGrid", {"all": CODED}, codec="utf-16"),
        lambda p: write_textgrid(p / "t.TextGrid", {"all": CODED}, mode="short"),
        lambda p: write_textgrid(p / "t.TextGrid", {"all": CODED}, mode="binary"),
        lambda p: write_boris(p / "t.boris", {"talk": {"all": CODED}}),
        lambda p: write_sheet(p / "t.csv"),
        lambda p: write_sheet(
            p / "t.tsv", [(s, e - s, c) for s, e, c in CODED], ("onset", "duration", "trial_type"), "\t"
        ),
        lambda p: write_sheet(
            p / "t.csv", [(c, str(s).replace(".", ","), e) for s, e, c in CODED], ("Label", "Start", "End"), ";"
        ),
    ],
    ids=["eaf", "TextGrid", "utf-16", "short", "binary", "boris", "csv", "bids", "semicolons"],
)
def test_every_format_gives_the_same_to_a_millisecond(write, tmp_path):
    pytest.importorskip("pympi")
    coding = read_coding(write(tmp_path))
    (found,) = coding.tiers.values()
    assert [a.label for a in found] == [a.label for a in SAME]
    assert [(a.start, a.end) for a in found] == [pytest.approx((a.start, a.end), abs=1e-3) for a in SAME]
    assert coding.problems == []


def test_tiers_are_kept_apart_and_points_are_named(tmp_path):
    pytest.importorskip("pympi")
    eaf = read_coding(write_eaf(tmp_path / "t.eaf", {"Anna": CODED, "Ben": CODED[:2], "notes": []}))
    assert {name: len(found) for name, found in eaf.tiers.items()} == {"Anna": 4, "Ben": 2, "notes": 0}
    path = write_boris(tmp_path / "t.boris", {"a": {"Anna": CODED, "": CODED[:1]}, "b": {"Anna": CODED[1:]}})
    project = json.loads(path.read_text())
    project["observations"]["a"]["events"] += [[3.5, "Anna", "blink", "", ""], [9.5, "Anna", "angry", "", ""]]
    path.write_text(json.dumps(project))
    boris = read_coding(path)
    assert {name: len(found) for name, found in boris.tiers.items()} == {"a: Anna": 4, "a: no subject": 1, "b: Anna": 3}
    assert [str(p) for p in boris.problems] == [
        "t.boris, 3.5 s: 'blink' is a point, no state",
        "t.boris, 9.5 s: 'angry' has no end",
    ]


def test_rows_that_cannot_be_used_are_named_with_their_line_and_the_others_stay(tmp_path):
    rows = [
        (0, 1, "happy"),
        ("x", 2, "sad"),
        (3, 3, "sad"),
        (5, 4, "sad"),
        (-1, 1, "sad"),
        (6, "nan", "sad"),
        (7, 8, ""),
    ]
    coding = read_coding(write_sheet(tmp_path / "c.csv", rows))
    assert coding.tiers == {"all": [Annotation(0, 1, "happy")]}
    told = [str(p) for p in coding.problems]
    assert [t.partition(":")[0] for t in told] == [f"c.csv, line {n}" for n in (3, 4, 5, 6, 7)]
    assert "no seconds" in told[0]
    assert "not after its start at 3 s" in told[1]
    assert "before the film" in told[3]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.eaf", "<x"),
        ("a.TextGrid", "what"),
        ("a.boris", "{}"),
        ("a.boris", '{"observations": [], "behaviors_conf": {}}'),
        ("a.csv", "a,b\n1,2\n"),
        ("a.csv", ""),
        ("a.txt", "1"),
    ],
)
def test_a_file_that_is_none_is_one_error_that_names_it(tmp_path, name, text):
    pytest.importorskip("pympi")
    (tmp_path / name).write_text(text)
    with pytest.raises(DataError, match=name):
        read_coding(tmp_path / name)


def test_words_become_labels_by_the_map_and_by_custom_and_unknown_ones_are_counted():
    said = [(0, 1, "A"), (1, 2, "Joy"), (2, 3, "happy"), (3, 5, "blink"), (5, 6, "blink"), (6, 7, "x")]
    kept, problems = named([Annotation(*a) for a in said], LABELS, parse_map("a=angry, x=", LABELS), "t.eaf")
    assert [a.label for a in kept] == ["angry", "happy", "happy"]
    assert [str(p) for p in problems] == [
        "t.eaf: 'blink' is no label of the model (2 annotations, 3.0 s): --map 'blink=LABEL', "
        "or 'blink=' to leave it out"
    ]
    for wrong in ("a", "=angry", "a=furious"):
        with pytest.raises(ConfigError, match="--map"):
            parse_map(wrong, LABELS)


def test_frames_get_the_code_that_covers_them_and_none_where_two_do():
    times = np.arange(10) / 2.0
    coded = [Annotation(0, 1.5, "happy"), Annotation(1.0, 2.0, "angry"), Annotation(2.0, 3.0, "happy")]
    codes, missing = codes_at(times, coded, LABELS)
    assert codes.tolist() == [1, 1, -1, 0, 1, 1, -1, -1, -1, -1]
    assert missing == {"not coded": 4, "two labels at once": 1}
    codes, missing = codes_at(times, coded, LABELS, uncoded="neutral")
    assert codes.tolist() == [1, 1, -1, 0, 1, 1, 2, 2, 2, 2]
    assert missing == {"two labels at once": 1}
