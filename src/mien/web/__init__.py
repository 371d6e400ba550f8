"""The web API and its page: ``create_app`` answers photos over HTTP, ``run`` serves it on one address.

Leaves out: the page itself (``page/``), and flags (``mien.cli.serve``). Needs the extra ``web``.
"""

import importlib
import importlib.util
from typing import TYPE_CHECKING, Any

from mien.errors import need

if TYPE_CHECKING:
    from mien.web.app import create_app
    from mien.web.hosts import LOOPBACK, AllowedHosts
    from mien.web.limits import Limits
    from mien.web.serving import run
    from mien.web.sockets import listen

for _module in ("fastapi", "uvicorn", "python_multipart", "prometheus_client"):
    if importlib.util.find_spec(_module) is None:
        need(_module, "web")  # says what to install

__all__ = ["LOOPBACK", "AllowedHosts", "Limits", "create_app", "listen", "run"]

_PLACES = {
    "LOOPBACK": "hosts",
    "AllowedHosts": "hosts",
    "Limits": "limits",
    "create_app": "app",
    "listen": "sockets",
    "run": "serving",
}


def __getattr__(name: str) -> Any:
    """Import what is asked for on first use (PEP 562): a socket can be had before the slow rest."""
    if name in _PLACES:
        return getattr(importlib.import_module(f"{__name__}.{_PLACES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
