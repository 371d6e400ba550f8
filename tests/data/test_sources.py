"""The FER2013 family in every form, archives and the cache; every fault is named with file and line."""

from __future__ import annotations

import bz2
import gzip
import lzma
import subprocess
import sys
from pathlib import Path

import pytest
from face_files import csv_of, faces, put, tar_of, zip_of

from mien.data import cache, read_faces, read_source
from mien.data.readers import archives
from mien.errors import ConfigError, DataError
from mien.labels import FER2013


@pytest.mark.parametrize(
    "columns", ["emotion,pixels,Usage", "emotion, Usage, pixels", "pixels,emotion,Usage", " USAGE,Pixels , Emotion"]
)
@pytest.mark.parametrize("header", [True, False])
def test_columns_are_found_by_name_and_without_a_header_by_content(tmp_path: Path, columns: str, header: bool) -> None:
    ds = faces()
    (tmp_path / "a").write_bytes(csv_of(ds, columns, header))
    got = read_faces(tmp_path / "a")
    assert got.fingerprint == ds.fingerprint
    assert got.names == FER2013.names
    assert got.rows.tolist() == list(range(9))


def test_a_file_without_labels_or_splits(tmp_path: Path) -> None:
    ds = faces(split=False)
    (tmp_path / "train.csv").write_bytes(csv_of(ds, "emotion,pixels"))
    (tmp_path / "test.csv").write_bytes(csv_of(ds, "pixels"))
    assert read_faces(tmp_path / "train.csv").fingerprint == ds.fingerprint
    test = read_faces(tmp_path / "test.csv")
    assert test.labels is None
    assert (test.images == ds.images).all()
    assert test.splits == ("",)


@pytest.mark.parametrize(
    "change",
    [
        lambda b: b.replace(b"\n", b"\r\n"),
        lambda b: b"\xef\xbb\xbf" + b,
        lambda b: b.rstrip(b"\n"),
        lambda b: b.replace(b"\n", b"\n\n"),
        lambda b: b.replace(b",", b";"),
        lambda b: b.replace(b",", b'","').replace(b"\n", b'"\n"')[:-1].join([b'"', b""]),
    ],
    ids=["crlf", "bom", "no last newline", "blank lines", "semicolons", "quotes"],
)
def test_what_spreadsheets_do_to_a_csv(tmp_path: Path, change: object) -> None:
    ds = faces()
    (tmp_path / "a.csv").write_bytes(change(csv_of(ds)))  # type: ignore[operator]
    assert read_faces(tmp_path / "a.csv").fingerprint == ds.fingerprint


def test_official_splits_keep_their_names_in_any_case(tmp_path: Path) -> None:
    ds = faces(6)
    loud = csv_of(ds).replace(b"PublicTest", b"PUBLICTEST").replace(b"Training", b"training")
    (tmp_path / "loud.csv").write_bytes(loud)
    assert read_faces(tmp_path / "loud.csv").fingerprint == ds.fingerprint


def test_words_as_labels(tmp_path: Path) -> None:
    ds = faces()
    text = csv_of(ds).decode()
    for i, word in enumerate(["Anger", "disgusted", "fear", "JOY", "sadness", "surprise", "neutral"]):
        text = text.replace(f"\n{i},", f"\n{word},")
    (tmp_path / "a.csv").write_text(text)
    assert read_faces(tmp_path / "a.csv").fingerprint == ds.fingerprint


def test_content_decides_not_the_suffix(tmp_path: Path) -> None:
    ds = faces()
    data = csv_of(ds)
    forms = {
        "plain.gz": data,
        "gzip.csv": gzip.compress(data),
        "twice": gzip.compress(gzip.compress(data)),
        "bz2": bz2.compress(data),
        "xz": lzma.compress(data),
        "zip.csv": zip_of({"fer2013/fer2013.csv": data, "fer2013/README": b"read me"}),
        "zipped gzip": zip_of({"fer2013.csv.gz": gzip.compress(data)}),
        "tar": tar_of({"./fer2013/fer2013.csv": data}, "w"),
        "tar.gz": tar_of({"fer2013/README": b"x", "fer2013/fer2013.csv": data, "fer2013/._fer2013.csv": b"\0"}),
        "tar.xz": tar_of({"fer2013.csv": data}, "w:xz"),
    }
    for name, content in put(tmp_path, forms) and forms.items():
        assert read_faces(tmp_path / name).fingerprint == ds.fingerprint, (name, len(content))
    folder = put(tmp_path / "folder", {"fer2013.csv": data, "fer2013new.csv": b"Usage,Image name,neutral,NF\n"})
    assert read_faces(folder).fingerprint == ds.fingerprint


