"""How mien got here, so that an error can say how to add an extra: from a clone, a wheel, an address, an index.

An installer writes where a package came from beside it (``direct_url.json``, PEP 610); without it, it was an index.
Leaves out: what is missing (:func:`mien.errors.need`).
"""

from __future__ import annotations

import json
import shlex
from importlib import metadata
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

__all__ = ["pip_line"]


def pip_line(extra: str) -> str:
    """The command that adds ``extra`` to the mien that runs: ``pip install '/home/me/mien[web]'`` for a clone."""
    clone = Path(__file__).parents[2]  # src/mien/installation.py
    if (clone / "src" / "mien").is_dir() and (clone / "pyproject.toml").is_file():
        return f"pip install -e {shlex.quote(f'{clone}[{extra}]')}"
    return f"pip install {shlex.quote(_requirement(extra))}"


def _requirement(extra: str) -> str:
    try:
        origin = json.loads(metadata.distribution("mien").read_text("direct_url.json") or "{}")
        url = urlsplit(origin.get("url", ""))
    except (metadata.PackageNotFoundError, OSError, ValueError, AttributeError):
        return f"mien[{extra}]"
    if url.scheme == "file":
        path = Path(url2pathname(url.path))
        return f"{path if path.exists() else Path('PATH', 'TO', path.name)}[{extra}]"
    if url.scheme in ("http", "https", "ssh", "git") and url.hostname and url.password is None:
        kind = origin.get("vcs_info", {}).get("vcs", "")
        return f"mien[{extra}] @ {kind + '+' if kind else ''}{url.geturl()}"
    return f"mien[{extra}]"
