"""The listening socket: opened before anything slow is imported, so that a taken port is known at once.

Leaves out: the server behind it (``serving``).
"""

from __future__ import annotations

import errno
import ipaddress
import socket

from mien.errors import ConfigError
from mien.web.hosts import LOOPBACK, AllowedHosts

__all__ = ["address", "hosts_for", "listen"]

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


def hosts_for(opened: socket.socket) -> AllowedHosts:
    """What a server on this socket answers to: loopback's own names; in a network addresses and its name, too."""
    host = opened.getsockname()[0].partition("%")[0]
    own = LOOPBACK | {host if ":" not in host else f"[{host}]"}
    if ipaddress.ip_address(host).is_loopback:
        return AllowedHosts(own)
    name = socket.gethostname().lower()
    return AllowedHosts(LOOPBACK | {name, f"{name}.local"}, addresses=True)
