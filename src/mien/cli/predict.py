"""``mien predict``: photos in, expressions out, as tables, JSON, CSV or Parquet; ``--save`` draws them.

Leaves out: the formats and resuming (``predictions``).
"""

from __future__ import annotations

import glob
import os
import re
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from mien.cli.screen import stdout
from mien.errors import ConfigError
from mien.files import check_writable, replace_file
from mien.results.writers import CsvLines, JsonDocument, Kept, Output, open_output

if TYPE_CHECKING:
    from rich.progress import Progress

    from mien.faces import Face, Photo
    from mien.runtime import Predictor
    from mien.spec import ModelSpec

__all__ = ["predict"]

_SAVED = re.compile(r"-mien(-\d+)?\.png$")


def predict(
    photos: list[str] = typer.Argument(help="Photos, folders (searched through) and patterns such as 'party/*.jpg'."),
    model: str = typer.Option("", help="A shipped model (see `mien info`) or an .onnx file from `mien export`."),
    detector: str = typer.Option(
        "centerface", help="centerface, yunet (with --detector-model), or none for face crops."
    ),
    detector_model: str = typer.Option("", help="The detector's own ONNX file.", metavar="FILE"),
    detector_size: int = typer.Option(640, help="Long side for detection in pixels; more finds smaller faces, slower."),
    threads: int = typer.Option(0, help="Threads of onnxruntime; 0 lets it choose, or is 1 with --jobs.", min=0),
    jobs: int = typer.Option(1, help="Photos that are read and searched at a time.", min=1),
    as_json: bool = typer.Option(False, "--json", help="One JSON document on stdout."),
    as_csv: bool = typer.Option(False, "--csv", help="CSV on stdout, one row a face."),
    out: str = typer.Option("", help="Write the results into this .csv, .jsonl, .json or .parquet.", metavar="FILE"),
    parquet: str = typer.Option("", help="The same as --out, for a Parquet file of any name.", metavar="FILE"),
    resume: bool = typer.Option(
        False, "--resume", help="Keep what --out (.csv, .jsonl) holds and do the other photos; told apart by path."
    ),
    save: str = typer.Option(
        "", help="Write one PNG a photo into this folder: boxes, crops, maps, bars.", metavar="DIR"
    ),
) -> None:
    """Find the faces in photos and name their expressions.

    A photo without a face is no error. One that cannot be read is a row with its error, the others go on, and the exit
    code is 1. A face that is too small, too blurred or turned too far away is marked as unusable.
    """
    if as_json and as_csv:
        raise ConfigError("--json and --csv exclude each other: choose one")
    if out and parquet:
        raise ConfigError("--out and --parquet exclude each other: choose one")
    if resume and not out:
        raise ConfigError("--resume needs --out FILE, a .csv or .jsonl to go on with")
    folder = Path(save) if save else None
    if folder is not None:  # now, not after the first photo
        check_writable(folder)
    from mien.runtime import Predictor, make_detector

    ort_threads = threads or (1 if jobs > 1 else None)
    finder = make_detector(detector, detector_model or None, size=detector_size, threads=ort_threads)
    predictor = Predictor(model or None, finder, ort_threads)
    kept, outputs = Kept(), list[Output]()
    if out or parquet:
        output, kept = open_output(Path(out or parquet), predictor.spec, detector, resume=resume, parquet=bool(parquet))
        outputs.append(output)
    if as_json:
        outputs.append(JsonDocument(sys.stdout.write, predictor.spec, detector))
    elif as_csv:
        outputs.append(CsvLines(sys.stdout, predictor.spec))
    elif not outputs:
        outputs.append(_Tables(predictor.spec))
    paths = _expand(photos)
    names = _free_names(paths) if folder is not None else {}
    missing = [path for path in paths if _printable(path) not in kept.photos]
    try:
        count = _run(predictor, missing, outputs, jobs, {path: folder / names[path] for path in names if folder})
        for output in outputs:
            output.finish()
    finally:
        for output in outputs:
            output.close()
    if out or parquet:
        typer.echo(_summary(out or parquet, count, kept), err=True)
    if bad := count["unreadable"] + kept.unreadable:
        typer.echo(f"{bad} of the photos could not be read", err=True)
        raise typer.Exit(1)


