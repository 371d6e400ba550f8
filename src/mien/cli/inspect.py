"""``mien inspect``: the diagnosis of one photo, as text and one picture.

Leaves out: what is looked at (``mien.diagnostics``) and its picture (``visualization.diagnosis_figure``).
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from mien.cli.options import DETECTOR_SIZE
from mien.cli.screen import stdout
from mien.files import check_new, replace_file

if TYPE_CHECKING:
    from mien.diagnostics import Diagnosis, FaceDiagnosis

__all__ = ["inspect"]


def inspect(
    photo: str = typer.Argument(help="The photo."),
    model: str = typer.Option("", help="A shipped model (see `mien info`) or an .onnx file; MODEL:HEAD for one head."),
    detector: str = typer.Option(
        "centerface", help="centerface, fast (its int8), yunet (with --detector-model), or none for face crops."
    ),
    detector_model: str = typer.Option("", help="The detector's own ONNX file.", metavar="FILE"),
    detector_size: str = DETECTOR_SIZE,
    threads: int = typer.Option(0, help="Threads of onnxruntime; 0 lets it choose.", min=0),
    save: str = typer.Option("", help="Write the picture into this file.", metavar="PNG"),
    as_json: bool = typer.Option(False, "--json", help="One JSON document on stdout."),
    force: bool = typer.Option(False, "--force", help="Write --save anew if it is there already."),
) -> None:
    """Say why a photo's faces get the answers they get: crop, quality, pose, doubt, and what moves the answer.

    The answer is asked for again with other crop margins, brightness and small turns. Without a face: what was tried.
    """
    if save:
        check_new(Path(save), force=force)
    from mien.diagnostics import diagnose
    from mien.runtime import Predictor, accuracy_line, make_detector

    finder = make_detector(detector, detector_model or None, size=detector_size, threads=threads or None)
    predictor = Predictor(model or None, finder, threads or None)
    found = diagnose(predictor, photo)
    if as_json:
        document = {"model": predictor.spec.name, "detector": detector, **found.to_dict()}
        sys.stdout.write(json.dumps(document, indent=2, ensure_ascii=False) + "\n")
    else:
        _say(found, accuracy_line(predictor.spec))
    if save:
        import cv2

        from mien.visualization.diagnosis_figure import draw_inspection

        sheet = draw_inspection(found, predictor.spec, predictor.predict_crops, accuracy_line(predictor.spec))
        _, data = cv2.imencode(".png", sheet)
        replace_file(Path(save), lambda p: p.write_bytes(data.tobytes()))
        typer.echo(f"written: {save}", err=True)


def _say(found: Diagnosis, accuracy: str) -> None:
    from rich.markup import escape

    from mien.visualization.diagnosis_figure import search_words

    photo, console = found.photo, stdout()
    lines = [f"[bold]{escape(photo.source)}[/]  {photo.width} x {photo.height} pixels, {_count(len(photo))}"]
    for number, report in enumerate(found.faces, start=1):
        lines += ["", *_face_lines(number, report)]
    if not found.faces:
        lines += ["", *(f"  {search_words(s, found.threshold)}" for s in found.searches)]
    if found.advice:
        lines += ["", *(f"  [bold]{escape(sentence)}[/]" for sentence in found.advice)]
    for line in [*lines, "", f"[dim]{escape(accuracy)}[/]"]:
        console.print(line, soft_wrap=True, highlight=False)


def _count(n: int) -> str:
    return "no face found" if n == 0 else "1 face" if n == 1 else f"{n} faces"


def _face_lines(number: int, report: FaceDiagnosis) -> list[str]:
    from rich.markup import escape

    from mien.labels import colour
    from mien.visualization.diagnosis_figure import measured_lines

    face = report.face
    doubt = f"  unsure, or {', '.join(face.prediction_set[1:])}" if face.uncertain else ""
    lines = [f"face {number}  [bold {colour(face.label)}]{escape(face.label)}[/] {face.confidence:.1%}{escape(doubt)}"]
    for name, value, fine in measured_lines(report):
        lines.append(f"  {name:<12} {escape(value)}" + ("" if fine else "  [bold red]unusable[/]"))
    left, top, right, bottom = face.box
    lines.append(f"  {'box':<12} {left:.0f}, {top:.0f}, {right:.0f}, {bottom:.0f} (left, top, right, bottom)")
    names = list(face.probabilities)
    for sweep in report.sweeps:
        chances = sweep.probabilities[:, names.index(face.label)]
        span = f"{sweep.values[0]:g} to {sweep.values[-1]:g}"
        kept = f"{sweep.keeps(report.label_number)} of {len(sweep.values)} keep {face.label}"
        lines.append(f"  {sweep.name:<12} {span}: {escape(kept)}, at {chances.min():.0%} to {chances.max():.0%}")
    parts = sorted(report.parts.items(), key=lambda item: -item[1][0])
    rests = ", ".join(f"{name} {weight:.0%} (of the area {area:.0%})" for name, (weight, area) in parts)
    lines.append(f"  {'rests on':<12} {rests}")
    lines.append(f"  {'stability':<12} {escape(report.verdict)}")
    return lines
