"""Splits: official parts as they are, careful ones where there are none, people on one side, test parts left alone."""

from __future__ import annotations

import logging

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mien.data import (
    FaceDataset,
    describe_split,
    leave_one_subject_out,
    official_parts,
    split_train_val,
    train_val,
)
from mien.data.splits import copy_groups, split_rank
from mien.data.synthetic.generate import generate
from mien.errors import ConfigError

NAMES = ("a", "b", "c")


def data(n: int = 200, splits: list[str] | None = None, seed: int = 0, **more: object) -> FaceDataset:
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, (n, 4, 4), dtype=np.uint8)
    labels = np.arange(n) % 3
    split = None if splits is None else np.array([splits[i % len(splits)] for i in range(n)])
    return FaceDataset(images, NAMES, labels, split=split, **more)  # type: ignore[arg-type]


def keys(ds: FaceDataset) -> set[bytes]:
    return {i.tobytes() for i in ds.images}


@pytest.mark.parametrize("fraction", [0.1, 0.25, 0.5])
def test_every_class_is_split_to_the_nearest_image(fraction: float) -> None:
    ds = data(300).take(np.r_[0:150, 150:300:3])  # class a is three times as large as the others
    train, val = split_train_val(ds, fraction)
    assert (abs(val.counts() - fraction * ds.counts()) <= 0.5).all()
    assert (train.counts() + val.counts() == ds.counts()).all()
    assert (train.splits, val.splits) == (("Training",), ("validation",))
    assert sorted([*train.rows, *val.rows]) == sorted(ds.rows)
    assert (np.diff(train.rows) > 0).all()


def test_the_seed_decides() -> None:
    ds = data()
    assert split_train_val(ds, seed=1)[1].rows.tolist() == split_train_val(ds, seed=1)[1].rows.tolist()
    assert split_train_val(ds, seed=1)[1].rows.tolist() != split_train_val(ds, seed=2)[1].rows.tolist()


@settings(max_examples=60, deadline=None)
@given(st.integers(4, 60), st.integers(2, 12), st.floats(0.05, 0.9), st.integers(0, 9), st.booleans())
def test_copies_and_subjects_stay_on_one_side(n: int, kinds: int, fraction: float, seed: int, subjects: bool) -> None:
    rng = np.random.default_rng(seed)
    ds = data(n).take(rng.integers(0, min(kinds, n), n))  # many exact copies
    if subjects:
        people = np.array([f"p{i}" for i in rng.integers(0, 6, n)])
        ds = FaceDataset(data(n).images, NAMES, ds.labels, subject=people)
    if copy_groups(ds).max() == 0:
        with pytest.raises(ConfigError, match="two different faces"):
            split_train_val(ds, fraction, seed)
        return
    train, val = split_train_val(ds, fraction, seed)
    assert len(train)
    assert len(val)
    assert len(train) + len(val) == n
    assert not keys(train) & keys(val)
    if subjects:
        assert not set(train.subject) & set(val.subject)


def test_groups_join_through_others() -> None:
    images = np.array([1, 2, 2, 3, 4], np.uint8)[:, None, None] * np.ones((5, 2, 2), np.uint8)
    ds = FaceDataset(images, NAMES, subject=np.array(["x", "x", "y", "y", ""]))
    assert copy_groups(ds).tolist() == [0, 0, 0, 0, 1]  # x and y share a picture


@pytest.mark.parametrize("fraction", [0, 1, -0.5, float("nan")])
def test_fraction_is_checked(fraction: float) -> None:
    with pytest.raises(ConfigError, match="fraction must lie between 0 and 1"):
        split_train_val(data(), fraction)


@pytest.mark.parametrize("ds", [data(0), data(1)])
def test_too_few_images(ds: FaceDataset) -> None:
    with pytest.raises(ConfigError, match="cannot split"):
        split_train_val(ds)


