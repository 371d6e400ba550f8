"""``mien explain``: what a network saw, where it looked and what decided, in photos or per expression of a data set.

Leaves out: the model and the faces (``explained``), and saying it in words (``explained_words``).
"""

from __future__ import annotations

import glob
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from mien.cli.explain_view import say, say_classes
from mien.cli.options import DETECTOR_SIZE
from mien.cli.screen import stdout

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from mien.cli.explain_model import Opened
    from mien.runtime import Detector

__all__ = ["explain"]

_ORDERS = 10  # random orders of the check


def explain(
    photos: list[Path] | None = typer.Argument(None, metavar="PHOTO", help="Photos; each face gets a sheet."),
    model: str | None = typer.Option(None, help="A shipped model, an .onnx file, a run's folder or model.safetensors."),
    out: Path = typer.Option(Path("explained"), help="Folder for the PNG sheets and .npz arrays."),
    method: str = typer.Option(
        "all", help="all, or some of window,attention,occlusion,gradcam; occlusion takes the time."
    ),
    faithfulness: bool = typer.Option(False, "--faithfulness", help="Check the maps by deletion and insertion."),
    patch: int = typer.Option(8, min=1, help="Side of the square that covers, in pixels of the network's crop."),
    stride: int = typer.Option(4, min=1, help="Steps between its positions; at most --patch."),
    detector: str = typer.Option(
        "centerface", help="centerface, fast (its int8), yunet (with --detector-model), or none for face crops."
    ),
    detector_model: str = typer.Option("", help="The detector's own ONNX file.", metavar="FILE"),
    detector_size: str = DETECTOR_SIZE,
    data: str | None = typer.Option(None, help="With --per-class: CSV, folder, archive or Parquet of labelled faces."),
    per_class: bool = typer.Option(False, "--per-class", help="Mean face and mean maps of each expression in --data."),
    split: str | None = typer.Option(None, help="Part of --data; may be left out where it has one part."),
    limit: int | None = typer.Option(None, min=1, help="Of --data: at most this many faces a class, drawn by --seed."),
    seed: int = typer.Option(0, min=0, help="Of the draw and of the check's random orders."),
    threads: int = typer.Option(0, min=0, help="Threads of onnxruntime; 0 lets it choose."),
    force: bool = typer.Option(False, "--force", help="Write sheets anew that are in --out already."),
) -> None:
    """Show what a network saw, where it looked and what decided.

    PHOTO: a sheet for each face: window, warped view, attention, occlusion; Grad-CAM for a run's folder.

    --data DATA --per-class: one sheet with the mean maps of each expression.

    Beside each sheet lie its arrays as .npz; mien.explain.Explanation and ClassMeans name their keys.
    """
    from mien.cli.explain_model import open_explained
    from mien.errors import ConfigError
    from mien.files import check_new, check_writable
    from mien.runtime import make_detector

    _check(photos, data, per_class, split, limit, patch, stride, faithfulness=faithfulness)
    methods = _methods(method)
    if faithfulness and set(methods) <= {"window"}:
        raise ConfigError("--faithfulness checks maps: add attention, occlusion or gradcam to --method")
    for sheet in _sheets(out, photos or [], split):
        check_new(sheet, force=force)
    check_writable(out)
    opened = open_explained(model, threads)
    if patch > opened.spec.size:
        raise ConfigError(f"--patch must be at most the crop's side ({opened.spec.size} pixels), got {patch}")
    if data is not None:
        _explain_data(opened, data, split, limit, seed, out, occlude="occlusion" in methods, size=patch, stride=stride)
        return
    if "gradcam" in methods and method != "all" and opened.gradcam is None:
        raise ConfigError("--method gradcam needs a torch model: give --model a run's folder or model.safetensors")
    options = {"methods": methods, "size": patch, "stride": stride, "orders": faithfulness * _ORDERS, "seed": seed}
    finder = make_detector(detector, detector_model or None, size=detector_size, threads=threads or None)
    _explain_photos(opened, photos or [], finder, out, method != "all", options)


def _check(
    photos: Sequence[Path] | None,
    data: str | None,
    per_class: bool,
    split: str | None,
    limit: int | None,
    patch: int,
    stride: int,
    *,
    faithfulness: bool,
) -> None:
    """Flags that do not belong together."""
    from mien.errors import ConfigError

    if bool(photos) == (data is not None):
        raise ConfigError("give PHOTO, or --data DATA with --per-class; one of the two")
    if (data is not None) != per_class:
        raise ConfigError("--data and --per-class belong together")
    if photos and (split is not None or limit is not None):
        raise ConfigError("--split and --limit belong to --data; photos have neither")
    if data is not None and faithfulness:
        raise ConfigError(
            "--faithfulness checks single faces: give PHOTO; over many, bench/explain/faithfulness.py measures it"
        )
    if stride > patch:
        raise ConfigError(f"--stride must be at most --patch ({patch}), else pixels are left out; got {stride}")


