"""Corrections of a followed recording: their arithmetic, their lines in a file, and the corrected table."""

from __future__ import annotations

import codecs
import csv
import errno
import importlib.util
import json
from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from review_files import LABELS, RATE, SHOWN, recorded_table

from mien.data import read_faces
from mien.errors import ConfigError, DataError, OutputError
from mien.spec import ModelSpec
from mien.study.corrections import Correction, Found, as_found, correct, parse_correction
from mien.study.faces import _chosen, write_faces
from mien.study.journal import History, Journal, read_history
from mien.study.reviewed import read_face_table


def found(persons):
    """One face a frame and person: ``persons`` has a set of numbers for each frame."""
    rows = [(i / RATE, p) for i, here in enumerate(persons) for p in sorted(here)]
    times, person = np.array([t for t, _ in rows]), np.array([p for _, p in rows], np.int64)
    return Found(LABELS, times, person, np.zeros(len(rows), np.int64))


def same(a, b):
    arrays = ("person", "label", "by_hand", "excluded")
    return all((getattr(a, n) == getattr(b, n)).all() for n in arrays) and a.events == b.events


TWO = found([{1}] * 10 + [set()] * 3 + [{2}] * 10)


def test_a_merge_and_a_split_take_each_other_back():
    merged = correct(TWO, as_found(TWO), Correction("merge", person=2, into=1))
    assert merged.person.tolist() == [1] * 20
    parted = correct(TWO, merged, Correction("split", person=1, start=1.3, into=3))
    assert parted.person.tolist() == [1] * 10 + [3] * 10


def test_a_span_typed_to_the_millisecond_is_just_its_frames():
    times = np.round(np.arange(10) / 15, 4)  # as the table has them, also 0.0667 and 0.1333
    film = Found(LABELS, times, np.ones(10, np.int64), np.zeros(10, np.int64))
    for i in range(9):
        start, end = round(times[i], 3), round(times[i + 1], 3)
        now = correct(film, as_found(film), Correction("label", person=1, start=start, end=end, label="sad"))
        assert np.flatnonzero(now.by_hand).tolist() == [i]
    for i in range(1, 10):
        at = float(np.float32(times[i]))
        now = correct(film, as_found(film), Correction("split", person=1, start=at, into=2))
        assert now.person.tolist() == [1] * i + [2] * (10 - i)


def test_two_who_are_seen_together_are_two():
    both = found([{1, 2}] * 3)
    with pytest.raises(ConfigError, match=r"both seen at 0\.00 s"):
        correct(both, as_found(both), Correction("merge", person=2, into=1))


def test_a_face_that_is_excluded_stands_in_no_merges_way_and_comes_back_only_where_nobody_is_twice():
    both = found([{1}, {1, 2}, {2}])
    now = correct(both, as_found(both), Correction("exclude", person=2, start=0.1, end=0.2))
    now = correct(both, now, Correction("merge", person=2, into=1))
    assert now.person.tolist() == [1, 1, 1, 1]
    with pytest.raises(ConfigError, match=r"person 1 would be seen twice at 0\.10 s"):
        correct(both, now, Correction("include", person=1))


