"""The site: the pages of ``docs/``, the command line, the API and the models' cards, as HTML that opens from a file.

    python -m docs.site.build            # into site/, open site/index.html

Strict: a broken link, a public name without a docstring, a warning of Sphinx, or a page that asks another host for
anything ends it. Leaves out: running examples (``tests/test_readme.py``, ``tests/test_docs.py``).
"""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

from sphinx.cmd.build import build_main

from docs.site.cards import card_pages
from docs.site.commands import commands_page
from docs.site.reference import MODULES, Reference

__all__ = ["collect", "foreign", "main"]

ROOT = Path(__file__).parents[2]
_ELSEWHERE = r"""["'](?:https?:)?//"""  # what is fetched from there as the page opens; a link is not
_FOREIGN = re.compile(
    rf"""<(?:script|img|iframe|source|video|audio|embed|object)\b[^>]*\s(?:src|data)={_ELSEWHERE}"""
    rf"""|<link\b(?=[^>]*\srel=["'](?:stylesheet|preload|icon|preconnect))[^>]*\shref={_ELSEWHERE}"""
    r"""|url\(["']?(?:https?:)?//|@import"""
)


def main() -> int:
    """Build it; the exit code."""
    source, site = ROOT / "build" / "docs", ROOT / "site"
    if missing := collect(source):
        print("public names without a docstring:", *missing, sep="\n  ", file=sys.stderr)
        return 1
    shutil.rmtree(site, ignore_errors=True)
    settings = ["-c", str(ROOT / "docs" / "site"), "-d", str(ROOT / "build" / "doctrees")]
    if code := int(build_main(["-W", "--keep-going", "-q", "-E", *settings, str(source), str(site)])):
        return code
    asking = foreign(site)
    print(*(f"{page}: asks another host for something" for page in asking), sep="\n", end="", file=sys.stderr)
    if not asking:
        print(f"site: {site / 'index.html'}, {sum(1 for _ in site.rglob('*.html'))} pages")
    return bool(asking)


def collect(source: Path) -> list[str]:
    """Put every page into the folder ``source``; the public names that have no docstring."""
    shutil.rmtree(source, ignore_errors=True)
    shutil.copytree(ROOT / "docs", source, ignore=shutil.ignore_patterns("site", "*.py", "__pycache__"))
    shutil.copy(ROOT / "docs" / "site" / "index.md", source / "index.md")
    for name in ("CHANGELOG", "CONTRIBUTING", "SECURITY"):
        text = (ROOT / f"{name}.md").read_text(encoding="utf-8").replace("](docs/", "](")
        (source / f"{name.lower()}.md").write_text(text, encoding="utf-8")
    (source / "cli.md").write_text(commands_page(), encoding="utf-8")
    card_pages(source / "cards")
    reference = Reference()
    (source / "api").mkdir()
    for module in MODULES:
        (source / "api" / f"{module}.md").write_text(reference.page(module), encoding="utf-8")
    contents = "\n".join(MODULES)
    (source / "api" / "index.md").write_text(f"{_API}\n```{{toctree}}\n{contents}\n```\n", encoding="utf-8")
    return reference.missing


_API = """# The API

Every public name, from its docstring: shapes, ranges, units and errors. Names that a package lists in `__all__` are
public, others may change. Arrays of pictures are uint8, `(H, W, 3)` in OpenCV's order BGR or `(H, W)` grey. What needs
an extra says so when it is called. The path of a photo is [mien.runtime](mien.runtime.md), that of a network
[mien.training](mien.training.md).
"""


def foreign(site: Path) -> list[Path]:
    """The pages and style sheets that ask another host for something; links that a reader follows are none."""
    files = [*site.rglob("*.html"), *site.rglob("*.css")]
    return [file for file in files if _FOREIGN.search(file.read_text(encoding="utf-8", errors="replace"))]


if __name__ == "__main__":
    sys.exit(main())
