"""Parquet as Hugging Face writes it: pictures, labels, people and splits, and every fault named with file and row."""

from __future__ import annotations

import io
import json
import sys
import tempfile
import tracemalloc
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from face_files import png, put, tar_of, zip_of
from hypothesis import given, settings
from hypothesis import strategies as st

from mien.data import FaceDataset, read_faces, read_source, train_val
from mien.data.readers import parquet as reader
from mien.data.readers.parquet import split_of
from mien.data.synthetic.generate import generate
from mien.errors import DataError, MissingExtra
from mien.labels import FER2013

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")

DRAWN = generate(42, seed=2, size=16, identities=6)
SORTED = ["angry", "disgust", "fear", "happy", "neutral", "sad", "surprise"]  # as ClassLabel often has them
PICTURE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def parquet(
    columns: dict[str, Any], types: dict[str, Any] | None = None, names: list[str] | None = None, **write: Any
) -> bytes:
    """A file of ``columns``; ``names`` are the class names of the column label in the record of ``datasets``."""
    arrays = {k: pa.array(v, (types or {}).get(k)) for k, v in columns.items()}
    table = pa.table(arrays)
    if names is not None:
        features = {"image": {"_type": "Image"}, "label": {"names": names, "_type": "ClassLabel"}}
        table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    out = io.BytesIO()
    pq.write_table(table, out, **{"row_group_size": 8, **write})
    return out.getvalue()


def pictures(ds: FaceDataset) -> list[dict[str, Any]]:
    return [{"bytes": png(i), "path": f"{k}.png"} for k, i in enumerate(ds.images)]


def words(ds: FaceDataset) -> list[str]:
    assert ds.labels is not None
    return [ds.names[k] for k in ds.labels]


def hugging(ds: FaceDataset, **more: Any) -> bytes:
    return parquet({"image": pictures(ds), "label": [SORTED.index(w) for w in words(ds)], **more}, names=SORTED)


def same(got: FaceDataset, want: FaceDataset) -> None:
    assert got.names == want.names
    assert (got.images == want.images).all()
    assert got.labels is not None
    assert got.labels.tolist() == want.labels.tolist()


def one(folder: Path, data: bytes, name: str = "faces") -> Path:
    return put(folder, {name: data}) / name


@pytest.mark.parametrize("form", ["struct", "bytes", "large", "other name"])
@pytest.mark.parametrize("labels", ["class names", "numbers", "words", "dictionary"])
def test_round_trips(tmp_path: Path, form: str, labels: str) -> None:
    column = "scan" if form == "other name" else "image"
    data: dict[str, Any] = {column: pictures(DRAWN), "who": ["x"] * len(DRAWN), "subject": DRAWN.subject.tolist()}
    types: dict[str, Any] = {column: PICTURE}
    if form in ("bytes", "large"):
        data[column] = [png(i) for i in DRAWN.images]
        types[column] = pa.binary() if form == "bytes" else pa.large_binary()
    spelt = [{"happy": "Joy", "sad": "sadness"}.get(w, w) for w in words(DRAWN)]
    data["label"] = {"class names": [SORTED.index(w) for w in words(DRAWN)], "numbers": DRAWN.labels.tolist()}.get(
        labels, spelt
    )
    types["label"] = pa.dictionary(pa.int8(), pa.string()) if labels == "dictionary" else None
    path = one(tmp_path, parquet(data, types, names=SORTED if labels == "class names" else None))
    for _ in range(2):  # the second time from the cache
        reading = read_source(path)
        same(reading.dataset, DRAWN)
        assert reading.dataset.subject.tolist() == DRAWN.subject.tolist()
        assert reading.dataset.splits == ("",)
        assert reading.dataset.rows.tolist() == list(range(len(DRAWN)))
        assert reading.notes[0] == f"read the columns {', '.join(sorted([column, 'label', 'subject']))}; left out: who"
        assert ("taken for FER2013's" in " ".join(reading.notes)) == (labels == "numbers")


