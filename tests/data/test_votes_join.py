"""Votes and faces: joined by pixels in any order, by number only where blocks of rows agree, never to another face."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mien.data import FaceDataset, FerPlusVotes, with_votes
from mien.data import fer2013_rows as fingerprints
from mien.data import votes_join as module
from mien.data.fer2013_rows import fingerprint
from mien.data.votes_join import join_votes
from mien.errors import DataError
from mien.labels import FER2013, FERPLUS

OWN = [FERPLUS.names.index(n) for n in FER2013.names]
PARTS = {"Training": 700, "PublicTest": 200, "PrivateTest": 100}
KNOWN = 900
NAMELESS = (17, 23, 500, 899)


def pair(n: int = 1000, right: float = 0.68, seed: int = 0, side: int = 48) -> tuple[FaceDataset, FerPlusVotes]:
    """Faces of noise in FER2013's three parts, and votes whose majority is the label for a share ``right`` of them."""
    rng = np.random.default_rng(seed)
    labels = rng.choice(7, n, p=np.array([4.0, 0.4, 4, 7, 5, 3, 5]) / 28.4)
    split = np.repeat(list(PARTS), [round(k * n / 1000) for k in PARTS.values()])
    images = rng.integers(0, 256, (n, side, side), dtype=np.uint8)
    images[3] = images[40] = images[n - 101]  # exact copies
    winner = np.where(rng.random(n) < right, np.array(OWN)[labels], rng.integers(0, 8, n))
    table = np.zeros((n, 10), np.float32)
    table[np.arange(n), winner] = 8
    table[np.arange(n), rng.integers(0, 8, n)] += 1
    table[np.arange(n), rng.integers(0, 8, n)] += 1
    names = np.array([f"fer{i:07}.png" for i in range(n)])
    for row in NAMELESS:
        if row < n:
            names[row], table[row] = "", [0] * 9 + [10]
    votes = FerPlusVotes(table[:, :8], table[:, 8], table[:, 9], split, names, "votes.csv")
    return FaceDataset(images, FER2013.names, labels, split=split, source="faces.csv"), votes


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> tuple[FaceDataset, FerPlusVotes]:
    """A small FER2013 whose first 900 rows are known by their pixels."""
    ds, votes = pair()
    table: dict[int, tuple[int, ...]] = {}
    for row, image in enumerate(ds.images[:KNOWN]):
        table[fingerprint(image)] = (*table.get(fingerprint(image), ()), row)
    monkeypatch.setattr(fingerprints, "_known", lambda: table)
    monkeypatch.setattr(module, "KNOWN_ROWS", KNOWN)
    monkeypatch.setattr(module, "_OFFICIAL", votes.fingerprint(KNOWN))
    return ds, votes


def file_of(ds: FaceDataset, index: object) -> FaceDataset:
    """The rows at ``index`` as if a file held them alone."""
    part = ds.take(index)  # type: ignore[arg-type]
    return replace(part, rows=np.arange(len(part)))


KEPT = {
    "all": np.arange(1000),
    "Training and PublicTest": np.arange(900),
    "one row less": np.delete(np.arange(1000), 10),
    "the first is gone": np.arange(1, 1000),
    "one row less before a nameless one": np.delete(np.arange(1000), 22),
    "a third": np.r_[np.arange(0, 900, 3), np.arange(900, 1000)],
    "PublicTest alone": np.arange(700, 900),
    "Training and PrivateTest": np.r_[np.arange(700), np.arange(900, 1000)],
    "three rows": np.array([4, 700, 899]),
    "backwards": np.arange(899, -1, -1),
    "one": np.array([5]),
}


@pytest.mark.parametrize("kept", KEPT)
def test_rows_are_found_by_their_pixels(known: tuple[FaceDataset, FerPlusVotes], kept: str) -> None:
    ds, votes = known
    index = KEPT[kept]
    rows = join_votes(file_of(ds, index), votes)
    assert (ds.images[rows] == ds.images[index]).all()
    if kept != "backwards":  # rows in their order get their own votes, not those of an exact copy
        assert rows.tolist() == index.tolist()


def test_a_sample_in_any_order_gets_votes_of_the_same_picture(known: tuple[FaceDataset, FerPlusVotes]) -> None:
    ds, votes = known
    index = np.random.default_rng(1).permutation(900)
    rows = join_votes(file_of(ds, index), votes)
    assert sorted(rows) == list(range(900))
    assert (ds.images[rows] == ds.images[index]).all()
    unlabelled = replace(file_of(ds, index), labels=None, split=np.full(900, "mine"))
    assert join_votes(unlabelled, votes).tolist() == rows.tolist()  # pixels need neither labels nor parts


def test_no_class_or_one_class_is_missing(known: tuple[FaceDataset, FerPlusVotes]) -> None:
    ds, votes = known
    for index in (np.flatnonzero(ds.labels[:900] != 1), np.flatnonzero(ds.labels[:900] == 3)):
        assert join_votes(file_of(ds, index), votes).tolist() == index.tolist()


