"""``mien demo``: the whole road in about a minute: data, training, scores, a photo, one HTML report.

Draws faces (or reads yours), trains the 2019 network on them, evaluates it, writes it as ONNX, names the expression in
a photo and puts everything on one page. Leaves out: the steps themselves, which are those of ``mien train``,
``evaluate``, ``export`` and ``predict``.
"""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from mien.cli.screen import show_warnings, stdout
from mien.installation import example_photo

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from mien.data import FaceDataset
    from mien.evaluation.metrics import Report
    from mien.faces import Face as Found
    from mien.reporting.html import Face, Photo
    from mien.runtime import Predictor
    from mien.training import Recipe, TrainedModel

__all__ = ["demo"]

_LONGEST = 200  # epochs
_FACES = 6  # of a photo, shown on the page


@dataclass(frozen=True)
class _Trained:
    """What training left behind."""

    model: TrainedModel
    reports: list[Report]
    seconds: float


def demo(
    out: Path = typer.Option(Path("demo"), help="Folder for report.html, the weights and the ONNX file."),
    data: str = typer.Option("", help="Your faces instead of drawn ones: CSV, folder, archive, Parquet."),
    faces: int = typer.Option(5000, min=100, help="How many faces to draw."),
    seconds: float = typer.Option(60.0, min=1.0, help="About how long to train."),
    epochs: int | None = typer.Option(None, min=1, help="Train this many epochs, however long it takes."),
    photo: Path | None = typer.Option(None, help="A photo with faces; the one in examples/ where not given."),
    recipe: str = typer.Option("deep-emotion-2019", help="Name of a recipe that comes with mien, or a TOML file."),
    seed: int = typer.Option(0, min=0, help="Seed of the faces, the weights and the training."),
) -> None:
    """Train the 2019 network for about a minute, score it, try it on a photo and write one report page."""
    from mien.errors import need

    for module in ("torch", "msgspec", "matplotlib"):
        need(module, "train")
    from mien.data import train_val
    from mien.data.synthetic.generate import generate
    from mien.files import check_writable
    from mien.images import read_image
    from mien.training import load_recipe
    from mien.training.devices import keep_memory

    check_writable(out)
    keep_memory()
    picture = photo or example_photo()
    pixels = read_image(picture, colour=True) if picture else None
    if data:
        from mien.cli.reading import read_data

        source = read_data(data)
    else:
        typer.echo(f"drawing {faces:,} faces", err=True)
        source = generate(faces, seed=seed)
    part, validation = train_val(source, seed=seed)
    chosen = _plan(load_recipe(recipe).override(seed=seed), part, seconds, epochs)
    trained = _train(chosen, part, validation, drawn=part.source.startswith("synthetic"))
    predictor = _save(trained.model, out, shipped=part.source.startswith("synthetic"))
    shown = None if pixels is None or picture is None else _recognise(predictor, pixels, picture.name)
    path = _write(out, trained, part, shown, _command(data, faces, chosen, photo, recipe, out))
    _summary(trained, part, validation, shown, path)


def _plan(recipe: Recipe, part: FaceDataset, seconds: float, epochs: int | None) -> Recipe:
    """The recipe with as many epochs as fit into ``seconds``, and warm-up and averaging to match."""
    from mien.training.timing import epochs_within

    epochs = epochs or min(_LONGEST, epochs_within(recipe, part, seconds))
    warmup = min(recipe.optimizer.warmup, epochs / 5)
    ema = min(recipe.ema, 0.99)  # a short run has no time for a longer memory
    return replace(recipe, epochs=epochs, ema=ema, optimizer=replace(recipe.optimizer, warmup=warmup))


def _train(recipe: Recipe, part: FaceDataset, validation: FaceDataset, *, drawn: bool) -> _Trained:
    """Train with the display of ``mien train``, and score the result with one view and with its mirror image."""
    from mien.cli.progress import TrainingDisplay
    from mien.training import train
    from mien.training.loop import Stopped

    start = time.perf_counter()
    with TrainingDisplay(recipe.epochs) as show, show_warnings():
        try:
            model = train(recipe, part, validation, on_batch=show.on_batch, on_epoch=show.on_epoch)
        except Stopped as stop:
            typer.echo(f"{stop}; nothing was written", err=True)
            raise typer.Exit(130) from None
    seconds = time.perf_counter() - start
    # drawn people are in one part only, and look alike by construction: a clean column would mean nothing
    reports = [model.evaluate(validation, train=None if drawn else part, views=views) for views in (1, 2)]
    model.spec.scores[reports[0].split] = reports[0].to_dict()
    return _Trained(model, reports, seconds)


def _save(model: TrainedModel, out: Path, *, shipped: bool) -> Predictor:
    """Write the trained weights and their ONNX file; the predictor for the photo.

    shipped  the network that comes with mien looks at the photo, where this installation has it: one that learnt from
             drawn faces knows nothing about photographs
    """
    from mien.runtime import DEFAULT_MODEL, Predictor, shipped_models

    model.save(out / "model.safetensors")
    model.export(out / "model.onnx")
    return Predictor() if shipped and DEFAULT_MODEL in shipped_models() else Predictor(out / "model.onnx")


def _recognise(predictor: Predictor, pixels: NDArray[np.uint8], name: str) -> Photo:
    """The photo with its faces marked, and for each face what the network saw and what decided."""
    from mien.reporting.html import Photo
    from mien.runtime import accuracy_line
    from mien.visualization.overlay import mark_faces

    found = predictor.predict(pixels)
    marked = pixels.copy()
    mark_faces(marked, found)
    caption = f"{name}, seen by {accuracy_line(predictor.spec)}"
    if "synthetic" in str(predictor.spec.data.get("source")):
        caption += ", a network that has learnt from drawn faces only"
    return Photo(_jpeg(marked), caption, tuple(_face(f, pixels, predictor) for f in found[:_FACES]))