@pytest.mark.parametrize(
    ("correction", "words"),
    [
        (Correction("merge", person=7, into=1), "no person 7"),
        (Correction("merge", person=1, into=1), "themselves"),
        (Correction("split", person=1, start=0.0, into=3), "no frame before 0.00 s"),
        (Correction("split", person=1, start=5.0, into=3), "no frame from 5.00 s"),
        (Correction("split", person=1, start=0.5, into=2), "a person 2 already"),
        (Correction("label", person=2, start=0.0, end=0.5, label="sad"), "not seen from 0.00 to 0.50"),
        (Correction("label", person=1, start=0.0, end=0.5, label="calm"), "angry, happy, sad, got 'calm'"),
    ],
)
def test_what_cannot_be_done_says_why(correction, words):
    with pytest.raises(ConfigError, match=words):
        correct(TWO, as_found(TWO), correction)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ({"do": "jump"}, "do must be one of merge"),
        ([], "do must be"),
        ({"do": []}, "do must be"),
        ({"do": "event", "start": 0, "name": "\ud800"}, "name must be text"),
        ({"do": "merge", "person": 1}, "into is missing"),
        ({"do": "merge", "person": True, "into": 2}, "person must be"),
        ({"do": "merge", "person": 1, "into": 2, "x": 1}, "not 'x'"),
        ({"do": "label", "person": 1, "start": 2, "end": 1, "label": "sad"}, "end must lie after start"),
        ({"do": "event", "start": float("nan"), "name": "a"}, "start must be seconds"),
        ({"do": "event", "start": 0, "name": " "}, "name must be text"),
    ],
)
def test_a_damaged_correction_names_field_value_and_rule(line, words):
    with pytest.raises(ConfigError, match=words):
        parse_correction(line)


PERSON, TIME = st.integers(1, 5), st.integers(0, 12).map(lambda n: n / 4)
STEPS = st.one_of(
    st.builds(lambda p, q: {"do": "merge", "person": p, "into": q}, PERSON, PERSON),
    st.builds(lambda p, t: {"do": "split", "person": p, "start": t}, PERSON, TIME),
    st.builds(lambda p, t: {"do": "exclude", "person": p, "start": t}, PERSON, TIME),
    st.builds(lambda p: {"do": "include", "person": p}, PERSON),
    st.builds(
        lambda p, t, k: {"do": "label", "person": p, "start": t, "end": t + 0.5, "label": LABELS[k]},
        *(PERSON, TIME, st.integers(0, 2)),
    ),
    st.builds(lambda t: {"do": "event", "start": t, "name": "bell"}, TIME),
    st.just({"do": "undo"}),
    st.just({"do": "redo"}),
)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.sets(st.integers(1, 3)), min_size=1, max_size=30), st.lists(STEPS, max_size=12))
def test_any_corrections_keep_every_face_and_can_all_be_taken_back_and_made_again(persons, steps):
    recording, history = found(persons), History()
    for step in steps:
        try:
            if step["do"] in ("undo", "redo"):
                tried = history.undo() if step["do"] == "undo" else history.redo()
            else:
                new = {"into": history.new_person(recording)} if step["do"] == "split" else {}
                tried = history.add(parse_correction(step | new))
            tried.replay(recording)
        except ConfigError:
            continue  # refused, and nothing has changed
        history = tried
    now = history.replay(recording)
    assert len(now.person) == len(recording.person)
    counting = ~now.excluded
    together = set(zip(recording.times[counting].tolist(), now.person[counting].tolist(), strict=True))
    assert len(together) == counting.sum(), "somebody is twice in one frame"
    back, undone = history, 0
    while any(not e.undone for e in back.entries):
        back, undone = back.undo(), undone + 1
        back.replay(recording)  # the newest first is always possible
    assert same(back.replay(recording), as_found(recording))
    for _ in range(undone):
        back = back.redo()
    assert same(back.replay(recording), now)


def test_one_in_the_middle_can_be_undone_where_no_later_one_needs_it(tmp_path):
    journal = Journal(tmp_path / "c.jsonl", {"video": "talk.mp4", "sha256": "a", "run": "r1"})
    assert not journal.path.exists()  # made with the first correction
    journal.add(TWO, Correction("split", person=1, start=0.5, into=3))
    journal.add(TWO, Correction("label", person=2, start=1.3, end=1.5, label="sad"))
    journal.add(TWO, Correction("exclude", person=3))
    size = journal.path.stat().st_size
    with pytest.raises(ConfigError, match=r"correction 3 \(exclude\): there is no person 3"):
        journal.undo(TWO, 1)
    assert journal.path.stat().st_size == size
    now = journal.undo(TWO, 2)
    assert not now.by_hand.any()
    assert set(now.person.tolist()) == {1, 2, 3}
    again = Journal(journal.path, journal.about)
    assert again.history == journal.history
    assert same(again.history.replay(TWO), now)
    assert same(again.redo(TWO), History(tuple(replace(e, undone=False) for e in again.history.entries)).replay(TWO))
    lines = [json.loads(line) for line in journal.path.read_text().splitlines()]
    assert [line.get("do") for line in lines] == [None, "split", "label", "exclude", "undo", "redo"]


