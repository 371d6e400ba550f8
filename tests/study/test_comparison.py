"""Tables against coders: planted agreement, segments, missing and unsure frames, several coders and recordings."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
from study.coder_files import CODED, LABELS, at, write_sheet, write_table
from typer.testing import CliRunner

from mien.cli import app
from mien.errors import ConfigError, DataError
from mien.study import compare, read_recordings
from mien.study.segment_agreement import link, segment_counts, segment_measures, stretches

TIMES = np.arange(120) / 10


def said():
    return [label or "neutral" for label in at(TIMES)]


def levels(found):
    return {(x.first, x.second, x.level): x for x in found.levels}


def test_a_coder_who_says_the_same_agrees_wholly_on_what_both_coded(tmp_path):
    table, coder = write_table(tmp_path / "talk.csv", said()), write_sheet(tmp_path / "anna.csv")
    recordings, labels, problems = read_recordings([coder, table])
    found = levels(compare(recordings, labels))
    assert (labels, problems) == (LABELS, [])
    frames, segments = found["mien", "coder", "frames"], found["mien", "coder", "segments"]
    assert (frames.n, segments.n) == (110, 4)
    for level in (frames, segments):
        assert {k: f.value for k, f in level.measures.items() if k.startswith("f1")} == dict.fromkeys(
            ("f1 angry", "f1 happy", "f1 neutral"), 1.0
        )
        assert level.measures["percent"].value == 100
    assert recordings[0].missing == {"mien": {}, "coder": {"not coded": 10}}


def test_missing_and_unsure_frames_are_counted_by_reason_and_never_compared(tmp_path):
    wrong = [("angry" if 20 <= i < 40 else label) for i, label in enumerate(said())]
    table = write_table(tmp_path / "t.csv", wrong, unsure=range(20, 35), unusable=range(3), gone=range(50, 54))
    recordings, labels, _ = read_recordings([table, write_sheet(tmp_path / "c.csv")])
    found = levels(compare(recordings, labels))
    assert recordings[0].missing["mien"] == {"face not usable": 3, "nobody followed in the frame": 4}
    assert found["mien", "coder", "frames"].n == 110 - 7
    assert found["mien", "coder", "frames"].counts[0, 1] == 20  # mien angry, coder happy
    sure = found["mien", "coder", "sure frames"]
    assert (sure.n, sure.counts[0, 1]) == (110 - 7 - 15, 5)


def planted_files(folder, share, seconds=400, seed=0, name="talk"):
    """mien says what the coder says for ``share`` of the segments of 1 s, else anything: kappa is ``share``."""
    rng = np.random.default_rng(seed)
    coded = rng.integers(0, 3, seconds)
    other = np.where(rng.random(seconds) < share, coded, rng.integers(0, 3, seconds))
    sheet = write_sheet(folder / f"{name}-anna.csv", [(s, s + 1, LABELS[c]) for s, c in enumerate(coded)])
    return write_table(folder / f"{name}.csv", [LABELS[c] for c in np.repeat(other, 10)]), sheet


@pytest.mark.parametrize("share", [0.0, 0.7])
def test_a_planted_agreement_is_recovered_from_files_and_chance_is_0(tmp_path, share):
    recordings, labels, _ = read_recordings(planted_files(tmp_path, share, seed=4))
    frames = levels(compare(recordings, labels))["mien", "coder", "frames"]
    for name in ("kappa", "alpha"):
        figure = frames.measures[name]
        assert figure.low < share < figure.high
        assert figure.value == pytest.approx(share, abs=0.08)
        assert figure.high - figure.low < 0.2


def test_two_coders_are_compared_with_each_other_too(tmp_path):
    table, anna = planted_files(tmp_path, 0.6, seed=1)
    ben = write_sheet(tmp_path / "talk-ben.csv", list(csv.reader(anna.read_text().splitlines()))[1:])
    recordings, labels, _ = read_recordings([table, anna, ben])
    result = compare(recordings, labels)
    found = levels(result)
    assert found["anna", "ben", "frames"].measures["kappa"].value == 1
    assert ("anna", "ben", "sure frames") not in found
    assert found["mien", "anna", "frames"].measures == found["mien", "ben", "frames"].measures
    assert result.alphas["human coders"].value == 1
    assert 0.6 < result.alphas["all coders"].value < 0.9


def test_recordings_find_their_coders_by_name_and_the_interval_goes_over_them(tmp_path):
    files = [f for i in range(8) for f in planted_files(tmp_path, 0.5, 60, seed=i, name=f"film{i}")]
    stranger = write_sheet(tmp_path / "other.csv")
    lonely = write_table(tmp_path / "lonely.csv", said())
    recordings, labels, problems = read_recordings([*files, stranger, lonely])
    assert [r.name for r in recordings] == [f"film{i}" for i in range(8)]
    assert [(p.where, p.whole) for p in problems] == [("other.csv", True), ("lonely.csv", True)]
    found = compare(recordings, labels)
    kappa = levels(found)["mien", "coder", "frames"].measures["kappa"]
    assert found.over == "recordings"
    assert kappa.low < 0.5 < kappa.high


def test_two_persons_must_be_chosen_between(tmp_path):
    table = write_table(tmp_path / "t.csv", ["happy"] * 10, tracks=[1] * 5 + [4] * 5)
    coder = write_sheet(tmp_path / "c.csv", [(0, 1, "happy")])
    assert read_recordings([table, coder])[0][0].missing["mien"] == {}
    only = read_recordings([table, coder], tracks=[4])[0][0]
    assert only.missing["mien"] == {"nobody followed in the frame": 5}
    with pytest.raises(ConfigError, match=r"nobody has the track 2; there are 1 \(5 frames\), 4 \(5 frames\)"):
        read_recordings([table, coder], tracks=[2])
    with table.open("a") as file:
        file.write(table.read_text().splitlines()[-1].replace(",4,", ",7,") + "\n")
    with pytest.raises(ConfigError, match="two persons or more: choose with --track"):
        read_recordings([table, coder])


def test_segments_are_linked_by_overlap_each_once_and_the_rest_has_no_partner():
    a = [(0.0, 4.0, 0), (4.0, 8.0, 1), (8.0, 9.0, 0)]
    b = [(0.5, 4.0, 0), (4.0, 8.0, 2), (8.6, 12.0, 0)]
    assert link(a, b) == [(0, 0), (1, 1)]
    assert link(a, b, overlap=0.99) == [(1, 1)]
    counts = segment_counts(a, b, 3)[0]
    assert counts.tolist() == [[1, 0, 0, 1], [0, 0, 1, 0], [0, 0, 0, 0], [1, 0, 0, 0]]
    found = segment_measures(counts, LABELS)
    assert (found["percent"], found["linked"]) == (25, 50)
    assert found["f1 angry"] == 2 / 4


def test_segments_of_codes_end_at_gaps_and_pass_over_flickers():
    times = np.concatenate([np.arange(0, 2, 0.1), np.arange(4, 5, 0.1)])
    codes = np.array([0] * 9 + [1] + [0] * 10 + [0] * 10)
    assert stretches(times, codes, hold=0.4) == [pytest.approx((0, 2, 0)), pytest.approx((4, 5, 0))]
    assert len(stretches(times, codes)) == 4


def run(*arguments):
    return CliRunner().invoke(app, ["agree", *map(str, arguments)], env={"COLUMNS": "200"})


def test_the_command_shows_prints_and_writes_the_same(tmp_path):
    files = planted_files(tmp_path, 0.7, seed=2)
    plain = run(*files)
    assert plain.exit_code == 0
    assert "mien, coder" in plain.stdout
    assert "blocks of 5 s" in plain.stdout
    told = json.loads(run(*files, "--json", "--out", tmp_path / "a.csv").stdout)
    frames = next(x for x in told["agreement"] if x["level"] == "frames")
    kappa = frames["measures"]["kappa"]
    assert f"{kappa['value']:.2f} ({kappa['low']:.2f} to {kappa['high']:.2f})" in plain.stdout
    with (tmp_path / "a.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    (row,) = [r for r in rows if (r["level"], r["measure"]) == ("frames", "kappa")]
    assert [float(row[k]) for k in ("value", "low", "high")] == pytest.approx(list(kappa.values()), abs=1e-5)
    cells = [int(float(r["value"])) for r in rows if (r["level"], r["measure"]) == ("frames", "confusion")]
    assert cells == np.ravel(frames["counts"]).tolist()
    assert "is there already" in str(run(*files, "--out", tmp_path / "a.csv").exception)


def test_the_command_names_what_it_cannot_use_and_says_what_to_choose(tmp_path):
    table = write_table(tmp_path / "talk.csv", said())
    coder = write_sheet(tmp_path / "c.csv", [*CODED, (11, 12, "blink"), (9, 3, "sad"), (99, 100, "happy")])
    result = run(table, coder)
    assert result.exit_code == 0
    for word in (
        "line 7: 'sad' ends at 3 s",
        "'blink' is no label of the model (1 annotations",
        "after the last frame",
    ):
        assert f"{word}" in result.stderr
    assert result.stderr.count("not used: ") == 3
    two = write_sheet(
        tmp_path / "two.csv", [(0, 2, "happy", "A"), (0, 2, "happy", "B")], ("start", "end", "label", "tier")
    )
    assert "--tier" in str(run(table, two).exception)
    assert "A, B" in run(table, two, "--tier", "A", "--tier", "B").stdout
    assert "has no tier 'C'" in str(run(table, two, "--tier", "C").exception)
    assert isinstance(run(table, tmp_path / "none.eaf").exception, DataError)
    assert "no frame has two codes" in str(run(table, write_sheet(tmp_path / "x.csv", [(0, 2, "blink")])).exception)
    assert "there is no table" in str(run(coder).exception)
    broken = tmp_path / "d.csv"
    broken.write_text(table.read_text().replace("0.4,4,1", "x,4,1"))
    assert f"{broken}:6" in str(run(broken, coder).exception)
