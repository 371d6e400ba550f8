"""Markers joined to frames by time, and what goes out over the Lab Streaming Layer."""

from __future__ import annotations

import time
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from review_files import LABELS, one_face

from mien.errors import DataError
from mien.faces import Photo, Quality
from mien.results.markers import Marker, MarkerJoin
from mien.study.lsl import LabelChanges, LslOutlet, channels, samples
from mien.study.markers import read_markers
from mien.video import Frame, TrackedFrame

BAD = Quality(40, 1, 100, 20, problems=("blurred",))


def tracked(at, faces, *, error="", clock=None):
    drawn = tuple(one_face(track, label, at) for track, label in faces.items())
    return TrackedFrame(Frame(0, at, clock=clock), Photo("x", drawn, 160, 120, error=error, time=at))


@settings(deadline=None)
@given(
    st.lists(st.floats(0.01, 2), min_size=1, max_size=20),
    st.lists(st.tuples(st.floats(0, 20), st.one_of(st.none(), st.floats(0.01, 5))), max_size=12),
)
def test_every_marker_is_at_just_the_frames_that_were_on_show(steps, given_markers):
    edges = [0.0]
    for step in steps:
        edges.append(edges[-1] + step)
    markers = [Marker(s, f"m{k}", None if d is None else s + d) for k, (s, d) in enumerate(given_markers)]
    join = MarkerJoin(markers)
    frames = list(pairwise(edges))
    told = [join.at(a, b) for a, b in frames]
    for marker in markers:
        mine = [k for k, names in enumerate(told) if marker.name in names.split("; ")]
        if marker.end is None:
            wanted = [k for k, (a, b) in enumerate(frames) if a <= marker.start < b]
        else:
            wanted = [k for k, (a, b) in enumerate(frames) if a < marker.end and marker.start < b]
        assert mine == wanted
        assert (marker in join.left) == (marker.start >= edges[-1])


def test_a_marker_in_a_hole_comes_with_the_next_frame():
    join = MarkerJoin([Marker(1.5, "bell")])
    assert [join.at(0, 1), join.at(2, 3), join.at(3, 4)] == ["", "bell", ""]


@pytest.mark.parametrize(
    "text",
    [
        "time,marker\n0.5,bell\n1,film on\n",
        "onset\tduration\ttrial_type\n0.5\tn/a\tbell\n1\t0\tfilm on\n",
        "start;end;name\n0,5;;bell\n1,0;;film on\n",
    ],
)
def test_markers_as_people_write_them(tmp_path, text):
    (tmp_path / "m.csv").write_text(text)
    assert read_markers(tmp_path / "m.csv") == [Marker(0.5, "bell"), Marker(1.0, "film on")]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("time\n1\n", "no column with a name: call it marker"),
        ("when,marker\n1,a\n", "no column with a time"),
        ("time,marker\n1,a\nsoon,b\n", "m.csv:3: .*soon"),
        ("time,marker\n1,\n", "m.csv:2: a marker needs a name"),
        ("time,end,marker\n2,1,a\n", "m.csv:2: .*end after"),
    ],
)
def test_a_wrong_marker_is_named_with_its_line(tmp_path, text, words):
    (tmp_path / "m.csv").write_text(text)
    with pytest.raises(DataError, match=words):
        read_markers(tmp_path / "m.csv")


def test_a_sample_a_face_and_a_word_for_each_change():
    assert channels(LABELS) == ["person", "usable", "angry", "happy", "sad"]
    seen = tracked(0.0, {1: "happy", 2: "sad", None: "sad"})
    assert samples(seen, LABELS) == [[1, 1, 0.1, 0.8, 0.1], [2, 1, 0.1, 0.1, 0.8]]
    changes = LabelChanges()
    assert changes(seen) == ["person 1: happy", "person 2: sad"]
    assert changes(seen) == []
    assert changes(tracked(0.1, {}, error="broken")) == []
    blurred = tracked(0.2, {1: "angry"})
    face = replace(blurred.photo.faces[0], quality=BAD)
    blurred = replace(blurred, photo=replace(blurred.photo, faces=(face,)))
    assert samples(blurred, LABELS)[0][1] == 0
    assert changes(blurred) == ["person 2: not seen"]  # of a blurred face nothing new is known
    assert changes(tracked(0.3, {1: "angry"})) == ["person 1: angry"]


def test_an_inlet_receives_what_the_outlet_sends(tmp_path, monkeypatch):
    (tmp_path / "lsl.cfg").write_text("[multicast]\nResolveScope = machine\n[log]\nlevel = -3\n")
    monkeypatch.setenv("LSLAPICFG", str(tmp_path / "lsl.cfg"))
    lsl = pytest.importorskip("pylsl")
    outlet = LslOutlet(LABELS, {"model": "tiny", "run": f"r{time.time_ns()}", "source": "x"}, name="mien-test")
    inlets = []
    for name in ("mien-test", "mien-test-labels"):
        (found,) = lsl.resolve_byprop("name", name, 1, 10)
        inlets.append(lsl.StreamInlet(found))
        inlets[-1].open_stream(10)
    info = inlets[0].info(10)
    assert (info.type(), info.channel_count(), info.desc().child_value("model")) == ("Expression", 5, "tiny")
    captured = time.monotonic() - 0.5  # the network took half a second
    outlet.push(tracked(3.0, {1: "happy"}, clock=captured))
    sample, stamp = inlets[0].pull_sample(10)
    assert sample == pytest.approx([1, 1, 0.1, 0.8, 0.1])
    assert stamp == pytest.approx(captured + lsl.local_clock() - time.monotonic(), abs=0.05)
    assert inlets[1].pull_sample(10) == (["person 1: happy"], stamp)
    began = time.monotonic()
    for at in (0.0, 0.2):  # a film: at its own pace
        outlet.push(tracked(at, {1: "happy"}))
    assert time.monotonic() - began >= 0.2
    first, second = (inlets[0].pull_sample(10)[1] for _ in range(2))
    assert second - first == pytest.approx(0.2, abs=1e-4)
