"""FERG, CK+ and JAFFE: recognised by their names, read back as they were written, with who is on each picture."""

from __future__ import annotations

import struct
import tempfile
import tracemalloc
from contextlib import suppress
from pathlib import Path

import cv2
import numpy as np
import pytest
from face_files import png, put, tar_of, zip_of
from hypothesis import given, settings
from hypothesis import strategies as st

from mien.data import FaceDataset, Reading, read_faces, read_source, train_val
from mien.data.readers.layouts import plan_layout
from mien.data.readers.problems import Problems
from mien.data.synthetic.generate import generate
from mien.errors import DataError
from mien.labels import FER2013, FERPLUS

Tree = dict[str, bytes]
Face = tuple[str, str, bytes]  # who, expression, pixels

DRAWN = generate(70, seed=1, size=16, identities=5)  # 5 people, 7 expressions, each twice
LETTERS = {f"s{i:02d}": f"K{'ABCDE'[i]}" for i in range(5)}
CHARACTERS = dict(zip(LETTERS, ("aia", "bonnie", "jules", "malcolm", "mery"), strict=True))
NUMBERS = {s: f"S{int(s[1:]) + 5:03d}" for s in LETTERS}
CK_WORDS = {"angry": "anger", "happy": "happy", "sad": "sadness"}
CK_CODES = ("neutral", "angry", "contempt", "disgust", "fear", "happy", "sad", "surprise")


def drawn() -> list[tuple[str, str, np.ndarray, int]]:
    """Who, expression, picture and number of each drawn face."""
    assert DRAWN.labels is not None
    assert DRAWN.subject is not None
    words = [DRAWN.names[k] for k in DRAWN.labels]
    return list(zip(DRAWN.subject.tolist(), words, DRAWN.images, range(len(DRAWN)), strict=True))


def ferg() -> tuple[Tree, set[Face]]:
    tree, faces = {}, set()
    for who, word, image, i in drawn():
        name, spelt = CHARACTERS[who], {"happy": "joy", "angry": "anger", "sad": "sadness"}.get(word, word)
        tree[f"{name}/{name}_{spelt}/{name}_{spelt}_{i}.png"] = png(cv2.cvtColor(image, cv2.COLOR_GRAY2BGR))
        faces.add((name, word, image.tobytes()))
    return tree, faces


def ck_folders() -> tuple[Tree, set[Face]]:
    tree, faces = {}, set()
    for who, word, image, i in drawn():
        spelt = "contempt" if word == "neutral" else word
        tree[f"{CK_WORDS.get(spelt, spelt)}/{NUMBERS[who]}_{i % 9:03d}_{i:08d}.png"] = png(image)
        faces.add((NUMBERS[who], spelt, image.tobytes()))
    return tree, faces


def ck_sequences() -> tuple[Tree, set[Face]]:
    """A sequence of six frames for each drawn face; every eighth has no code, the others take the codes in turn."""
    tree, faces = {}, set()
    for who, _, image, i in drawn():
        subject, code = NUMBERS[who], i % 8
        frames = [np.roll(image, shift, axis=1) for shift in range(6)]
        for k, frame in enumerate(frames):
            tree[f"cohn-kanade-images/{subject}/{i:03d}/{subject}_{i:03d}_{k + 1:08d}.png"] = png(frame)
        if code == 7:
            continue
        word = CK_CODES[code] if i != 8 else "surprise"
        text = f"   {float(CK_CODES.index(word)):.7e}\n"
        tree[f"Emotion/{subject}/{i:03d}/{subject}_{i:03d}_00000006_emotion.txt"] = text.encode()
        faces.add((subject, "neutral", frames[0].tobytes()))
        faces |= {(subject, word, f.tobytes()) for f in frames[3:]}
    return tree, faces


def jaffe() -> tuple[Tree, set[Face]]:
    tree, faces = {}, set()
    codes = {"angry": "AN", "disgust": "DI", "fear": "FE", "happy": "HA", "sad": "SA", "surprise": "SU"}
    for who, word, image, i in drawn():
        tree[f"{LETTERS[who]}.{codes.get(word, 'NE')}{i % 3 + 1}.{i}.tiff"] = bytes(cv2.imencode(".tiff", image)[1])
        faces.add((LETTERS[who], word, image.tobytes()))
    return tree, faces


LAYOUTS = {"FERG": ferg, "CK+ in class folders": ck_folders, "CK+ sequences": ck_sequences, "JAFFE": jaffe}
WRITERS = pytest.mark.parametrize("layout", LAYOUTS)


