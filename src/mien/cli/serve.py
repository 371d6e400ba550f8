"""``mien serve``: the web page and the JSON API behind it, on this machine."""

from __future__ import annotations

import logging
import sys

import typer

__all__ = ["serve"]


def serve(
    host: str = typer.Option("127.0.0.1", help="Address to listen on; 0.0.0.0 is every network this machine is in."),
    port: int = typer.Option(8000, help="Port; 0 takes a free one."),
    model: str = typer.Option("", help="A shipped model (see `mien info`) or an .onnx file from `mien export`."),
    detector: str = typer.Option("centerface", help="centerface, or none for pictures that are face crops already."),
    threads: int = typer.Option(
        0, help="Threads of onnxruntime for one picture; 0 lets it choose, 1 suits many clients with face crops.", min=0
    ),
    jobs: int = typer.Option(0, help="Pictures searched at a time; 0: one for each processor.", min=0),
    open_page: bool = typer.Option(False, "--open", help="Open the page in your browser."),
    log: bool = typer.Option(False, "--log", help="One line a request on stderr: method, path, status, time."),
) -> None:
    """Serve the web page and the JSON API: photos and webcam in, expressions out. Ctrl-C ends it.

    Pictures are worked on in memory and forgotten. POST /v1/predict, GET /v1/model, /healthz, /metrics, /openapi.json.
    """
    from mien.runtime import Predictor
    from mien.web import Limits, create_app, listen, run
    from mien.web.serving import address, hosts_for

    logging.basicConfig(stream=sys.stderr, format="%(message)s", level=logging.WARNING)
    logging.getLogger("mien.web").setLevel(logging.INFO if log else logging.WARNING)
    logging.getLogger("python_multipart").setLevel(logging.ERROR)  # what clients send is answered, not logged
    limits = Limits()
    with listen(host, port) as opened:  # first: a taken port is known before the model is loaded
        app = create_app(
            Predictor(model or None, detector, threads or None), limits, jobs=jobs or None, hosts=hosts_for(opened)
        )
        if hosts_for(opened) is None:
            typer.echo("warning: anyone on your network can reach this server and send it pictures", err=True)
        typer.echo(address(opened))
        typer.echo("Ctrl-C ends it.", err=True)
        if open_page:
            typer.launch(address(opened))
        run(app, opened, limits)
