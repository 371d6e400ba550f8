"""What faces show as streams of the Lab Streaming Layer (extra ``lsl``), beside EEG and whatever else a lab records.

Two outlets. ``mien`` has a sample for each face in each frame: the person's number, whether the face is usable, and
the smoothed probabilities. ``mien-labels``, of type Markers, has a text whenever a person's label changes. Stamps are
when a frame was taken, not when it was worked out; a film is sent at its own pace.
Leaves out: who records them.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from mien.errors import need
from mien.video import TrackedFrame

__all__ = ["LabelChanges", "LslOutlet", "channels", "samples"]


def channels(labels: Sequence[str]) -> list[str]:
    """The channels of the stream of probabilities."""
    return ["person", "usable", *labels]


def samples(seen: TrackedFrame, labels: Sequence[str]) -> list[list[float]]:
    """The samples of a frame, one for each face that has a number, in the order of :func:`channels`."""
    return [
        [float(face.track), float(face.usable), *(face.probabilities[label] for label in labels)]
        for face in seen.photo.faces
        if face.track is not None
    ]


class LabelChanges:
    """``person 1: happy`` when somebody's label becomes another one, ``person 1: not seen`` when they are gone."""

    def __init__(self) -> None:
        self._last: dict[int, str] = {}

    def __call__(self, seen: TrackedFrame) -> list[str]:
        """The changes that a frame brings; a face that is not usable says nothing new."""
        if seen.photo.error:
            return []
        here = {f.track: f.label if f.usable else None for f in seen.photo.faces if f.track is not None}
        told = []
        for track in [track for track in self._last if track not in here]:
            del self._last[track]
            told.append(f"person {track}: not seen")
        for track, label in here.items():
            if label is not None and self._last.get(track) != label:
                self._last[track] = label
                told.append(f"person {track}: {label}")
        return told


class LslOutlet:
    """Sends followed frames as they come.

    labels  of the model; ``about`` goes into the streams' descriptions
    name    of the stream of probabilities
    """

    def __init__(self, labels: Sequence[str], about: Mapping[str, Any], name: str = "mien") -> None:
        lsl = need("pylsl", "lsl")
        self.labels, self._changes = tuple(labels), LabelChanges()
        source = f"{name}-{about.get('source', '')}-{about.get('run', '')}"
        chances = lsl.StreamInfo(name, "Expression", 2 + len(labels), 0.0, lsl.cf_float32, source)
        words = lsl.StreamInfo(f"{name}-labels", "Markers", 1, 0.0, lsl.cf_string, f"{source}-labels")
        described = chances.desc().append_child("channels")
        for label in channels(labels):
            channel = described.append_child("channel")
            channel.append_child_value("label", label)
            channel.append_child_value("unit", "number" if label in ("person", "usable") else "probability")
        for key, value in about.items():
            chances.desc().append_child_value(key, str(value))
        self._chances, self._words = lsl.StreamOutlet(chances), lsl.StreamOutlet(words)
        self._apart = float(lsl.local_clock()) - time.monotonic()
        self._start: float | None = None

    def push(self, seen: TrackedFrame) -> None:
        """Send one frame; of a film, wait until its time has come."""
        stamp = self._stamp(seen)
        for sample in samples(seen, self.labels):
            self._chances.push_sample(sample, stamp)
        for words in self._changes(seen):
            self._words.push_sample([words], stamp)

    def _stamp(self, seen: TrackedFrame) -> float:
        if seen.frame.clock is not None:
            return seen.frame.clock + self._apart
        if self._start is None:
            self._start = time.monotonic() - seen.frame.time
        due = self._start + seen.frame.time
        time.sleep(max(0.0, due - time.monotonic()))
        return due + self._apart
