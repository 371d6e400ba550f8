"""The web API and its page: ``create_app`` answers photos over HTTP, ``run`` serves it on one address.

Leaves out: the page itself (``page/``), and flags (``mien.cli.serve``). Needs the extra ``web``.
"""

import importlib.util
from typing import TYPE_CHECKING

from mien.errors import need
from mien.lazy import lazy_names

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

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "hosts": ("LOOPBACK", "AllowedHosts"),
        "limits": ("Limits",),
        "app": ("create_app",),
        "sockets": ("listen",),
        "serving": ("run",),
    },
)
