"""Occlusion maps find the pixels that a known function uses."""

from __future__ import annotations

import numpy as np
import pytest

from mien.errors import ConfigError
from mien.explain import occlusion, overlay


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
    np.testing.assert_array_equal(overlay(face, heat, 0.0), np.repeat(face[..., None], 3, axis=2))


def test_overlay_takes_a_coarse_map_and_a_flat_one(face):
    assert overlay(face, np.eye(7, dtype=np.float32)).shape == (48, 48, 3)
    np.testing.assert_array_equal(overlay(face, np.zeros((48, 48), np.float32))[..., 0], face)
    with pytest.raises(ConfigError, match="alpha"):
        overlay(face, np.zeros((48, 48), np.float32), 1.5)