@pytest.mark.parametrize(
    ("splits", "train", "val"),
    [
        (["Training", "PublicTest", "PrivateTest"], "Training", "PublicTest"),
        (["train", "val", "test"], "train", "val"),
        (["Train", "Validation"], "Train", "Validation"),
        (["valid", "test", "train"], "train", "valid"),
        (["train", "dev", "val"], "train", "val"),
        (["Training", "validation"], "Training", "validation"),
    ],
)
def test_official_parts(splits: list[str], train: str, val: str) -> None:
    for parts in (official_parts(data(splits=splits)), train_val(data(splits=splits))):
        assert [p.splits for p in parts] == [(train,), (val,)]


def test_a_test_part_is_never_taken_silently(caplog: pytest.LogCaptureFixture) -> None:
    ds = data(splits=["train", "test"])
    with pytest.raises(ConfigError, match="no split for validation"):
        official_parts(ds)
    with caplog.at_level(logging.INFO):
        train, val = train_val(ds)
    assert "not used: test" in caplog.text
    assert len(train) + len(val) == 100
    assert not (keys(train) | keys(val)) & keys(ds.part("test"))
    train, val = train_val(ds, val_split="test")
    assert (len(train), len(val)) == (100, 100)
    assert "choices are made on the test part test" in caplog.text


def test_splits_that_say_nothing_are_errors_that_name_them() -> None:
    with pytest.raises(ConfigError, match=r"named Training or train; the data have 'fold1', 'fold2'"):
        train_val(data(splits=["fold1", "fold2"]))
    with pytest.raises(ConfigError, match="exactly one split"):
        train_val(data(splits=["train", "Training", "val"]))
    with pytest.raises(ConfigError, match="must differ from the training part"):
        train_val(data(splits=["train", "val"]), val_split="train")
    with pytest.raises(ConfigError, match=r"one of train, val, got 'nope'"):
        train_val(data(splits=["train", "val"]), val_split="nope")


def test_data_without_splits_are_split() -> None:
    train, val = train_val(data(210), fraction=0.2, seed=4)
    assert (len(train), len(val)) == (168, 42)


def test_rows_without_labels_are_split_too() -> None:
    ds = FaceDataset(data(100).images, NAMES)
    assert [len(p) for p in split_train_val(ds)] == [90, 10]


def test_ranks() -> None:
    names = ("Training", " train ", "PublicTest", "dev", "PrivateTest", "TEST", "fold1", "")
    assert [split_rank(s) for s in names] == [0, 0, 1, 1, 2, 2, 3, 3]


def people(n: int = 60, who: tuple[str, ...] = ("ann", "bob", "eve"), **more: object) -> FaceDataset:
    return data(n, subject=np.array([who[i % len(who)] for i in range(n)]), **more)


