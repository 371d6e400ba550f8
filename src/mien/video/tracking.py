"""Who is who from frame to frame: boxes of faces get numbers that stay through short gaps.

A face is matched to the track whose predicted box it overlaps most, else to one that is near and of its size. Boxes
move on at their last speed while a face is not seen. All times are seconds, so that a variable frame rate, a camera
and a sampled video are the same case.

Written here because no library fits (looked at in 2026): ``norfair`` wants numpy 1; ``trackers``, ``motrackers`` and
``boxmot`` install opencv-python over the headless OpenCV, the last one torch too; ``supervision`` has no tracker any
more; ``motpy`` and ``bytetracker`` have stood still for years. ``norfair-enough``, a fork, counts a track's life in
frames and needs SciPy. ``edgefirst-tracker`` comes nearest, but moves a hidden face by frames and not by seconds, and
has no build for older Macs. Following faces is part of the core installation, which needs none of them.
Leaves out: what faces look like. A person who leaves and comes back later is somebody new.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from mien.errors import ConfigError
from mien.video.rules import RULES, Rules

__all__ = ["Box", "Track", "Tracker", "iou"]

#: left, top, right, bottom in pixels
Box = tuple[float, float, float, float]


@dataclass(eq=False)
class Track:
    """One face that is followed.

    id       from 1, never used again; None until it was seen often enough
    box      where it was seen last
    seen     when that was, seconds
    hits     how often it was seen
    misses   how often in a row it was not
    rules    by which it moves on
    """

    id: int | None
    box: Box
    seen: float
    hits: int = 1
    misses: int = 0
    rules: Rules = RULES
    _speed: tuple[float, float, float] = (0.0, 0.0, 0.0)  # of centre x, y, in pixels, and the log of the side, a second

    def expected(self, time: float) -> Box:
        """Where the face should be at ``time``: it moves on at its last speed, ever more slowly."""
        ahead = self.rules.coast * (1 - math.exp(-max(0.0, time - self.seen) / self.rules.coast))
        x, y, _ = _place(self.box)
        vx, vy, grow = self._speed
        factor = math.exp(max(-1.0, min(1.0, grow * ahead))) / 2
        wide, high = (self.box[2] - self.box[0]) * factor, (self.box[3] - self.box[1]) * factor
        x, y = x + vx * ahead, y + vy * ahead
        return x - wide, y - high, x + wide, y + high

    def meet(self, box: Box, time: float) -> None:
        """The face was seen at ``box``."""
        step = time - self.seen
        if step > 0:
            weight = 1 - math.exp(-step / self.rules.speed_time) if self.hits > 1 else 1.0
            took = max(step, self.rules.least_step)
            moved = [(new - old) / took for new, old in zip(_place(box), _place(self.box), strict=True)]
            x, y, grow = (v + weight * (m - v) for v, m in zip(self._speed, moved, strict=True))
            self._speed = (x, y, grow)
        self.box, self.seen, self.hits, self.misses = box, time, self.hits + 1, 0


class Tracker:
    """Gives numbers to faces, by ``rules``."""

    def __init__(self, rules: Rules = RULES) -> None:
        if not rules.gap <= rules.max_gap < float("inf"):
            raise ConfigError(f"max_gap must be {rules.gap} seconds or more, got {rules.max_gap}")
        self.rules = rules
        self.tracks: list[Track] = []
        self._next = 1

    def update(self, time: float, boxes: Sequence[Box], scores: Sequence[float]) -> list[Track]:
        """The track of each box seen at ``time``, which must not go back; a box that nobody is expected at is new."""
        self.tracks = [t for t in self.tracks if self._lives(t, time - t.seen)]
        found = self._match(time, boxes)
        for i, (box, score) in enumerate(zip(boxes, scores, strict=True)):
            if i in found:
                found[i].meet(box, time)
            else:
                found[i] = Track(None, box, time, rules=self.rules)
                self.tracks.append(found[i])
            if found[i].id is None and (score >= self.rules.sure or found[i].hits >= self.rules.hits):
                found[i].id, self._next = self._next, self._next + 1
        here = {id(track) for track in found.values()}
        for track in self.tracks:
            track.misses += id(track) not in here
        self.tracks = [t for t in self.tracks if t.id is not None or not t.misses]
        return [found[i] for i in range(len(boxes))]

    def _lives(self, track: Track, away: float) -> bool:
        return away <= self.rules.max_gap and (track.misses <= 2 or away <= self.rules.gap)

    def _match(self, time: float, boxes: Sequence[Box]) -> dict[int, Track]:
        """Box -> track, the best pairs first; faces hardly ever overlap, so that a greedy match is the best one."""
        expected = [track.expected(time) for track in self.tracks]
        pairs = []
        for i, box in enumerate(boxes):
            for j, place in enumerate(expected):
                overlap = iou(box, place)
                likeness = 1 + overlap if overlap >= self.rules.overlap else self._nearness(box, place)
                if likeness > 0:
                    pairs.append((likeness, -i, -j))
        found: dict[int, Track] = {}
        taken: set[int] = set()
        for _, i, j in sorted(pairs, reverse=True):
            if -i not in found and -j not in taken:
                found[-i] = self.tracks[-j]
                taken.add(-j)
        return found

    def _nearness(self, a: Box, b: Box) -> float:
        """0..1 for boxes of like size whose centres are near in units of their side, else 0."""
        (ax, ay, a_side), (bx, by, b_side) = _place(a), _place(b)
        if abs(a_side - b_side) > math.log(self.rules.growth):
            return 0.0
        return max(0.0, 1 - math.hypot(ax - bx, ay - by) / (self.rules.reach * math.exp((a_side + b_side) / 2)))


def iou(a: Box, b: Box) -> float:
    """Intersection of two boxes over their union, 0..1."""
    wide = min(a[2], b[2]) - max(a[0], b[0])
    high = min(a[3], b[3]) - max(a[1], b[1])
    if wide <= 0 or high <= 0:
        return 0.0
    shared = wide * high
    return shared / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared)


def _place(box: Box) -> tuple[float, float, float]:
    """Centre x and y, and the log of the side."""
    area = max(1e-6, (box[2] - box[0]) * (box[3] - box[1]))
    return (box[0] + box[2]) / 2, (box[1] + box[3]) / 2, 0.5 * math.log(area)
