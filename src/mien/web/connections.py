"""One connection: uvicorn's HTTP/1.1, made patient only so far, with errors as JSON.

uvicorn itself waits for ever for a request's head and for a client that does not take its answer, takes any number of
connections and says 400 in plain text.
Leaves out: how long a body may take (``uploads``).
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import Counter

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from mien.web.limits import Limits
from mien.web.problems import MEDIA_TYPE, problem_body

__all__ = ["connection_class"]

_SILENT = 0.05  # seconds after which a connection may have to make room for another
_LATER = [(b"retry-after", b"1")]


def connection_class(limits: Limits) -> type[asyncio.Protocol]:
    """The class of connections with these limits; uvicorn makes one of it for each."""
    return type("Patient", (_Patient,), {"limits": limits})


class _Patient(H11Protocol):
    """uvicorn's HTTP/1.1 with limits of time and connections, and problems as JSON."""

    limits: Limits
    _heard = 0.0  # when the last byte came
    _deadline: asyncio.TimerHandle | None = None
    _unread: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.access_log = False  # whatever handlers the process has: uvicorn's line holds the query
        self._heard = self.loop.time()
        taken = [o for o in self.connections if isinstance(o, _Patient) and not o.transport.is_closing()]
        if len(taken) > self.limits.connections and not self._make_room(taken):
            self._refuse(503, "too many connections are open; try again in a second", _LATER)
        else:
            self._watch_head()

    def data_received(self, data: bytes) -> None:
        if not self.transport.is_closing():
            self._heard = self.loop.time()
            super().data_received(data)
            self._watch_head()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._watch_head()  # the beginning of the next one may lie there already

    def connection_lost(self, exc: Exception | None) -> None:
        self._forget_head()
        self._forget_answer()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """The client takes its answer too slowly; what it has not begun to take in time is dropped."""
        super().pause_writing()
        if self._unread is None:
            self._unread = self.loop.call_later(self.limits.seconds, self.transport.abort)

    def resume_writing(self) -> None:
        self._forget_answer()
        super().resume_writing()

    def _forget_answer(self) -> None:
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None

    def _make_room(self, taken: list[_Patient]) -> bool:
        """Close the one that has been silent longest, of the client that has most; none that waits for an answer."""
        now = self.loop.time()
        silent = [other for other in taken if other._awaits_something() and now - other._heard >= _SILENT]
        if not silent:
            return False
        count = Counter(_host(other) for other in taken)
        longest = max(silent, key=lambda other: (count[_host(other)], now - other._heard))
        if longest.conn.their_state is h11.IDLE and not longest.conn.trailing_data[0]:
            longest.transport.close()  # between two requests: nobody waits for anything
        else:
            longest._refuse(503, "others wait for a connection, and this one was silent longest", _LATER)
        return True

    def _awaits_something(self) -> bool:
        """Whether the rest of a head or of a body must still come."""
        cycle = self.cycle
        return cycle is None or cycle.response_complete or (cycle.more_body and not cycle.response_started)

    def send_400_response(self, msg: str) -> None:
        self._refuse(400, "this is not HTTP")

    def _watch_head(self) -> None:
        """The clock runs while a head is awaited of which something, or nothing yet at all, has come."""
        if self.conn.their_state is not h11.IDLE or self.transport.is_closing():
            self._forget_head()
        elif self._deadline is None:
            self._deadline = self.loop.call_later(self.limits.seconds, self._late)

    def _forget_head(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _late(self) -> None:
        self._deadline = None
        if self.conn.their_state is not h11.IDLE or self.transport.is_closing():
            return
        if self.conn.trailing_data[0]:
            self._refuse(408, f"the request's head did not arrive within {self.limits.seconds:g} seconds")
        else:
            self.transport.close()

    def _refuse(self, status: int, detail: str, headers: list[tuple[bytes, bytes]] | None = None) -> None:
        self._forget_head()
        body = json.dumps(problem_body(status, detail)).encode()
        more = [(b"content-type", MEDIA_TYPE.encode()), (b"connection", b"close"), *(headers or [])]
        more.append((b"content-length", str(len(body)).encode()))
        with contextlib.suppress(h11.LocalProtocolError):  # an answer is on its way already
            events = [h11.Response(status_code=status, headers=more), h11.Data(data=body), h11.EndOfMessage()]
            for event in events:
                self.transport.write(self.conn.send(event) or b"")
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.disconnected = True  # the application must not answer, too
            self.cycle.message_event.set()
        self.transport.close()


def _host(connection: _Patient) -> str:
    return connection.client[0] if connection.client else ""
