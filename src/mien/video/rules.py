"""The rules by which faces are followed and smoothed, in one place: a video, a camera and the webcam page keep them.

The server sends them to the page, whose ``tracks.js`` does what ``tracking`` and ``smoothing`` do here.
Leaves out: what is done with them.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["RULES", "Rules"]


@dataclass(frozen=True)
class Rules:
    """All times are seconds, so that every frame rate is the same case.

    gap            for which a face may be hidden and keeps its number; two frames at least, however far apart they are
    max_gap        after which its track, and its segment, end in any case
    sure           a detection of this score has a number at once, 0..1
    hits           a weaker one when it is seen for so many times
    overlap        least IoU of a face with the place where it is expected
    reach, growth  else: how far off it may be, in sides of the face, and by what factor it may have changed its size
    least_step     closer frames would give a speed without bounds
    speed_time     over which the speed is averaged
    coast          for which a hidden face moves on
    smooth         time constant of the mean of a face's probabilities
    """

    gap: float = 0.7
    max_gap: float = 10.0
    sure: float = 0.7
    hits: int = 2
    overlap: float = 0.2
    reach: float = 0.8
    growth: float = 1.6
    least_step: float = 1e-3
    speed_time: float = 0.15
    coast: float = 0.5
    smooth: float = 0.3


#: The rules that hold where no others are given.
RULES = Rules()
