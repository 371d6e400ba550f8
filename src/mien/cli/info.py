"""``mien info``: the models that came with mien, and their model cards."""

from __future__ import annotations

from dataclasses import replace

import typer

from mien.errors import ModelError

__all__ = ["info"]


def info(name: str = typer.Argument("", help="A shipped model; without it, all are listed.")) -> None:
    """List the shipped models, or print one's model card: what it is, how good, and what it must not be used for."""
    from mien.runtime import DEFAULT_MODEL, Classifier, accuracy_line, shipped_models

    models = shipped_models()
    if not name:
        if not models:
            typer.echo(
                "this installation came without a model: train one with `mien train`, then `mien export`", err=True
            )
        for one, file in models.items():
            mark = "  (default)" if one == DEFAULT_MODEL else ""
            spec = replace(Classifier(file, threads=1).spec, name=one)
            typer.echo(f"{accuracy_line(spec)}{mark}")
            for head in spec.heads:
                typer.echo(f"  {accuracy_line(spec.of_head(head.name))}")
        return
    if name not in models:
        raise ModelError(f"no shipped model {name!r}: there are {', '.join(models) or 'none'}")
    card = models[name].with_suffix(".md")
    if card.is_file():
        typer.echo(card.read_text(encoding="utf-8").rstrip())
    else:
        spec = Classifier(models[name], threads=1).spec
        typer.echo(f"{accuracy_line(spec)}\nlabels: {', '.join(spec.labels)}\nlicence: {spec.licence or 'not stated'}")