def test_a_crash_a_second_program_and_another_film_are_told(tmp_path):
    about = {"video": "talk.mp4", "sha256": "a", "run": "r1"}
    journal = Journal(tmp_path / "c.jsonl", about)
    journal.add(TWO, Correction("event", start=0.5, name="bell"))
    with journal.path.open("a") as file:
        file.write('{"id":2,"do":"ev')
    with pytest.raises(DataError, match="another program"):
        journal.undo(TWO)
    again = Journal(journal.path, about)
    assert again.notes == ["c.jsonl, line 3: cut short, passed over"]
    again.add(TWO, Correction("event", start=0.7, name="bell"))
    assert len(Journal(journal.path, about).history.entries) == 2
    for other, words in (({"sha256": "b"}, "another film"), ({"run": "r2"}, "another run")):
        with pytest.raises(DataError, match=words):
            Journal(journal.path, about | other)


@pytest.mark.parametrize("cut", range(1, 120, 7))
def test_a_file_of_corrections_that_is_cut_anywhere_opens_and_goes_on(tmp_path, cut):
    about = {"video": "tälk.mp4", "sha256": "a", "run": "r1"}
    path = tmp_path / "c.jsonl"
    Journal(path, about).add(TWO, Correction("event", start=0.5, name="Türglocke"))
    whole = path.read_bytes()
    path.write_bytes(b"\xef\xbb\xbf" + whole[: -len(whole) * cut // 120])  # behind what an editor puts there
    again = Journal(path, about)
    again.add(TWO, Correction("event", start=0.7, name="bell"))
    assert [e.correction.name for e in Journal(path, about).history.entries] == ["bell"]


def test_a_correction_that_finds_the_disk_full_leaves_the_file_as_it_was(tmp_path, monkeypatch):
    journal = Journal(tmp_path / "c.jsonl", {"sha256": "a"})
    journal.add(TWO, Correction("event", start=0.5, name="bell"))
    before = journal.path.read_bytes()

    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as m:
        m.setattr("os.fsync", full)
        with pytest.raises(OutputError, match="No space left"):
            journal.undo(TWO)
    assert journal.path.read_bytes() == before
    assert not any(e.undone for e in journal.history.entries)
    journal.undo(TWO, 1)  # and it can be tried again


@pytest.mark.parametrize("number", [1.0, True, "1", [1]])
def test_a_number_that_is_none_is_not_written(tmp_path, number):
    journal = Journal(tmp_path / "c.jsonl", {"sha256": "a"})
    journal.add(TWO, Correction("event", start=0.5, name="bell"))
    with pytest.raises(ConfigError, match="cannot be undone"):
        journal.undo(TWO, number)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a,b\nc,d\n", "none of its lines"),
        ("{}\n", "first line must have"),
        ('{"mien":"corrections","format":9}\n', "format must be 1, got 9"),
        ('{"mien":"corrections","format":1}\n{"id":2,"do":"include","person":1}\n', "c.jsonl:2: id must be 1, got 2"),
        ('{"mien":"corrections","format":1}\n{"do":"undo","of":1}\n', "cannot be undone"),
        ('{"mien":"corrections","format":1}\n[]\n', "must be an object"),
    ],
)
def test_a_wrong_file_is_named_with_its_line(tmp_path, text, words):
    (tmp_path / "c.jsonl").write_text(text)
    with pytest.raises(DataError, match=words):
        read_history(tmp_path / "c.jsonl")


