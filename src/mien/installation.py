"""How mien got here, so that an error can say how to add an extra: from a clone, a wheel, an address, an index.

And what of it is here: the packages of the core and of each extra, and the photo that comes with mien.

An installer writes where a package came from beside it (``direct_url.json``, PEP 610); without it, it was an index.
Leaves out: what is missing (:func:`mien.errors.need`).
"""

from __future__ import annotations

import json
import re
import shlex
import sys
from importlib import metadata
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

__all__ = ["example_photo", "pip_line", "requirements"]

_REQUIREMENT = re.compile(r"^\s*([A-Za-z0-9][A-Za-z0-9._-]*)")
_EXTRA = re.compile(r"""extra\s*==\s*['"]([^'"]+)['"]""")


def pip_line(extra: str) -> str:
    """The command that adds ``extra`` to the mien that runs: ``pip install '/home/me/mien[web]'`` for a clone."""
    clone = Path(__file__).parents[2]  # src/mien/installation.py
    if (clone / "src" / "mien").is_dir() and (clone / "pyproject.toml").is_file():
        return f"pip install -e {shlex.quote(f'{clone}[{extra}]')}"
    return f"pip install {shlex.quote(_requirement(extra))}"


def example_photo() -> Path | None:
    """The photo that comes with mien: in a clone's ``examples``, or inside the package; None where it was left out."""
    package = Path(__file__).parent
    places = (package.parents[1] / "examples", package / "assets")
    return next((p / "astronaut.jpg" for p in places if (p / "astronaut.jpg").is_file()), None)


def requirements() -> dict[str, dict[str, str | None]]:
    """Extra -> package -> its version, None where it is missing; "" is the core. Empty where mien has no metadata."""
    found = dict[str, dict[str, str | None]]()
    try:
        named = metadata.requires("mien") or []
    except metadata.PackageNotFoundError:
        return found
    for requirement in named:
        name, of = _REQUIREMENT.match(requirement), _EXTRA.search(requirement)
        if name is None or name[1].lower() == "mien" or _for_older_pythons(requirement):
            continue
        found.setdefault(of[1] if of else "", {})[name[1]] = _version(name[1])
    return found


def _for_older_pythons(requirement: str) -> bool:
    """Whether it holds for Pythons below one that is older than this."""
    below = re.search(r"""python_version\s*<\s*['"](\d+)\.(\d+)['"]""", requirement)
    return below is not None and sys.version_info[:2] >= (int(below[1]), int(below[2]))


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


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
