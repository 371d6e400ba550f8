"""Following faces, smoothing them, and making segments: rules that must hold for any stream, and known cases."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mien.errors import ConfigError
from mien.video import Rules, SegmentFinder, Smoother, Tracker, iou


def box(x, y=100.0, side=60.0):
    return (x - side / 2, y - side / 2, x + side / 2, y + side / 2)


def follow(path, times, score=0.9, **given):
    """The ids of one face along ``path(time)`` -> box, or None while it is hidden."""
    tracker, ids = Tracker(Rules(**given)), []
    for time in times:
        place = path(time)
        found = tracker.update(time, [place] if place else [], [score] if place else [])
        ids += [t.id for t in found]
    return ids


def clock(seconds, rate=30.0):
    return [i / rate for i in range(round(seconds * rate))]


def test_iou_of_known_boxes():
    assert iou((0, 0, 10, 10), (0, 0, 10, 10)) == 1
    assert iou((0, 0, 10, 10), (5, 0, 15, 10)) == pytest.approx(1 / 3)
    assert iou((0, 0, 10, 10), (10, 0, 20, 10)) == 0


@pytest.mark.parametrize("speed", [0, 100, 300, 900])
@pytest.mark.parametrize("rate", [30, 12.5])
def test_a_moving_face_keeps_its_number(speed, rate):
    ids = follow(lambda t: box(50 + speed * t, side=120), clock(2, rate))
    assert set(ids) == {1}


@pytest.mark.parametrize("gap", [0.1, 0.4, 0.6])
@pytest.mark.parametrize("speed", [0, 120])
def test_a_short_gap_keeps_the_number(gap, speed):
    ids = follow(lambda t: None if 1 <= t < 1 + gap else box(50 + speed * t), clock(3))
    assert set(ids) == {1}


def test_a_long_gap_is_somebody_new():
    ids = follow(lambda t: None if 1 <= t < 2 else box(50), clock(3))
    assert ids == [1] * 30 + [2] * 30


def test_the_life_of_a_gap_is_in_seconds_but_never_less_than_two_frames():
    assert set(follow(lambda t: None if t == 3 else box(50), clock(8, 1))) == {1}


def test_two_faces_that_pass_each_other_keep_their_numbers():
    tracker, ids = Tracker(), []
    for t in clock(3):
        boxes = [box(50 + 100 * t, 100), box(350 - 100 * t, 145)]
        ids.append(tuple(f.id for f in tracker.update(t, boxes, [0.9, 0.9])))
    assert set(ids) == {(1, 2)}


def test_a_weak_detection_needs_a_second_one():
    assert follow(lambda t: box(50), clock(0.2), score=0.5)[:3] == [None, 1, 1]
    tracker = Tracker()
    for i, t in enumerate(clock(1)):  # noise: weak, and elsewhere each time
        assert tracker.update(t, [box(80 + 211 * (i % 5))], [0.5])[0].id is None


def test_a_jump_far_away_is_somebody_else():
    assert follow(lambda t: box(50 if t < 1 else 500), clock(2)) == [1] * 30 + [2] * 30


boxes = st.builds(box, st.floats(0, 600), st.floats(0, 400), st.floats(4, 200))
frames = st.lists(st.tuples(st.floats(0, 2), st.lists(st.tuples(boxes, st.floats(0.3, 1)), max_size=4)), max_size=25)


@given(frames)
def test_numbers_are_unique_in_a_frame_grow_by_one_and_never_come_back(stream):
    tracker, time, last_seen, highest = Tracker(), 0.0, {}, 0
    for n, (step, found) in enumerate(stream):
        time += step
        tracks = tracker.update(time, [b for b, _ in found], [s for _, s in found])
        assert len(tracks) == len(found)
        ids = [t.id for t in tracks if t.id is not None]
        assert len(ids) == len(set(ids))
        for new in sorted(i for i in ids if i > highest):
            assert new == highest + 1
            highest = new
        for i in ids:
            if i in last_seen:  # a number comes back only within the gap
                seen, frame = last_seen[i]
                assert time - seen <= tracker.rules.gap or n - frame <= 3
                assert time - seen <= tracker.rules.max_gap
            last_seen[i] = (time, n)
        for track in tracker.tracks:
            assert all(map(math.isfinite, track.expected(time + 5)))


def test_smoothing_depends_on_seconds_not_on_the_frame_rate():
    ends = []
    for rate in (10, 30, 100):
        smooth = Smoother(0.3)
        smooth(1, 0.0, np.array([1, 0], np.float32))
        for t in clock(0.6, rate)[1:]:
            smooth(1, t, np.array([0, 1], np.float32))
        ends.append(smooth(1, 0.6, np.array([0, 1], np.float32))[1])
    assert ends == pytest.approx([1 - math.exp(-2)] * 3, abs=1e-5)


def test_no_smoothing_and_other_tracks_change_nothing():
    a, b = np.array([0.9, 0.1], np.float32), np.array([0.2, 0.8], np.float32)
    still = Smoother(0)
    still(1, 0.0, a)
    assert still(1, 0.1, b).tolist() == b.tolist()
    smooth = Smoother(1)
    smooth(1, 0.0, a)
    assert smooth(2, 0.1, b).tolist() == b.tolist()
    smooth.keep({2})
    assert smooth.now(1) is None
    assert smooth.now(2).tolist() == b.tolist()
    with pytest.raises(ConfigError, match="smooth"):
        Smoother(-1)


@given(
    st.lists(st.tuples(st.floats(0, 5), st.lists(st.floats(0.01, 1), min_size=3, max_size=3)), min_size=1, max_size=30)
)
def test_smoothed_probabilities_stay_probabilities_between_those_seen(stream):
    smooth, time, seen = Smoother(0.4), 0.0, []
    for step, raw in stream:
        time += step
        p = np.array(raw, np.float32) / np.float32(sum(raw))
        seen.append(p)
        out = smooth(1, time, p)
        assert out.sum() == pytest.approx(1, abs=1e-5)
        assert (out >= np.min(seen, axis=0) - 1e-6).all()
        assert (out <= np.max(seen, axis=0) + 1e-6).all()


def segments(labels, hold=0.4, rate=10.0, track=1):
    """Segments of a track with one label a frame, the label's probability 0.8, the others' 0.1."""
    book, out = SegmentFinder(hold), []
    for i, label in enumerate(labels):
        out += book.add(track, i / rate, label, {k: 0.8 if k == label else 0.1 for k in "abc"})
        out += book.tick(i / rate)
    return out + book.close()


def test_a_label_that_holds_starts_where_it_appeared():
    first, second = segments("aaaaaaaaaabbbbbbbbbb")
    assert (first.label, first.start, first.end, first.frames) == ("a", 0, 1.0, 10)
    assert (second.label, second.start, second.end, second.frames) == ("b", 1.0, pytest.approx(2.0), 10)
    assert first.probability == pytest.approx(0.8)


def test_a_frame_lasts_until_the_next_at_any_rate():
    times, out, book = [0.0, 0.5, 0.6, 2.0, 2.1, 2.2], [], SegmentFinder(hold=0)
    for time, label in zip(times, "aab bb", strict=True):
        if label != " ":  # nobody is seen
            out += book.add(1, time, label, {"a": 0.5, "b": 0.5})
        out += book.tick(time)
    assert [(s.label, s.start, s.end) for s in out + book.close(2.25)] == [("a", 0, 0.6), ("b", 0.6, 2.25)]
    gone = SegmentFinder()
    gone.add(1, 0.0, "a", {"a": 1.0})
    for time in (0.2, 0.4):
        gone.tick(time)
    assert gone.close()[0].end == 0.2  # where the first frame without the face begins


def test_a_flicker_belongs_to_the_segment_around_it():
    (only,) = segments("aaaaabbaacaaaaa")
    assert (only.label, only.frames, only.end) == ("a", 15, pytest.approx(1.5))
    assert only.probability == pytest.approx((12 * 0.8 + 3 * 0.1) / 15)


def test_a_flicker_before_a_change_belongs_to_the_old_segment():
    first, second = segments("aaaaaaccbbbbbb")
    assert (first.label, first.frames) == ("a", 8)
    assert (second.label, second.start) == ("b", 0.8)


def test_a_short_track_has_one_segment_of_its_most_frequent_label():
    (only,) = segments("abb")
    assert (only.label, only.start, only.end, only.frames) == ("b", 0, pytest.approx(0.3), 3)


def test_a_track_that_is_gone_ends_by_itself():
    book = SegmentFinder()
    book.add(1, 0.0, "a", {"a": 1.0})
    ended = [e for i in range(300) for e in book.tick(i / 10)]
    assert [(e.track, e.label) for e in ended] == [(1, "a")]
    assert book.close() == []


def test_a_gap_of_an_hour_ends_track_and_segment():
    times = [0, 0.1, 0.2, 3600.2, 3600.3]
    assert follow(lambda _: (0, 0, 50, 50), times) == [1, 1, 1, 2, 2]
    assert follow(lambda _: (0, 0, 50, 50), times, max_gap=4000) == [1] * 5
    assert follow(lambda _: (0, 0, 50, 50), [0, 9, 18, 27]) == [1] * 4  # a slow rate is no gap
    for spans, rule in (([(0, 0.3), (3600.2, 3600.3)], {}), ([(0, 3600.3)], {"max_gap": 4000})):
        finder, out = SegmentFinder(**rule), []
        for time in times:
            out += finder.add(1, time, "a", {"a": 1.0})
            out += finder.tick(time)
        found = [(s.start, s.end) for s in out + finder.close(3600.3)]
        assert found == [pytest.approx(span) for span in spans]
    with pytest.raises(ConfigError, match="max_gap"):
        Tracker(Rules(max_gap=0.1))


def test_endless_flicker_is_kept_in_little_memory():
    book = SegmentFinder(hold=0.4)
    for i in range(3000):
        label = "abc"[i % 3]
        book.add(1, i / 30, label, {k: 0.8 if k == label else 0.1 for k in "abc"})
    assert len(book._open[1].waiting) < 30 * 6
    (only,) = book.close()
    assert only.frames == 3000


def test_hold_says_what_it_wants():
    with pytest.raises(ConfigError, match="hold"):
        SegmentFinder(-0.1)


@given(
    st.lists(st.tuples(st.integers(1, 3), st.sampled_from("abc"), st.floats(0, 3)), max_size=60),
    st.floats(0, 1.5),
)
def test_segments_of_a_track_cover_its_frames_in_order_without_overlap(stream, hold):
    book, time, out = SegmentFinder(hold), 0.0, []
    seen: dict[int, list[float]] = {}
    for track, label, step in stream:
        time += step
        out += book.add(track, time, label, {k: 0.5 if k == label else 0.25 for k in "abc"})
        out += book.tick(time)
        seen.setdefault(track, []).append(time)
    out += book.close(time + 0.5)
    begins = sorted({*(t for times in seen.values() for t in times), time + 0.5})
    assert {e.track for e in out} == set(seen)
    for track, times in seen.items():
        mine = [e for e in out if e.track == track]
        assert sum(e.frames for e in mine) == len(times)
        assert (mine[0].start, mine[-1].end) == (times[0], next(t for t in begins if t > times[-1]))
        assert all(e.start <= e.end and 0.25 <= e.probability <= 0.5 for e in mine)
        assert all(a.end <= b.start for a, b in pairwise(mine))


def test_two_frames_of_nearly_one_time_leave_the_speed_finite():
    tracker = Tracker()
    tracker.update(0.0, [(-2, -2, 2, 2)], [0.9])
    tracker.update(5e-324, [(-2, -1, 2, 3)], [0.9])
    assert all(map(math.isfinite, tracker.tracks[0].expected(5.0)))
