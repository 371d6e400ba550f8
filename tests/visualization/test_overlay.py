"""The picture of a prediction: sizes, colours, tags that keep apart, and both ways of writing text."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from mien.faces import Face, Quality
from mien.labels import FER2013, colour
from mien.spec import ModelSpec
from mien.visualization import text as letters
from mien.visualization.face_card import HEIGHT, WIDTH, draw_face_card, face_title
from mien.visualization.overlay import MAX_CARDS, _place, draw, mark_faces

SPEC = ModelSpec("m", FER2013.names)


def face(box=(40.0, 40.0, 90.0, 100.0), best=3, p=0.76, region=True, others=()):
    rest = (1 - p) / 6
    chances = {name: p if i == best else rest for i, name in enumerate(FER2013.names)}
    crop = np.random.default_rng(0).integers(0, 256, (48, 48)).astype(np.uint8)
    left, top, right, bottom = box
    quad = np.array([[left, top], [right, top], [right, bottom], [left, bottom]], np.float32) if region else None
    return Face(FER2013.names[best], p, (FER2013.names[best], *others), chances, box, 0.9, None, crop, quad)


def predict(batch):
    return np.tile(np.linspace(0, 0.25, 7), (len(batch), 1))


def has(image, code):
    return bool((image == letters.bgr(code)).all(axis=2).any())


@pytest.mark.parametrize(
    ("count", "shape"),
    [(0, (480, 640)), (1, (30, 40)), (3, (3000, 500)), (4, (60, 1500)), (MAX_CARDS + 5, (480, 640))],
)
def test_draws_any_number_of_faces_on_any_size_of_photo(count, shape):
    h, w = shape
    faces = [face((w * 0.1, h * 0.1, w * 0.4, h * 0.5), best=i % 7) for i in range(count)]
    photo = np.full((h, w, 3), 90, np.uint8)
    out = draw(photo, faces, SPEC, predict, "m: 63.1 % on PublicTest (n=3,589)")
    assert out.dtype == np.uint8
    assert out.shape[0] < 3500
    assert out.shape[1] < 2000
    assert (photo == 90).all()
    assert out.shape[1] >= WIDTH or not count
    assert all(has(out, colour(f.label)) for f in faces)


def test_an_unusable_face_is_told_in_its_panel():
    bad = Quality(9, 0.5, 120, 40, problems=("too small: 9 pixels",))
    plain, told = (draw_face_card(1, f, SPEC, None).astype(int) for f in (face(), replace(face(), quality=bad)))
    # thin letters: no pixel need be the very red, every OpenCV smooths in its own way
    assert not (np.abs(plain - (40, 40, 190)) < 30).all(axis=2).any()
    assert (np.abs(told - (40, 40, 190)) < 30).all(axis=2).any()


@pytest.mark.parametrize(("cell", "place"), [((5, 0), (0.7, 0.3)), ((0, 5), (0.3, 0.7))])
def test_attention_lies_where_the_network_looked(cell, place):
    attention = np.zeros((6, 6), np.float32)
    attention[cell] = 1
    plain = draw_face_card(1, face(), SPEC, None).astype(int)
    marked = draw_face_card(1, replace(face(), attention=attention), SPEC, None)
    changed = np.abs(marked - plain).sum(2)
    tile = changed[40:208, 188:356]  # the second tile, "where it looked"
    assert changed.sum() == tile.sum() > 0
    y, x = (float((np.indices(tile.shape)[i] * tile).sum() / tile.sum()) / 168 for i in (0, 1))
    assert (y, x) == pytest.approx(place, abs=0.1)


def test_panel_shows_as_many_tiles_as_there_are_answers():
    def ink(card):  # columns with anything on them
        return int((card != card[-1, -1]).any(axis=(0, 2)).nonzero()[0].max())

    whole = draw_face_card(1, face(), SPEC, predict)
    assert whole.shape == (HEIGHT, WIDTH, 3)
    assert (
        ink(draw_face_card(1, face(region=False), SPEC, None)) < ink(draw_face_card(1, face(), SPEC, None)) < ink(whole)
    )


def test_bar_is_as_long_as_its_probability():
    card = draw_face_card(1, face(best=3, p=0.5), SPEC, None)
    rows = [(row == letters.bgr(colour("happy"))).all(axis=1).sum() for row in card]
    assert max(rows) == 75  # of 150 pixels


def test_title_marks_an_uncertain_face():
    assert face_title(2, face(p=0.76)) == "2  happy 76%"
    assert face_title(1, face(p=0.41, others=("sad",))) == "1  happy? 41%"
    sure, unsure = draw_face_card(1, face(), SPEC, None), draw_face_card(1, face(others=("neutral", "sad")), SPEC, None)
    assert (unsure[:35, 250:] != sure[:35, 250:]).any()


def test_panel_names_the_other_candidates_as_far_as_they_fit(monkeypatch):
    words = []
    monkeypatch.setattr(
        "mien.visualization.face_card.text", lambda image, said, *rest, **more: words.append((said, rest[0]))
    )
    draw_face_card(1, face(others=("neutral", "sad")), SPEC, None)
    assert "uncertain: or neutral, sad" in [said for said, _ in words]
    words.clear()
    draw_face_card(1, face(), SPEC, None)
    assert not [said for said, _ in words if "uncertain" in said]
    words.clear()
    draw_face_card(1, face(others=tuple(f"expression number {i}" for i in range(9))), SPEC, None)
    ((said, (x, _)),) = [w for w in words if "uncertain" in w[0]]
    assert said.startswith("uncertain: or expression number 0, ")
    shown = said.count("number")
    assert 1 < shown < 9
    assert said.endswith(f" and {9 - shown} more")
    assert x + letters.text_width(said, 14) <= WIDTH
    words.clear()
    draw_face_card(1, face(others=("a" * 200, "b")), SPEC, None)
    assert "uncertain: 2 more" in [said for said, _ in words]


def meet(a, b):
    return a[0] <= b[2] and b[0] <= a[2] and a[1] <= b[3] and b[1] <= a[3]


def test_tags_keep_apart_and_inside_the_picture():
    rng = np.random.default_rng(0)
    placed = []
    for _ in range(40):
        x, y = (int(v) for v in rng.integers(0, 560, 2))
        tag = _place((x, y, x + 40, y + 40), (90, 30), (600, 600, 3), placed)
        assert 0 <= tag[0] < tag[2] < 600
        assert 0 <= tag[1] < tag[3] < 600
        assert not any(meet(tag, other) for other in placed)
        placed.append(tag)


def test_a_tag_lies_above_its_box_else_below_else_somewhere_and_never_outside():
    size, shape = (90, 30), (200, 200, 3)
    assert _place((50, 100, 90, 140), size, shape, [])[1] == 100 - 32
    assert _place((50, 10, 90, 140), size, shape, [])[1] == 143
    assert _place((50, 10, 90, 190), size, shape, [])[1] == 14
    everywhere = [(0, 0, 200, 200)]
    assert _place((50, 100, 90, 140), size, shape, everywhere)[1] == 100 - 32
    assert _place((5, 5, 9, 9), size, (20, 30, 3), [])[:2] == (0, 0)


def test_box_is_drawn_where_the_face_is():
    image = np.zeros((200, 200, 3), np.uint8)
    mark_faces(image, [face((20, 60, 70, 95))], ratio=2.0)
    assert image[150, 40].any()
    assert not image[150, 90].any()


@pytest.mark.parametrize("typeface", [True, False], ids=["OpenCV 5", "OpenCV 4"])
def test_text_has_the_width_that_was_measured(monkeypatch, typeface):
    if typeface and not hasattr(cv2, "FontFace"):
        pytest.skip("this OpenCV has no typeface")
    if not typeface:
        monkeypatch.setattr(letters, "_typeface", lambda: None)
    for bold in (False, True):
        image = np.full((60, 400, 3), 255, np.uint8)
        letters.text(image, "happy 87 %", (10, 40), 20, (0, 0, 0), bold=bold)
        columns = (image < 200).any(axis=(0, 2)).nonzero()[0]
        width = letters.text_width("happy 87 %", 20, bold=bold)
        assert 60 < width < 160
        assert columns.max() - 10 == pytest.approx(width, abs=6)
        rows = (image < 200).any(axis=(1, 2)).nonzero()[0]
        assert rows.min() >= 40 - 22
        assert rows.max() <= 40 + 8


def test_ink_reads_on_every_label_colour():
    for name in FER2013.names:
        ground = np.array(letters.bgr(colour(name)), float)
        ink = np.array(letters.ink_on(letters.bgr(colour(name))), float)
        assert abs(_luminance(ink) - _luminance(ground)) > 70


def _luminance(c):
    return 0.114 * c[0] + 0.587 * c[1] + 0.299 * c[2]
