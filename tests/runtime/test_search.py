"""Where and how large a picture is looked at: views that cover it, hints that are followed, faces that come back."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mien.faces import Detection
from mien.runtime import CenterFace
from mien.runtime import search as searching
from mien.runtime.search import FIRST, FULL, search
from mien.runtime.views import merged, placed, quarter_back

HEAD = cv2.imread(str(Path(__file__).parents[2] / "examples" / "astronaut.jpg"))[40:200, 150:310]  # its box is 90 x 117


FRONT = np.array([[-0.5, -0.5], [0.5, -0.5], [0, 0.05], [-0.4, 0.48], [0.4, 0.48]]) * 40  # landmarks of a head


class Drawn:
    """A network that finds white squares, as CenterFace finds faces: from 26 pixels on, weakly from 16 on."""

    threshold = 0.5

    def __init__(self):
        self.pixels = 0

    def look(self, image, ratio):
        size = tuple(max(1, round(n * ratio)) for n in image.shape[1::-1])
        small = cv2.resize(image[..., 0], size, interpolation=cv2.INTER_AREA)
        self.pixels += small.size
        _, _, boxes, _ = cv2.connectedComponentsWithStats((small > 140).astype(np.uint8))
        found = []
        for x, y, wide, high, _ in boxes[1:]:
            side = math.sqrt(wide * high)
            if side >= 16:
                box = tuple(float(v / ratio) for v in (x, y, x + wide, y + high))
                found.append(Detection(box, 0.8 if side >= 26 else 0.2, np.zeros((5, 2), np.float32)))
        return sorted(found, key=lambda d: -d.score)


def picture(width, height, *squares):
    image = np.zeros((height, width, 3), np.uint8)
    for x, y, side in squares:
        image[y : y + side, x : x + side] = 255
    return image


@pytest.mark.parametrize(
    ("width", "height", "side"),
    [(1920, 1080, 24), (4000, 3000, 80), (4000, 3000, 40), (8000, 1000, 60), (900, 7000, 48), (1300, 1000, 24)],
)
def test_small_squares_are_found_in_large_pictures_of_any_shape(width, height, side):
    corners = [(x, y, side) for x in (3, width // 2, width - side - 3) for y in (3, height // 2, height - side - 3)]
    found = search(Drawn(), picture(width, height, *corners), None)
    assert len(found) == 9
    for d in found:
        assert min(abs(d.box[0] - x) + abs(d.box[1] - y) for x, y, _ in corners) <= 6


def test_one_large_square_costs_one_look_and_neighbours_that_show_cost_few():
    one, few, many = Drawn(), Drawn(), Drawn()
    large = (300, 200, 900)
    assert len(search(one, picture(4000, 3000, large), None)) == 1
    assert one.pixels == FIRST * FIRST * 3 / 4
    assert len(search(few, picture(4000, 3000, large, (2800, 1500, 150), (3100, 1700, 150)), None)) == 3
    assert few.pixels < 4 * 640 * 480
    crowd = [(x, y, 110) for x in range(50, 3800, 300) for y in range(50, 2800, 300)]
    assert len(search(many, picture(4000, 3000, *crowd), None)) == len(crowd)
    assert many.pixels < 30 * 640 * 480


def test_faces_that_the_first_look_misses_are_found_as_far_as_is_asked():
    def found(side, size=None, most=None):
        return len(search(Drawn(), picture(1280, 960, (600, 400, side)), size, most))

    assert found(56, FIRST) == 0  # 21 pixels of that look
    assert found(56, None, FULL) == 1
    assert found(40, None, FULL) == 0
    assert found(40) == 1


def test_hints_that_hold_no_face_cost_four_windows():
    class Sees(Drawn):  # hints everywhere, and never a face
        def look(self, image, ratio):
            return [replace(d, score=0.2, box=tuple(np.array(d.box) * 0.9)) for d in super().look(image, ratio)]

    marks = [(x, y, 40) for x in range(50, 3900, 400) for y in range(50, 2900, 400)]
    looker, whole = Sees(), Drawn()
    assert search(looker, picture(4000, 3000, *marks), None) == []
    assert search(whole, picture(4000, 3000), None) == []
    assert looker.pixels <= whole.pixels + searching._TRIES * 650**2
    assert len(search(Drawn(), picture(4000, 3000, *marks), None)) == len(marks)


def test_a_size_that_was_asked_for_is_kept_to():
    looker = Drawn()
    assert search(looker, picture(4000, 3000, (50, 50, 80), (900, 900, 300)), 640)[0].box[0] == pytest.approx(
        900, abs=8
    )
    assert looker.pixels == 640 * 480


@pytest.mark.parametrize("shape", [(1, 1), (1, 60000), (60000, 1), (19, 5000), (9, 9)])
def test_pictures_without_room_for_a_face_cost_little(shape):
    looker = Drawn()
    assert search(looker, np.zeros((*shape, 3), np.uint8), None) == []
    assert looker.pixels < 4 * 640 * 640


@settings(max_examples=50, deadline=None)
@given(st.integers(30, 9000), st.integers(30, 9000), st.floats(0.1, 1.125))
def test_tiles_cover_the_picture_and_share_their_edges(width, height, ratio):
    tiles = searching._tiles(width, height, ratio)
    for axis, length in ((0, width), (1, height)):
        spans = sorted({(t[axis], t[axis + 2]) for t in tiles})
        assert spans[0][0] == 0
        assert spans[-1][1] == length
        for (_, end), (start, _) in itertools.pairwise(spans):
            assert end - start >= searching._EDGE / ratio - 2
    assert all((r - left) * ratio <= searching._TILE + 2 * ratio for left, _, r, _ in tiles)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3900), st.integers(0, 2900)), min_size=1, max_size=30), st.floats(0.3, 1.125))
def test_every_hint_lies_well_inside_a_view(places, ratio):
    hints = [Detection((x, y, x + 60.0, y + 60.0), 0.3) for x, y in places]
    views = searching._around(hints, 4000, 3000, ratio)
    for x, y in ((x + 30, y + 30) for x, y in places):
        near = [
            min(
                x - left if left else 1e9,
                y - top if top else 1e9,
                r - x if r < 4000 else 1e9,
                b - y if b < 3000 else 1e9,
            )
            for left, top, r, b in views
            if left <= x <= r and top <= y <= b
        ]
        assert max(near) * ratio >= searching._EDGE / 2 - 2


@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_a_picture_on_its_side_gives_the_faces_of_the_upright_one(quarters):
    detector = CenterFace(threads=1, size=320)
    photo = np.full((300, 360, 3), 120, np.uint8)
    photo[70:230, 150:310] = HEAD
    (upright,) = detector.detect(photo)
    (face,) = detector.detect(np.ascontiguousarray(np.rot90(photo, quarters)))
    assert (face.turn + 90 * quarters + 180) % 360 - 180 == pytest.approx(0, abs=12)
    again = placed(face, quarter_back(quarters, photo.shape[1], photo.shape[0]), 90.0 * quarters)
    assert np.abs(np.array(again.box) - upright.box).max() < 14
    assert np.abs(again.landmarks - upright.landmarks).max() < 8


class SeesUpright(Drawn):
    """Finds bright squares that are brightest at their top; hints at them however they are turned."""

    def look(self, image, ratio):
        found = []
        for d in super().look(image, ratio):
            left, top, right, bottom = (round(v) for v in d.box)
            y, x = np.mgrid[top:bottom, left:right] + 0.5
            weight = image[top:bottom, left:right, 0] - 170.0
            weight = np.where(weight > 0, weight, 0) / np.maximum(weight, 0).sum()
            at = np.array([(x * weight).sum(), (y * weight).sum()])
            off = at - ((left + right) / 2, (top + bottom) / 2)
            turn = math.degrees(math.atan2(off[0], -off[1]))
            c, s = math.cos(math.radians(turn)), math.sin(math.radians(turn))
            points = (FRONT @ np.array([[c, s], [-s, c]]) + at).astype(np.float32)
            found.append(replace(d, score=0.8 if abs(turn) < 30 else 0.2, landmarks=points))
        return found


def shaded(degrees):
    """A square that is brightest at its top, turned clockwise, in a dark picture."""
    image = np.zeros((400, 500, 3), np.uint8)
    image[140:260, 190:310] = np.linspace(255, 150, 120)[:, None, None]
    matrix = cv2.getRotationMatrix2D((250, 200), -degrees, 1.0)
    return cv2.warpAffine(image, matrix, (500, 400))


@pytest.mark.parametrize("degrees", [135, -135, -50])
def test_a_head_between_two_quarters_is_found_around_what_hints_at_it(degrees):
    (face,) = search(SeesUpright(), shaded(degrees), 500)
    assert face.turn == pytest.approx(degrees, abs=8)
    assert face.box == pytest.approx((190, 140, 310, 260), abs=20)


def test_a_hint_that_holds_no_face_costs_nine_small_views():
    class Never(Drawn):
        def look(self, image, ratio):
            return [replace(d, score=0.2) for d in super().look(image, ratio)]

    looker, empty = Never(), Drawn()
    assert search(looker, picture(500, 400, (100, 100, 90), (300, 200, 90)), 500) == []
    assert search(empty, picture(500, 400), 500) == []
    assert 0 < looker.pixels - empty.pixels <= 8 * 128**2 + 256**2


def test_placing_turns_box_and_landmarks():
    found = Detection((10, 20, 30, 60), 0.9, np.array([[20, 40]] * 5, np.float32))
    quarter = placed(found, [[0, -1, 100], [1, 0, 0]], 90.0)
    assert quarter.box == pytest.approx((40, 10, 80, 30))
    np.testing.assert_allclose(quarter.landmarks[0], (60, 20))
    assert placed(found, [[2, 0, 5], [0, 2, 7]]).box == pytest.approx((25, 47, 65, 127))


def test_of_two_boxes_of_one_face_the_surer_stays():
    box = (0.0, 0.0, 10.0, 10.0)
    twice = [Detection(box, 0.6), Detection((1.0, 0.0, 11.0, 10.0), 0.9), Detection((50.0, 0.0, 60.0, 10.0), 0.5)]
    assert [d.score for d in merged(twice)] == [0.9, 0.5]
    assert merged([]) == []
    assert merged([replace(twice[0])])[0].box == box


def test_small_faces_of_a_crowd_are_all_found():
    side = 60  # about 34 pixels of face
    small = cv2.resize(HEAD, (side, side), interpolation=cv2.INTER_AREA)
    crowd = np.full((720, 1280, 3), 110, np.uint8)
    places = [(x, y) for x in range(40, 1200, 230) for y in range(40, 620, 190)]
    for x, y in places:
        crowd[y : y + side, x : x + side] = small
    found = CenterFace(threads=1).detect(crowd)
    assert len(found) == len(places)
    assert len(CenterFace(threads=1, size=FULL).detect(crowd)) < len(places)  # which is why


def test_a_scout_goes_ahead_where_nothing_is_found_and_what_it_hints_at_is_looked_at_again():
    class Misses(Drawn):
        def look(self, image, ratio):
            return [replace(d, score=0.01) for d in super().look(image, ratio)]

    looker, scout, alone = Drawn(), Drawn(), Drawn()
    tiny = picture(4000, 3000, (1900, 1400, 40))
    (one,), (other,) = search(looker, tiny, None, None, lambda: scout), search(alone, tiny, None)
    assert one.box == other.box
    assert looker.pixels < alone.pixels / 3
    empty, scout = Drawn(), Drawn()
    assert search(empty, picture(4000, 3000), None, None, lambda: scout) == []
    assert empty.pixels < 2 * 640 * 480 < scout.pixels
    assert search(Drawn(), tiny, None, None, Misses) == []