def test_shards_in_folders_and_archives_take_their_split_from_the_file_name(tmp_path: Path) -> None:
    parts = [DRAWN.take(slice(a, b)) for a, b in ((0, 14), (14, 28), (28, 35), (35, 42))]
    names = ["train-00000-of-00002", "train-00001-of-00002", "validation-00000-of-00001", "test-00000-of-00001"]
    files = {f"data/{n}.parquet": hugging(p) for n, p in zip(names, parts, strict=True)}
    files |= {"README.md": b"# faces", "assets/teaser.png": png(DRAWN.images[0])}
    folder = put(tmp_path / "a", dict(reversed(files.items())))
    reading = read_source(folder)
    same(reading.dataset, DRAWN)
    assert reading.dataset.split.tolist() == ["train"] * 28 + ["validation"] * 7 + ["test"] * 7
    assert reading.dataset.rows.tolist() == list(range(42))
    assert reading.notes[1] == "read Parquet files; left out: 1 picture"
    for name, pack in {"zip": zip_of(files), "tar": tar_of(dict(reversed(files.items())))}.items():
        (tmp_path / name).write_bytes(pack)
        assert read_faces(tmp_path / name).fingerprint == reading.dataset.fingerprint
    assert [p.splits for p in train_val(reading.dataset)] == [("train",), ("validation",)]


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("train-00000-of-00002.parquet", "train"),
        ("data/test.parquet", "test"),
        ("Validation_0.parquet", "Validation"),
        ("default/train/0000.parquet", "train"),
        ("faces/0000.parquet", ""),
        ("training_faces/trained.parquet", ""),
    ],
)
def test_names_of_splits(name: str, split: str) -> None:
    assert split_of(name) == split


def test_the_name_of_one_file_counts_in_the_cache_too(tmp_path: Path) -> None:
    for name, split in {
        "train-0.parquet": "train",
        "x.parquet": "",
        "Train.parquet": "Train",
        "test.parquet": "test",
    }.items():
        assert read_faces(one(tmp_path, hugging(DRAWN), name)).splits == (split,)


def test_a_split_column_comes_before_the_file_name(tmp_path: Path) -> None:
    data = hugging(DRAWN, Usage=["Training"] * 20 + ["PublicTest"] * 20 + [None, ""])
    ds = read_faces(one(tmp_path, data, "test.parquet"))
    assert ds.split.tolist() == ["Training"] * 20 + ["PublicTest"] * 20 + ["test"] * 2


def test_people_may_be_numbers_or_unknown(tmp_path: Path) -> None:
    ds = read_faces(one(tmp_path, hugging(DRAWN, person_id=[None, *range(41)])))
    assert ds.subject.tolist() == ["", *map(str, range(41))]
    train, val = train_val(ds)
    assert not set(train.subject.tolist()) & set(val.subject.tolist()) - {""}


def test_numbers_that_are_not_fer2013s_are_names(tmp_path: Path) -> None:
    ds = read_faces(one(tmp_path, parquet({"image": pictures(DRAWN.take(slice(4))), "label": [11, 0, 2, 11]})))
    assert ds.names == ("0", "2", "11")
    assert ds.labels.tolist() == [2, 0, 1, 2]


def test_rows_without_a_label(tmp_path: Path) -> None:
    four = DRAWN.take(slice(4))
    reading = read_source(one(tmp_path, parquet({"image": pictures(four), "label": [3, None, -1, 0]}, names=SORTED)))
    assert reading.dataset.names == FER2013.names
    assert reading.dataset.labels.tolist() == [3, -1, -1, 0]
    assert reading.notes[1] == "2 rows have no label (null, -1 or empty)"
    for labels in ([None] * 4, [-1] * 4, None):
        data = {"image": pictures(four), **({} if labels is None else {"label": labels})}
        ds = read_faces(one(tmp_path, parquet(data)))
        assert ds.labels is None
        assert ds.names == FER2013.names


def test_other_formats_sizes_and_colour(tmp_path: Path) -> None:
    big = cv2.resize(DRAWN.images[0], (96, 96))
    jpeg = bytes(cv2.imencode(".jpg", cv2.cvtColor(big, cv2.COLOR_GRAY2BGR), [cv2.IMWRITE_JPEG_QUALITY, 100])[1])
    path = one(tmp_path, parquet({"img": [png(DRAWN.images[0]), jpeg], "emotion": ["fear", "calm"]}))
    assert read_faces(path).size == (48, 48)
    ds = read_faces(path, size=96)
    assert np.abs(ds.images[1].astype(int) - big).max() < 16
    assert ds.names == ("fear", "neutral")


