"""synthetic: drawn faces that are seeded, balanced, split by person, moved by action units, and worth learning on."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from mien.data.synthetic.action_units import ACTION_UNITS, PROTOTYPES, UNIFORMS_PER_FACE, activate
from mien.data.synthetic.drawing import Pose, columns, paint, sides, smooth
from mien.data.synthetic.generate import generate
from mien.data.synthetic.parts import GAZE, IDENTITY, layers
from mien.errors import ConfigError
from mien.labels import FER2013

UPPER = (1, 2, 4, 5, 7, 45)
LOWER = (10, 12, 15, 17, 20, 23, 24, 25, 26)


@pytest.fixture(scope="module")
def faces():
    return generate(700)


def render(intensities, side=192):
    """One average face, seen from the front, with the given action units: uint8 ``(side, side)``."""
    who = {k: np.array([(low + high) / 2]) for k, (low, high) in {**IDENTITY, **GAZE}.items()}
    who |= {"beard_pick": np.zeros(1), "glasses_pick": np.zeros(1), "hair_pick": np.zeros(1), "skin": np.array([190.0])}
    au = {u: np.full((1, 2), intensities.get(u, 0.0)) for u in ACTION_UNITS}
    zero = np.zeros(1)
    canvas = np.full((1, side, side), 128, np.uint8)
    paint(canvas, layers(who, au), Pose(zero, zero, zero, zero + side / 2.2, np.full((1, 2), side / 2)))
    return canvas[0]


def test_generate_makes_a_balanced_record_split_by_person(faces):
    assert faces.images.shape == (700, 48, 48)
    assert faces.names == FER2013.names
    assert faces.counts().tolist() == [100] * 7
    assert set(faces.splits) == {"Training", "validation"}
    assert set(faces.part("validation").subject) == {f"s{k}" for k in range(32, 40)}
    assert set(faces.part("Training").subject) == {f"s{k:02d}" for k in range(32)}
    assert 126 <= len(faces.part("validation")) <= 154
    for person in set(faces.subject):
        assert (faces.take(faces.subject == person).counts() >= 1).all()


def test_every_picture_is_a_picture_of_its_own(faces):
    assert len({image.tobytes() for image in faces.images}) == 700
    assert faces.images.reshape(700, -1).std(1).min() > 5
    assert 70 < faces.images.mean() < 160


def test_generate_is_seeded_and_fewer_faces_are_a_prefix(faces):
    again = generate(260)  # crosses the edge of a block
    assert np.array_equal(again.images, faces.images[:260])
    assert np.array_equal(again.labels, faces.labels[:260])
    assert np.array_equal(again.subject, faces.subject[:260])
    assert generate(14, seed=1).fingerprint != generate(14).fingerprint


def test_generate_does_not_depend_on_threads(faces):
    threads = cv2.getNumThreads()
    try:
        cv2.setNumThreads(1)
        assert np.array_equal(generate(21).images, faces.images[:21])
    finally:
        cv2.setNumThreads(threads)


@pytest.mark.parametrize("size", [16, 37, 96])
def test_any_size_shows_the_same_faces(size):
    small, big = generate(14, size=size).images, generate(14).images
    assert small.shape == (14, size, size)
    for a, b in zip(small, big, strict=True):
        a, b = (cv2.GaussianBlur(cv2.resize(x.astype(np.float32), (16, 16), interpolation=cv2.INTER_AREA), (3, 3), 0)
                for x in (a, b))  # fmt: skip
        assert np.corrcoef(a.ravel(), b.ravel())[0, 1] > 0.9


def test_few_people_still_leave_somebody_for_validation():
    ds = generate(70, identities=5)
    assert set(ds.part("validation").subject) == {"s04"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n": 0}, "n must be at least 1, got 0"),
        ({"size": 8}, "size must be in 16..256, got 8"),
        ({"size": 1000}, "size must be in 16..256, got 1000"),
        ({"identities": 4}, "identities must be at least 5, got 4"),
        ({"seed": -1}, "seed must be at least 0, got -1"),
    ],
)
def test_generate_refuses_what_it_cannot_draw(arguments, message):
    with pytest.raises(ConfigError, match=message):
        generate(**{"n": 7, **arguments})


@pytest.mark.parametrize("unit", ACTION_UNITS)
def test_each_action_unit_moves_its_part_of_the_face(unit):
    change = np.abs(render({unit: 1.0}).astype(int) - render({}))
    assert change.max() > 30
    share = change[:96].sum() / change.sum()  # 96: the tip of the nose is below, eyes and brows above
    if unit in UPPER:
        assert share > 0.8
    if unit in LOWER:
        assert share < 0.2


def test_a_smile_lifts_the_corners_of_the_mouth_and_a_frown_drops_them():
    def corner(intensities):
        """Mean y of the darkest pixels, left of the mouth's middle: the line between closed lips."""
        region = render(intensities)[120:175, 60:78].astype(int)
        return np.argwhere(region < region.min() + 25)[:, 0].mean()

    assert corner({12: 1.0}) < corner({}) - 4
    assert corner({15: 1.0}) > corner({}) + 4


