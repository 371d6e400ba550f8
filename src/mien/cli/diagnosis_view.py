"""The diagnosis of a photo in words and as one picture, for ``mien explain``.

Leaves out: what is looked at (``mien.diagnostics``) and how it is drawn (``visualization.diagnosis_figure``).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mien.cli.screen import print_folded
from mien.files import replace_file
from mien.wording import counted

if TYPE_CHECKING:
    from mien.diagnostics import Diagnosis, FaceDiagnosis
    from mien.runtime import Predictor

__all__ = ["say_diagnosis", "write_diagnosis"]


def say_diagnosis(found: Diagnosis) -> None:
    """The photo, each face with what was measured and what moves its answer, or what was tried, and advice."""
    from rich.markup import escape

    from mien.visualization.diagnosis_figure import search_words

    photo = found.photo
    lines = [f"[bold]{escape(photo.source)}[/]  {photo.width} x {photo.height} pixels, {_count(len(photo))}"]
    for number, report in enumerate(found.faces, start=1):
        lines += ["", *_face_lines(number, report)]
    if not found.faces:
        lines += ["", *(f"  {search_words(s, found.threshold)}" for s in found.searches)]
    if found.advice:
        lines += ["", *(f"  [bold]{escape(sentence)}[/]" for sentence in found.advice)]
    for line in lines:
        print_folded(line, 15)


def write_diagnosis(found: Diagnosis, predictor: Predictor, path: Path) -> None:
    """Its picture, as PNG."""
    import cv2

    from mien.runtime import accuracy_line
    from mien.visualization.diagnosis_figure import draw_inspection

    sheet = draw_inspection(found, predictor.spec, predictor.predict_crops, accuracy_line(predictor.spec))
    _, data = cv2.imencode(".png", sheet)
    replace_file(path, lambda p: p.write_bytes(data.tobytes()))


def _count(n: int) -> str:
    return counted(n, "face") if n else "no face found"


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
