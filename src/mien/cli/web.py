"""``mien web``: the page that runs the networks in the browser, as files for any web server."""

from __future__ import annotations

from pathlib import Path

import typer

__all__ = ["web"]


def web(out: Path = typer.Argument(help="Folder for the page, new or empty.")) -> None:
    """Write the page that runs the networks in the browser: static files for any web server, offline after a visit.

    Nothing that it is shown leaves the browser. It needs https, or an address of this machine, for the webcam.
    """
    from mien.browser import copy_site

    files = copy_site(out)
    size = sum(file.stat().st_size for file in files)
    typer.echo(f"{len(files)} files, {size / 1e6:.1f} MB: {out}", err=True)
    typer.echo(f"try it: python -m http.server -d {out}", err=True)
    typer.echo(out / "index.html")
