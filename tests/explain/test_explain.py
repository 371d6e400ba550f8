"""Occlusion maps find the pixels that a known function uses."""

from __future__ import annotations

import numpy as np
import pytest

from mien.errors import ConfigError
from mien.explain import by_landmarks, by_thirds, landmark_masks, occlusion
from mien.visualization.heatmap import overlay, signed_overlay


def bright_spot(batch):
    """Class 1 where the spot at rows 20-28, columns 30-38 is bright."""
    p = batch[:, 20:28, 30:38].mean(axis=(1, 2)) / 255.0
    return np.stack([1 - p, p], axis=1)


@pytest.fixture
def face():
    image = np.full((48, 48), 10, np.uint8)
    image[20:28, 30:38] = 250
    return image


def test_heat_is_highest_on_what_the_answer_rests_on(face):
    heat = occlusion(bright_spot, face)
    assert heat.shape == (48, 48)
    assert heat.dtype == np.float32
    y, x = np.unravel_index(heat.argmax(), heat.shape)
    assert 20 <= y < 28
    assert 30 <= x < 38
    assert heat[:10, :20].max() == 0
    assert heat[24, 34] > 0.5


def test_values_are_the_drop_in_probability_averaged_over_the_squares(face):
    heat = occlusion(bright_spot, face, size=8, stride=8)
    p = bright_spot(face[None])[0, 1]
    covered = face.copy()
    covered[24:32, 32:40] = round(float(face.mean()))
    assert heat[25, 33] == pytest.approx(p - bright_spot(covered[None])[0, 1], abs=1e-6)


def test_parts_that_speak_against_the_answer_are_negative():
    def dark_left(batch):  # the more light on the left, the less class 0
        p = 0.9 - batch[:, :, :4].mean(axis=(1, 2)) / 1000.0
        return np.stack([p, 1 - p], axis=1)

    image = np.zeros((16, 16), np.uint8)
    image[:, :4] = 255
    heat = occlusion(dark_left, image, size=4, stride=4)
    assert (heat[:, :4] < 0).all()
    assert (heat[:, 4:] == 0).all()


@pytest.mark.parametrize(
    ("shape", "size", "stride"), [((48, 48), 8, 4), ((47, 31), 10, 7), ((5, 9), 5, 5), ((6, 6), 1, 1)]
)
def test_every_pixel_is_covered_and_predict_is_called_once(shape, size, stride):
    calls = []

    def constant(batch):
        calls.append(batch.shape)
        return np.tile([0.4, 0.6], (len(batch), 1))

    heat = occlusion(constant, np.zeros(shape, np.uint8), size, stride)
    assert np.isfinite(heat).all()
    assert len(calls) == 1
    assert calls[0][1:] == shape


@pytest.mark.parametrize(
    ("size", "stride", "name"), [(0, 1, "size"), (49, 4, "size"), (8, 0, "stride"), (4, 8, "stride")]
)
def test_arguments_out_of_range_are_named(face, size, stride, name):
    with pytest.raises(ConfigError, match=name):
        occlusion(bright_spot, face, size, stride)


def test_overlay_colours_the_hot_and_leaves_the_cold(face):
    heat = np.zeros((48, 48), np.float32)
    heat[10:20, 10:20] = 0.5
    heat[30:, 30:] = -0.5
    out = overlay(face, heat)
    assert out.shape == (48, 48, 3)
    assert out.dtype == np.uint8
    np.testing.assert_array_equal(out[30:, 30:], np.repeat(face[30:, 30:, None], 3, axis=2))
    assert np.ptp(out[15, 15].astype(int)) > 50


def test_overlay_takes_a_coarse_map_and_a_flat_one(face):
    assert overlay(face, np.eye(7, dtype=np.float32)).shape == (48, 48, 3)
    np.testing.assert_array_equal(overlay(face, np.zeros((48, 48), np.float32))[..., 0], face)


def test_a_named_class_is_followed_instead_of_the_most_probable(face):
    best, other = occlusion(bright_spot, face), occlusion(bright_spot, face, target=0)
    np.testing.assert_allclose(other, -best, atol=1e-6)
    with pytest.raises(ConfigError, match=r"target.*0\.\.1, got 2"):
        occlusion(bright_spot, face, target=2)


def test_many_positions_come_in_batches_and_change_nothing(face):
    sizes = []

    def predict(batch):
        sizes.append(len(batch))
        return bright_spot(batch)

    heat = occlusion(predict, face, size=3, stride=1)
    assert sum(sizes) == 46 * 46 + 1
    assert max(sizes) <= 512
    p = bright_spot(face[None])[0, 1]
    drops = np.zeros((46, 46))
    for y, x in np.ndindex(46, 46):
        covered = face.copy()
        covered[y : y + 3, x : x + 3] = round(float(face.mean()))
        drops[y, x] = p - bright_spot(covered[None])[0, 1]
    assert heat[25, 35] == pytest.approx(drops[23:26, 33:36].mean(), abs=1e-6)


def test_a_common_peak_makes_colours_comparable(face):
    heat = np.full((48, 48), 0.5, np.float32)
    weak, strong = overlay(face, heat, peak=1.0), overlay(face, heat)
    assert np.abs(strong.astype(int) - face[..., None]).sum() > np.abs(weak.astype(int) - face[..., None]).sum()
    np.testing.assert_array_equal(overlay(face, heat, peak=0.25), strong)


def test_signed_overlay_shows_what_speaks_against_in_blue(face):
    heat = np.zeros((48, 48), np.float32)
    heat[:8, :8], heat[-8:, -8:] = 0.5, -0.5
    out = signed_overlay(face, heat).astype(int)
    np.testing.assert_array_equal(out[:8, :8], overlay(face, heat)[:8, :8])
    assert out[-1, -1, 0] > out[-1, -1, 2] + 50
    np.testing.assert_array_equal(out[12:20, 12:20], np.repeat(face[12:20, 12:20, None], 3, axis=2))


def test_thirds_count_only_what_is_positive():
    heat = np.full((48, 48), -1, np.float32)
    heat[:16] = 3
    heat[32:, 0] = 3
    found = by_thirds(heat)
    assert found["upper third"] == pytest.approx((48 / 49, 1 / 3))
    assert found["lower third"] == pytest.approx((1 / 49, 1 / 3))
    assert all(share == 0 for share, _ in by_thirds(-np.ones((5, 7), np.float32)).values())


POINTS = np.array([[15, 18], [33, 18], [24, 27], [17, 36], [31, 36]], np.float32)


@pytest.mark.parametrize(
    ("at", "part"), [((18, 15), "eyes"), ((27, 24), "nose"), ((36, 24), "mouth"), ((2, 2), "elsewhere")]
)
def test_landmarks_name_the_part_that_carries_the_weight(at, part):
    heat = np.zeros((48, 48), np.float32)
    heat[at] = 1
    assert {name for name, (share, _) in by_landmarks(heat, POINTS).items() if share} == {part}


def test_parts_cover_every_pixel_once():
    masks = landmark_masks(POINTS, (48, 48))
    np.testing.assert_array_equal(sum(m.astype(int) for m in masks.values()), np.ones((48, 48)))
    assert all(m.any() for m in masks.values())
    with pytest.raises(ConfigError, match="landmarks"):
        landmark_masks(POINTS[:4], (48, 48))