def test_memory_stays_at_the_small_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (256, 256), dtype=np.uint8)
    images = [png(np.roll(noise, i, 0)) for i in range(60)]
    path = one(tmp_path, parquet({"image": images}, row_group_size=60, write_batch_size=2, use_dictionary=False))
    monkeypatch.setattr(reader, "_BATCH", 4)
    tracemalloc.start()
    try:
        assert read_faces(path, size=16, cache=False).images.shape == (60, 16, 16)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 60 * 256 * 256 / 3


@pytest.mark.parametrize(
    ("bad", "fault"),
    [
        (None, "has no picture .null.; remove the row"),
        ({"bytes": None, "path": None}, "has no picture"),
        ({"bytes": None, "path": "a/b.png"}, "holds only the path 'a/b.png' and not the picture"),
        ({"bytes": b"", "path": None}, "the picture is empty"),
        ({"bytes": b"hello", "path": None}, "not a picture that can be read"),
        ({"bytes": png(DRAWN.images[0])[:40], "path": None}, "damaged|cut short"),
    ],
)
def test_bad_pictures_are_errors_or_are_skipped_and_named(tmp_path: Path, bad: object, fault: str) -> None:
    images: list[Any] = pictures(DRAWN)
    images[9] = bad
    path = one(tmp_path, parquet({"image": images, "label": DRAWN.labels.tolist()}, {"image": PICTURE}))
    with pytest.raises(DataError, match=fault) as caught:
        read_faces(path)
    assert caught.value.where == f"{path}:row 9"
    reading = read_source(path, skip_bad=True)
    assert [p.where for p in reading.skipped] == [f"{path}:row 9"]
    kept = [i for i in range(42) if i != 9]
    same(reading.dataset, DRAWN.take(kept))
    assert reading.dataset.rows.tolist() == kept


@pytest.mark.parametrize(
    ("label", "names", "rule"),
    [(7, SORTED, r"the label is 7; it must be 0\.\.6 \(angry, "), (-2, SORTED, "0..6"), (-2, None, "0 or more")],
)
def test_labels_out_of_range(tmp_path: Path, label: int, names: list[str] | None, rule: str) -> None:
    labels = [SORTED.index(w) for w in words(DRAWN)] if names else DRAWN.labels.tolist()
    labels[40] = label
    files = {
        "a.parquet": hugging(DRAWN),
        "b.parquet": parquet({"image": pictures(DRAWN), "label": labels}, names=names),
    }
    path = put(tmp_path, {k: v for k, v in files.items() if names or k == "b.parquet"})
    with pytest.raises(DataError, match=rule) as caught:
        read_faces(path)
    assert caught.value.where == f"{path / 'b.parquet'}:row 40"
    reading = read_source(path, skip_bad=True)
    assert len(reading.skipped) == 1
    assert len(reading.dataset) == 42 * len(files if names else "b") - 1
    assert reading.dataset.names == FER2013.names


@pytest.mark.parametrize(
    ("columns", "types", "fault"),
    [
        ({"label": [1]}, {}, r"has no column of pictures; .* its columns are label \(int64\)"),
        ({"image": [1], "label": [1]}, {}, r"has no column of pictures; .* image \(int64\), label"),
        ({"image": ["a.png"]}, {}, r"image \(string\)"),
        ({"a": [b"x"], "b": [b"x"]}, {}, r"several columns of bytes \(a, b\)"),
        (
            {"image": [b"x"], "label": [[1, 2]]},
            {},
            "the column 'label' holds list<.*; labels must be integers or words",
        ),
        ({"image": [b"x"], "label": [1.5]}, {}, "the column 'label' holds double"),
        ({"image": [], "label": []}, {"image": PICTURE, "label": pa.int64()}, "holds no faces"),
    ],
)
def test_files_whose_columns_do_not_fit(tmp_path: Path, columns: Any, types: Any, fault: str) -> None:
    path = one(tmp_path, parquet(columns, types))
    for skip_bad in (False, True):
        with pytest.raises(DataError, match=fault):
            read_faces(path, skip_bad=skip_bad)
    folder = put(tmp_path / "more", {"a.parquet": parquet(columns, types), "b.parquet": hugging(DRAWN)})
    same(read_faces(folder, skip_bad=True), DRAWN)


