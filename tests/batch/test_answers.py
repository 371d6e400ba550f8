"""``predict_batch``: what a picture in Arrow becomes, and what is said of columns that are not there."""

from __future__ import annotations

import pickle

import cv2
import numpy as np
import pytest
from onnx_nets import write_net

pa = pytest.importorskip("pyarrow")

from deadly import RAISES, Deadly  # noqa: E402

from mien.batch import output_schema, predict_batch  # noqa: E402
from mien.errors import ConfigError  # noqa: E402
from mien.results import columns  # noqa: E402
from mien.runtime import Predictor  # noqa: E402


def png(grey: int, side: int = 48) -> bytes:
    return cv2.imencode(".png", np.full((side, side), grey, np.uint8))[1].tobytes()


@pytest.fixture(scope="module")
def predictor(tmp_path_factory):
    return Predictor(write_net(tmp_path_factory.mktemp("nets") / "tiny.onnx"), Deadly(), 1)


def test_each_picture_is_answered_and_a_bad_one_is_a_row(predictor):
    pictures = [png(120), b"no picture", None, png(RAISES), png(60, 64)]
    batch = pa.record_batch({"key": [10, 11, 12, 13, 14], "picture": pa.array(pictures, pa.binary())})
    answer = predict_batch(batch, pickle.loads(pickle.dumps(predictor)))
    rows = answer.to_pylist()
    assert answer.schema == output_schema(predictor)
    assert answer.schema.names == list(columns(predictor.spec.labels, file=True))
    assert [r["photo"] for r in rows] == ["10", "11", "12", "13", "14"]
    assert [r["outcome"] == "unreadable" for r in rows] == [False, True, True, True, False]
    assert rows[2]["error"] == "no picture: the cell is empty"
    assert rows[3]["error"] == "RuntimeError: a bug"
    expected = predictor.predict(pictures[4])[0]
    assert rows[4]["label"] == expected.label
    assert rows[4]["confidence"] == pytest.approx(expected.confidence, abs=1e-6)
    assert (rows[4]["width"], rows[4]["model"], len(rows[4]["sha256"])) == (64, "tiny", 64)


def test_a_struct_with_bytes_and_no_ids(predictor):
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    batch = pa.record_batch({"image": pa.array([{"bytes": png(50), "path": "a.png"}], kind)})
    assert predict_batch(batch, predictor).column("photo").to_pylist() == ["0"]
    two = pa.record_batch({"image": pa.array([png(50)] * 2, pa.binary()), "id": ["a", None]})
    assert predict_batch(two, predictor).column("photo").to_pylist() == ["a", "1"]


@pytest.mark.parametrize(
    ("names", "error"),
    [
        ({"image": "nowhere"}, "no column 'nowhere' for image: the columns are"),
        ({"image": "id"}, "the column 'id' holds int64"),
        ({"id": "nowhere"}, "no column 'nowhere' for id"),
        ({}, r"several columns may hold the pictures \(a, b\)"),
    ],
)
def test_columns_that_cannot_be_meant(predictor, names, error):
    data = pa.array([png(1)], pa.binary())
    with pytest.raises(ConfigError, match=error):
        predict_batch(pa.record_batch({"id": [1], "a": data, "b": data}), predictor, **names)