def found(ds: FaceDataset) -> set[Face]:
    assert ds.labels is not None
    assert ds.subject is not None
    rows = zip(ds.subject.tolist(), ds.labels.tolist(), ds.images, strict=True)
    return {(who, ds.names[k], image.tobytes()) for who, k, image in rows}


@WRITERS
def test_what_is_written_in_a_layout_comes_back_from_folders_and_archives(tmp_path: Path, layout: str) -> None:
    tree, faces = LAYOUTS[layout]()
    assert len(faces) > 60
    reading = read_source(put(tmp_path / "a", tree))
    ds = reading.dataset
    assert found(ds) == faces
    assert len(ds) == len(faces)
    assert ds.splits == ("",)
    assert ds.rows.tolist() == list(range(len(ds)))
    assert reading.skipped == ()
    (note,) = reading.notes
    assert note.startswith(f"read as {layout}")
    wrapped = {f"data/{layout}/{k}": v for k, v in reversed(tree.items())}
    for name, data in {"zip": zip_of(tree), "tar": tar_of(wrapped), "wrapped": zip_of(wrapped)}.items():
        (tmp_path / name).write_bytes(data)
        for _ in range(2):  # the second time from the cache
            again = read_source(tmp_path / name)
            assert again.dataset.fingerprint == ds.fingerprint, name
            assert again.dataset.subject.tolist() == ds.subject.tolist()
            assert again.notes == reading.notes


@WRITERS
@pytest.mark.parametrize("seed", range(3))
def test_nobody_is_on_both_sides_of_a_split(tmp_path: Path, layout: str, seed: int) -> None:
    train, val = train_val(read_faces(put(tmp_path, LAYOUTS[layout]()[0])), fraction=0.2, seed=seed)
    assert set(train.subject.tolist()) | set(val.subject.tolist()) == {who for who, _, _ in LAYOUTS[layout]()[1]}
    assert not set(train.subject.tolist()) & set(val.subject.tolist())


def test_the_classes_have_their_usual_order(tmp_path: Path) -> None:
    names = {k: read_faces(put(tmp_path / k, write()[0])).names for k, write in LAYOUTS.items()}
    assert names["FERG"] == names["JAFFE"] == FER2013.names
    assert names["CK+ sequences"] == FERPLUS.names
    assert names["CK+ in class folders"] == (*FER2013.names[:6], "contempt")


@WRITERS
@pytest.mark.parametrize("fault", ["stray name", "broken picture"])
def test_one_bad_picture_is_an_error_or_is_skipped_counted_and_named(tmp_path: Path, layout: str, fault: str) -> None:
    tree, faces = LAYOUTS[layout]()
    place = next(k for k in tree if "Emotion" not in k)
    if fault == "broken picture":
        bad, rule = place, "damaged|cut short"
        tree[bad] = tree[bad][:30]
    else:
        bad, rule = place.replace(Path(place).name, "holiday.png"), "does not follow .*: rename it or take it out"
        tree[bad] = png(np.zeros((16, 16), np.uint8))
    folder = put(tmp_path / "a", tree)
    with pytest.raises(DataError, match=rule) as caught:
        read_faces(folder)
    assert caught.value.where == str(folder / bad)
    (tmp_path / "b").write_bytes(zip_of(tree))
    for path in (folder, tmp_path / "b"):
        reading = read_source(path, skip_bad=True)
        assert [p.where for p in reading.skipped] == [f"{path}/{bad}"]
        assert found(reading.dataset) <= faces
        assert len(reading.dataset) == len(faces) - (fault == "broken picture")


def test_one_character_alone_is_read_as_ferg(tmp_path: Path) -> None:
    ds = read_faces(put(tmp_path, {f"mery_{w}/mery_{w}_1.png": png(DRAWN.images[0]) for w in ("joy", "fear")}))
    assert ds.names == ("fear", "happy")
    assert ds.subject.tolist() == ["mery", "mery"]


@pytest.mark.parametrize(
    "names",
    [
        ("ann_happy/ann_happy_1.png", "ann_sad/ann_sad_1.png"),  # no character of FERG's, and no folder says ann
        ("train/aia_happy/aia_happy_1.png", "train/aia_sad/aia_sad_1.png"),
        ("aia/aia_walks/aia_walks_1.png", "aia/aia_runs/aia_runs_1.png"),
        ("happy/KA.HA1.29.tiff", "sad/KA.SA1.33.tiff"),
        ("happy/s01_1.png", "sad/s02_1.png"),
        ("happy/S010_1.png", "sad/S011_1.png"),
        ("kind/S010_004_00000017.png", "unkind/S011_004_00000017.png"),
    ],
)
def test_no_identity_is_guessed_from_other_trees(tmp_path: Path, names: tuple[str, ...]) -> None:
    reading = read_source(put(tmp_path, {n: png(DRAWN.images[i]) for i, n in enumerate(names)}))
    assert len(reading.dataset) == 2
    assert reading.dataset.subject is None
    assert reading.notes == ()


