"""``mien explain``: why an answer is what it is, in photos or per expression of a data set.

Leaves out: the run over photos and data (``explain_run``), the model and the faces (``explain_model``), and saying it
in words (``explain_view``, ``diagnosis_view``).
"""

from __future__ import annotations

import glob
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from mien.cli.options import DETECTOR, DETECTOR_FILE, DETECTOR_SIZE, DEVICE, complete_models

if TYPE_CHECKING:
    from mien.cli.explain_model import Opened

__all__ = ["explain"]

_STABILITY = "stability"  # the method that needs no map
_ORDERS = 10  # random orders of the check


def explain(
    photos: list[Path] | None = typer.Argument(None, metavar="PHOTO", help="Photos; each face gets a sheet."),
    model: str | None = typer.Option(
        None,
        help="A shipped model, an .onnx file, a run's folder or model.safetensors.",
        autocompletion=complete_models,
    ),
    out: Path = typer.Option(Path("explained"), help="Folder for the PNG sheets and .npz arrays."),
    method: str = typer.Option(
        "all", help="all, or some of stability,window,attention,occlusion,gradcam; occlusion takes the time."
    ),
    as_json: bool = typer.Option(False, "--json", help="One JSON document on stdout: what --method stability finds."),
    faithfulness: bool = typer.Option(False, "--faithfulness", help="Check the maps by deletion and insertion."),
    patch: int = typer.Option(8, min=1, help="Side of the square that covers, in pixels of the network's crop."),
    stride: int = typer.Option(4, min=1, help="Steps between its positions; at most --patch."),
    detector: str = DETECTOR,
    detector_model: str = DETECTOR_FILE,
    detector_size: str = DETECTOR_SIZE,
    device: str = DEVICE,
    data: str | None = typer.Option(None, help="With --per-class: CSV, folder, archive or Parquet of labelled faces."),
    per_class: bool = typer.Option(False, "--per-class", help="Mean face and mean maps of each expression in --data."),
    split: str | None = typer.Option(None, help="Part of --data; may be left out where it has one part."),
    limit: int | None = typer.Option(None, min=1, help="Of --data: at most this many faces a class, drawn by --seed."),
    seed: int = typer.Option(0, min=0, help="Of the draw and of the check's random orders."),
    threads: int = typer.Option(0, min=0, help="Threads of onnxruntime; 0 lets it choose."),
    force: bool = typer.Option(False, "--force", help="Write sheets anew that are in --out already."),
) -> None:
    """Say and show why an answer is what it is: what was seen, what was measured, what decided, what would change it.

    PHOTO: stability asks again with other crop margins, brightness and small turns, and says what was tried where no
    face is found; its picture is PHOTO-why.png. The maps have a sheet for each face: window, warped view, attention,
    occlusion; Grad-CAM for a run's folder.

    --data DATA --per-class: one sheet with the mean maps of each expression.

    Beside each sheet lie its arrays as .npz; mien.explain.Explanation and ClassMeans name their keys.
    """
    from mien.cli.explain_model import open_explained
    from mien.cli.explain_run import PhotoRun, explain_data
    from mien.errors import ConfigError
    from mien.files import check_new, check_writable
    from mien.runtime import Predictor, make_detector

    _check(photos, data, per_class, split, limit, patch, stride, faithfulness=faithfulness)
    methods = _methods(method)
    if as_json and (_STABILITY not in methods or data is not None):
        raise ConfigError("--json has what --method stability finds in a PHOTO: name both")
    if faithfulness and set(methods) <= {"window", _STABILITY}:
        raise ConfigError("--faithfulness checks maps: add attention, occlusion or gradcam to --method")
    for sheet in _sheets(out, photos or [], split):
        check_new(sheet, force=force)
    check_writable(out)
    opened = open_explained(model, threads, device)
    if patch > opened.spec.size:
        raise ConfigError(f"--patch must be at most the crop's side ({opened.spec.size} pixels), got {patch}")
    if data is not None:
        explain_data(opened, data, split, limit, seed, out, occlude="occlusion" in methods, size=patch, stride=stride)
        return
    if method != "all":
        _check_model(opened, methods)
    finder = make_detector(detector, detector_model or None, size=detector_size, threads=threads or None, device=device)
    maps = tuple(m for m in methods if m != _STABILITY)
    options = {"methods": maps, "size": patch, "stride": stride, "orders": faithfulness * _ORDERS, "seed": seed}
    run = PhotoRun(opened, finder, out, options, named=method != "all", quiet=as_json)
    if _STABILITY in methods and opened.path is not None:
        run.predictor = Predictor(model, finder, threads or None, device=device)
    bad = run.through(photos or [])
    if as_json:
        document = {"model": opened.spec.name, "detector": detector, "photos": run.documents}
        typer.echo(json.dumps(document, indent=2, ensure_ascii=False))
    if bad:
        raise typer.Exit(1)


def _check_model(opened: Opened, methods: Sequence[str]) -> None:
    """What was asked for by name and cannot be had of this model."""
    from mien.errors import ConfigError

    if "gradcam" in methods and opened.gradcam is None:
        raise ConfigError("--method gradcam needs a torch model: give --model a run's folder or model.safetensors")
    if _STABILITY in methods and opened.path is None:
        raise ConfigError("--method stability needs an exported model: mien export RUN a.onnx, then --model a.onnx")


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
    names = [f"{glob.escape(photo.stem)}-{end}.png" for photo in photos for end in ("[0-9]*", "why")] or [
        f"per-class{'*' if split is None else f'-{glob.escape(split)}'}.png"
    ]
    return sorted(sheet for name in names for sheet in out.glob(name))


def _methods(given: str) -> tuple[str, ...]:
    from mien.errors import ConfigError
    from mien.explain.face import METHODS

    known = (_STABILITY, *METHODS)
    if given == "all":
        return known
    asked = tuple(dict.fromkeys(word.strip() for word in given.split(",")))
    if unknown := [word for word in asked if word not in known]:
        raise ConfigError(f"--method must be all or some of {','.join(known)}, got {','.join(unknown)}")
    return asked
