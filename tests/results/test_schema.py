"""Rows of a run, the tables of pandas and pyarrow, and the page that documents the columns."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mien.errors import MissingExtra
from mien.faces import Face, Photo, Quality
from mien.results.schema import COLUMNS, FORMAT, Record, columns, to_arrow, to_pandas

LABELS = ("calm", "cross")


def face(p=0.75, **more):
    quality = Quality(40.0, 0.5, 120.0, 50.0, 3.0, -4.0, 5.0, more.pop("problems", ()))
    return Face(
        label="calm",
        confidence=p,
        prediction_set=LABELS if p < 0.8 else LABELS[:1],
        probabilities={"calm": p, "cross": 1 - p},
        box=(1.0, 2.0, 30.0, 40.0),
        score=0.9,
        landmarks=more.pop("landmarks", None),
        crop=np.zeros((4, 4), np.uint8),
        **{"quality": quality, **more},
    )


RUN = [
    Photo("a.jpg", (face(), face(0.9, problems=("too small: 9 pixels", "too blurred"))), 50, 60),
    Photo("b.jpg", (), 50, 60),
    Photo("c.jpg", error="cut short"),
]


def test_there_is_a_row_a_face_and_one_for_each_photo_without():
    found = [row for photo in RUN for row in Record(photo).rows()]
    assert [(r["photo"], r["face"], r["outcome"]) for r in found] == [
        ("a.jpg", 1, "faces"),
        ("a.jpg", 2, "faces"),
        ("b.jpg", 0, "no face"),
        ("c.jpg", 0, "unreadable"),
    ]
    told = {key: value for key, value in found[3].items() if value is not None}
    assert told == {"photo": "c.jpg", "outcome": "unreadable", "error": "cut short", "face": 0}
    assert found[0]["prediction_set"] == "calm cross"
    assert found[1]["problems"] == "too small: 9 pixels; too blurred"
    assert [found[i]["usable"] for i in (0, 1)] == [True, False]
    assert (found[0]["yaw"], found[0]["pitch"], found[0]["roll"]) == (3, -4, 5)


def test_every_key_of_a_row_is_a_column_and_every_column_has_a_key():
    video = Photo("v.mp4", (face(track=2, time=1.5, landmarks=np.zeros((5, 2), np.float32)),), 5, 6, time=1.5)
    (row,) = Record(video, video.faces, 30).rows()
    assert (row["time"], row["track"], row["frame"], row["raw_label"]) == (1.5, 2, 30, "calm")
    assert (row["width"], row["height"], row["left_mouth_y"]) == (5, 6, 0.0)
    both = {**columns(LABELS, video=True), **columns(LABELS)}
    assert set(row) - {"sha256"} == set(both)
    file = columns(LABELS, file=True)
    assert set(file) - set(columns(LABELS)) == {"sha256", "model", "run"}
    assert set(columns(LABELS, video=True)) - set(columns(LABELS)) == {
        *("time", "frame", "track", "raw_label", "raw_confidence")
    }


def test_a_label_called_like_a_column_gets_a_name_of_its_own():
    labels = ("time", "happy", "score", "photo")
    for video in (False, True):
        names = list(columns(labels, video=video))
        assert {"p_time", "happy", "p_score", "p_photo", "score"} <= set(names)
    odd = replace(face(), label="time", probabilities={"time": 1.0, "happy": 0.0, "score": 0.0, "photo": 0.0})
    (row,) = Record(Photo("a.jpg", (odd,))).rows()
    assert (row["p_time"], row["time"], row["photo"]) == (1.0, None, "a.jpg")


def test_the_page_shows_every_column_as_the_code_has_it():
    kinds = {"": "both", "photo": "photos", "video": "videos", "file": "files", "photo file": "files of photos"}
    kinds |= {"video baseline": "videos with a baseline", "video markers": "videos with markers"}
    kinds["video review"] = "videos that were reviewed"
    lines = [f"| `{c.name}` | {c.type.__name__} | {kinds[c.kind]} | {c.text} |" for c in COLUMNS]
    page = (Path(__file__).parents[2] / "docs" / "columns.md").read_text(encoding="utf-8")
    found = [line for line in page.splitlines() if line.startswith("| `")]
    assert found[: len(lines)] == lines
    assert f"Format {FORMAT}" in page


def test_a_face_without_quality_is_usable_and_has_no_measures():
    (row,) = Record(Photo("a.jpg", (face(quality=None),))).rows()
    assert row["usable"] is True
    assert row["side"] is None


def test_pandas_has_a_typed_column_each_and_misses_what_is_not_there():
    pd = pytest.importorskip("pandas")
    frame = to_pandas(iter(RUN))
    assert list(frame.columns) == list(columns(LABELS))
    assert frame["face"].tolist() == [1, 2, 0, 0]
    assert frame["usable"].dtype == "boolean"
    assert frame["confidence"].tolist()[:2] == [0.75, 0.9]
    assert frame["label"].isna().tolist() == [False, False, True, True]
    assert frame["error"].tolist()[3] == "cut short"
    assert frame.query("usable")["face"].tolist() == [1]
    assert frame.dtypes.equals(to_pandas(RUN[1:], LABELS).dtypes)  # also without any face
    assert "calm" not in to_pandas(RUN[1:]).columns
    assert isinstance(to_pandas([]), pd.DataFrame)
    assert len(to_pandas([])) == 0


def test_without_pandas_the_install_line_is_named(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pandas", None)
    with pytest.raises(MissingExtra, match=r"pip install .*\[pandas\]"):
        to_pandas(RUN)


def test_arrow_tables_of_runs_with_and_without_faces_can_be_joined():
    pa = pytest.importorskip("pyarrow")
    found = [to_arrow([photo], LABELS) for photo in RUN]
    whole = pa.concat_tables(found)
    assert whole["face"].to_pylist() == [1, 2, 0, 0]
    assert whole["usable"].to_pylist() == [True, False, None, None]
    assert whole.column_names == list(columns(LABELS))
