"""What a stretch says: time at changing frame rates, segments, latency, bins, and what is missing of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mien.study.analysis.measures import MISSING, measure, together
from mien.study.analysis.recorded import Recorded, durations

LABELS = ("happy", "neutral")
HAPPY, NEUTRAL = (0.8, 0.2), (0.1, 0.9)


def recorded(times, said, *, usable=None, tracks=None, unreadable=None):
    """One face a frame; ``None`` is a frame without one."""
    at = [i for i, p in enumerate(said) if p is not None]
    return Recorded(
        Path("t.csv"),
        LABELS,
        np.array(times, float),
        np.zeros(len(times), bool) if unreadable is None else np.array(unreadable),
        np.array(at, np.int64),
        np.ones(len(at), np.int64) if tracks is None else np.array(tracks),
        np.ones(len(at), bool) if usable is None else np.array(usable),
        np.zeros(len(at), bool),
        np.array([said[i] for i in at], float).reshape(-1, 2),
    )


def measured(frames, start=None, end=None, width=1.0):
    return measure(frames, LABELS, start, end, hold=0.2, max_gap=10, bin_width=width)


def test_a_frame_counts_for_the_time_that_it_is_shown():
    times = [*np.arange(10) / 10, *(1 + np.arange(20) / 20)]  # one second at 10, one at 20 frames a second
    m = measured(recorded(times, [HAPPY] * 10 + [NEUTRAL] * 20).person())
    assert m.shown == pytest.approx([1.0, 1.0])
    assert m.mass == pytest.approx([0.9, 1.1])
    assert (m.asked, m.measured) == (pytest.approx(2), pytest.approx(2))


def test_durations_end_where_nothing_comes_for_long():
    assert durations(np.array([0.0, 0.1, 0.2, 9.0])) == pytest.approx([0.1, 0.1, 1.0, 0.1])
    assert durations(np.array([0.0, 4.0, 8.0])) == pytest.approx([4.0, 4.0, 4.0])


def test_a_stretch_is_cut_at_its_ends_and_what_the_film_lacks_is_missing():
    m = measured(recorded(np.arange(20) / 10, [HAPPY] * 20).person(), 0.55, 3.0)
    assert m.measured == pytest.approx(1.45)
    assert m.missing[MISSING.index("no frame")] == pytest.approx(1.0)
    assert m.share_missing == pytest.approx(1.0 / 2.45)


def test_time_without_an_answer_is_in_no_measure_and_has_its_reason():
    said = [HAPPY] * 4 + [None] * 3 + [HAPPY] * 3 + [NEUTRAL] * 10
    frames = recorded(
        np.arange(20) / 10, said, usable=[True] * 15 + [False] * 2, unreadable=[False] * 5 + [True] + [False] * 14
    )
    m = measured(frames.person())
    assert dict(zip(MISSING, m.missing.round(3), strict=True)) == {
        "no face": 0.2,
        "unreadable": 0.1,
        "unusable": 0.2,
        "several persons": 0,
        "no frame": 0,
    }
    assert m.measured == pytest.approx(1.5)
    assert m.mass == pytest.approx([0.7 * 0.8 + 0.8 * 0.1, 0.7 * 0.2 + 0.8 * 0.9])
    assert m.segments.tolist() == [1, 1]
    assert m.length == pytest.approx([0.7, 0.8])  # without the gap in it


def test_latency_and_segments():
    said = [NEUTRAL] * 5 + [HAPPY] * 1 + [NEUTRAL] * 4 + [HAPPY] * 5 + [NEUTRAL] * 5
    m = measured(recorded(np.arange(20) / 10, said).person(), 0.2)
    assert m.segments.tolist() == [1, 2]  # the flicker is none
    assert m.latency == pytest.approx([0.8, 0.0])
    m = measured(recorded(np.arange(5) / 10, [NEUTRAL] * 5).person())
    assert np.isnan(m.latency[0])


def test_two_faces_in_a_frame_are_missing_unless_a_track_is_chosen():
    r = recorded([0.0, 0.1, 0.2], [HAPPY] * 3)
    two = Recorded(
        *(r.path, LABELS, r.times, r.unreadable),
        np.array([0, 0, 1, 2]),
        np.array([1, 2, 1, 2]),
        *(np.ones(4, bool), np.zeros(4, bool)),
        np.array([HAPPY, NEUTRAL, HAPPY, NEUTRAL]),
    )
    assert measured(two.person()).missing[MISSING.index("several persons")] == pytest.approx(0.1)
    assert measured(two.person([2])).shown == pytest.approx([0, 0.2])
    assert measured(two.person([2])).missing[MISSING.index("no face")] == pytest.approx(0.1)


def test_behind_a_recordings_end_all_is_missing_and_nothing_was_asked():
    for start in (2.0, 99.0):
        m = measured(recorded(np.arange(20) / 10, [HAPPY] * 20).person(), start)
        assert (m.asked, m.measured, m.share_missing) == (0, 0, 1)


def test_bins_share_a_frame_and_sum_to_the_whole():
    frames = recorded(np.arange(7) * 0.3, [HAPPY, NEUTRAL] * 3 + [HAPPY]).person()
    m = measured(frames, width=0.5)
    assert m.bin_time == pytest.approx([0.5] * 4 + [0.1])
    assert m.bins.sum(0) == pytest.approx(m.mass)
    assert m.bins[0] == pytest.approx(0.3 * np.array(HAPPY) + 0.2 * np.array(NEUTRAL))


def test_together_sums_time_and_takes_no_mean_of_means():
    short = measured(recorded(np.arange(2) / 10, [HAPPY] * 2).person())
    long = measured(recorded(np.arange(8) / 10, [None] * 2 + [NEUTRAL] * 6).person())
    both = together([short, long])
    assert both.shown / both.measured == pytest.approx([0.25, 0.75])
    assert both.share_missing == pytest.approx(0.2)
    assert both.latency == pytest.approx([0.0, 0.2])
    assert both.with_one.tolist() == [1, 1]
