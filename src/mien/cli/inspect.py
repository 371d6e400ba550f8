"""``mien inspect``: what ``mien explain --method stability`` is for one photo, under its name of before.

Works for one release, and says so. Leaves out: what is looked at (``mien.diagnostics``) and its words
(``diagnosis_view``).
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import typer

from mien.cli.diagnosis_view import say_diagnosis, write_diagnosis
from mien.cli.options import DETECTOR, DETECTOR_FILE, DETECTOR_SIZE, DEVICE, MODEL
from mien.cli.screen import stdout
from mien.files import check_new

__all__ = ["inspect"]


def inspect(
    photo: str = typer.Argument(help="The photo."),
    model: str = MODEL,
    detector: str = DETECTOR,
    detector_model: str = DETECTOR_FILE,
    detector_size: str = DETECTOR_SIZE,
    device: str = DEVICE,
    threads: int = typer.Option(0, help="Threads of onnxruntime; 0 lets it choose.", min=0),
    save: str = typer.Option("", help="Write the picture into this file.", metavar="PNG"),
    as_json: bool = typer.Option(False, "--json", help="One JSON document on stdout."),
    force: bool = typer.Option(False, "--force", help="Write --save anew if it is there already."),
) -> None:
    """`mien explain PHOTO --method stability` says the same now."""
    typer.echo("mien inspect is part of mien explain now; the old name goes with the next release", err=True)
    if save:
        check_new(Path(save), force=force)
    from mien.diagnostics import diagnose
    from mien.runtime import Predictor, accuracy_line, make_detector

    ort = threads or None
    finder = make_detector(detector, detector_model or None, size=detector_size, threads=ort, device=device)
    predictor = Predictor(model or None, finder, ort, device=device)
    found = diagnose(predictor, photo)
    if as_json:
        document = {"model": predictor.spec.name, "detector": detector, **found.to_dict()}
        sys.stdout.write(json.dumps(document, indent=2, ensure_ascii=False) + "\n")
    else:
        say_diagnosis(found)
        stdout().print(f"\n{accuracy_line(predictor.spec)}", style="dim", markup=False)
    if save:
        write_diagnosis(found, predictor, Path(save))
        typer.echo(f"written: {save}", err=True)
