"""Deletion and insertion: the map that is right beats random orders, its opposite loses, and areas are areas."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mien.errors import ConfigError
from mien.explain import Curves, curves, faithfulness

SPOT = np.zeros((48, 48), np.float32)
SPOT[20:28, 28:36] = 1


def bright_spot(batch):
    """Class 1 as far as the spot is bright."""
    p = batch[:, 20:28, 28:36].mean(axis=(1, 2)) / 255.0
    return np.stack([1 - p, p], axis=1)


@pytest.fixture
def face():
    image = np.random.default_rng(0).integers(0, 40, (48, 48)).astype(np.uint8)
    image[20:28, 28:36] = 250
    return image


def test_the_right_map_beats_every_random_order_and_its_opposite_none(face):
    check = faithfulness(bright_spot, face, {"right": SPOT, "wrong": -SPOT}, orders=8)
    assert check.beaten("right") == (8, 8)
    assert check.beaten("wrong") == (0, 0)
    assert len(check.random) == 8
    assert len({c.deletion_area for c in check.random}) > 1


def test_curves_start_and_end_at_what_predict_says(face):
    c = curves(bright_spot, face, SPOT, steps=10)
    whole = bright_spot(face[None])[0, 1]
    grey = bright_spot(np.full((1, 48, 48), round(float(face.mean())), np.uint8))[0, 1]
    assert (c.deletion[0], c.deletion[-1]) == pytest.approx((whole, grey))
    assert c.insertion[-1] == pytest.approx(whole)
    assert c.shares[0] == 0
    assert c.shares[-1] == 1
    assert (np.diff(c.shares) > 0).all()
    # the spot is four cells of 144; from the first step, which takes 14, nothing of it is left
    assert c.deletion[1] == pytest.approx(grey)
    assert c.insertion[1] == pytest.approx(whole)


def test_the_middle_first_is_a_control_of_its_own(face):
    check = faithfulness(bright_spot, face, {}, orders=1, cell=16)
    y, x = np.indices((48, 48)) - 23.5
    ring = curves(bright_spot, face, np.exp(-np.hypot(x, y)).astype(np.float32), cell=16)
    whole = bright_spot(face[None])[0, 1]
    assert check.centre.deletion[0] == ring.deletion[0] == pytest.approx(whole)
    # of nine cells the middle one holds half of the spot, its right neighbour the rest
    covered = face.copy()
    covered[16:32, 16:32] = round(float(face.mean()))
    assert check.centre.deletion[1] == ring.deletion[1] == pytest.approx(bright_spot(covered[None])[0, 1])


def test_an_area_is_that_of_the_trapezoids():
    c = Curves(np.array([0, 0.5, 1]), np.array([1.0, 0.5, 0]), np.array([0, 1.0, 1]))
    assert c.deletion_area == pytest.approx(0.5)
    assert c.insertion_area == pytest.approx(0.75)


def test_the_most_probable_class_is_followed_and_a_named_one_instead(face):
    best, other = curves(bright_spot, face, SPOT), curves(bright_spot, face, SPOT, target=0)
    np.testing.assert_allclose(best.deletion, 1 - other.deletion)


def test_ties_are_drawn_by_seed_and_random_orders_repeat(face):
    flat = np.zeros((48, 48), np.float32)
    one, same, other = (curves(bright_spot, face, flat, seed=s).deletion for s in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    assert (one != other).any()
    first, second = (faithfulness(bright_spot, face, {}, orders=3, seed=5) for _ in range(2))
    np.testing.assert_array_equal([c.insertion for c in first.random], [c.insertion for c in second.random])


@settings(max_examples=25, deadline=None)
@given(shape=st.tuples(st.integers(2, 11), st.integers(2, 11)), cell=st.integers(1, 4), seed=st.integers(0, 99))
def test_any_size_is_deleted_cell_by_cell_in_order(shape, cell, seed):
    cell = min(cell, *shape)
    rng = np.random.default_rng(seed)
    heat, image = rng.random(shape).astype(np.float32), rng.integers(0, 256, shape).astype(np.uint8)
    image.flat[0], image.flat[1] = 0, 255  # not even grey
    seen = []

    def predict(batch):
        seen.append(batch)
        return np.tile([0.3, 0.7], (len(batch), 1))

    c = curves(predict, image, heat, cell=cell, steps=500)
    batch = np.concatenate(seen)
    deleted = batch[: len(c.shares)]
    cells = -(-shape[0] // cell) * -(-shape[1] // cell)
    assert len(deleted) == cells + 1
    np.testing.assert_array_equal(deleted[0], image)
    np.testing.assert_array_equal(batch[-1], image)
    assert len(np.unique(deleted[-1])) == 1
    assert c.deletion_area == pytest.approx(0.7)
    tops = [heat[y : y + cell, x : x + cell].mean() for y in range(0, shape[0], cell) for x in range(0, shape[1], cell)]
    y, x = divmod(int(np.argmax(tops)), -(-shape[1] // cell))
    block = np.zeros(shape, bool)
    block[y * cell : (y + 1) * cell, x * cell : (x + 1) * cell] = True
    np.testing.assert_array_equal(deleted[1][~block], image[~block])
    assert c.shares[1] == pytest.approx(block.mean())


@pytest.mark.parametrize(
    ("given", "name"),
    [({"cell": 0}, "cell"), ({"cell": 49}, "cell"), ({"steps": 0}, "steps"), ({"target": 2}, "target")],
)
def test_arguments_out_of_range_are_named(face, given, name):
    with pytest.raises(ConfigError, match=name):
        curves(bright_spot, face, SPOT, **given)


def test_maps_that_do_not_fit_and_no_orders_are_named(face):
    with pytest.raises(ConfigError, match="heat"):
        curves(bright_spot, face, SPOT[:6, :6])
    with pytest.raises(ConfigError, match="orders"):
        faithfulness(bright_spot, face, {"a": SPOT}, orders=0)
