"""Coded recordings in the files of other programs, read back by those programs' own or by independent readers."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from collections import defaultdict
from itertools import pairwise

import pytest

from mien.errors import ConfigError, MissingExtra
from mien.study import CodedRecording, Span, exports, write_export
from mien.study.exports import EXPORTS, beside_export, export_ending, export_name
from mien.video.stretches import STRETCHES

ODD = 'say "hi" & <b>\n\tso| =1 \x1b[31m \u2028 ärger 怒'
LABELS = ("happy", "neutral", ODD)
SPANS = (
    Span("", "no face", 0.0, 0.4, 13),
    Span("person 1", "neutral", 0.5, 1.2336, 23, 0.5),
    Span("person 1", "uncertain", 0.7, 0.9, 7),
    Span("person 2", ODD, 0.9, 0.9, 1, 0.41),  # one frame
    Span("person 1", "happy", 1.267, 3601.0004, 70, 0.912345),
    Span("person 1", "unusable", 2.0, 2.5, 16),
    Span("", "unreadable", 3.0, 3.1, 4),
    Span("person 1", "happy", 3601.034, 3602.0, 30, 0.7),
)
RUN = {"model": {"name": "tiny", "licence": "MIT"}, "run": "r0123456789ab", "settings": {"fps": None}}


@pytest.fixture
def coded(tmp_path):
    video = tmp_path / "a & b <1> 'é\".mp4"
    video.write_bytes(b"x")
    return CodedRecording(str(video), 3602.0, 29.97, LABELS, ("person 1", "person 2", "person 3"), SPANS, RUN)


def expected():
    """(person, whether a gap) -> (start, end, label) in seconds."""
    found = defaultdict(list)
    for span in SPANS:
        found[span.person, span.gap].append((span.start, span.end, span.label))
    return found


def same(found, wanted):
    assert len(found) == len(wanted)
    for (start, end, label), (s, e, text) in zip(found, wanted, strict=True):
        assert (start, end) == (pytest.approx(s, abs=0.001001), pytest.approx(e, abs=0.001001))
        assert label == shown(text)


def shown(text):
    return re.sub("[\x00-\x1f\x7f-\x9f]", lambda m: f"\\x{ord(m[0]):02x}", text).replace("\u2028", " ")


TIERS = {
    "person 1": ("person 1", False),
    "person 1 data": ("person 1", True),
    "person 2": ("person 2", False),
    "person 2 data": ("person 2", True),
    "person 3": ("person 3", False),
    "person 3 data": ("person 3", True),
    "recording data": ("", True),
}


def test_elan(coded, tmp_path):
    pympi = pytest.importorskip("pympi")
    write_export(tmp_path / "t.eaf", coded)
    read = pympi.Elan.Eaf(str(tmp_path / "t.eaf"))
    assert list(read.get_tier_names()) == list(TIERS)
    for name, key in TIERS.items():
        found = sorted((a / 1000, b / 1000, text) for a, b, text in read.get_annotation_data_for_tier(name))
        same(found, expected()[key])
    (media,) = read.get_linked_files()
    assert media["MIME_TYPE"] == "video/mp4"
    assert media["RELATIVE_MEDIA_URL"] == "./a & b <1> 'é\".mp4"
    assert read.get_parameters_for_tier("person 2 data")["PARTICIPANT"] == "person 2"
    root = ET.parse(tmp_path / "t.eaf").getroot()  # a plain parser, what ELAN's schema wants of times and references
    slots = {s.get("TIME_SLOT_ID"): int(s.get("TIME_VALUE")) for s in root.iter("TIME_SLOT")}
    for one in root.iter("ALIGNABLE_ANNOTATION"):
        assert slots[one.get("TIME_SLOT_REF1")] < slots[one.get("TIME_SLOT_REF2")]
    types = {t.get("LINGUISTIC_TYPE_ID") for t in root.iter("LINGUISTIC_TYPE")}
    assert {t.get("LINGUISTIC_TYPE_REF") for t in root.iter("TIER")} <= types


def test_praat_itself_opens_the_textgrid(coded, tmp_path):
    parselmouth = pytest.importorskip("parselmouth")
    write_export(tmp_path / "t.TextGrid", coded)
    grid = parselmouth.read(str(tmp_path / "t.TextGrid"))
    call = parselmouth.praat.call
    assert call(grid, "Get number of tiers") == len(TIERS)
    assert call(grid, "Get end time") == pytest.approx(3602.0)
    for i, (name, key) in enumerate(TIERS.items(), start=1):
        assert call(grid, "Get tier name", i) == name
        found = []
        for n in range(1, call(grid, "Get number of intervals", i) + 1):
            if text := call(grid, "Get label of interval", i, n):
                found.append(
                    (call(grid, "Get start time of interval", i, n), call(grid, "Get end time of interval", i, n), text)
                )
        same(found, expected()[key])


def test_a_boris_project(coded, tmp_path):
    """Structure only: what BORIS asks of a project of version 7.0, and that every state is started and stopped."""
    write_export(tmp_path / "t.boris", coded)
    project = json.loads((tmp_path / "t.boris").read_text(encoding="utf-8"))
    assert project["project_format_version"] == "7.0"
    assert [s["name"] for s in project["subjects_conf"].values()] == ["person 1", "person 2", "person 3"]
    codes = {b["code"]: b for b in project["behaviors_conf"].values()}
    assert {b["type"] for b in codes.values()} == {"State event"}
    assert set(STRETCHES) < set(codes)
    assert not any("|" in code for code in codes)
    assert len({b["key"] for b in codes.values()}) == len(codes)
    (observation,) = project["observations"].values()
    assert observation["file"]["1"] == [coded.source]
    assert set(observation["file"]) == set("12345678")
    assert observation["media_info"]["length"][coded.source] == pytest.approx(3602.0)
    events = observation["events"]
    assert [e[0] for e in events] == sorted(e[0] for e in events)
    running, found = {}, defaultdict(list)
    for time, subject, code, modifiers, *_ in events:
        assert modifiers == ""
        assert code in codes
        if (subject, code) in running:
            key = (subject, codes[code]["category"] == "data")
            found[key].append((running.pop((subject, code)), time, code))
        else:
            running[subject, code] = time
    assert not running
    for key, wanted in expected().items():
        same(sorted(found[key]), [(s, e, text.replace("|", "/")) for s, e, text in wanted])


def test_bids_events(coded, tmp_path):
    path = tmp_path / "sub-01_task-talk_events.tsv"
    write_export(path, coded)
    head, *rows = [line.split("\t") for line in path.read_text(encoding="utf-8").removesuffix("\n").split("\n")]
    assert head[:3] == ["onset", "duration", "trial_type"]
    assert {len(row) for row in rows} == {len(head)}
    found = defaultdict(list)
    for row in (dict(zip(head, row, strict=True)) for row in rows):
        gap = row["event_kind"] == "gap"
        assert (row["mean_probability"] == "n/a") == gap
        start = float(row["onset"])
        person = "" if row["person"] == "n/a" else row["person"]
        found[person, gap].append((start, start + float(row["duration"]), row["trial_type"]))
    for key, wanted in expected().items():
        same(found[key], wanted)
    assert [float(r[0]) for r in rows] == sorted(float(r[0]) for r in rows)
    beside = json.loads((tmp_path / "sub-01_task-talk_events.json").read_text(encoding="utf-8"))
    assert {type(told) for told in beside.values()} == {dict}  # what bids-validator asks of it
    assert set(head) <= set(beside)
    assert {r[2] for r in rows} <= set(beside["trial_type"]["Levels"])
    assert beside["mien"]["run"] == RUN["run"]


def test_subtitles(coded, tmp_path):
    write_export(tmp_path / "t.vtt", coded)
    text = (tmp_path / "t.vtt").read_text(encoding="utf-8")
    head, note, *cues = text.removesuffix("\n").split("\n\n")
    assert (head, note.split()[0]) == ("WEBVTT", "NOTE")
    found = defaultdict(list)
    for cue in cues:
        times, payload = cue.split("\n")
        start, end = map(seconds, times.split(" --> "))
        assert start < end
        person, said = re.fullmatch(r"<v ([^<>]+)>\1: (.+)</v>", payload).groups()
        assert not re.search(r"[<>]|&(?!(amp|lt|gt);)", said)
        said = said.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
        gap = said.startswith("[")
        label = said[1:-1] if gap else said.rpartition(" ")[0]
        found["" if person == "recording" else person, gap].append((start, end, label))
    for key, wanted in expected().items():
        same(found[key], [(s, e, text) for s, e, text in wanted])


def seconds(clock):
    hours, minutes, rest = clock.split(":")
    return int(hours) * 3600 + int(minutes) * 60 + float(rest)


def test_spss(coded, tmp_path):
    pyreadstat = pytest.importorskip("pyreadstat")
    write_export(tmp_path / "t.sav", coded)
    table, about = pyreadstat.read_sav(str(tmp_path / "t.sav"))
    found = defaultdict(list)
    for row in table.to_dict("records"):
        gap = row["kind"] == "gap"
        assert (row["mean_probability"] != row["mean_probability"]) == gap  # NaN: a missing value
        found[row["person"], gap].append((row["onset"], row["offset"], row["label"]))
    for key, wanted in expected().items():
        same(found[key], wanted)
    assert set(table["run"]) == {RUN["run"]}
    assert about.column_names_to_labels["onset"].startswith("first frame")


@pytest.mark.parametrize("ending", EXPORTS)
def test_a_recording_without_anything_is_a_file_too(ending, tmp_path):
    pytest.importorskip("pympi")
    pytest.importorskip("pyreadstat")
    path = tmp_path / f"t{ending}"
    write_export(path, CodedRecording("gone.mp4", 0.0, 0.0, LABELS, (), (), RUN))
    assert path.stat().st_size > 0
    assert json.loads(beside_export(path).read_text(encoding="utf-8"))
    if ending == ".TextGrid":
        parselmouth = pytest.importorskip("parselmouth")
        assert parselmouth.praat.call(parselmouth.read(str(path)), "Get number of tiers") == 1


def test_spans_closer_than_a_millisecond_stay_apart(coded):
    spans = [Span("person 1", "happy", t, t, 1, 0.5) for t in (0.0, 0.0004, 0.001, 0.0011)]
    tier = next(iter(CodedRecording("x", 1.0, 0, LABELS, ("person 1",), spans, RUN).tiers()))
    times = [(start, end) for start, end, _ in tier.spans]
    assert all(start < end for start, end in times)
    assert all(a[1] <= b[0] for a, b in pairwise(times))


def test_endings_and_words(tmp_path, monkeypatch):
    assert export_ending(tmp_path / "a.textgrid") == ".TextGrid"
    assert export_ending(tmp_path / "sub-1_events.tsv") == "_events.tsv"
    assert export_ending(tmp_path / "other.tsv") == ""
    assert [export_name(w) for w in ("eaf", ".TextGrid", "events.tsv")] == [".eaf", ".TextGrid", "_events.tsv"]
    with pytest.raises(ConfigError, match="must be one of eaf, TextGrid"):
        export_name("docx")

    def missing(module, extra):
        raise MissingExtra(f"pip install 'mien[{extra}]'")

    monkeypatch.setattr(exports, "need", missing)
    with pytest.raises(MissingExtra, match=r"mien\[study\]"):
        exports.check_export(".eaf")
    exports.check_export(".vtt")