def test_pictures_of_ferg_are_resized_one_by_one(tmp_path: Path) -> None:
    n, side = 60, 256
    big = png(cv2.resize(DRAWN.images[0], (side, side)))
    (tmp_path / "a.zip").write_bytes(zip_of({f"ray/ray_joy/ray_joy_{i}.png": big for i in range(n)}))
    tracemalloc.start()
    try:
        ds = read_faces(tmp_path / "a.zip", size=16, cache=False)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert ds.images.shape == (n, 16, 16)
    assert peak < n * side * side / 4  # all pictures at their own size would take four times that
    assert read_faces(tmp_path / "a.zip").size == (side, side)


def tiff(image: np.ndarray, order: str) -> bytes:
    """An uncompressed grey TIFF, "<" Intel or ">" Motorola, made by hand (TIFF 6.0, section 4)."""
    h, w = image.shape
    short, long = 3, 4
    tags = [(256, short, w), (257, short, h), (258, short, 8), (259, short, 1), (262, short, 1), (273, long, 8)]
    tags += [(277, short, 1), (278, long, h), (279, long, h * w)]
    out = struct.pack(f"{order}2sHI", b"II" if order == "<" else b"MM", 42, 8 + h * w) + image.tobytes()
    out += struct.pack(f"{order}H", len(tags))
    for tag, kind, value in tags:
        field = struct.pack(f"{order}HH", value, 0) if kind == short else struct.pack(f"{order}I", value)
        out += struct.pack(f"{order}HHI", tag, kind, 1) + field
    return out + bytes(4)


@pytest.mark.parametrize("order", "<>")
def test_tiff_of_both_byte_orders(tmp_path: Path, order: str) -> None:
    image = np.random.default_rng(0).integers(0, 256, (256, 256), dtype=np.uint8)
    ds = read_faces(put(tmp_path, {"KA.AN1.39.tiff": tiff(image, order), "KA.HA1.29.tif": tiff(image.T, order)}))
    assert (ds.images[0] == image).all()
    assert (ds.images[1] == image.T).all()
    assert ds.subject.tolist() == ["KA", "KA"]
    assert ds.names == ("angry", "happy")


@pytest.mark.parametrize(
    "name", ["KA.XX1.39.tiff", "KAA.AN1.39.tiff", "KA.AN.39.tiff", "KA-AN1-39.tiff", "more/KA.AN1.40.tiff"]
)
def test_names_that_are_not_jaffes(tmp_path: Path, name: str) -> None:
    data = bytes(cv2.imencode(".tiff", DRAWN.images[0])[1])
    put(tmp_path, {"KA.AN1.39.tiff": data, "kl.ne3.200.TIFF": data, name: data})
    with pytest.raises(DataError, match=r"does not follow .* JAFFE's KA.AN1.39.tiff"):
        read_faces(tmp_path)
    reading = read_source(tmp_path, skip_bad=True)
    assert [p.where for p in reading.skipped] == [str(tmp_path / name)]
    assert reading.dataset.subject.tolist() == ["KA", "KL"]


def sequence(frames: int, subject: str = "S005", number: str = "001", code: bytes | None = b"   3.0000000e+00") -> Tree:
    tree = {
        f"cohn-kanade-images/{subject}/{number}/{subject}_{number}_{k + 1:08d}.png": png(DRAWN.images[k])
        for k in range(frames)
    }
    if code is not None:
        tree[f"Emotion/{subject}/{number}/{subject}_{number}_{frames:08d}_emotion.txt"] = code
    return tree


@pytest.mark.parametrize(
    ("frames", "peaks"), [(1, [0]), (2, [1]), (3, [1, 2]), (4, [1, 2, 3]), (5, [2, 3, 4]), (9, [6, 7, 8])]
)
def test_which_frames_of_a_sequence_are_kept(tmp_path: Path, frames: int, peaks: list[int]) -> None:
    ds = read_faces(put(tmp_path, sequence(frames)))
    want = {("S005", "disgust", DRAWN.images[k].tobytes()) for k in peaks}
    want |= {("S005", "neutral", DRAWN.images[0].tobytes())} if frames > 1 else set()
    assert found(ds) == want
    assert len(ds) == len(want)


