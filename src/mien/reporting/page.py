"""One self-contained HTML page out of a template: styles and pictures are in it, it loads nothing and runs no script.

Every text that comes from data is escaped. Leaves out: what a page says (``html``, ``study.analysis.page``).
"""

from __future__ import annotations

from base64 import b64encode
from importlib.resources import files
from pathlib import Path
from typing import Any

from mien import __version__
from mien.errors import ConfigError, need
from mien.files import check_writable, write_text
from mien.labels import colour, short

__all__ = ["write_page"]

_KINDS = {b"\x89PNG": "png", b"\xff\xd8\xff": "jpeg", b"<?xml": "svg+xml"}


def write_page(path: str | Path, template: str, *, extra: str = "train", **values: Any) -> Path:
    """Fill a ``template`` of ``assets/`` with ``values`` and write it; the path.

    extra  is named where Jinja2 is missing
    """
    jinja2 = need("jinja2", extra)
    target, assets = Path(path), files("mien").joinpath("assets")
    check_writable(target.parent)
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    environment.filters |= {"uri": _uri, "colour": colour, "short": short}
    page = environment.from_string(assets.joinpath(template).read_text(encoding="utf-8"))
    css = assets.joinpath("page.css").read_text(encoding="utf-8")
    write_text(target, page.render(css=css, version=__version__, **values))
    return target


def _uri(data: bytes) -> str:
    kind = next((kind for start, kind in _KINDS.items() if data.startswith(start)), "")
    if not kind:
        raise ConfigError(f"pictures must be PNG, JPEG or SVG bytes, got {len(data)} bytes starting {data[:4]!r}")
    return f"data:image/{kind};base64,{b64encode(data).decode()}"
