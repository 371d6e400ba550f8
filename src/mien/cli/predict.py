"""``mien predict``: photos in, expressions out, as tables, JSON, CSV or Parquet; ``--draw`` draws them.

Leaves out: the formats and resuming (``mien.results``), which pictures are meant (``predict_paths``), and why an answer
is what it is (``explain``).
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from mien.errors import ConfigError
from mien.files import check_writable

if TYPE_CHECKING:
    from mien.results.provenance import Provenance
    from mien.results.writers import TableWriter
    from mien.spec import ModelSpec

from mien.cli.options import DETECTOR, DETECTOR_FILE, DETECTOR_SIZE, DEVICE, DRAW_OLD, MODEL, renamed

__all__ = ["predict"]


def predict(
    photos: list[str] = typer.Argument(help="Photos, folders (searched through) and patterns such as 'party/*.jpg'."),
    model: str = MODEL,
    detector: str = DETECTOR,
    detector_model: str = DETECTOR_FILE,
    detector_size: str = DETECTOR_SIZE,
    device: str = DEVICE,
    threads: int = typer.Option(0, help="Threads of onnxruntime; 0 lets it choose, or is 1 with --jobs.", min=0),
    jobs: int = typer.Option(1, help="Photos that are read and searched at a time.", min=1),
    as_json: bool = typer.Option(False, "--json", help="One JSON document on stdout."),
    as_csv: bool = typer.Option(False, "--csv", help="CSV on stdout, one row a face."),
    out: str = typer.Option("", help="Write the results into this .csv, .jsonl, .json or .parquet.", metavar="FILE"),
    draw: str = typer.Option(
        "", help="Write each photo with its faces marked, and what the network saw, as a PNG into here.", metavar="DIR"
    ),
    parquet: str = typer.Option("", hidden=True),
    save: str = DRAW_OLD,
    excel: bool = typer.Option(False, "--excel", help="Begin CSV with the mark by which Excel knows UTF-8."),
    resume: bool = typer.Option(
        False, "--resume", help="Keep what --out holds and do the other photos, and those whose files have changed."
    ),
    force: bool = typer.Option(False, "--force", help="Write --out and --draw anew if they are there already."),
) -> None:
    """Find the faces in photos and name their expressions.

    A photo without a face is no error. One that cannot be read is a row with its error, the others go on, and the exit
    code is 1. A face that is too small, too blurred or turned too far away is marked as unusable. What is no picture in
    a folder is counted. Ctrl-C leaves whole files, with which --resume goes on; docs/columns.md says what is in them.
    """
    draw = renamed("--save", "--draw", save, draw)
    if parquet:
        typer.echo("--parquet FILE is --out FILE.parquet now; the old name goes with the next release", err=True)
    _check(as_json, as_csv, out, parquet, draw, excel=excel, resume=resume, force=force)
    folder = Path(draw) if draw else None
    if folder is not None:  # now, not after the first photo
        check_writable(folder)
    from mien.cli.predict_paths import find_photos
    from mien.cli.predict_run import PredictRun
    from mien.cli.predict_view import report
    from mien.results.forms import form_of
    from mien.results.provenance import provenance_of
    from mien.results.resume import Kept, open_table
    from mien.runtime import Predictor, make_detector

    found = find_photos(photos)
    ort_threads = threads or (1 if jobs > 1 else None)
    finder = make_detector(detector, detector_model or None, size=detector_size, threads=ort_threads, device=device)
    predictor = Predictor(model or None, finder, ort_threads, device=device)
    provenance, kept, outputs = provenance_of(predictor, detector), Kept(), list["TableWriter"]()
    if path := out or parquet:
        form = form_of(Path(path), provenance, excel=excel and not as_csv, suffix=".parquet" if parquet else "")
        file, kept = open_table(Path(path), form, provenance, force=force, resume=resume, pictures=found.names)
        outputs.append(file)
    outputs += _on_stdout(provenance, predictor.spec, as_json, as_csv, excel, not outputs, alone=len(found.names) == 1)
    run = PredictRun(predictor, found, outputs, folder, len(kept.photos))
    if not resume:
        run.check_drawings(force=force)
    stopped = run.through([p for name, p in found.names.items() if name not in kept.photos], jobs)
    report(run.count, path, kept, str(found.passed))
    if stopped:
        typer.echo("stopped" + "; what was done is kept, --resume goes on with it" * bool(path), err=True)
        raise typer.Exit(130)
    if bad := run.count["unreadable"] + kept.unreadable:
        typer.echo(f"{bad} of the photos could not be read", err=True)
        raise typer.Exit(1)


def _check(
    as_json: bool, as_csv: bool, out: str, parquet: str, draw: str, *, excel: bool, resume: bool, force: bool
) -> None:
    """Everything that can be wrong with the flags, before a model is opened."""
    if as_json and as_csv:
        raise ConfigError("--json and --csv exclude each other: choose one")
    if out and parquet:
        raise ConfigError("--out and --parquet exclude each other: choose one")
    if resume and force:
        raise ConfigError("--resume and --force exclude each other: go on with the file, or write it anew")
    if resume and not (out or parquet):
        raise ConfigError("--resume needs --out FILE, the file that may be there already")
    if force and not (out or parquet or draw):
        raise ConfigError("--force needs --out FILE or --draw DIR, what may be there already")
    if excel and not as_csv and not out.lower().endswith(".csv"):
        raise ConfigError("--excel needs CSV: --csv or an --out that ends in .csv")


def _on_stdout(
    provenance: Provenance, spec: ModelSpec, as_json: bool, as_csv: bool, excel: bool, tables: bool, *, alone: bool
) -> list[TableWriter]:
    """What goes to stdout: a document, CSV, or with ``tables`` something for people."""
    from mien.cli.predict_view import PhotoTables
    from mien.results.forms import form_of
    from mien.results.writers import PrintedCsv, PrintedJson

    if as_json:
        return [PrintedJson(sys.stdout, {"run": provenance.run, **provenance.to_dict()})]
    if as_csv:
        return [PrintedCsv(sys.stdout, form_of(Path("stdout.csv"), provenance, excel=excel))]
    return [PhotoTables(spec, alone=alone)] if tables else []
