"""Who may come in: a bounded number of requests under way, and a bounded number of bytes that they hold.

Leaves out: what one request may hold (``uploads``). All of it runs on the event loop, so nothing needs a lock.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from mien.web.limits import Limits
from mien.web.problems import busy

__all__ = ["Admission", "Place"]


class Admission:
    """The places of one server; ``requests`` and ``bytes`` say how much is taken."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self.requests = 0
        self.bytes = 0

    @contextmanager
    def place(self) -> Iterator[Place]:
        """A place for one request until it is answered or its client has gone; 503 at once where none is free."""
        if self.requests >= self._limits.waiting:
            raise busy(f"{self.requests} requests are waiting already")
        self.requests += 1
        place = Place(self)
        try:
            yield place
        finally:
            self.requests -= 1
            self.bytes -= place.bytes

    def hold(self, count: int) -> None:
        """Count bytes that stay in memory; 503 where they are too many."""
        if self.bytes + count > self._limits.held_bytes:
            raise busy("the requests that wait hold all the memory that they may")
        self.bytes += count


class Place:
    """One request's place, and the bytes that it holds."""

    def __init__(self, admission: Admission) -> None:
        self._admission = admission
        self.bytes = 0

    def hold(self, count: int) -> None:
        """See :meth:`Admission.hold`."""
        self._admission.hold(count)
        self.bytes += count
