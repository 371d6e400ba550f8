"""A coded recording: who showed what from when to when, and where nothing can be said; what every export writes.

Leaves out: the formats, a file each (``elan``, ``praat``, ``boris``, ``bids``, ``subtitles``, ``spss``).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mien.results.cells import one_line, printable
from mien.video import FrameEnds, Segment, TrackedFrame
from mien.video.rules import RULES
from mien.video.stretches import STRETCHES, Stretch, StretchFinder

__all__ = ["CodedRecording", "Coder", "Span", "Tier", "plain"]


@dataclass(frozen=True)
class Span:
    """A segment or a gap.

    person       ``person 1``; "" for the whole recording
    label        the expression, or a kind of :data:`~mien.video.stretches.STRETCHES`
    start, end   when the first frame begins and the last one ends, seconds
    probability  mean of the label's probability, 0..1; None for a gap
    """

    person: str
    label: str
    start: float
    end: float
    frames: int
    probability: float | None = None

    @property
    def gap(self) -> bool:
        """Whether it says that something is missing or uncertain."""
        return self.probability is None


@dataclass(frozen=True)
class Tier:
    """Spans that never overlap: ``(start, end, span)`` in whole milliseconds, each at least one long."""

    name: str
    person: str
    spans: Sequence[tuple[int, int, Span]]


@dataclass(frozen=True)
class CodedRecording:
    """All spans of a recording.

    source    the video's path as it was given
    end       when its last frame ends, seconds
    rate      frames a second, the mean; 0 where it is unknown
    labels    of the model
    persons   all who were followed long enough to have a number, also those without a segment
    metadata  of the run, see ``mien.results.provenance``
    """

    source: str
    end: float
    rate: float
    labels: Sequence[str]
    persons: Sequence[str]
    spans: Sequence[Span]
    metadata: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The video's name without its folder and ending, for people's eyes."""
        return plain(Path(self.source).stem) or "recording"

    @property
    def model(self) -> str:
        """The model's name."""
        return plain(str(self.metadata.get("model", {}).get("name", "")))

    def tiers(self) -> Iterator[Tier]:
        """For each person one of segments and one of gaps, then one of the recording's gaps."""
        for person in self.persons:
            yield self._tier(person, person, gap=False)
            yield self._tier(f"{person} data", person, gap=True)
        yield self._tier("recording data", "", gap=True)

    def _tier(self, name: str, person: str, *, gap: bool) -> Tier:
        mine = [s for s in self.spans if s.person == person and s.gap == gap]
        found, last = list[tuple[int, int, Span]](), 0
        for span in sorted(mine, key=lambda s: (s.start, s.end)):
            start = max(last, round(span.start * 1000))
            last = max(start + 1, round(span.end * 1000))
            found.append((start, last, span))
        return Tier(name, person, found)


class Coder:
    """Collects the spans of a recording while it runs; in memory, since no format but ours can grow."""

    def __init__(self, max_gap: float = RULES.max_gap) -> None:
        self._finder, self._ends = StretchFinder(max_gap), FrameEnds(max_gap)
        self._spans: list[Span] = []
        self._frames, self._first, self._last, self._persons = 0, 0.0, 0.0, 0

    def add(self, seen: TrackedFrame) -> None:
        """One frame."""
        time = seen.frame.time
        self._first = self._first if self._frames else time
        self._frames, self._last = self._frames + 1, max(self._last, time)
        self._ends.begin(time, seen.frame.duration)
        self._persons = max([self._persons, *(f.track for f in seen.photo.faces if f.track is not None)])
        self._take(self._finder.add(time, seen.photo))

    def add_segment(self, segment: Segment) -> None:
        """One segment, when it is over."""
        s = segment
        self._spans.append(Span(_person(s.track), s.label, s.start, s.end, s.frames, s.probability))

    def close(self, source: str, labels: Sequence[str], metadata: Mapping[str, Any]) -> CodedRecording:
        """The recording, when all segments are there."""
        end = self._ends.finish()
        self._take(self._finder.close(end))
        taken = self._last - self._first
        rate = (self._frames - 1) / taken if taken > 0 else 0.0
        persons = [_person(n + 1) for n in range(self._persons)]
        spans = sorted(self._spans, key=lambda s: (s.start, s.person, s.end))
        return CodedRecording(source, end, rate, labels, persons, spans, metadata)

    def _take(self, stretches: Sequence[Stretch]) -> None:
        for s in stretches:
            assert s.kind in STRETCHES
            self._spans.append(Span("" if s.track is None else _person(s.track), s.kind, s.start, s.end, s.frames))


def _person(track: int) -> str:
    return f"person {track}"


def plain(text: str) -> str:
    """Text on one line for every reader; what no file of text can hold is escaped."""
    return re.sub("[\u2028\u2029]", " ", one_line(printable(text)))