def test_columns_of_the_same_name(tmp_path: Path) -> None:
    out = io.BytesIO()
    pq.write_table(pa.table([pa.array([b"x"]), pa.array([b"x"])], names=["image", "image"]), out)
    with pytest.raises(DataError, match="has the column 'image' twice"):
        read_faces(one(tmp_path, out.getvalue()))


def test_names_and_bare_numbers_do_not_mix(tmp_path: Path) -> None:
    bare = parquet({"image": pictures(DRAWN), "label": DRAWN.labels.tolist()})
    folder = put(tmp_path, {"a.parquet": hugging(DRAWN), "b.parquet": bare})
    with pytest.raises(DataError, match=r"some files name their classes .* and others only number them"):
        read_faces(folder)


def test_a_damaged_record_is_as_none(tmp_path: Path) -> None:
    for record in (b"{", b"[]", b'{"info": 1}', b'{"info": {"features": {"label": {"names": [1, 2]}}}}'):
        table = pa.table({"image": pictures(DRAWN), "label": DRAWN.labels}).replace_schema_metadata(
            {"huggingface": record}
        )
        out = io.BytesIO()
        pq.write_table(table, out)
        same(read_faces(one(tmp_path, out.getvalue())), DRAWN)


def test_files_that_only_claim_to_be_parquet(tmp_path: Path) -> None:
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 123\n"
    path = put(tmp_path / "a", {"train-0.parquet": pointer, "train-1.parquet": hugging(DRAWN)})
    with pytest.raises(DataError, match=r"train-0.parquet: does not begin with PAR1.*Git LFS"):
        read_faces(path)
    reading = read_source(path, skip_bad=True)
    assert [p.where for p in reading.skipped] == [str(path / "train-0.parquet")]
    same(reading.dataset, DRAWN)
    for data in (b"PAR1", b"PAR1" * 9, hugging(DRAWN)[:-40]):
        with pytest.raises(DataError, match="reading stopped after 0 rows: it is damaged"):
            read_faces(one(tmp_path, data))


def test_metadata_beside_pictures_is_no_shard(tmp_path: Path) -> None:
    put(tmp_path, {"happy/a.png": png(DRAWN.images[0]), "metadata.parquet": parquet({"file_name": ["happy/a.png"]})})
    assert len(read_faces(tmp_path)) == 1


def test_a_shard_that_unpacks_to_too_much_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "MAX_UNPACKED", 1000)
    with pytest.raises(DataError, match="unpacks to more than 1,000 bytes"):
        read_faces(one(tmp_path, zip_of({"a.parquet": hugging(DRAWN)})))


def test_without_pyarrow_the_line_that_installs_it_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(
        tmp_path,
        {"one": hugging(DRAWN), "many/a.parquet": hugging(DRAWN), "zip": zip_of({"a.parquet": hugging(DRAWN)})},
    )
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    for name in ("one", "many", "zip"):
        with pytest.raises(MissingExtra, match=r"pip install .*\[parquet\]"):
            read_faces(tmp_path / name)


SMALL = hugging(DRAWN.take(slice(6)))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 1), st.binary(min_size=1, max_size=3)), max_size=4), st.floats(0.2, 1))
def test_damaged_files_are_read_or_are_an_error(hits: list[tuple[float, bytes]], keep: float) -> None:
    data = bytearray(SMALL[: int(len(SMALL) * keep)])
    for at, patch in hits:
        start = 4 + int(at * (len(data) - 8))
        data[start : start + len(patch)] = patch
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x"
        path.write_bytes(bytes(data))
        for skip_bad in (False, True):
            try:
                assert len(read_faces(path, skip_bad=skip_bad, cache=False))
            except DataError:
                continue