def _face(face: Found, pixels: NDArray[np.uint8], predictor: Predictor) -> Face:
    import cv2

    from mien.explain import occlusion
    from mien.reporting.html import Face
    from mien.visualization.heatmap import overlay

    side = len(face.crop)
    heat = occlusion(predictor.predict_crops, face.crop, size=max(1, side // 6), stride=max(1, side // 12))
    large = cv2.resize(face.crop, (192, 192), interpolation=cv2.INTER_CUBIC)
    pictures = {"what it saw": large}
    if face.attention_window is not None:
        pictures["where it looked"] = _window(pixels, face)
    pictures["what decided"] = overlay(large, heat)
    return Face(face.probabilities, {name: _jpeg(picture) for name, picture in pictures.items()})


def _window(pixels: NDArray[np.uint8], face: Found) -> NDArray[np.uint8]:
    """The photo around a face, with the outline of what the spatial transformer cut out."""
    import cv2
    import numpy as np

    assert face.attention_window is not None
    left, top, right, bottom = face.box
    middle, reach = np.array([left + right, top + bottom]) / 2, 0.85 * max(right - left, bottom - top)
    scale = 192 / (2 * reach)
    matrix = np.array([[scale, 0, 96 - scale * middle[0]], [0, scale, 96 - scale * middle[1]]])
    cut = cv2.warpAffine(pixels, matrix, (192, 192), flags=cv2.INTER_AREA, borderMode=cv2.BORDER_REPLICATE)
    corners = np.round((face.attention_window @ matrix[:, :2].T + matrix[:, 2]) * 16).astype(np.int32)
    cv2.polylines(cut, [corners], True, (46, 200, 255), 2, cv2.LINE_AA, 4)
    return np.asarray(cut, np.uint8)


def _jpeg(picture: NDArray[np.uint8]) -> bytes:
    """JPEG bytes, at most 1,000 pixels on the long side."""
    import cv2

    ratio = min(1.0, 1000 / max(picture.shape[:2]))
    small = cv2.resize(picture, None, fx=ratio, fy=ratio, interpolation=cv2.INTER_AREA) if ratio < 1 else picture
    _, data = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, 90])
    return bytes(data)


def _command(data: str, faces: int, recipe: Recipe, photo: Path | None, name: str, out: Path) -> list[str]:
    """The lines that make the same again; the number of epochs is said, so that the clock decides nothing."""
    import shlex

    from mien.installation import pip_line

    source = ["--data", data] if data else ["--faces", str(faces)]
    given = [*source, "--epochs", str(recipe.epochs), "--seed", str(recipe.seed), "--recipe", name]
    given += ["--photo", str(photo)] if photo else []
    lines = [pip_line("train"), shlex.join(["mien", "demo", *given])]
    return [*lines, "", shlex.join(["mien", "predict", "photo.jpg", "--model", str(out / "model.onnx")])]


def _write(out: Path, trained: _Trained, part: FaceDataset, photo: Photo | None, commands: list[str]) -> Path:
    from mien.reporting.html import write_report

    notes = [f"{len(trained.model.history)} epochs in {trained.seconds:.0f} seconds."]
    if part.source.startswith("synthetic"):
        notes.append("The faces are drawn and easy: the score says that training works, not how well it reads photos.")
    if photo is None:
        notes.append("No photo was given: run it again with --photo FILE.")
    spec = trained.model.spec
    return write_report(
        out / "report.html",
        title="mien demo: a network learns facial expressions",
        intro=f"{spec.name}, trained on {len(part):,} faces of {len(part.names)} expressions on this machine",
        history=trained.model.history,
        reports=trained.reports,
        photos=[photo] if photo else [],
        samples=part,
        spec=spec,
        notes=notes,
        commands=commands,
    )


def _summary(trained: _Trained, part: FaceDataset, validation: FaceDataset, photo: Photo | None, path: Path) -> None:
    """The last screen, on stdout."""
    from rich.markup import escape
    from rich.table import Table

    rate = statistics.median(e["images_per_second"] for e in trained.model.history)
    last = trained.model.history[-1]
    rows = {
        "data": f"{len(part):,} faces to train, {len(validation):,} to validate, {len(part.names)} expressions",
        "training": f"{len(trained.model.history)} epochs, {trained.seconds:.0f} s, {rate:,.0f} images/s",
        "loss": f"training {last['train_loss']:.3f}, validation {last['val_loss']:.3f}",
        "accuracy": f"training {last['train_accuracy']:.1%}, {_figure(trained.reports[0])}",
        "with mirror": _figure(trained.reports[1]),
        "photo": _said(photo),
        "weights": f"{path.parent / 'model.safetensors'}, {path.parent / 'model.onnx'}",
        "report": str(path),
    }
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="dim")
    table.add_column(overflow="fold")
    for name, value in rows.items():
        table.add_row(name, escape(value), style="bold" if name == "report" else "")
    stdout().print(table)


def _figure(report: Report) -> str:
    low, high = report.accuracy_ci95
    return f"{report.split or 'validation'} {report.accuracy:.1%} (95 %: {low:.1%} to {high:.1%}, n {report.n:,})"


def _said(photo: Photo | None) -> str:
    if photo is None:
        return "none: give one with --photo FILE"
    best = [max(f.probabilities.items(), key=lambda item: item[1]) for f in photo.faces]
    faces = ", ".join(f"{name} {p:.0%}" for name, p in best) or "no face found"
    return f"{photo.caption.split(',')[0]}: {faces}"
