"""The window, the view through it and maps laid back agree with the torch transformer, theta for theta."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mien.errors import ConfigError
from mien.runtime.attention_window import IDENTITY, laid_back, warped, window
from mien.spec import ModelSpec

thetas = st.lists(st.floats(-1.5, 1.5, width=32), min_size=6, max_size=6).map(
    lambda v: np.array(v, np.float32).reshape(2, 3)
)


def picture(height=48, width=48, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width)).astype(np.uint8)


@settings(max_examples=60, deadline=None)
@given(theta=thetas, shape=st.sampled_from([(48, 48), (5, 9), (1, 3)]))
def test_the_view_is_what_the_torch_transformer_samples(theta, shape):
    torch = pytest.importorskip("torch")
    from mien.models.stn import warp

    image = picture(*shape)
    expected = warp(torch.from_numpy(image.astype(np.float32))[None, None], torch.from_numpy(theta)[None])[0, 0]
    # torch works in float32: a position off by 1e-6 of the picture moves a value by so much of the steepest step
    np.testing.assert_allclose(warped(image, theta), expected.numpy(), atol=0.05)


def test_the_identity_shows_the_crop_and_lies_on_its_edges():
    image = picture()
    np.testing.assert_allclose(warped(image, IDENTITY), image, atol=1e-4)
    np.testing.assert_array_equal(window(IDENTITY, 48), [[0, 0], [48, 0], [48, 48], [0, 48]])


def test_a_shift_moves_window_view_and_map_alike():
    theta = np.array([[1, 0, 0.25], [0, 1, -0.5]], np.float32)  # of half a side: 6 pixels right, 12 up
    np.testing.assert_allclose(window(theta, 48)[0], [6, -12])
    image = picture()
    np.testing.assert_allclose(warped(image, theta)[12:, :-6], image[:-12, 6:], atol=1e-3)
    heat = np.zeros((6, 6), np.float32)
    heat[2, 3] = 1  # centre at x 28, y 20 of the output
    y, x = np.unravel_index(laid_back(heat, theta, 48).argmax(), (48, 48))
    assert (x + 0.5, y + 0.5) == pytest.approx((34, 8), abs=0.51)


@settings(max_examples=40, deadline=None)
@given(turn=st.floats(-0.6, 0.6), scale=st.floats(0.6, 1.2), x=st.floats(-0.2, 0.2), y=st.floats(-0.2, 0.2))
def test_what_is_laid_back_is_seen_again_through_the_window(turn, scale, x, y):
    theta = np.array(
        [[scale * np.cos(turn), -np.sin(turn) * scale, x], [np.sin(turn) * scale, np.cos(turn) * scale, y]], np.float32
    )
    heat = np.zeros((6, 6), np.float32)
    heat[2:4, 2:4] = 200.0
    back = laid_back(heat, theta, 96)
    again = warped(np.round(back).astype(np.uint8), theta)
    enlarged = laid_back(heat, None, 96)
    assert np.abs(again - enlarged)[24:72, 24:72].max() < 12  # of 200: bilinear twice, rounded once


def test_nothing_lies_outside_the_window():
    theta = np.array([[0.5, 0, 0], [0, 0.5, 0]], np.float32)
    back = laid_back(np.ones((6, 6), np.float32), theta, 48)
    assert back.sum() == 24 * 24
    assert (back[12:36, 12:36] == 1).all()


def test_an_even_map_stays_even_without_a_transformer():
    np.testing.assert_allclose(laid_back(np.full((6, 6), 0.3, np.float32), None, 47), 0.3, rtol=1e-6)


@pytest.mark.parametrize("theta", [np.zeros((2, 3), np.float32), np.full((2, 3), np.nan, np.float32), np.eye(2)])
def test_a_theta_that_is_none_is_named(theta):
    with pytest.raises(ConfigError, match="theta"):
        laid_back(np.ones((3, 3), np.float32), theta, 9)


def test_the_window_is_the_predictor_s():
    from mien.preprocessing import to_photo
    from mien.runtime.predictor import box_inside

    theta = np.array([[0.9, 0.2, 0.1], [-0.1, 1.1, -0.2]], np.float32)
    spec = ModelSpec("m", ("a", "b"))
    whole = box_inside((0.0, 0.0, 48.0, 48.0), spec)  # a photo that is its crop
    np.testing.assert_allclose(window(theta, 48), to_photo(window(theta, 48), whole, spec), atol=1e-4)