@pytest.mark.parametrize(
    ("code", "fault"),
    [
        (b"", "the code is ''; it must be one of 0..7"),
        (b"happy", "the code is 'happy'"),
        (b"8.0000000e+00", "the code is '8.0000000e"),
        (b"-1", "the code is '-1'"),
        (b"2.5", "the code is '2.5'"),
        (b"nan", "the code is 'nan'"),
        (b"inf", "the code is 'inf'"),
        (b"3 4", "the code is '3 4'"),
        (b"\xff\xfe3", "the code is "),
        (b"3" * 5000, "is larger than 4096 bytes"),
    ],
)
def test_bad_codes_are_errors_or_leave_the_sequence_out(tmp_path: Path, code: bytes, fault: str) -> None:
    put(tmp_path, {**sequence(4), **sequence(4, "S006", code=code)})
    with pytest.raises(DataError, match=fault.replace("+", r"\+")) as caught:
        read_faces(tmp_path)
    assert caught.value.where == str(tmp_path / "Emotion/S006/001/S006_001_00000004_emotion.txt")
    reading = read_source(tmp_path, skip_bad=True)
    assert len(reading.skipped) == 1
    assert set(reading.dataset.subject.tolist()) == {"S005"}
    assert "1 with a code" in reading.notes[0]
    assert "1 sequences without a code" in reading.notes[0]


def skipping(folder: Path, match: str) -> Reading:
    with pytest.raises(DataError, match=match):
        read_faces(folder)
    reading = read_source(folder, skip_bad=True)
    assert len(reading.skipped) >= 1
    return reading


def test_sequences_and_codes_that_do_not_fit(tmp_path: Path) -> None:
    good, code = sequence(4), "Emotion/S005/001/S005_001_00000004_emotion.txt"
    with pytest.raises(DataError, match=r"1 sequences of CK\+ and no code .* both cohn-kanade-images/ and Emotion/"):
        read_faces(put(tmp_path / "none", sequence(4, code=None)), skip_bad=True)
    alone = put(tmp_path / "alone", {**good, code.replace("S005", "S009"): b"1"})
    assert len(skipping(alone, "has a code but no frames").dataset) == 4
    named = put(tmp_path / "named", {**good, "Emotion/S005/001/S006_001_00000004_emotion.txt": b"1"})
    assert len(skipping(named, r"does not follow Emotion/S005/001").dataset) == 4
    two = put(tmp_path / "two", {**good, code.replace("0004", "0003"): b"5"})
    assert len(skipping(two, "where another code of the sequence says").dataset) == 4
    more = {k.replace("cohn-kanade-images", "copy"): v for k, v in good.items() if k != code}
    twice = skipping(put(tmp_path / "twice", {**good, **more}), "belongs to a sequence that is there twice")
    assert len(twice.skipped) == 4
    assert len(twice.dataset) == 4


def test_a_sequence_whose_last_frame_is_missing_is_told(tmp_path: Path) -> None:
    tree = sequence(5)
    del tree["cohn-kanade-images/S005/001/S005_001_00000005.png"]
    reading = read_source(put(tmp_path, tree))
    assert reading.notes[1].startswith("the code of 1 sequences names another frame than the last")


PARTS = st.sampled_from(["aia", "aia_anger", "aia_anger_1.png", "anger", "joy", "ß_joy", "train", "_", "a"]) | (
    st.sampled_from(["S005", "001", "S005_001_00000001.png", "S005_001_00000001_emotion.txt", "Emotion"])
    | st.sampled_from(["KA.AN1.39.tiff", "x.png", ".png", "..png", "_emotion.txt"])
)
PATHS = st.lists(PARTS | st.text(st.characters(exclude_characters="/\\\0", exclude_categories=["Cs"]), max_size=6))
NAMES = st.lists(PATHS.map("/".join), max_size=12)


@settings(max_examples=200, deadline=None)
@given(NAMES, st.booleans(), st.sampled_from([b"3", b"x", b""]))
def test_recognition_of_any_names_ends_in_a_plan_or_an_error(names: list[str], skip: bool, code: bytes) -> None:
    with suppress(DataError):
        plan_layout(names, dict.fromkeys((n for n in names if n.endswith("_emotion.txt")), code), "x", Problems(skip))


@pytest.mark.filterwarnings("ignore:Duplicate name")
@settings(max_examples=80, deadline=None)
@given(NAMES, st.booleans())
def test_archives_of_any_names_are_read_or_are_an_error(names: list[str], skip: bool) -> None:
    data = zip_of({n: png(DRAWN.images[0]) if not n.endswith("txt") else b"3" for n in names if n})
    with tempfile.TemporaryDirectory() as folder, suppress(DataError):
        (Path(folder) / "x.zip").write_bytes(data)
        assert len(read_faces(Path(folder) / "x.zip", skip_bad=skip, cache=False))
