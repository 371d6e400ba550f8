"""Stretches and coded recordings out of followed frames."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mien.faces import Face, Photo, Quality
from mien.study import Coder
from mien.video import Frame, Segment, TrackedFrame
from mien.video.stretches import StretchFinder

BOX = (0.0, 0.0, 40.0, 40.0)
BAD = Quality(40, 1, 100, 20, problems=("blurred",))


def face(track=1, kind=""):
    one = Face("happy", 0.8, ("happy",), {"happy": 0.8, "sad": 0.2}, BOX, 0.9, None, np.zeros((48, 48), np.uint8))
    one = replace(one, track=track, prediction_set=("happy", "sad") if kind == "uncertain" else ("happy",))
    return replace(one, quality=BAD) if kind == "unusable" else one


def photo(*faces, error=""):
    return Photo("x", faces, 160, 120, error=error)


def stretches(photos, rate=10.0, **options):
    finder = StretchFinder(**options)
    found = [s for i, p in enumerate(photos) for s in finder.add(i / rate, p)] + finder.close()
    return sorted((s.track or 0, s.kind, round(s.start, 3), round(s.end, 3), s.frames) for s in found)


def test_every_kind_of_a_stretch_with_its_times():
    photos = [
        photo(),
        photo(face()),
        photo(face(kind="uncertain")),
        photo(face(kind="uncertain")),
        photo(face(kind="unusable")),
        photo(),
        photo(error="broken"),
        photo(face(), face(2)),
        photo(face(2)),
    ]
    assert stretches(photos) == [
        (0, "no face", 0.0, 0.1, 1),
        (0, "no face", 0.5, 0.6, 1),
        (0, "unreadable", 0.6, 0.7, 1),
        (1, "not seen", 0.5, 0.6, 1),
        (1, "uncertain", 0.2, 0.4, 2),
        (1, "unreadable", 0.6, 0.7, 1),
        (1, "unusable", 0.4, 0.5, 1),
    ]  # after its last frame person 1 has left, which is no gap


@pytest.mark.parametrize("back", [True, False])
def test_who_leaves_for_long_has_no_gap(back):
    photos = [photo(face()), *[photo(face(2))] * 9, *([photo(face())] if back else [])]
    assert stretches(photos, max_gap=0.5) == []
    found = stretches(photos, max_gap=5)
    assert found == ([(1, "not seen", 0.1, 1.0, 9)] if back else [])


def test_a_weak_face_without_a_number_is_nobody():
    assert stretches([photo(face(None, "unusable")), photo(face(None))]) == []


def test_a_coder_joins_segments_and_stretches():
    coder = Coder()
    for i, p in enumerate([photo(), photo(face(1)), photo(face(1), face(2, "uncertain")), photo(face(1))]):
        coder.add(TrackedFrame(Frame(i, i / 10, duration=0.1 if i < 3 else 0.05), p))
    coder.add_segment(Segment(1, "happy", 0.1, 0.3, 0.8, 3))
    coded = coder.close("talk.mp4", ["happy", "sad"], {"model": {"name": "tiny"}})
    assert (coded.persons, coded.end, coded.name, coded.model) == (["person 1", "person 2"], 0.35, "talk", "tiny")
    assert coded.rate == pytest.approx(10)
    assert [(s.person, s.label, s.gap) for s in coded.spans] == [
        ("", "no face", True),
        ("person 1", "happy", False),
        ("person 2", "uncertain", True),
    ]
