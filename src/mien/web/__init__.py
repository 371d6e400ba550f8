"""The web API and its page: ``create_app`` answers photos over HTTP, ``run`` serves it on one address.

Leaves out: the page itself (``page/``), and flags (``mien.cli.serve``). Needs the extra ``web``.
"""

from mien.errors import need

for _module in ("fastapi", "uvicorn", "python_multipart", "prometheus_client"):
    need(_module, "web")  # before the imports below would fail without saying what to install

from mien.web.app import create_app  # noqa: E402
from mien.web.limits import Limits  # noqa: E402
from mien.web.middleware import LOOPBACK  # noqa: E402
from mien.web.serving import listen, run  # noqa: E402

__all__ = ["LOOPBACK", "Limits", "create_app", "listen", "run"]