def _sheets(out: Path, photos: Sequence[Path], split: str | None) -> list[Path]:
    """Sheets of these photos, or of a data set's classes, that are in the folder already."""
    names = [f"{glob.escape(photo.stem)}-[0-9]*.png" for photo in photos] or [
        f"per-class{'*' if split is None else f'-{glob.escape(split)}'}.png"
    ]
    return sorted(sheet for name in names for sheet in out.glob(name))


def _methods(given: str) -> tuple[str, ...]:
    from mien.errors import ConfigError
    from mien.explain.face import METHODS

    if given == "all":
        return METHODS
    asked = tuple(dict.fromkeys(word.strip() for word in given.split(",")))
    if unknown := [word for word in asked if word not in METHODS]:
        raise ConfigError(f"--method must be all or some of {','.join(METHODS)}, got {','.join(unknown)}")
    return asked


def _explain_photos(
    opened: Opened,
    photos: Sequence[Path],
    finder: Detector,
    out: Path,
    named: bool,
    options: dict[str, Any],
) -> None:
    """A sheet and the arrays of every face; a photo that cannot be read is named, and the exit code is 1."""
    from mien.errors import DataError
    from mien.explain.photos import explain_photo
    from mien.images import read_image
    from mien.runtime import accuracy_line
    from mien.visualization.explanation_figure import draw_explanation

    footer, bad = accuracy_line(opened.spec), 0
    gradcam = opened.gradcam if named else _if_installed(opened, options["methods"])
    taken: set[str] = set()
    for photo in photos:
        try:
            pixels = read_image(photo, colour=True)
        except DataError as error:
            typer.echo(f"skipped: {error}", err=True)
            bad += 1
            continue
        faces = explain_photo(pixels, opened.answer, opened.spec, finder, gradcam=gradcam, **options)
        if not faces:
            stdout().print(f"{photo}: no face found", markup=False)
        for number, e in enumerate(faces, start=1):
            name = _free_name(f"{photo.stem}-{number}", taken)
            title = f"{photo.name}, face {number} of {len(faces)}"
            sheet = draw_explanation(e, title=title, footer=footer, warps_input=opened.warps_input)
            _write(out / name, sheet, e.arrays())
            say(e, title, out / name, options["methods"] if named else ())
    stdout().print(footer, markup=False, style="dim")
    if bad:
        raise typer.Exit(1)


def _if_installed(opened: Opened, methods: Sequence[str]) -> Any:
    """Grad-CAM with ``--method all``: left out, with the line that installs it, where captum is missing."""
    from mien.errors import MissingExtra, need

    if opened.gradcam is None or "gradcam" not in methods:
        return None
    try:
        need("captum", "explain")
    except MissingExtra as error:
        typer.echo(f"no Grad-CAM: {error}", err=True)
        return None
    return opened.gradcam


def _explain_data(
    opened: Opened, data: str, split: str | None, limit: int | None, seed: int, out: Path, **options: Any
) -> None:
    """The sheet and the arrays of mean maps."""
    from rich.console import Console
    from rich.progress import Progress

    from mien.cli.explain_model import labelled
    from mien.cli.reading import read_data
    from mien.explain import mean_maps
    from mien.runtime import accuracy_line
    from mien.visualization.class_figure import draw_classes

    spec = opened.spec
    faces = labelled(read_data(data, size=spec.size), spec.labels, split, limit, seed)
    assert faces.labels is not None
    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("explaining", total=len(faces))
        means = mean_maps(
            opened.answer,
            faces.images,
            faces.labels,
            spec.labels,
            **options,
            on_faces=lambda done, _: bar.update(task, completed=done),
        )
    part = "+".join(s for s in faces.splits if s)
    where = f"{part} of " * bool(part) + Path(faces.source).name
    sheet = draw_classes(means, title=f"{spec.name} on {where}", footer=accuracy_line(spec))
    path = out / ("per-class" + f"-{part}" * bool(part))
    _write(path, sheet, means.arrays())
    say_classes(means, path)


def _free_name(name: str, taken: set[str]) -> str:
    """``name``, with a number behind it where another photo of that name had it; case does not tell names apart."""
    free, number = name, 2
    while free.lower() in taken:
        free, number = f"{name}-{number}", number + 1
    taken.add(free.lower())
    return free


def _write(path: Path, sheet: NDArray[np.uint8], arrays: dict[str, NDArray[np.generic]]) -> None:
    """``path`` with the endings .png and .npz."""
    import cv2
    import numpy as np

    from mien.files import replace_file

    _, data = cv2.imencode(".png", sheet)
    replace_file(Path(f"{path}.png"), lambda p: p.write_bytes(data.tobytes()))

    def write(file: Path) -> None:
        with file.open("wb") as f:
            np.savez_compressed(f, **arrays)  # type: ignore[arg-type]

    replace_file(Path(f"{path}.npz"), write)