def csv_rows(path):
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
def test_a_corrected_table_says_what_was_set_and_without_corrections_is_the_old_one(tmp_path, suffix):
    if suffix == ".parquet":
        pytest.importorskip("pyarrow")
    table = recorded_table(tmp_path / f"talk{suffix}", SHOWN)
    faces, out = read_face_table(table), tmp_path / f"out{suffix}"
    start = as_found(faces.found)
    faces.write(out, start, {})
    assert out.read_bytes() == table.read_bytes()
    assert (tmp_path / "out-segments.csv").read_bytes() == (tmp_path / "talk-segments.csv").read_bytes()
    for step in (Correction("merge", person=2, into=1), Correction("exclude", person=1, start=2.1)):
        start = correct(faces.found, start, step)
    start = correct(faces.found, start, Correction("label", person=1, start=0.2, end=0.4, label="angry"))
    start = correct(faces.found, start, Correction("label", person=1, start=1.9, end=2.0, label="angry"))
    paths = faces.write(out, start, {"corrections": 3})
    assert [p.name for p in paths] == [f"out{suffix}", "out-segments.csv"]
    again = read_face_table(out)
    assert again.source.metadata["corrected"] == {"corrections": 3}
    assert set(again.found.person.tolist()) == {1}
    rows = list(again.source.rows())
    said = [(r["label"], r["confidence"], r["corrected"], r["outcome"]) for r in rows]
    assert said[0] == ("happy", 0.8, None, "faces")
    assert said[2] == ("angry", 0.1, "label", "faces")
    assert (rows[2]["prediction_set"], rows[2]["raw_label"]) == ("angry", "happy")
    assert said[10] == (None, None, None, "no face")
    assert said[13] == ("sad", 0.8, "person", "faces")
    assert said[22] == ("sad", 0.8, "person; excluded", "unusable")
    assert (rows[22]["usable"], rows[22]["problems"]) == (False, "excluded in review")
    segments = [(s["track"], s["label"], s["start"], s["end"]) for s in csv_rows(tmp_path / "out-segments.csv")]
    assert segments == [  # set by hand counts though it is short
        ("1", "happy", "0.0", "0.2"),
        ("1", "angry", "0.2", "0.4"),
        ("1", "happy", "0.4", "1.0"),
        ("1", "sad", "1.3", "1.9"),
        ("1", "angry", "1.9", "2.0"),
        ("1", "sad", "2.0", "2.1"),
    ]


def test_events_lie_beside_the_corrected_table(tmp_path):
    faces = read_face_table(recorded_table(tmp_path / "talk.csv", SHOWN))
    now = as_found(faces.found)
    for step in (Correction("event", start=1.5, name="=bell"), Correction("event", start=0.5, end=0.75, name="film")):
        now = correct(faces.found, now, step)
    paths = faces.write(tmp_path / "out.csv", now, {})
    assert paths[0].read_bytes() == (tmp_path / "talk.csv").read_bytes()  # an event changes no face
    assert (tmp_path / "out-events.csv").read_text() == "start,end,name\n0.5,0.75,film\n1.5,,'=bell\n"
    faces.write(tmp_path / "out.csv", as_found(faces.found), {})
    assert not (tmp_path / "out-events.csv").exists()
    with pytest.raises(ConfigError, match="the table that is reviewed"):
        faces.write(tmp_path / "talk.csv", now, {})


def test_what_is_no_table_of_a_video_is_named(tmp_path):
    (tmp_path / "a.csv").write_text("time,frame\n0,1\n")
    (tmp_path / "d.jsonl").write_text("5\n")
    (tmp_path / "e.parquet").write_text("no Parquet")
    kinds = {"a.csv": "lacks its columns", "b.csv": "no such file", "c.xlsx": "ends in", "d.jsonl": "no table"}
    if importlib.util.find_spec("pyarrow"):
        kinds["e.parquet"] = "no table"
    for name, words in kinds.items():
        with pytest.raises(DataError, match=words):
            read_face_table(tmp_path / name)


