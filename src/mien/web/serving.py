"""The socket and the server process around the application: uvicorn, made patient only so far.

uvicorn itself waits for ever for a request's head and for a client that does not take its answer, takes any number of
connections and says 400 in plain text.
Leaves out: what is answered (``app``).
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import ipaddress
import json
import socket

import h11
import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.h11_impl import H11Protocol

from mien.errors import ConfigError
from mien.web.limits import Limits
from mien.web.middleware import LOOPBACK
from mien.web.problems import MEDIA_TYPE, problem_body

__all__ = ["address", "hosts_for", "listen", "run", "server"]

_BACKLOG = 128


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 takes a free one. ConfigError says what to do where that fails."""
    if not 0 <= port <= 65535:
        raise ConfigError(f"port must be 0..65535, got {port}")
    try:
        family, kind, proto, _, where = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        opened = socket.socket(family, kind, proto)
    except OSError as error:
        raise ConfigError(f"host {host!r} is no address of this machine ({error.strerror}); try 127.0.0.1") from error
    try:
        if hasattr(socket, "SO_EXCLUSIVEADDRUSE"):  # Windows, where the other option lets two servers share a port
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
        else:
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        opened.bind(where)
        opened.listen(_BACKLOG)
    except OSError as error:
        opened.close()
        raise ConfigError(_why(error, host, port)) from error
    return opened


def _why(error: OSError, host: str, port: int) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"port {port} on {host} is taken: stop what runs there, or choose another with --port (0: any free one)"
    if error.errno == errno.EACCES:
        return f"port {port} needs rights that you do not have: choose one from 1024 on with --port"
    return f"cannot listen on {host}, port {port} ({error.strerror}); try --host 127.0.0.1"


def address(opened: socket.socket) -> str:
    """``http://127.0.0.1:8000``: where this machine reaches a listening socket."""
    host, port = opened.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def hosts_for(opened: socket.socket) -> frozenset[str] | None:
    """The names in the Host header that a server on this socket answers: loopback's own, or any (None)."""
    host = opened.getsockname()[0]
    if not ipaddress.ip_address(host.partition("%")[0]).is_loopback:
        return None
    return LOOPBACK | {host if ":" not in host else f"[{host}]"}


def server(app: FastAPI, limits: Limits) -> uvicorn.Server:
    """A uvicorn server that holds connections to ``limits``; run it with ``sockets=[listen(...)]``."""
    config = uvicorn.Config(
        app,
        http=_patient(limits),
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=round(limits.seconds) + 1,
    )
    return uvicorn.Server(config)


def run(app: FastAPI, opened: socket.socket, limits: Limits) -> None:
    """Serve until Ctrl-C; what has begun is finished."""
    with contextlib.suppress(KeyboardInterrupt):  # uvicorn raises it again when it has ended
        server(app, limits).run(sockets=[opened])


def _patient(limits: Limits) -> type[asyncio.Protocol]:
    """The class of connections with these limits; uvicorn makes one of it for each."""
    return type("Patient", (_Patient,), {"limits": limits})


class _Patient(H11Protocol):
    """uvicorn's HTTP/1.1 with limits of time and connections, and problems as JSON."""

    limits: Limits
    _deadline: asyncio.TimerHandle | None = None
    _unread: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.access_log = False  # whatever handlers the process has: uvicorn's line holds the query
        if len(self.connections) > self.limits.connections:
            self._refuse(503, "too many connections are open; try again in a second", [(b"retry-after", b"1")])
        else:
            self._watch_head()

    def data_received(self, data: bytes) -> None:
        if not self.transport.is_closing():
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
        self.transport.close()
