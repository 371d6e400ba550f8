"""Sheets of explanations: nothing runs over an edge, the parts are there, and landmarks land in the crop."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mien.explain import Explanation, mean_maps
from mien.explain.faithfulness import faithfulness
from mien.explain.photos import explain_photo, landmarks_in_crop
from mien.faces import Detection
from mien.labels import FER2013, colour
from mien.preprocessing import crop_matrix
from mien.runtime.classifier import Outputs
from mien.spec import ModelSpec
from mien.visualization import text as letters
from mien.visualization.class_figure import draw_classes
from mien.visualization.explanation_figure import draw_explanation, part_shares
from mien.visualization.primitives import AMBER, MAP_COLOURS, PAPER

SPEC = ModelSpec("m", FER2013.names)
POINTS = np.array([[15, 18], [33, 18], [24, 27], [17, 36], [31, 36]], np.float32)


def answer(faces):
    n = len(faces)
    p = np.tile(np.linspace(0.02, 0.2, 7, dtype=np.float32), (n, 1))
    p[:, 3] += faces[:, 30:40, 15:33].mean(axis=(1, 2)) / 255
    theta = np.tile(np.array([[0.9, 0.1, 0], [-0.1, 0.9, 0.1]], np.float32), (n, 1, 1))
    return Outputs(p / p.sum(1, keepdims=True), theta, np.full((n, 6, 6), 1 / 36, np.float32))


@pytest.fixture(scope="module")
def explained():
    photo = np.random.default_rng(0).integers(0, 256, (120, 160, 3)).astype(np.uint8)

    class Two:
        def detect(self, image):
            return [Detection((30, 20, 100, 100), 0.9, POINTS + 30), Detection((60, 40, 150, 115), 0.5)]

    return explain_photo(photo, answer, SPEC, Two(), orders=2)


def has(image, bgr):
    return bool((image == bgr).all(axis=2).any())


def margins_are_free(sheet):
    return all((edge == PAPER).all() for edge in (sheet[:8], sheet[-8:], sheet[:, :8], sheet[:, -8:]))


def test_every_face_of_a_photo_is_explained_in_the_detector_s_order(explained):
    first, second = explained
    assert first.landmarks is not None
    assert second.landmarks is None
    assert set(first.maps) == {"attention", "occlusion"}
    assert set(part_shares(first, "occlusion")) > {"eyes", "mouth", "lower third"}
    assert set(part_shares(second, "occlusion")) == {"upper third", "middle third", "lower third"}


def test_landmarks_go_where_the_crop_shows_them():
    found = Detection((30.0, 20.0, 100.0, 100.0), 0.9, POINTS + 30)
    points = landmarks_in_crop(found, SPEC)
    scale = crop_matrix(found.box, SPEC)[0, 0]
    np.testing.assert_allclose(points[1] - points[0], [18 * scale, 0], atol=1e-4)
    centre = landmarks_in_crop(replace(found, landmarks=np.full((5, 2), (65.0, 60.0 - 0.8), np.float32)), SPEC)
    np.testing.assert_allclose(centre, 24, atol=1e-3)  # the crop's centre is the box's, raised by a hundredth


def test_a_sheet_shows_all_parts_within_its_margins(explained):
    e = explained[0]
    sheet = draw_explanation(e, title="a.jpg, face 1 of 2", footer="m: 60 % on PublicTest")
    assert margins_are_free(sheet)
    assert has(sheet, AMBER)
    assert has(sheet, letters.bgr(colour(e.label)))
    assert all(has(sheet, MAP_COLOURS[name]) for name in (*e.maps, "centre"))
    shorter = draw_explanation(replace(e, faithfulness=None))
    assert shorter.shape[0] < sheet.shape[0]
    assert shorter.shape[1] == sheet.shape[1]
    assert not any(has(shorter, MAP_COLOURS[name]) for name in e.maps)


def test_a_sheet_with_every_map_and_a_long_title_keeps_its_margins(explained):
    e = explained[0]
    maps = {**e.maps, "gradcam": np.clip(e.maps["occlusion"], 0, None)}
    check = faithfulness(lambda b: answer(b).probabilities, e.crop, maps, orders=2)
    sheet = draw_explanation(
        replace(e, maps=maps, faithfulness=check), title="a very long name " * 30, footer="words " * 99
    )
    assert margins_are_free(sheet)
    assert all(has(sheet, MAP_COLOURS[name]) for name in maps)


@pytest.mark.parametrize("labels", [("a", "b"), tuple(f"a long expression {i}" for i in range(24))])
def test_any_number_of_classes_and_a_face_without_maps_fits(labels):
    crop = np.full((24, 24), 90, np.uint8)
    p = np.full(len(labels), 1 / len(labels), np.float32)
    sheet = draw_explanation(Explanation(crop, labels, p, 1))
    assert margins_are_free(sheet)
    assert not has(sheet, AMBER)


def test_a_map_of_zeros_says_so_and_features_are_told_from_pixels(explained):
    e = explained[1]
    flat = replace(e, maps={"occlusion": np.zeros((48, 48), np.float32)})
    assert margins_are_free(draw_explanation(flat))
    assert (draw_explanation(e) != draw_explanation(e, warps_input=False)).any()


def test_the_sheet_of_classes_has_a_row_for_each_class_with_faces():
    images = np.random.default_rng(0).integers(0, 256, (6, 48, 48)).astype(np.uint8)
    means = mean_maps(answer, images, np.array([3, 3, 3, 4, 4, 0]), FER2013.names, size=12, stride=12)
    sheet = draw_classes(means, title="m on data " * 40, footer="m " * 300)
    assert margins_are_free(sheet)
    assert all(has(sheet, letters.bgr(colour(FER2013.names[i]))) for i in (0, 3, 4))
    assert not has(sheet, letters.bgr(colour("fear")))
    assert (sheet != draw_classes(replace(means, window=None), title="m on data " * 40, footer="m " * 300)).any()
    fewer = draw_classes(replace(means, attention=None, occlusion=None, window=None))
    assert fewer.shape[1] < sheet.shape[1]
