"""Whatever bytes come, reading ends in a data set or in a DataError; whatever data go out, the same come back."""

from __future__ import annotations

import gzip
import tempfile
from contextlib import suppress
from pathlib import Path

from face_files import csv_of, faces, png, tar_of, zip_of
from hypothesis import given, settings
from hypothesis import strategies as st

from mien.data import FaceDataset, read_faces
from mien.errors import DataError
from mien.images import decode

FAST = settings(max_examples=60, deadline=None)


def survives(data: bytes) -> None:
    """Whatever ``data`` is, reading it ends in a data set or in an error of ours."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x"
        path.write_bytes(data)
        for skip_bad in (False, True):
            try:
                ds = read_faces(path, skip_bad=skip_bad, cache=False)
            except DataError:
                continue
            assert isinstance(ds, FaceDataset)
            assert len(ds)


SEEDS = [
    csv_of(faces(3, 4)),
    csv_of(faces(3, 4), header=False),
    gzip.compress(csv_of(faces(3, 4))),
    zip_of({"a.csv": csv_of(faces(3, 4))}),
    tar_of({"a.csv": csv_of(faces(3, 4))}),
    tar_of({"a.csv": csv_of(faces(3, 4))}, "w"),
    zip_of({"happy/a.png": png(faces(1).images[0]), "sad/b.png": png(faces(1).images[0])}),
]


@FAST
@given(st.binary(max_size=200))
def test_any_bytes(data: bytes) -> None:
    survives(data)


@FAST
@given(
    st.lists(
        st.sampled_from([b"emotion", b"pixels", b"Usage", b",", b"\n", b" ", b"1", b"255 0", b"-", b"x", b'"', b"\xff"])
    )
)
def test_any_csv_like_text(parts: list[bytes]) -> None:
    survives(b"".join(parts))


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(SEEDS),
    st.lists(st.tuples(st.floats(0, 1), st.binary(min_size=1, max_size=3)), max_size=4),
    st.floats(0, 1),
)
def test_damaged_files(seed: bytes, hits: list[tuple[float, bytes]], keep: float) -> None:
    data = bytearray(seed[: max(1, int(len(seed) * max(keep, 0.3)))])
    for at, patch in hits:
        start = int(at * (len(data) - 1))
        data[start : start + len(patch)] = patch
    survives(bytes(data))


@FAST
@given(
    st.binary(max_size=60),
    st.sampled_from([b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"BM", b"RIFF1234WEBPVP8L", b"II*\0"]),
)
def test_any_picture(data: bytes, magic: bytes) -> None:
    with suppress(DataError):
        assert decode(magic + data, "x", colour=False).ndim == 2


@FAST
@given(
    st.integers(1, 6),
    st.integers(1, 6),
    st.integers(0, 99),
    st.sampled_from(["plain", "gz", "zip", "tgz"]),
    st.booleans(),
)
def test_round_trips(n: int, side: int, seed: int, form: str, labelled: bool) -> None:
    ds = faces(n, side, seed)
    columns = "emotion,pixels,Usage" if labelled else "pixels,Usage"
    want = ds if labelled else FaceDataset(ds.images, ds.names, split=ds.split)
    data = csv_of(ds, columns)
    pack = {
        "plain": bytes,
        "gz": gzip.compress,
        "zip": lambda d: zip_of({"a.csv": d}),
        "tgz": lambda d: tar_of({"a.csv": d}),
    }
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x"
        path.write_bytes(pack[form](data))  # type: ignore[operator]
        assert read_faces(path, cache=False).fingerprint == want.fingerprint
