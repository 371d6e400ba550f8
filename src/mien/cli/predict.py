"""``mien predict``: photos in, expressions out, as tables, JSON or CSV; ``--save`` draws them."""

from __future__ import annotations

import csv
import glob
import json
import os
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from mien import __version__
from mien.cli.screen import stdout
from mien.errors import ConfigError, DataError
from mien.files import check_writable, replace_file

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from mien.runtime import Face, Predictor
    from mien.spec import ModelSpec

__all__ = ["predict"]

_SAVED = re.compile(r"-mien(-\d+)?\.png$")


@dataclass(frozen=True)
class _Photo:
    """What came of one photo; ``faces`` is None for one that could not be read."""

    path: str
    faces: list[Face] | None
    error: str = ""


def predict(
    photos: list[str] = typer.Argument(help="Photos, folders (searched through) and patterns such as 'party/*.jpg'."),
    model: str = typer.Option("", help="A shipped model (see `mien info`) or an .onnx file from `mien export`."),
    detector: str = typer.Option(
        "centerface", help="centerface, yunet (with --detector-model), or none for face crops."
    ),
    detector_model: str = typer.Option("", help="The detector's own ONNX file.", metavar="FILE"),
    detector_size: int = typer.Option(640, help="Long side for detection in pixels; more finds smaller faces, slower."),
    threads: int = typer.Option(0, help="Threads of onnxruntime; 0 lets it choose.", min=0),
    as_json: bool = typer.Option(False, "--json", help="One JSON document on stdout."),
    as_csv: bool = typer.Option(False, "--csv", help="CSV on stdout, one row a face."),
    save: str = typer.Option(
        "", help="Write one PNG a photo into this folder: boxes, crops, maps, bars.", metavar="DIR"
    ),
) -> None:
    """Find the faces in photos and name their expressions.

    A photo without a face is no error. One that cannot be read is named, the others go on, and the exit code is 1.
    """
    if as_json and as_csv:
        raise ConfigError("--json and --csv exclude each other: choose one")
    folder = Path(save) if save else None
    if folder is not None:  # now, not after the first photo
        check_writable(folder)
    from mien.runtime import Predictor, make_detector

    finder = make_detector(detector, detector_model or None, size=detector_size, threads=threads or None)
    predictor = Predictor(model or None, finder, threads or None)
    results = _predict_all(predictor, _expand(photos), folder)
    if as_json:
        bad = _print_json(results, predictor.spec, detector)
    elif as_csv:
        bad = _print_csv(results, predictor.spec)
    else:
        bad = _print_tables(results, predictor.spec)
    if bad:
        typer.echo(f"{bad} of the photos could not be read", err=True)
        raise typer.Exit(1)


def _expand(given: Sequence[str]) -> list[str]:
    """Folders and patterns -> files, each once; what names nothing stays, so that reading it says what is wrong.

    A search through a folder passes over the pictures that ``--save`` wrote there.
    """
    from mien.images import is_picture

    out: list[str] = []
    for item in given:
        found: list[str] = []
        if Path(item).is_dir():
            inside = (f for f in sorted(Path(item).rglob("*")) if is_picture(f) and f.is_file())
            found = [str(f) for f in inside if not _SAVED.search(f.name)]
        elif not Path(item).exists() and glob.has_magic(item):
            found = [f for f in sorted(glob.glob(item, recursive=True)) if Path(f).is_file()]
        out += found or [item]
    return list(dict.fromkeys(out))


def _predict_all(predictor: Predictor, paths: Sequence[str], folder: Path | None) -> Iterator[_Photo]:
    """One result a photo, as soon as it is there; an unreadable one is named on stderr and passed on as such."""
    from mien.images import read_image

    names: set[str] = set()
    for number, path in enumerate(paths, start=1):
        if len(paths) > 1 and sys.stderr.isatty():
            typer.echo(f"\r{number}/{len(paths)}", nl=number == len(paths), err=True)
        try:
            if Path(path).is_dir():
                raise DataError("a folder without pictures", path)
            photo = read_image(path, colour=True)
            faces = list(predictor.predict(photo))
        except DataError as error:
            typer.echo(f"skipped: {error}", err=True)
            yield _Photo(_printable(path), None, error.message)
            continue
        if folder is not None:
            _save(folder / _free_name(path, names), photo, faces, predictor)
        yield _Photo(_printable(path), faces)


