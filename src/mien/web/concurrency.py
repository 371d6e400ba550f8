"""The concurrency limiter: how many bodies arrive, how many requests wait, and how many bytes they hold together.

A request waits from the moment its whole body is there, so those who send slowly keep nobody else out. Where a bound is
reached, the client that takes most of it gives way: its slowest body, else its newest request. A newcomer is turned
away only where that client is its own.
Leaves out: what one request may hold (``uploads``), whose work is done first (``scheduling``). All of it runs on the
event loop, so nothing needs a lock.
"""

from __future__ import annotations

import ipaddress
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import anyio
from starlette.types import Scope

from mien.web.limits import Limits
from mien.web.problems import busy

__all__ = ["ConcurrencyLimiter", "Place", "client_of"]

_BODIES = "more bodies arrive than this server takes at a time, and this one came slowest"
_REQUESTS = "too many requests are waiting already"
_BYTES = "the requests that wait hold all the memory that they may"
_SILENT = 0.1  # seconds without a byte, after which a body is slow however much of it has come
_HEAD_START = 65536  # bytes that every body is taken to have at its start, so that a new one does not look slow


class Place:
    """One request from its head to its answer: what it holds, and how to send it away."""

    def __init__(self, limiter: ConcurrencyLimiter, client: str) -> None:
        self._limiter = limiter
        self.client = client
        self.bytes = 0
        self.arrived = False
        self.scope = anyio.CancelScope()
        self.lost = ""  # why it had to give way
        self._begun = self._heard = time.monotonic()

    def hold(self, count: int) -> None:
        """Count bytes of the body that stay in memory; 503 where they are too many."""
        self._heard = time.monotonic()
        self._limiter.hold(self, count)

    def arrive(self) -> None:
        """The whole body is there: from now on the request waits. 503 where too many do."""
        self._limiter.arrive(self)

    def pace(self) -> tuple[bool, float]:
        """How quickly the body comes, for comparing: whether anything came of late, and bytes a second."""
        now = time.monotonic()
        return now - self._heard < _SILENT, (self.bytes + _HEAD_START) / (now - self._begun + 0.05)


class ConcurrencyLimiter:
    """The places of one server."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._places: dict[Place, None] = {}  # in the order in which they came

    @property
    def arriving(self) -> int:
        """Bodies that are being sent."""
        return sum(not place.arrived for place in self._places)

    @property
    def waiting(self) -> int:
        """Requests whose body is there and whose answer is not."""
        return sum(place.arrived for place in self._places)

    @property
    def bytes(self) -> int:
        """Held by all of them."""
        return sum(place.bytes for place in self._places)

    @contextmanager
    def place(self, client: str) -> Iterator[Place]:
        """A place for one request until it is answered or its client has gone; 503 where it has to give way."""
        place = Place(self, client)
        if self.arriving >= self._limits.arriving:
            self._make_room(place, lambda p: not p.arrived, lambda p: 1, _BODIES)
        self._places[place] = None
        try:
            with place.scope:
                yield place
        finally:
            self._places.pop(place, None)
        if place.lost:
            raise busy(place.lost)

    def arrive(self, place: Place) -> None:
        """See :meth:`Place.arrive`."""
        if place.lost:  # before it heard of it
            raise busy(place.lost)
        if self.waiting >= self._limits.waiting:
            self._make_room(place, lambda p: p.arrived, lambda p: 1, _REQUESTS)
        place.arrived = True
        del self._places[place]
        self._places[place] = None  # the newest of those that wait

    def hold(self, place: Place, count: int) -> None:
        """See :meth:`Place.hold`."""
        if place.lost:
            raise busy(place.lost)
        while self.bytes + count > self._limits.held_bytes:
            self._make_room(place, lambda p: True, lambda p: p.bytes, _BYTES)
        place.bytes += count

    def _make_room(
        self, asking: Place, among: Callable[[Place], bool], weight: Callable[[Place], int], why: str
    ) -> None:
        """Send one place away: of the client that takes most, in doubt of the one that asks, which 503 then says."""
        others = [place for place in self._places if among(place) and place is not asking]
        taken = Counter({asking.client: max(1, weight(asking))})
        for place in others:
            taken[place.client] += weight(place)
        greediest = max(taken, key=lambda client: (taken[client], client == asking.client))
        own = [place for place in others if place.client == greediest]
        if greediest == asking.client:
            own.append(asking)
        slow = [place for place in own if not place.arrived]
        loser = min(slow, key=Place.pace) if slow else own[-1]
        if loser is asking:
            raise busy(why)
        loser.lost = why
        del self._places[loser]
        loser.scope.cancel()


def client_of(scope: Scope) -> str:
    """Whose request it is: an address, or the network of 64 bits that one IPv6 user has."""
    host = str((scope.get("client") or ("",))[0])
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host[:100]
    return str(ipaddress.ip_network((address, 64), strict=False)) if address.version == 6 else str(address)