@pytest.mark.parametrize(
    ("hand", "words"),
    [
        (lambda head, rows: [head, *reversed(rows)], r"row 2: time goes from 0\.9 to 0\.8 s"),
        (lambda head, rows: [head, *(r.replace(",0.1,0.8,", ",,0.8,", 1) for r in rows)], "row 1 lacks a value"),
        (lambda head, rows: [head, *(r.replace("0.0,0,", "nan,0,", 1) for r in rows)], "row 1: time goes"),
    ],
)
def test_a_table_that_was_sorted_or_emptied_by_hand_is_named_with_its_row(tmp_path, hand, words):
    table = recorded_table(tmp_path / "talk.csv", SHOWN[:10])
    head, *rows = table.read_text().splitlines()
    table.write_text("\n".join(hand(head, rows)) + "\n")
    with pytest.raises(DataError, match=words):
        read_face_table(table)


def test_a_table_that_a_spreadsheet_saved_with_semicolons_and_decimal_commas_is_read(tmp_path):
    table = recorded_table(tmp_path / "talk.csv", SHOWN)
    whole = read_face_table(table)
    rows = list(csv.reader(table.read_text().splitlines()))
    lines = [";".join(cell.replace(".", ",") if cell[:1].isdigit() else cell for cell in row) for row in rows]
    table.write_bytes(codecs.BOM_UTF8 + "\r\n".join(lines).encode() + b"\r\n")
    again = read_face_table(table)
    assert (again.found.times == whole.found.times).all()
    assert (again.probabilities == whole.probabilities).all()


def test_two_frames_at_one_time_stay_two(tmp_path):
    faces = read_face_table(recorded_table(tmp_path / "talk.csv", SHOWN[:3]))
    faces.found.times[:] = 0.0
    now = correct(faces.found, as_found(faces.found), Correction("label", person=1, start=0, end=1, label="sad"))
    assert _chosen(faces, now, 1e9) == {0: [0], 1: [1], 2: [2]}


def test_faces_with_labels_set_by_hand_become_a_folder_that_training_reads(tmp_path):
    video = tmp_path / "talk.avi"
    writer = cv2.VideoWriter(str(video), cv2.VideoWriter_fourcc(*"MJPG"), RATE, (160, 120))
    for i in range(len(SHOWN)):
        writer.write(np.full((120, 160, 3), 10 * i, np.uint8))
    writer.release()
    faces = read_face_table(recorded_table(tmp_path / "talk.csv", SHOWN))
    now = as_found(faces.found)
    spec = ModelSpec("tiny", LABELS, 48)
    with pytest.raises(ConfigError, match="no label has been set"):
        write_faces(tmp_path / "faces", video, faces, now, spec)
    for step in (
        Correction("label", person=1, start=0.0, end=0.5, label="angry"),
        Correction("label", person=2, start=1.3, end=1.5, label="happy"),
    ):
        now = correct(faces.found, now, step)
    assert write_faces(tmp_path / "faces", video, faces, now, spec, a_second=5) == {"angry": 3, "happy": 1}
    cut_out = read_faces(tmp_path / "faces")
    assert {cut_out.names[k] for k in cut_out.labels.tolist()} == {"angry", "happy"}
    assert sorted(cut_out.images.mean((1, 2)).round(-1).tolist()) == [0, 20, 40, 130]  # each from its own frame
    assert sorted(set(cut_out.subject.tolist())) == ["0001-talk", "0002-talk"]
    short = tmp_path / "short.avi"
    writer = cv2.VideoWriter(str(short), cv2.VideoWriter_fourcc(*"MJPG"), RATE, (160, 120))
    writer.write(np.zeros((120, 160, 3), np.uint8))
    writer.release()
    with pytest.raises(DataError, match="frame 2 is not in the film"):
        write_faces(tmp_path / "more", short, faces, now, spec, a_second=5)
