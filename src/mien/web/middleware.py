"""Around every request: whose page may ask (Host, Origin), the headers of every answer, one count and one log line.

Against DNS rebinding a server answers to known names only; other sites' pages may not post; no CORS.
Leaves out: which names (``hosts``), what is asked. The log has method, path, status and time, nothing else.
"""

from __future__ import annotations

import logging
import time

import anyio
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mien.web.hosts import AllowedHosts
from mien.web.metrics import Metrics
from mien.web.problems import problem

__all__ = ["Middleware"]

_LOG = logging.getLogger("mien.web")
_LINGER = 1.0  # seconds
_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; "
    "img-src 'self' data: blob:; media-src 'self' blob:; "
    "connect-src 'self'; object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


class Middleware:
    """ASGI application around another one."""

    def __init__(self, app: ASGIApp, metrics: Metrics, hosts: AllowedHosts) -> None:
        self._app, self._metrics, self._hosts = app, metrics, hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        exchange = _Exchange(scope, receive, send)
        inner = dict(scope)
        if scope["method"] == "HEAD":  # every GET answers it; the server leaves the body out
            inner["method"] = "GET"
        app = self._refusal(scope) or self._app
        try:
            await app(inner, exchange.receive, exchange.send)
        finally:
            seconds = time.perf_counter() - exchange.started
            self._metrics.request(_route(inner), exchange.status, seconds)
            _LOG.info("%s %s %d %.0f ms", scope["method"][:16], _path(scope), exchange.status, 1000 * seconds)

    def _refusal(self, scope: Scope) -> Response | None:
        headers = Headers(scope=scope)
        host, origin = headers.get("host", ""), headers.get("origin")
        try:
            known = self._hosts.answers(host)
        except ValueError:
            return problem(400, "the Host header is malformed; a name or an address with or without a port is needed")
        if not known:
            hint = "open the address that `mien serve` printed, or start it with --allow-host NAME"
            return problem(421, f"this server answers to {self._hosts} only; {hint}")
        if origin is not None and scope["method"] not in ("GET", "HEAD") and not self._hosts.may_send(origin, host):
            hint = "behind a proxy, start `mien serve` with --allow-host and the site's name"
            return problem(403, f"pages of other sites may not send pictures here; {hint}")
        return None


class _Exchange:
    """One request's messages on their way: adds headers, notes the status, hears a refused body out for a moment."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._receive, self._send = receive, send
        self.started = time.perf_counter()
        self.status = 500  # of an application that fails before it answers
        headers = Headers(scope=scope)
        self._unread = "transfer-encoding" in headers or headers.get("content-length", "0") != "0"
        self._cut = False

    async def receive(self) -> Message:
        message = await self._receive()
        if message["type"] != "http.request" or not message.get("more_body", False):
            self._unread = False
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = MutableHeaders(scope=message)
            for name, value in _HEADERS.items():
                headers[name] = value
            headers.setdefault("Cache-Control", "no-store")
            self._cut = self._unread
            if self._cut:
                headers["Connection"] = "close"
        elif self._cut and not message.get("more_body", False):
            await self._send({**message, "more_body": True})
            await self._hear_out()
            message = {"type": "http.response.body", "body": b""}
        await self._send(message)

    async def _hear_out(self) -> None:
        """Let go of what still arrives, for a second at most.

        Closed at once, the connection would be reset under a client that is sending, and the answer lost with it.
        """
        with anyio.move_on_after(_LINGER):
            while self._unread:
                await self.receive()


def _route(scope: Scope) -> str:
    """The path as the server knows it: what clients make up must not become names of counters."""
    return str(getattr(scope.get("route"), "path", "other"))


def _path(scope: Scope) -> str:
    """As it was sent, percent signs and all, so that no line break gets into the log."""
    raw: bytes = scope.get("raw_path") or b""
    return raw[:200].decode("ascii", "backslashreplace")
