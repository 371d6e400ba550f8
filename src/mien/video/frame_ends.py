"""When a frame of a video ends: when the next one begins.

Leaves out: when frames begin (``frames``).
"""

from __future__ import annotations

import math

__all__ = ["FrameEnds"]


class FrameEnds:
    """Told when each frame begins, says when the one before ended.

    max_gap  seconds between two frames above which something is missing; then, and at the end of a video whose end
             nobody knows, a frame lasts as long as the one before it
    """

    def __init__(self, max_gap: float) -> None:
        self.max_gap = max_gap
        self._now, self._step = -math.inf, 0.0
        self._duration: float | None = None

    def begin(self, time: float, duration: float | None = None) -> float | None:
        """A frame begins at ``time``: the end of the one before it, None where there is none that begins earlier.

        duration  its own, in seconds, as far as is known
        """
        self._duration = duration
        step, before = time - self._now, self._now
        if step <= 0:
            return None
        self._now = time
        if before == -math.inf:
            return None
        if step <= self.max_gap:
            self._step = step
        return before + self._step

    def finish(self, end: float | None = None) -> float:
        """The end of the last frame of a video that ends at ``end`` seconds; 0 without any frame."""
        if self._now == -math.inf:
            return 0.0
        own = self._step if self._duration is None else self._duration
        return max(self._now, self._now + own if end is None else end)
