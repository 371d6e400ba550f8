"""Where a recording says nothing, or not much: stretches without a face, unreadable, not usable, uncertain.

A segment bridges short losses; these stretches say which, so that nobody takes them for measured.
Leaves out: what faces express (``segments``), and files.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from mien.faces import Face, Photo
from mien.video.frame_ends import FrameEnds
from mien.video.rules import RULES

__all__ = ["STRETCHES", "Stretch", "StretchFinder"]

#: kind of a stretch -> what it says; the first two are of the whole recording, the others of a person.
STRETCHES = {
    "no face": "no face was found in the whole picture",
    "unreadable": "frames that could not be read",
    "not seen": "the person was followed, but not found in these frames",
    "unusable": "the face was found, but what was measured speaks against believing the answer",
    "uncertain": "the prediction set holds more than one label",
}


@dataclass(frozen=True)
class Stretch:
    """One kind of gap over a time.

    track        of the person; None for the whole recording
    start, end   when its first frame begins and its last one ends, seconds
    """

    track: int | None
    kind: str
    start: float
    end: float
    frames: int


class StretchFinder:
    """Finds the stretches of a recording and of each of its persons, frame by frame.

    max_gap  seconds after which a person who is not seen has left; what lies behind the last frame with them is no gap
    """

    def __init__(self, max_gap: float = RULES.max_gap) -> None:
        self.max_gap = max_gap
        self._ends = FrameEnds(max_gap)
        self._open: dict[int | None, Stretch] = {}
        self._seen: dict[int, float] = {}
        self._away: dict[int, list[Stretch]] = {}  # of those who may come back

    def add(self, time: float, photo: Photo) -> list[Stretch]:
        """One more frame; gives the stretches that it ends."""
        self._end_newest(self._ends.begin(time))
        ended = self._step(None, photo.outcome if photo.outcome in ("no face", "unreadable") else "", time)
        here = {face.track: face for face in photo.faces if face.track is not None}
        for track in [track for track in self._seen if track not in here]:
            ended += self._miss(track, time, "unreadable" if photo.error else "not seen")
        for track, face in here.items():
            back = track not in self._seen or time - self._seen[track] <= self.max_gap
            ended += self._return(track) if back else self._leave(track)
            ended += self._step(track, _kind(face), time)
            self._seen[track] = time
        return ended

    def close(self, end: float | None = None) -> list[Stretch]:
        """The stretches that are open at the ``end`` of the video, see :meth:`mien.video.SegmentFinder.close`.

        A person who was not seen any more has left.
        """
        self._end_newest(self._ends.finish(end))
        for track in list(self._away):
            self._leave(track)
        left = list(self._open.values())
        self._open, self._seen = {}, {}
        return left

    def _end_newest(self, end: float | None) -> None:
        if end is not None:
            self._open = {track: replace(stretch, end=end) for track, stretch in self._open.items()}

    def _miss(self, track: int, time: float, kind: str) -> list[Stretch]:
        """A person who was there is not in this frame."""
        if time - self._seen[track] > self.max_gap:
            self._leave(track)
            del self._seen[track]
            return []
        ended = self._step(track, kind, time)
        if track not in self._away:
            self._away[track] = []
            return ended
        self._away[track] += ended
        return []

    def _return(self, track: int) -> list[Stretch]:
        return self._away.pop(track, [])

    def _leave(self, track: int) -> list[Stretch]:
        if self._away.pop(track, None) is not None:
            self._open.pop(track, None)
        return []

    def _step(self, track: int | None, kind: str, time: float) -> list[Stretch]:
        old = self._open.get(track)
        if old is not None and old.kind == kind:
            self._open[track] = replace(old, frames=old.frames + 1)
            return []
        self._open.pop(track, None)
        if kind:
            self._open[track] = Stretch(track, kind, time, time, 1)
        return [old] if old is not None else []


def _kind(face: Face) -> str:
    if not face.usable:
        return "unusable"
    return "uncertain" if face.uncertain else ""