def _printable(path: str) -> str:
    """A name that any stream takes: bytes that are no UTF-8 become replacement characters."""
    return os.fsencode(path).decode("utf-8", "replace")


def _print_json(results: Iterable[_Photo], spec: ModelSpec, detector: str) -> int:
    photos: list[dict[str, object]] = []
    for r in results:
        if r.faces is None:
            photos.append({"photo": r.path, "error": r.error})
        else:
            photos.append({"photo": r.path, "faces": [f.to_dict() for f in r.faces]})
    model = {"name": spec.name, "labels": list(spec.labels), "scores": spec.scores, "licence": spec.licence}
    document = {"mien": __version__, "model": model, "detector": detector, "photos": photos}
    typer.echo(json.dumps(document, indent=2, ensure_ascii=False))
    return sum("error" in p for p in photos)


def _print_csv(results: Iterable[_Photo], spec: ModelSpec) -> int:
    """A photo without a face has one row with face 0; one that could not be read has none."""
    out = csv.writer(sys.stdout, lineterminator="\n")
    places = ["left", "top", "right", "bottom"]
    out.writerow(["photo", "face", "label", "confidence", *spec.labels, *places, "score", "uncertain", "candidates"])
    bad = 0
    for r in results:
        bad += r.faces is None
        if r.faces == []:
            out.writerow([r.path, 0, *[""] * (len(spec.labels) + 9)])
        for i, f in enumerate(r.faces or [], start=1):
            chances = [f"{p:.6f}" for p in f.probabilities.values()]
            box = [f"{v:.2f}" for v in f.box]
            doubt = [int(f.uncertain), " ".join(f.candidates)]
            out.writerow([r.path, i, f.label, f"{f.confidence:.6f}", *chances, *box, f"{f.score:.4f}", *doubt])
    return bad


def _print_tables(results: Iterable[_Photo], spec: ModelSpec) -> int:
    from rich.markup import escape
    from rich.table import Table

    from mien.labels import colour
    from mien.runtime import accuracy_line

    console, bad = stdout(), 0
    for r in results:
        if r.faces is None:
            bad += 1
            continue
        if not r.faces:
            console.print(f"[bold]{escape(r.path)}[/]  no face found", soft_wrap=True)
            continue
        table = Table("face", "expression", "probability", "", "left, top, right, bottom", box=None, pad_edge=False)
        for i, f in enumerate(r.faces, start=1):
            mark = escape("or " + ", ".join(f.candidates[1:])) if f.uncertain else ""
            name = f"[{colour(f.label)}]{escape(f.label)}[/]"
            table.add_row(str(i), name, f"{f.confidence:.1%}", mark, ", ".join(f"{v:.0f}" for v in f.box))
        console.print(f"[bold]{escape(r.path)}[/]", soft_wrap=True)
        console.print(table)
    console.print(f"[dim]{escape(accuracy_line(spec))}[/]", soft_wrap=True, highlight=False)
    return bad


def _free_name(path: str, taken: set[str]) -> str:
    """``party/anna.jpg`` -> ``anna-mien.png``, never the photo's own name; a second one gets a number."""
    stem = Path(path).stem
    name, number = f"{stem}-mien.png", 2
    while name.lower() in taken:  # file systems that ignore case
        name, number = f"{stem}-mien-{number}.png", number + 1
    taken.add(name.lower())
    return name


def _save(path: Path, photo: NDArray[np.uint8], faces: list[Face], predictor: Predictor) -> None:
    import cv2

    from mien.runtime import accuracy_line, draw

    picture = draw(photo, faces, predictor.spec, predictor.predict_crops, accuracy_line(predictor.spec))
    _, data = cv2.imencode(".png", picture)
    replace_file(path, lambda p: p.write_bytes(data.tobytes()))
