"""The server process around the application: uvicorn, ended by Ctrl-C.

Leaves out: what is answered (``app``), one connection (``connections``), the socket (``sockets``).
"""

from __future__ import annotations

import contextlib
import socket

import uvicorn
from fastapi import FastAPI

from mien.web.connections import connection_class
from mien.web.limits import Limits

__all__ = ["run", "server"]


def server(app: FastAPI, limits: Limits) -> uvicorn.Server:
    """A uvicorn server that holds connections to ``limits``; run it with ``sockets=[listen(...)]``."""
    config = uvicorn.Config(
        app,
        http=connection_class(limits),
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=True,  # from a proxy on this machine: whose turn it is, see `concurrency`
        timeout_graceful_shutdown=round(limits.seconds) + 1,
    )
    return uvicorn.Server(config)


def run(app: FastAPI, opened: socket.socket, limits: Limits) -> None:
    """Serve until Ctrl-C; what has begun is finished."""
    with contextlib.suppress(KeyboardInterrupt):  # uvicorn raises it again when it has ended
        server(app, limits).run(sockets=[opened])
