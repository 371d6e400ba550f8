"""``mien evaluate`` and ``mien export``: score a model, ours or an external one; turn a run into an ONNX file."""

from __future__ import annotations

import json
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mien.data import FaceDataset
    from mien.evaluation import Evaluation
    from mien.spec import ModelSpec

__all__ = ["evaluate", "export"]


def evaluate(
    model: str | None = typer.Argument(
        None, help="A run's folder, model.safetensors, a shipped name, or an .onnx file of ours or of another project."
    ),
    data: str = typer.Option(..., help="CSV, folder, archive or Parquet of faces, or synthetic[:N]."),
    split: str | None = typer.Option(
        None,
        help="Part to score, needed where there are several; `validation` of data without parts: what a run held out.",
    ),
    split_seed: int | None = typer.Option(None, help="Seed of that cut, where `mien train --split-seed` had one."),
    against: str | None = typer.Option(None, help="Another model, named as MODEL is: a paired test on the same faces."),
    group_by: str | None = typer.Option(None, help="Scores of each subject, split, label or value of this column."),
    groups: Path | None = typer.Option(None, help="With --group-by: the CSV of that column, joined by its column row."),
    function: str | None = typer.Option(
        None, "--callable", metavar="MODULE:FUNCTION", help="Instead of MODEL: uint8 (N, H, W) in, predictions out."
    ),
    labels: str | None = typer.Option(None, help="An external model's, in output order: angry,disgust,... or fer2013."),
    pixels: str | None = typer.Option(None, help="What an external ONNX takes: 0..255, 0..1, -1..1 or MEAN,STD."),
    layout: str | None = typer.Option(None, help="An external ONNX whose shape leaves it open: NCHW, NHWC, NHW."),
    votes: Path | None = typer.Option(None, help="FER+ votes (fer2013new.csv) for the same rows."),
    target: str | None = typer.Option(None, help="With --votes: score on FER+ majority or argmax labels."),
    views: int = typer.Option(1, min=1, max=10, help="Test-time views: 2 adds the mirror image, 10 adds shifts."),
    as_json: bool = typer.Option(False, "--json", help="One JSON document with everything, on stdout."),
    out: Path | None = typer.Option(None, help="Everything as .json, or the table of classes as .md, .tex or .csv."),
    plot: Path | None = typer.Option(None, help="Write the confusion matrix as PNG to this file."),
    corrupt: bool = typer.Option(False, "--corrupt", help="Score corrupted faces too: blur, noise, covered eyes ..."),
    corrupt_plot: Path | None = typer.Option(None, help="Write what --corrupt found as PNG to this file; implies it."),
    size: int | None = typer.Option(None, help="Resize faces to this side in pixels."),
    skip_bad: bool = typer.Option(False, "--skip-bad", help="Leave bad rows out, counted, instead of stopping."),
) -> None:
    """Score a model on one part of a data set: accuracy with its interval, per class, calibration, clean.

    With --against another model on the same faces, with --group-by each group of faces, with --corrupt corrupted faces.

    A function may return probabilities, class numbers or names, or a dictionary a face.
    """
    from mien.errors import need

    need("torch", "train")
    import mien.evaluation as evaluation
    from mien.cli.evaluation_view import passes_bar
    from mien.cli.reading import read_data

    _check(model, function, group_by, groups, (plot, corrupt_plot, out))
    if out is not None:
        _check_out(out)
    words = [model if model is not None else evaluation.CALLABLE + str(function), *([against] if against else [])]
    first, *other = evaluation.open_models(words, labels=labels, pixels=pixels, layout=layout)
    colour = any(getattr(m, "channels", 1) == 3 for m in (first, *other))
    mixed = first.size or 48
    faces = read_data(data, votes=votes, target=target, skip_bad=skip_bad, size=size, mixed=mixed, colour=colour)
    spec = getattr(first, "spec", None)
    part, train = _parts(faces, split, split_seed, spec)
    for note in _learnt(spec, part):
        typer.echo(note, err=True)
    with passes_bar(corrupt or corrupt_plot is not None) as on_pass:
        found = evaluation.assess(
            first,
            part,
            train=train,
            views=views,
            against=other[0] if other else None,
            groups=evaluation.read_groups(part, group_by, groups) if group_by else None,
            group_by=group_by or "",
            corrupt=corrupt or corrupt_plot is not None,
            on_pass=on_pass,
        )
    _give(found, plot, corrupt_plot, out, as_json=as_json)


def _check(
    model: str | None, function: str | None, group_by: str | None, groups: Path | None, files: tuple[Path | None, ...]
) -> None:
    """What can be wrong with the flags, before the minutes of work."""
    from mien.errors import ConfigError
    from mien.files import check_writable

    if (model is None) == (function is None):
        raise ConfigError("give MODEL or --callable MODULE:FUNCTION, one of the two")
    if groups and not group_by:
        raise ConfigError("--groups needs --group-by COLUMN, the column of it that names the groups")
    for file in files:
        if file:
            check_writable(file.parent)


