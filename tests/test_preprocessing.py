"""Cutting a face out of a photo first gives the crop that the whole photo gives, whatever its size, place and turn."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from mien.preprocessing import channels_first, channels_last, crop_face, crop_matrix, normalise
from mien.spec import ModelSpec

SPEC = ModelSpec("x", ("any",))


def whole(image: np.ndarray, box: tuple[float, ...], turn: float = 0.0) -> np.ndarray:
    """The crop made of the whole photo: the definition that networks were trained and calibrated with."""
    matrix = crop_matrix(box, SPEC, turn)
    grey = image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
    shrink = 1.0 / float(np.hypot(*matrix[0, :2])) / 2
    if shrink > 1:
        grey = cv2.GaussianBlur(grey, (0, 0), 0.5 * shrink)
    side = (SPEC.size, SPEC.size)
    return cv2.warpAffine(grey, matrix, side, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


@pytest.mark.parametrize("seed", range(60))
def test_a_crop_is_within_a_grey_level_of_the_one_made_of_the_whole_photo(seed):
    rng = np.random.default_rng(seed)
    height, width = (int(v) for v in rng.integers(20, 700, 2))
    image = rng.integers(0, 256, (height, width, 3)[: 3 - seed % 2], dtype=np.uint8)  # the hardest: noise
    side = float(rng.uniform(5, 1.6 * max(height, width)))
    x, y = (float(rng.uniform(-side / 2, end)) for end in (width, height))
    box = (x, y, x + side * float(rng.uniform(0.6, 1)), y + side)
    turn = float(rng.uniform(-180, 180)) if seed % 3 == 0 else 0.0
    difference = crop_face(image, box, SPEC, turn).astype(int) - whole(image, box, turn)
    assert np.abs(difference).max() <= 1


def test_a_network_in_colour_gets_the_crop_of_each_channel_red_first():
    image = np.random.default_rng(1).integers(0, 256, (90, 120, 3), dtype=np.uint8)
    box, colour = (20.0, 10.0, 90.0, 85.0), replace(SPEC, channels=3)
    crop = crop_face(image, box, colour, 20.0)
    planes = [crop_face(np.ascontiguousarray(image[..., k]), box, SPEC, 20.0) for k in (2, 1, 0)]
    assert (crop == np.stack(planes, 2)).all()
    assert (crop_face(image[..., 0], box, colour, 20.0) == planes[2][..., None]).all()


def test_each_channel_is_normalised_by_its_own_numbers():
    faces = np.random.default_rng(2).integers(0, 256, (2, 5, 5, 3), dtype=np.uint8)
    spec = ModelSpec("x", ("any",), size=5, channels=3, mean=(0.1, 0.2, 0.3), std=(0.4, 0.5, 0.6))
    got = normalise(channels_first(faces).astype(np.float32), spec)
    want = [(faces[..., k] / 255 - m) / s for k, (m, s) in enumerate(zip(spec.mean, spec.std, strict=True))]
    assert np.abs(got - np.stack(want, 1)).max() < 1e-5
    assert (channels_last(channels_first(faces)) == faces).all()
    assert ModelSpec.from_json(spec.to_json(), "x") == spec


@pytest.mark.parametrize("box", [(-900, 10, -500, 410), (10, 900, 410, 1300), (-900, -900, -500, -500)])
def test_a_box_outside_the_photo_gives_its_nearest_edge(box):
    image = np.random.default_rng(0).integers(0, 256, (200, 300), dtype=np.uint8)
    assert np.abs(crop_face(image, box, SPEC).astype(int) - whole(image, box)).max() <= 1


def test_only_the_surroundings_of_a_face_are_worked_on(monkeypatch):
    image = np.random.default_rng(0).integers(0, 256, (2000, 3000, 3), dtype=np.uint8)
    blurred = []
    blur = cv2.GaussianBlur
    monkeypatch.setattr(cv2, "GaussianBlur", lambda part, *rest: blurred.append(part.shape) or blur(part, *rest))
    crop_face(image, (1000, 800, 1300, 1100), SPEC)
    assert len(blurred) == 1
    assert max(blurred[0]) < 400  # 336 px of the crop, and 11 px of the blur on each side