def _run(
    predictor: Predictor, paths: Sequence[str], outputs: Sequence[Output], jobs: int, drawings: Mapping[str, Path]
) -> Counter[str]:
    """Every photo into every output, as soon as it is there; how often each outcome came, and "face" for the faces."""
    count: Counter[str] = Counter()
    streams = any(output.on_stdout for output in outputs)
    with _bar(len(paths), streams=streams) as bar:
        task = bar.task_ids[0]
        for photo in predictor.predict_many(paths, jobs=jobs, searched=lambda: bar.advance(task)):
            path = photo.source
            if photo.error and Path(path).is_dir():
                photo = replace(photo, error="a folder without pictures")
            photo = replace(photo, source=_printable(path))
            if photo.error:
                typer.echo(f"skipped: {photo.source}: {photo.error}", err=True)
            elif path in drawings:
                _save(drawings[path], path, photo.faces, predictor)
            count[photo.outcome] += 1
            count["face"] += len(photo)
            for output in outputs:
                output.add(photo)
    return count


def _bar(total: int, *, streams: bool) -> Progress:
    """A bar on stderr, where it is a terminal, there is something to wait for, and no answers stream past it."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    shown = console.is_terminal and total > 1 and not (streams and sys.stdout.isatty())
    # rich would else print on stderr what goes to stdout
    bar = Progress(
        *Progress.get_default_columns(), console=console, transient=True, redirect_stdout=False, disable=not shown
    )
    bar.add_task("photos", total=total)
    return bar


def _summary(path: str, count: Counter[str], kept: Kept) -> str:
    done = f"{sum(count[o] for o in ('faces', 'unusable', 'no face', 'unreadable'))} photos"
    before = f" ({len(kept.photos)} were there)" if kept.photos else ""
    parts = [f"{count['face']} faces", f"{count['no face']} photos without a face"]
    if count["unusable"]:
        parts.append(f"{count['unusable']} with unusable faces only")
    return f"{path}: {done}{before}, {', '.join(parts)}"


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


def _printable(path: str) -> str:
    """A name that any stream takes: bytes that are no UTF-8 become replacement characters."""
    return os.fsencode(path).decode("utf-8", "replace")


class _Tables:
    """A small table a photo on stdout; at the end how good the model is."""

    on_stdout = True

    def __init__(self, spec: ModelSpec) -> None:
        self._console, self._spec = stdout(), spec

    def add(self, photo: Photo) -> None:
        from rich.markup import escape
        from rich.table import Table

        from mien.labels import colour

        if photo.error:
            return  # stderr names it
        title = f"[bold]{escape(photo.source)}[/]"
        if not photo.faces:
            self._console.print(f"{title}  no face found", soft_wrap=True)
            return
        table = Table("face", "expression", "probability", "left, top, right, bottom", "", box=None, pad_edge=False)
        for i, f in enumerate(photo, start=1):
            name = f"[{colour(f.label)}]{escape(f.label)}[/]"
            place = ", ".join(f"{v:.0f}" for v in f.box)
            table.add_row(str(i), name, f"{f.confidence:.1%}", place, escape(_doubt(f)))
        self._console.print(title + ("  no face can be used" if photo.outcome == "unusable" else ""), soft_wrap=True)
        self._console.print(table)

    def finish(self) -> None:
        from rich.markup import escape

        from mien.runtime import accuracy_line

        self._console.print(f"[dim]{escape(accuracy_line(self._spec))}[/]", soft_wrap=True, highlight=False)

    def close(self) -> None:
        pass


def _doubt(face: Face) -> str:
    """``unusable: too small: ...``, ``unsure, or sad``, or nothing."""
    if not face.usable and face.quality is not None:
        return "unusable: " + "; ".join(face.quality.problems)
    return f"unsure, or {', '.join(face.prediction_set[1:])}" if face.uncertain else ""


def _free_names(paths: Sequence[str]) -> dict[str, str]:
    """``party/anna.jpg`` -> ``anna-mien.png``, never the photo's own name; a second one gets a number."""
    names, taken = dict[str, str](), set[str]()
    for path in paths:
        stem = Path(path).stem
        name, number = f"{stem}-mien.png", 2
        while name.lower() in taken:  # file systems that ignore case
            name, number = f"{stem}-mien-{number}.png", number + 1
        taken.add(name.lower())
        names[path] = name
    return names


def _save(path: Path, source: str, faces: Sequence[Face], predictor: Predictor) -> None:
    import cv2

    from mien.images import read_image
    from mien.runtime import accuracy_line
    from mien.visualization.overlay import draw

    photo = read_image(source, colour=True)
    picture = draw(photo, faces, predictor.spec, predictor.predict_crops, accuracy_line(predictor.spec))
    _, data = cv2.imencode(".png", picture)
    replace_file(path, lambda p: p.write_bytes(data.tobytes()))