def test_the_most_complete_table_of_an_archive_is_read_and_the_others_are_named(tmp_path: Path) -> None:
    ds, less = faces(), faces(split=False)
    files = {
        "test.csv": csv_of(less, "pixels"),
        "icml_face_data.csv": csv_of(ds, "emotion, Usage, pixels"),
        "train.csv": csv_of(less, "emotion,pixels"),
        "example_submission.csv": b"id,guess\n1,2\n",
    }
    (tmp_path / "a.zip").write_bytes(zip_of(files))
    for _ in range(2):  # the second time from the cache
        reading = read_source(tmp_path / "a.zip")
        assert reading.dataset.fingerprint == ds.fingerprint
        assert reading.notes == ("read icml_face_data.csv; left out: test.csv, train.csv",)
    (tmp_path / "b.zip").write_bytes(zip_of({"a/x.csv": csv_of(ds), "b/x.csv": csv_of(ds)}))
    with pytest.raises(DataError, match=r"several tables of faces: a/x.csv, b/x.csv"):
        read_faces(tmp_path / "b.zip")


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("3,{short},Training", r":4: has 24 pixels; it must have 25 \(5 x 5\)"),
        ("3,256 {short},Training", r":4: pixel 1 is '256'; it must be an integer in 0\.\.255"),
        ("3,{short} -1,Training", r":4: pixel 25 is '-1'"),
        ("3,{short} abc,Training", r":4: pixel 25 is 'abc'"),
        ("3,{short} 1.5,Training", r":4: pixel 25 is '1.5'"),
        ("3,{short} 99999999999999999999999,Training", r":4: pixel 25 is '9999"),
        ("3,,Training", r":4: has 0 pixels"),
        ("8,{short} 1,Training", r":4: the label is '8'; it must be 0\.\.7 or one of angry, .*, contempt: correct"),
        (",{short} 1,Training", r":4: the label is ''"),
        ("3,{short} 1", r":4: has 2 columns where 3 are expected"),
    ],
)
def test_a_bad_row_is_an_error_or_is_skipped_and_named(tmp_path: Path, row: str, message: str) -> None:
    ds = faces()
    lines = csv_of(ds).decode().splitlines()
    lines.insert(3, row.format(short=" ".join(["7"] * 24)))
    path = tmp_path / "a.csv"
    path.write_text("\n".join(lines))
    with pytest.raises(DataError, match=message) as caught:
        read_faces(path)
    assert caught.value.where == f"{path}:4"
    reading = read_source(path, skip_bad=True)
    assert [p.where for p in reading.skipped] == [f"{path}:4"]
    assert reading.dataset.fingerprint == ds.fingerprint
    assert reading.dataset.rows.tolist() == [0, 1, 3, 4, 5, 6, 7, 8, 9]  # a bad row keeps its number


def test_one_bad_first_row_does_not_decide_the_size(tmp_path: Path) -> None:
    ds = faces()
    lines = csv_of(ds).decode().splitlines()
    lines.insert(1, "3,1 2 3 4,Training")
    (tmp_path / "a.csv").write_text("\n".join(lines))
    with pytest.raises(DataError, match=r"a.csv:2: has 4 pixels; it must have 25"):
        read_faces(tmp_path / "a.csv")
    assert read_faces(tmp_path / "a.csv", skip_bad=True).fingerprint == ds.fingerprint


def test_skipped_rows_are_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "a.csv").write_bytes(csv_of(faces()) + b"9,1,x\n")
    read_faces(tmp_path / "a.csv", skip_bad=True)
    assert "a.csv:11: the label is '9'" in caplog.text
    assert "skipped: 1 row or picture of" in caplog.text


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the file is empty"),
        (b"\n\n", "holds no faces"),
        (b"emotion,pixels,Usage\n", "holds no faces"),
        (b"a,b,c\n1,2,3\n", "line 1 has no column 'pixels' but 'a', 'b', 'c'"),
        (b"emotion,pixels,pixels\n", "line 1 names the column 'pixels' twice"),
        (b"Usage,Image name,neutral,happiness,NF\n", "holds FER\\+ votes, not faces"),
        (b"\0\1\2\3" * 99, "is no CSV text"),
        (b"\x89PNG\r\n\x1a\n", "is no CSV text"),
        (b"emotion,pixels\n9,1 2 3 4\n8,1 2 3 4\n", "the label is '9'"),
        (b"PK\3\4 not a zip", "neither pictures nor a CSV"),
    ],
)
def test_files_that_are_no_faces(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "a").write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_faces(tmp_path / "a")
    with pytest.raises(DataError):
        read_faces(tmp_path / "a", skip_bad=True)