def test_a_dropped_jaw_opens_a_dark_mouth():
    assert (render({25: 1.0, 26: 1.0})[130:180, 80:112] < 40).sum() > 5 * (render({})[130:180, 80:112] < 40).sum() + 50


def test_prototypes_cover_fer2013_with_known_units_and_shares():
    assert tuple(PROTOTYPES) == FER2013.names
    for units in PROTOTYPES.values():
        assert set(units) <= set(ACTION_UNITS)
        assert all(0 < share <= 1 for share in units.values())
    assert PROTOTYPES["happy"] == {12: 0.95, 25: 0.95, 6: 0.51}
    assert not PROTOTYPES["neutral"]


def test_activate_shows_what_the_expression_asks_for():
    uniforms = np.full((7, UNIFORMS_PER_FACE), 0.5)
    au = activate(list(FER2013.names), uniforms)
    happy, surprise, neutral = (FER2013.names.index(n) for n in ("happy", "surprise", "neutral"))
    assert {u for u, v in au.items() if v[happy].any()} == {6, 12, 25}
    assert {u for u, v in au.items() if v[surprise].any()} == {1, 2, 5, 25, 26}
    assert not any(v[neutral].any() for v in au.values())


def test_activate_keeps_intensities_in_range_and_rivals_apart():
    uniforms = np.random.default_rng(0).random((3000, UNIFORMS_PER_FACE))
    au = activate([FER2013.names[i % 7] for i in range(3000)], uniforms)
    assert all(v.shape == (3000, 2) and v.min() >= 0 and v.max() < 1.3 for v in au.values())
    for a, b in ((24, 25), (24, 26), (12, 15)):
        assert not (au[a].any(1) & au[b].any(1)).any()
    neutral = np.arange(3000) % 7 == 6
    assert 0 < (sum(v[neutral].any(1) for v in au.values()) > 0).mean() < 1  # some strays, not everywhere


def test_smooth_goes_through_its_control_points():
    control = np.random.default_rng(0).random((3, 5, 2))
    assert np.allclose(smooth(control, 4)[:, ::4], control)
    ring = smooth(control, 4, closed=True)
    assert np.allclose(ring[:, :-1:4], control)
    assert np.allclose(ring[:, -1], control[:, 0])


def test_columns_and_sides_keep_points_in_order():
    points = columns((1.0, np.array([[2.0, 3.0]])), (4.0, 5.0))
    assert points.shape == (1, 2, 2, 2)
    left, right = sides(points)
    assert left.tolist() == [[[-1.0, 2.0], [-4.0, 5.0]]]
    assert right.tolist() == [[[1.0, 3.0], [4.0, 5.0]]]


def test_strangers_expressions_can_be_learned_but_not_by_a_linear_model_alone(faces):
    """Ridge regression on small pictures: better than chance on people it has not seen, far from perfect."""

    def pixels(ds):
        x = np.stack([cv2.resize(i, (16, 16), interpolation=cv2.INTER_AREA) for i in ds.images]).reshape(len(ds), -1)
        x = x - x.mean(1, keepdims=True)
        return np.hstack([x / x.std(1, keepdims=True), np.ones((len(ds), 1))])

    train, val = faces.part("Training"), faces.part("validation")
    x, y = pixels(train), np.eye(7)[train.labels]
    weights = np.linalg.solve(x.T @ x + 100 * np.eye(x.shape[1]), x.T @ y)
    accuracy = ((pixels(val) @ weights).argmax(1) == val.labels).mean()
    assert 0.25 < accuracy < 0.75