def test_other_pixels_in_rows_without_a_picture_are_placed_by_their_neighbours(
    known: tuple[FaceDataset, FerPlusVotes],
) -> None:
    ds, votes = known
    images = ds.images.copy()
    images[list(NAMELESS)] = 7  # as in the published file: these rows of ours were restored from compressed copies
    other = replace(ds, images=images)
    for index in (np.arange(1000), np.delete(np.arange(1000), [16, 18, 22, 600])):
        assert join_votes(file_of(other, index), votes).tolist() == index.tolist()
    with pytest.raises(DataError, match=r"is not in fer2013.csv by its pixels, .* \(4 such rows of 900\)"):
        join_votes(file_of(other, np.random.default_rng(0).permutation(900)), votes)


def test_a_face_that_is_none_of_fer2013_s_is_refused(known: tuple[FaceDataset, FerPlusVotes]) -> None:
    ds, votes = known
    images = ds.images.copy()
    images[333, 0, 0] ^= 1
    with pytest.raises(DataError, match=r"faces.csv: row 333 \(of Training\) is not in fer2013.csv .*\(1 such rows"):
        join_votes(replace(ds, images=images), votes)
    with pytest.raises(DataError, match="take these rows out"):
        join_votes(file_of(replace(ds, images=images), np.delete(np.arange(1000), 334)), votes)


def test_the_sealed_part_is_joined_by_place_and_checked(known: tuple[FaceDataset, FerPlusVotes]) -> None:
    ds, votes = known
    assert join_votes(ds.part("PrivateTest"), votes).tolist() == list(range(900, 1000))
    for wrong in (
        np.r_[np.arange(900), 901:1000],
        np.r_[np.arange(900), np.random.default_rng(0).permutation(100) + 900],
    ):
        with pytest.raises(DataError, match=r"do not belong to these faces|does not tell which row"):
            join_votes(file_of(ds, wrong), votes)


def test_votes_of_another_order_are_no_proof(known: tuple[FaceDataset, FerPlusVotes]) -> None:
    ds, votes = known
    moved = {k: np.roll(getattr(votes, k), 1, axis=0) for k in ("votes", "unknown", "not_face", "image")}
    with pytest.raises(DataError, match="do not belong to these faces"):
        join_votes(ds, replace(votes, **moved))


@pytest.mark.parametrize("right", [0.68, 1.0])
@pytest.mark.parametrize("side", [24, 48])
@pytest.mark.parametrize("n", [1000, 400, 60])
def test_unknown_faces_join_by_number_where_labels_and_votes_agree(n: int, side: int, right: float) -> None:
    ds, votes = pair(n, right, side=side)
    assert join_votes(ds, votes).tolist() == list(range(n))
    assert join_votes(ds.take(slice(7, None, 2)), votes).tolist() == list(range(7, n, 2))


@pytest.mark.parametrize("gone", [0, 1, 100, 350, 650, 940])
@pytest.mark.parametrize("right", [0.68, 1.0])
def test_one_row_less_is_found_and_its_place_is_named(gone: int, right: float) -> None:
    ds, votes = pair(right=right)
    alike = np.full(len(votes), "Training")  # no boundary of parts gives it away
    ds, votes = replace(ds, split=alike), replace(votes, usage=alike)
    with pytest.raises(DataError, match="the votes do not belong to these faces from about row") as caught:
        join_votes(file_of(ds, np.delete(np.arange(1000), gone)), votes)
    named = int(caught.value.message.split("about row ")[1].split()[0].replace(",", ""))
    assert abs(named - gone) < 40
    assert "fer2013.csv as it was published" in caught.value.message
    assert caught.value.where == "votes.csv"


@pytest.mark.parametrize("n", [5, 10, 30, 300, 900])
def test_samples_of_unknown_faces_are_refused_at_any_size(n: int) -> None:
    ds, votes = pair(right=1.0)
    alike = np.full(len(votes), "Training")
    ds, votes = replace(ds, split=alike), replace(votes, usage=alike)
    rng = np.random.default_rng(n)
    refused = 0
    for _ in range(20):
        try:
            join_votes(file_of(ds, np.sort(rng.choice(1000, n, replace=False))), votes)
        except DataError:
            refused += 1
    assert refused >= (20 if n > 5 else 18)


@pytest.mark.parametrize("right", [0.68, 1.0])
def test_unknown_faces_without_a_class_are_refused(right: float) -> None:
    ds, votes = pair(right=right)
    assert ds.labels is not None
    with pytest.raises(DataError, match=r"do not belong|Usage is"):
        join_votes(file_of(ds, np.flatnonzero(ds.labels != 1)), votes)
    with pytest.raises(DataError, match=r"do not belong|Usage is"):
        join_votes(file_of(ds, np.flatnonzero(ds.labels == 3)), votes)
    happy = ds.take(ds.labels == 3)  # with their own numbers
    assert join_votes(happy, votes).tolist() == happy.rows.tolist()


def test_unknown_faces_without_labels_are_refused() -> None:
    ds, votes = pair(60)
    with pytest.raises(DataError, match="has no labels, and its pixels are not those of"):
        with_votes(replace(ds, labels=None), votes)


def test_no_faces_have_no_votes() -> None:
    ds, votes = pair(60)
    assert join_votes(ds.take([]), votes).tolist() == []


def test_the_list_that_ships_is_whole() -> None:
    known = fingerprints._known()
    rows = sorted(r for found in known.values() for r in found)
    assert rows == list(range(fingerprints.KNOWN_ROWS))
    assert len(known) == 30_765  # FER2013 has 1,533 exact copies in these parts