def test_paths_that_are_no_files(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file or folder"):
        read_faces(tmp_path / "absent.csv")
    with pytest.raises(DataError, match="holds neither pictures nor a CSV of faces"):
        read_faces(tmp_path)


def test_a_truncated_gzip_keeps_what_came_before_on_request(tmp_path: Path) -> None:
    ds = faces(400, 20)
    path = tmp_path / "a.csv.gz"
    path.write_bytes(gzip.compress(csv_of(ds))[:-9000])
    with pytest.raises(DataError, match=r"a\.csv\.gz:\d+: reading stopped after this line: .*ends too early"):
        read_faces(path)
    reading = read_source(path, skip_bad=True)
    n = len(reading.dataset)
    assert 300 < n < 400
    assert len(reading.skipped) == 1
    assert reading.skipped[0].where == f"{path}:{n + 1}"  # the header is line 1
    assert (reading.dataset.images == ds.images[:n]).all()


@pytest.mark.parametrize("cut", [0.3, 0.9])
@pytest.mark.parametrize("pack", [zip_of, tar_of])
def test_a_truncated_archive_is_one_clear_error(tmp_path: Path, cut: float, pack: object) -> None:
    data = pack({"fer2013.csv": csv_of(faces(300, 20))})  # type: ignore[operator]
    (tmp_path / "a").write_bytes(data[: int(cut * len(data))])
    with pytest.raises(DataError):
        read_faces(tmp_path / "a")


def test_a_decompression_bomb_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "MAX_UNPACKED", 400_000)
    data = csv_of(faces(400, 20))
    put(tmp_path, {"a.gz": gzip.compress(data), "a.zip": zip_of({"a.csv": data}), "a.tar.gz": tar_of({"a.csv": data})})
    for name in ("a.gz", "a.zip", "a.tar.gz"):
        for skip_bad in (False, True):
            with pytest.raises(DataError, match="decompression bomb"):
                read_faces(tmp_path / name, skip_bad=skip_bad)


@pytest.mark.parametrize("name", ["../evil.csv", "/etc/evil.csv", "a/../../evil.csv", "C:/evil.csv"])
@pytest.mark.parametrize("pack", [zip_of, tar_of])
def test_names_that_leave_the_archive_are_refused(tmp_path: Path, name: str, pack: object) -> None:
    (tmp_path / "a").write_bytes(pack({name: csv_of(faces())}))  # type: ignore[operator]
    with pytest.raises(DataError, match="leaves the archive"):
        read_faces(tmp_path / "a")


def test_size_resizes_and_is_checked(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(csv_of(faces(side=8)))
    assert read_faces(tmp_path / "a.csv", size=4).size == (4, 4)
    assert read_faces(tmp_path / "a.csv").size == (8, 8)
    with pytest.raises(ConfigError, match="size must lie in"):
        read_faces(tmp_path / "a.csv", size=0)


def test_a_csv_is_read_without_opencv_and_pyarrow(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(csv_of(faces()))
    read = "from mien.data import read_faces; read_faces(sys.argv[1])"
    code = f"import sys; {read}; print({{'cv2', 'pyarrow'}} & {{*sys.modules}})"
    run = subprocess.run([sys.executable, "-c", code, tmp_path / "a.csv"], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "set()"


def test_synthetic_is_a_source() -> None:
    assert len(read_faces("synthetic:20,seed=3", size=24)) == 20
    assert read_faces("synthetic:20").fingerprint == read_faces("synthetic:20,seed=0").fingerprint
    assert read_faces("synthetic:20").fingerprint != read_faces("synthetic:20,seed=1").fingerprint
    with pytest.raises(ConfigError, match="synthetic:500"):
        read_faces("synthetic:many")
    with pytest.raises(ConfigError, match="votes belong to FER2013"):
        read_faces("synthetic:20", votes="fer2013new.csv")


def test_the_cache_is_used_keyed_by_content_and_rebuilt(
    tmp_path: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(csv_of(faces()))
    first = read_faces(path)
    (kept,) = own_cache.iterdir()
    with monkeypatch.context() as patch:
        patch.setattr("mien.data.sources.read_csv", None)  # reading again would fail
        again = read_faces(path)
        assert again.fingerprint == first.fingerprint
        assert again.rows.tolist() == first.rows.tolist()
        with pytest.raises(TypeError):
            read_faces(path, cache=False)
    for damage in (b"", b"rubbish", kept.read_bytes()[:-200], kept.read_bytes().replace(b"images", b"imagez")):
        kept.write_bytes(damage)
        assert read_faces(path).fingerprint == first.fingerprint
        assert cache.load(kept.stem, "") is not None
    path.write_bytes(csv_of(faces(seed=1)))
    assert read_faces(path).fingerprint != first.fingerprint


def test_a_cache_that_cannot_be_written_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("MIEN_CACHE", str(tmp_path / "file" / "cache"))
    (tmp_path / "a.csv").write_bytes(csv_of(faces()))
    assert len(read_faces(tmp_path / "a.csv")) == 9


def test_what_was_read_with_rows_skipped_is_not_kept(tmp_path: Path, own_cache: Path) -> None:
    (tmp_path / "a.csv").write_bytes(csv_of(faces()) + b"9,1,x\n")
    assert len(read_faces(tmp_path / "a.csv", skip_bad=True)) == 9
    assert not list(own_cache.iterdir())
    with pytest.raises(DataError):
        read_faces(tmp_path / "a.csv")