def test_each_subject_is_left_out_once() -> None:
    ds = people(who=("eve", "ann", "", "bob"))
    folds = list(leave_one_subject_out(ds))
    assert [who for who, _, _ in folds] == ["ann", "bob", "eve"]
    for who, train, val in folds:
        assert set(val.subject.tolist()) == {who}
        assert set(train.subject.tolist()) == {"", "ann", "bob", "eve"} - {who}  # the unknown always train
        assert (train.splits, val.splits) == (("Training",), ("validation",))
        assert sorted([*train.rows, *val.rows]) == list(range(60))
        assert (np.diff(train.rows) > 0).all()


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 40), st.integers(1, 12), st.integers(0, 99))
def test_a_held_out_face_never_trains(n: int, kinds: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    images = data(n).images[rng.integers(0, min(n, kinds), n)]
    ds = FaceDataset(images, NAMES, subject=np.array(["", "a", "b", "c"])[rng.integers(0, 4, n)])
    if len(set(ds.subject.tolist()) - {""}) < 2:
        with pytest.raises(ConfigError, match="at least two subjects"):
            leave_one_subject_out(ds)
        return
    folds = leave_one_subject_out(ds)
    for who in sorted(set(ds.subject.tolist()) - {""}):
        held = ds.subject == who
        others = np.flatnonzero([i.tobytes() not in keys(ds.take(held)) for i in ds.images])
        if not len(others):
            with pytest.raises(ConfigError, match="nothing is left to train on"):
                next(folds)
            return
        name, train, val = next(folds)
        assert name == who
        assert val.rows.tolist() == np.flatnonzero(held).tolist()
        assert train.rows.tolist() == others.tolist()
    assert next(folds, None) is None


def test_dropped_copies_are_counted(caplog: pytest.LogCaptureFixture) -> None:
    images = np.array([1, 2, 1, 1, 3], np.uint8)[:, None, None] * np.ones((5, 2, 2), np.uint8)
    ds = FaceDataset(images, NAMES, subject=np.array(["a", "a", "b", "", "b"]))
    with caplog.at_level(logging.INFO):
        (_, train, val), _ = leave_one_subject_out(ds)
    assert "2 exact copies of faces of a are dropped from training" in caplog.text
    assert (train.rows.tolist(), val.rows.tolist()) == ([4], [0, 1])


def test_joined_test_parts_are_told(caplog: pytest.LogCaptureFixture) -> None:
    leave_one_subject_out(people(splits=["train", "test"]))
    assert "the parts train, test are joined, a test part among them" in caplog.text


@pytest.mark.parametrize("ds", [data(), people(who=("ann",)), people(who=("ann", "")), people(0)])
def test_fewer_than_two_subjects_are_an_error_at_once(ds: FaceDataset) -> None:
    with pytest.raises(ConfigError, match=r"at least two subjects, the data name [01]; read data that say who"):
        leave_one_subject_out(ds)


def test_how_a_split_was_made_is_told_from_the_data() -> None:
    official = data(splits=["Training", "PublicTest", "PrivateTest"])
    assert describe_split(*train_val(official)) == "official parts Training and PublicTest (identities unknown)"
    assert describe_split(*train_val(data())) == "random split by class, copies kept together (identities unknown)"
    drawn = generate(140, size=16, identities=10)
    assert describe_split(*train_val(drawn)) == "subject-independent: 8 people to train, 2 to evaluate"
    _, *parts = next(leave_one_subject_out(drawn))
    assert describe_split(*parts) == "subject-independent: 9 people to train, 1 to evaluate"


def test_people_and_copies_on_both_sides_are_counted() -> None:
    ds = people(who=("a", "b", "c", "d", "e"))
    mixed = ds.take(slice(0, 30)), ds.take(slice(27, 60))
    assert describe_split(*mixed) == (
        "parts '' and '', NOT subject-independent: 5 people on both sides; 3 exact copies on both sides"
    )
    named = people(splits=["train", "dev"], who=("a", "b", "b"))
    assert describe_split(*train_val(named)) == (
        "official parts train and dev, NOT subject-independent: 2 people on both sides"
    )
    a, b = ds.take(ds.subject == "a"), ds.take(np.isin(ds.subject, ["a", "b"]))
    told = describe_split(FaceDataset(a.images[:4], NAMES, subject=a.subject[:4]), b.take(b.rows > 20))
    assert told.startswith("parts '' and '', NOT subject-independent: 1 person on both sides")


def test_unknown_people_are_counted() -> None:
    ds = people(who=("a", "b", ""), splits=["train", "val"])
    train, val = ds.take(ds.subject != "b"), ds.take(ds.subject == "b")
    told = describe_split(train.part("train"), val.part("val"))
    assert told == (
        "official parts train and val, subject-independent as far as known: 1 person to train, 1 to evaluate, "
        "10 faces of unknown people"
    )


def test_a_split_that_only_has_the_names_of_a_random_one_is_not_called_one() -> None:
    train, val = split_train_val(data())
    ordered = data(splits=["Training"] * 100 + ["validation"] * 100)
    assert describe_split(*train_val(ordered)) == "parts Training and validation (identities unknown)"
    assert describe_split(train, val.take([0, 1])).startswith("random split")
    copied = FaceDataset(train.images[:5], NAMES, split=val.split[:5], rows=val.rows[:5])
    assert describe_split(train, copied) == (
        "parts Training and validation (identities unknown); 5 exact copies on both sides"
    )
