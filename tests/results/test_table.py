"""Rows of a run, and the tables of pandas and pyarrow."""

from __future__ import annotations

import numpy as np
import pytest

from mien.errors import MissingExtra
from mien.faces import Face, Photo, Quality
from mien.results.table import columns, rows, to_arrow, to_pandas

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
        landmarks=None,
        crop=np.zeros((4, 4), np.uint8),
        **{"quality": quality, **more},
    )


RUN = [
    Photo("a.jpg", (face(), face(0.9, problems=("too small: 9 pixels", "too blurred"))), 50, 60),
    Photo("b.jpg", (), 50, 60),
    Photo("c.jpg", error="cut short"),
]


def test_there_is_a_row_a_face_and_one_for_each_photo_without():
    found = [row for photo in RUN for row in rows(photo)]
    assert [(r["photo"], r["face"], r["outcome"]) for r in found] == [
        ("a.jpg", 1, "faces"),
        ("a.jpg", 2, "faces"),
        ("b.jpg", 0, "no face"),
        ("c.jpg", 0, "unreadable"),
    ]
    assert found[3] == {"photo": "c.jpg", "outcome": "unreadable", "error": "cut short", "face": 0}
    assert found[0]["prediction_set"] == "calm cross"
    assert found[1]["problems"] == "too small: 9 pixels; too blurred"
    assert [found[i]["usable"] for i in (0, 1)] == [True, False]
    assert (found[0]["yaw"], found[0]["pitch"], found[0]["roll"]) == (3, -4, 5)


def test_every_key_of_a_row_is_a_column():
    video = Photo("v.mp4", (face(track=2, time=1.5),), 5, 5, time=1.5)
    (row,) = rows(video)
    assert (row["time"], row["track"]) == (1.5, 2)
    assert set(row) <= set(columns(LABELS, video=True))
    assert set(columns(LABELS, video=True)) - set(row) == {"error"}
    assert columns(LABELS) == columns(LABELS, video=True)[:-2]


def test_a_face_without_quality_is_usable_and_has_no_measures():
    (row,) = rows(Photo("a.jpg", (face(quality=None),)))
    assert row["usable"] is True
    assert row["side"] is None


def test_pandas_has_a_typed_column_each_and_misses_what_is_not_there():
    pd = pytest.importorskip("pandas")
    frame = to_pandas(iter(RUN))
    assert list(frame.columns) == columns(LABELS)
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
    with pytest.raises(MissingExtra, match=r"pip install 'mien\[pandas\]'"):
        to_pandas(RUN)


def test_arrow_tables_of_runs_with_and_without_faces_can_be_joined():
    pa = pytest.importorskip("pyarrow")
    found = [to_arrow(rows(photo), LABELS) for photo in RUN]
    whole = pa.concat_tables(found)
    assert whole["face"].to_pylist() == [1, 2, 0, 0]
    assert whole["usable"].to_pylist() == [True, False, None, None]
    assert whole.column_names == columns(LABELS)
