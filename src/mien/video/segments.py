"""From labels a frame to segments: who showed what, from when to when.

A new label must hold for a while before it counts, then its segment starts where it first appeared; a shorter flicker
belongs to the segment around it. A frame lasts until the next one, so a segment ends where the frame after its last
begins, at any frame rate. Works on a stream: a segment is given out as soon as it is over.
Leaves out: where labels come from, and files.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mien.errors import ConfigError
from mien.video.frame_ends import FrameEnds
from mien.video.rules import RULES

__all__ = ["Segment", "SegmentFinder"]

_UNDECIDED = 5.0  # seconds after which a track whose labels only flicker gets the most frequent one


@dataclass(frozen=True)
class Segment:
    """One label of one face over a time.

    start, end   when its first frame begins and its last one ends, seconds
    probability  mean of the label's probability over its frames, 0..1
    frames       how many there are, those of flickers within included
    """

    track: int
    label: str
    start: float
    end: float
    probability: float
    frames: int

    def to_dict(self) -> dict[str, Any]:
        """All of it, rounded, in the order of the table's columns."""
        times = {"start": round(self.start, 3), "end": round(self.end, 3)}
        mean = {"mean_probability": round(self.probability, 6), "frames": self.frames}
        return {"track": self.track, "label": self.label, **times, **mean}


@dataclass
class _Look:
    """One frame of a track; its ``end`` is known when the next frame of the video is."""

    time: float
    label: str
    probabilities: Mapping[str, float]
    end: float | None = None
    sure: bool = False


@dataclass
class _Open:
    """The segment of a track that goes on, and the frames since then that had another label."""

    newest: _Look
    label: str = ""  # none yet
    start: float = 0.0
    last: _Look | None = None
    total: float = 0.0
    frames: int = 0
    waiting: list[_Look] = field(default_factory=list)
    since: int = 0  # where in ``waiting`` the newest label began

    def take(self, looks: list[_Look]) -> None:
        for look in looks:
            self.last, self.frames = look, self.frames + 1
            self.total += look.probabilities[self.label]

    def begin(self, label: str, looks: list[_Look]) -> None:
        self.label, self.start, self.total, self.frames = label, looks[0].time, 0.0, 0
        self.take(looks)


class SegmentFinder:
    """Finds the segments of all tracks, in constant memory.

    hold  seconds that a label must last to count. A track that ends before any label has lasted, or that flickers for
          five seconds, has a segment of the label that most of its frames had
    max_gap  seconds without a usable face after which its segment ends

    ``add`` and ``tick`` tell of every frame of the video when it begins, and so when the one before ends.
    """

    def __init__(self, hold: float = 0.4, max_gap: float = RULES.max_gap) -> None:
        if not 0 <= hold < float("inf"):
            raise ConfigError(f"hold must be 0 seconds or more, got {hold}")
        self.hold, self.max_gap = hold, max_gap
        self._open: dict[int, _Open] = {}
        self._ends = FrameEnds(max_gap)

    def add(
        self, track: int, time: float, label: str, probabilities: Mapping[str, float], *, sure: bool = False
    ) -> list[Segment]:
        """One more frame of a track, whose times never go back; gives the segments that this ends.

        sure  a person says so: the label counts at once, and for just these frames
        """
        self._end_newest(self._ends.begin(time))
        look, state = _Look(time, label, probabilities, sure=sure), self._open.get(track)
        over = state is not None and (
            time - state.newest.time > self.max_gap or (state.newest.sure != sure and state.label != label)
        )
        return (self._end(track) if over else []) + self._add(track, look)

    def _end_newest(self, end: float | None) -> None:
        """The video's newest frame has ended; None: not yet."""
        for state in self._open.values():
            if state.newest.end is None:
                state.newest.end = end

    def _add(self, track: int, look: _Look) -> list[Segment]:
        state = self._open.setdefault(track, _Open(look))
        state.newest = look
        if look.label == state.label:
            state.take([*state.waiting, look])
            state.waiting, state.since = [], 0
            return []
        if not state.waiting or state.waiting[-1].label != look.label:
            state.since = len(state.waiting)
        state.waiting.append(look)
        if look.time - state.waiting[state.since].time < self.hold and not look.sure:
            self._give_up_old(state)
            return []
        return self._turn(track, state)

    def tick(self, time: float) -> list[Segment]:
        """Call it after each frame of the video: gives the last segments of the tracks that are gone."""
        self._end_newest(self._ends.begin(time))
        gone = [track for track, state in self._open.items() if time - state.newest.time > self.max_gap]
        return [segment for track in gone for segment in self._end(track)]

    def close(self, end: float | None = None) -> list[Segment]:
        """The segments that are open at the ``end`` of the video, seconds; None: its last frame is like the others."""
        self._end_newest(self._ends.finish(end))
        return [segment for track in list(self._open) for segment in self._end(track)]

    def _turn(self, track: int, state: _Open) -> list[Segment]:
        """The newest label has held: the segment before it is over, at the first track's start there is none."""
        flicker, held = state.waiting[: state.since], state.waiting[state.since :]
        ended = []
        if state.label:
            state.take(flicker)
            ended, flicker = [_segment(track, state)], []
        state.begin(held[-1].label, flicker + held)
        state.waiting, state.since = [], 0
        return ended

    def _give_up_old(self, state: _Open) -> None:
        """What has flickered for long goes to the segment around it, so that little is kept."""
        old = state.waiting[: state.since]
        if state.label and old:
            state.take(old)
        elif old and state.waiting[-1].time - old[0].time > _UNDECIDED:
            state.begin(_most_frequent(old), old)
        else:
            return
        state.waiting, state.since = state.waiting[state.since :], 0

    def _end(self, track: int) -> list[Segment]:
        state = self._open.pop(track)
        if state.label:
            state.take(state.waiting)
        else:
            state.begin(_most_frequent(state.waiting), state.waiting)
        return [_segment(track, state)]


def _most_frequent(looks: list[_Look]) -> str:
    return Counter(look.label for look in looks).most_common(1)[0][0]


def _segment(track: int, state: _Open) -> Segment:
    assert state.last is not None
    end = state.last.time if state.last.end is None else state.last.end
    return Segment(track, state.label, state.start, end, state.total / state.frames, state.frames)
