"""``mien hub``: a model as a folder for Hugging Face's hub. Leaves out: sending it there (``docs/hub.md``)."""

from __future__ import annotations

from pathlib import Path

import typer

from mien.cli.commands import Commands, Group

__all__ = ["hub_app"]

hub_app = typer.Typer(cls=Group, no_args_is_help=True)


def pack(
    model: str = typer.Argument(help="A run's folder, a model.safetensors, or a shipped model (see `mien info`)."),
    out: Path = typer.Argument(help="The folder to write, new or empty.", metavar="OUT"),
    force: bool = typer.Option(False, "--force", help="Replace the model that OUT holds."),
) -> None:
    """Write a folder as the hub has models: ONNX, weights, config.json with hashes, a card with scores, drawn samples.

    `mien predict photo.jpg --model OUT` uses it as it is, and `--model hf://owner/name@revision` once it is published;
    docs/hub.md says how.
    """
    from mien.errors import need
    from mien.runtime import find_model, find_weights

    if find_weights(model)[0] is None:
        find_model(model)  # a name that is none is told before what is not installed
    for module in ("torch", "matplotlib"):
        need(module, "train")
    from mien.hub import pack as write

    folder = write(model, out, force=force)
    typer.echo(f"{folder}: {', '.join(sorted(p.name for p in folder.iterdir()))}", err=True)


Commands(hub_app)(pack, None, "mien hub pack runs/a mine", "mien hub pack mien-small mien-small")
