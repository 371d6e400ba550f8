"""The static page: where the built one lies, and a copy of it for any web server.

Leaves out: how it is built (``make web``, ``js/build.mjs``).
"""

from __future__ import annotations

import shutil
from pathlib import Path

from mien.errors import ConfigError, ModelError

__all__ = ["copy_site", "site_folder"]

_PACKAGE = Path(__file__).parents[1]


def site_folder() -> Path | None:
    """The built page: in a wheel that was built with it, or in the clone; None where nobody built it."""
    places = (_PACKAGE / "browser" / "page", _PACKAGE.parents[1] / "js" / "dist")
    return next((place for place in places if (place / "index.html").is_file() and any(place.rglob("*.wasm"))), None)


def copy_site(to: Path) -> list[Path]:
    """Copy the built page into the folder ``to``, which must be new or empty; gives the files.

    Raises ModelError, which says how to get it, where this installation came without, and ConfigError for a folder
    that has something in it.
    """
    source = site_folder()
    if source is None:
        raise ModelError(
            "this installation has no page for browsers, since onnxruntime's WebAssembly file was not there when it "
            "was built: in a clone of mien, `make web` (with Node 20 or newer) makes the page in js/dist/, and a wheel "
            "that `make wheel` builds after that has it"
        )
    if to.exists() and (not to.is_dir() or any(to.iterdir())):
        raise ConfigError(f"OUT must be a new or empty folder, got {to}, which has something in it")
    shutil.copytree(source, to, dirs_exist_ok=True)
    return sorted(path for path in to.rglob("*") if path.is_file())