def _check_out(out: Path) -> None:
    from mien.errors import ConfigError
    from mien.reporting.tabular import ENDINGS

    if out.suffix.lower() not in (".json", *ENDINGS):
        raise ConfigError(f"--out must end in .json, {', '.join(ENDINGS)}, got {out}")


def _give(found: Evaluation, plot: Path | None, corrupt_plot: Path | None, out: Path | None, *, as_json: bool) -> None:
    """What was found, drawn, in a file and on the screen, as it was asked for."""
    from mien.cli.evaluation_view import show_evaluation
    from mien.files import write_text
    from mien.reporting import plots
    from mien.reporting.tabular import class_table, write_table

    if plot:
        plots.confusion(found.report, plot)
    if found.robustness and corrupt_plot:
        plots.robustness(found.robustness, corrupt_plot)
    text = json.dumps(found.to_dict(), indent=1)
    if out is not None and out.suffix.lower() == ".json":
        write_text(out, text + "\n")
    elif out is not None:
        clean = [f"clean, without near-duplicates of Training: {found.report.clean}"] if found.report.clean else []
        write_table(out, class_table(found.report), [str(found.report), *clean])
    if as_json:
        typer.echo(text)
    else:
        show_evaluation(found)


def _parts(
    faces: FaceDataset, split: str | None, seed: int | None, spec: ModelSpec | None
) -> tuple[FaceDataset, FaceDataset | None]:
    """The part to score, and the training parts beside it; of data without a validation part the one that a run cut."""
    from mien.data import split_rank, train_val
    from mien.errors import ConfigError

    if split is None and len(faces.splits) > 1:
        raise ConfigError(f"--split is needed where there are several, one of {', '.join(faces.splits)}")
    if split == "validation" and all(split_rank(s) != 1 for s in faces.splits):
        chosen = _seed(spec) if seed is None else seed
        train, part = train_val(faces, seed=chosen)
        told = ""
        if spec and (held := spec.data.get("validation")):
            told = f", {'' if part.fingerprint == held else 'not '}the faces that {spec.name} held out"
        typer.echo(f"note: validation is cut from the data by seed {chosen}{told}", err=True)
        return part, train
    if seed is not None:
        raise ConfigError("--split-seed is for --split validation of data that have no validation part of their own")
    part = faces.part(split) if split is not None else faces
    trained = [s for s in faces.splits if split_rank(s) == 0 and s not in part.splits]
    return part, faces.part(*trained) if trained else None


def _seed(spec: ModelSpec | None) -> int:
    return int(spec.recipe.get("seed") or 0) if spec else 0


def _learnt(spec: ModelSpec | None, part: FaceDataset) -> Iterator[str]:
    """A warning where a network of ours is scored on faces that it has learnt, as far as its file tells: by its sketch
    of them, and where the data are those that it cut its parts from, by their fingerprint.
    """
    from mien.data import train_val
    from mien.errors import ConfigError
    from mien.training.provenance import seen

    if spec is None:
        return
    found = bool(seen(spec.data.get("learnt", ""), part.images)[0])
    if not found and part.splits in ((), ("",)):
        with suppress(ConfigError):  # too few faces to be cut are not those of a run
            found = train_val(part, seed=_seed(spec))[0].fingerprint == spec.data.get("fingerprint")
    if found:
        yield (
            f"warning: {spec.name} has learnt some of these faces, on others it is worse: --split validation scores "
            "those that a run held out (--split-seed N where it had one)"
        )


def export(
    run: Path = typer.Argument(..., help="Folder of a run, or model.safetensors."),
    onnx: Path = typer.Argument(..., help="The .onnx file to write."),
    int8: bool = typer.Option(False, "--int8", help="int8 weights and activations; needs --data to set their scales."),
    data: str | None = typer.Option(None, help="With --int8: the data set that the model was trained on."),
) -> None:
    """Turn a trained model into ONNX for `mien predict --model`, checked against torch."""
    from mien.errors import ConfigError, need

    need("torch", "train")
    from mien.cli.reading import read_data
    from mien.data import split_rank
    from mien.export.onnx import check_onnx_name, export_onnx
    from mien.export.quantize import quantize_onnx
    from mien.models.weights import load_network

    check_onnx_name(onnx)
    if int8 and data is None:
        raise ConfigError("--int8 needs --data with the faces that the model was trained on")
    model, spec = load_network(run / "model.safetensors" if run.is_dir() else run)
    if int8 and data is not None:
        faces = read_data(data, size=spec.size, colour=spec.channels == 3).with_channels(spec.channels)
        train = [s for s in faces.splits if split_rank(s) == 0]
        with tempfile.TemporaryDirectory() as folder:
            full = Path(folder) / "float32.onnx"
            worst = export_onnx(model, spec, full)
            quantize_onnx(full, onnx, (faces.part(*train) if train else faces).images)
        note = f"before int8 it differed from torch by at most {worst:.1e}; compare both with mien evaluate"
    else:
        note = f"differs from torch by at most {export_onnx(model, spec, onnx):.1e}"
    typer.echo(f"{onnx}: {onnx.stat().st_size / 1000:,.0f} kB, {note}")
