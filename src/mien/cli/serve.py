"""``mien serve``: the web page and the JSON API behind it, on this machine; with a film, its review."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from mien.web import AllowedHosts

from mien.cli.options import DETECTOR_SIZE, DEVICE, MODEL

__all__ = ["serve"]


def serve(
    host: str = typer.Option("127.0.0.1", help="Address to listen on; 0.0.0.0 is every network this machine is in."),
    port: int = typer.Option(8000, help="Port; 0 takes a free one."),
    model: str = MODEL,
    detector: str = typer.Option("centerface", help="centerface, fast (half the time), or none for face crops."),
    detector_size: str = DETECTOR_SIZE,
    device: str = DEVICE,
    threads: int = typer.Option(
        0,
        help="Threads for one picture; 0: one for each processor, 1 suits many clients with face crops.",
        min=0,
    ),
    jobs: int = typer.Option(0, help="Pictures searched at a time; 0: one for each processor.", min=0),
    open_page: bool = typer.Option(False, "--open", help="Open the page in your browser."),
    allow_host: list[str] = typer.Option(
        [],
        "--allow-host",
        metavar="NAME",
        help="A further name that the server answers to, such as faces.example.org behind a proxy; can be repeated. "
        "With a port only that port; * is any name.",
    ),
    video: Path | None = typer.Option(None, help="A film whose results are looked at and corrected in the browser."),
    results: Path | None = typer.Option(
        None, help="Its table, as mien video wrote it; without it the one beside the film, or it is made there."
    ),
    on_server: bool = typer.Option(
        False,
        "--on-server",
        help="Answer the page's pictures here, not in the visitor's browser, as far as it could.",
    ),
    log: bool = typer.Option(False, "--log", help="One line a request on stderr: method, path, status, time."),
) -> None:
    """Serve the web page and the JSON API: photos and webcam in, expressions out. Ctrl-C ends it.

    Where the page for browsers is there (see mien web), the visitor's browser runs the networks, and the server does
    what it cannot. Pictures are worked on in memory and forgotten. POST /v1/predict, GET /v1/model, /healthz, /metrics,
    /openapi.json.
    With --video the page /review plays the film with its boxes, segments and probabilities; corrections are kept beside
    its table, see docs/web.md.
    """
    from mien.cli.serve_review import check_review, open_review
    from mien.web.sockets import address, hosts_for, listen

    check_review(video, results)
    logging.basicConfig(stream=sys.stderr, format="%(message)s", level=logging.WARNING)
    logging.getLogger("mien.web").setLevel(logging.INFO if log else logging.WARNING)
    logging.getLogger("python_multipart").setLevel(logging.ERROR)  # what clients send is answered, not logged
    with listen(host, port) as opened:  # first: a taken port is known before anything slow is imported or opened
        hosts = hosts_for(opened).and_named(allow_host)
        from mien.browser import site_folder
        from mien.runtime import Predictor, make_detector
        from mien.runtime.processors import processors
        from mien.web import Limits, create_app, run

        limits = Limits()
        count = threads or processors()
        finder = make_detector(detector, size=detector_size, threads=count, device=device)
        predictor = Predictor(model or None, finder, count, device=device)
        review = open_review(video, results, predictor, detector, detector_size) if video is not None else None
        site = None if on_server else site_folder()
        app = create_app(predictor, limits, jobs=jobs or None, hosts=hosts, review=review, site=site)
        for line in _warnings(hosts, loopback=not hosts.addresses):
            typer.echo(line, err=True)
        page = f"{address(opened)}{'/review' if review else ''}"
        typer.echo(page)
        typer.echo("Ctrl-C ends it.", err=True)
        if open_page:
            typer.launch(page)
        run(app, opened, limits)


def _warnings(hosts: AllowedHosts, *, loopback: bool) -> Iterator[str]:
    if not loopback:
        yield "warning: anyone on your network can reach this server: send it pictures, see and correct its film"
        yield f"It answers to {hosts}; for another name, start it with --allow-host NAME."
    if hosts.anything:
        yield "warning: it answers to any name, so any web page that somebody here opens can reach it (DNS rebinding)"
