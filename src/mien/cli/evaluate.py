"""``mien evaluate`` and ``mien export``: score a model; turn a run into an ONNX file."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from mien.data import FaceDataset
    from mien.evaluation import Loaded
    from mien.metrics import Report, Robustness

__all__ = ["evaluate", "export", "show_report", "show_robustness"]


def evaluate(
    model: str = typer.Argument(..., help="Folder of a run, model.safetensors, an .onnx file, or a shipped name."),
    data: str = typer.Option(..., help="CSV, folder or archive of faces, or synthetic[:N]."),
    split: str | None = typer.Option(None, help="Part to score; may be left out where the data has one part."),
    votes: Path | None = typer.Option(None, help="FER+ votes (fer2013new.csv) for the same rows."),
    target: str | None = typer.Option(None, help="With --votes: score on FER+ majority or argmax labels."),
    views: int = typer.Option(1, min=1, max=10, help="Test-time views: 2 adds the mirror image, 10 adds shifts."),
    json_file: str | None = typer.Option(None, "--json", help="Write the report as JSON to this file, - for stdout."),
    plot: Path | None = typer.Option(None, help="Write the confusion matrix as PNG to this file."),
    corrupt: bool = typer.Option(False, "--corrupt", help="Score spoilt faces too: blur, noise, covered eyes ..."),
    corrupt_plot: Path | None = typer.Option(None, help="Write what --corrupt found as PNG to this file; implies it."),
    size: int | None = typer.Option(None, help="Resize faces to this side in pixels."),
    skip_bad: bool = typer.Option(False, "--skip-bad", help="Leave bad rows out, counted, instead of stopping."),
) -> None:
    """Score a model on one part of a data set: accuracy with its interval, per class, calibration, clean."""
    from mien.errors import ConfigError, need

    need("torch", "train")
    from mien import evaluation, plots
    from mien.cli.reading import read_data
    from mien.data import split_rank
    from mien.files import check_writable, write_text

    for file in (plot, corrupt_plot):
        if file:
            check_writable(file.parent)  # before the minutes of work, not after
    loaded = evaluation.open_model(model)
    faces = read_data(data, votes=votes, target=target, skip_bad=skip_bad, size=size)
    if split is None and len(faces.splits) > 1:
        raise ConfigError(f"--split must be one of {', '.join(faces.splits)}")
    part = faces.part(split) if split is not None else faces
    known = [s for s in faces.splits if split_rank(s) == 0 and s not in part.splits]
    report = evaluation.evaluate(loaded, part, train=faces.part(*known) if known else None, views=views)
    if plot:
        plots.confusion(report, plot)
    robustness = _robustness(loaded, part, views) if corrupt or corrupt_plot else None
    if robustness and corrupt_plot:
        plots.robustness(robustness, corrupt_plot)
    text = json.dumps(report.to_dict() | ({"robustness": robustness.to_dict()} if robustness else {}), indent=1)
    if json_file == "-":
        typer.echo(text)
        return
    if json_file:
        write_text(Path(json_file), text + "\n")
    show_report(report)
    if robustness:
        show_robustness(robustness)


def _robustness(loaded: Loaded, part: FaceDataset, views: int) -> Robustness:
    """``evaluation.corrupted`` with a bar on stderr where that is a terminal."""
    from rich.console import Console
    from rich.progress import Progress

    from mien import evaluation

    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("spoilt faces", total=None)
        return evaluation.corrupted(
            loaded, part, views=views, on_pass=lambda done, total: bar.update(task, completed=done, total=total)
        )


def show_report(report: Report) -> None:
    """Print the figures and the confusion matrix as tables on stdout."""
    from rich.console import Console
    from rich.table import Table

    from mien.labels import short

    console = Console(highlight=False, soft_wrap=True)
    console.print(f"[bold]{report}[/bold]")
    if report.clean:
        console.print(f"clean, without faces that have a twin in Training: {report.clean}")
    console.print(
        f"macro-F1 {report.macro_f1:.3f}   log loss {report.log_loss:.3f} nats   "
        f"expected calibration error {report.ece:.3f}   views {report.conditions.get('views')}"
    )
    table = Table("true", "n", "precision", "recall", "F1", *(short(n) for n in report.names), box=None)
    for column in table.columns[1:]:
        column.justify = "right"
    for i, (name, c) in enumerate(report.per_class.items()):
        cells = [f"[bold]{v}[/bold]" if i == j else str(v) for j, v in enumerate(report.confusion[i])]
        table.add_row(name, str(c["n"]), *(f"{c[k]:.1%}" for k in ("precision", "recall")), f"{c['f1']:.3f}", *cells)
    console.print(table)


def show_robustness(robustness: Robustness) -> None:
    """Print accuracy by kind and strength of corruption, the means and the drops against clean on stdout, in %."""
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False, soft_wrap=True)
    console.print(f"\n[bold]{robustness}[/bold]")
    strengths = map(str, range(1, len(robustness.by_strength) + 1))
    table = Table("accuracy, % at strength", *strengths, "mean", "drop", box=None)
    for column in table.columns[1:]:
        column.justify = "right"
    for name, row in robustness.rows():
        table.add_row(name, *(f"{100 * v:.1f}" for v in row), style="bold" if name == "mean" else "")
    console.print(table)


def export(
    run: Path = typer.Argument(..., help="Folder of a run, or model.safetensors."),
    onnx: Path = typer.Argument(..., help="The .onnx file to write."),
    int8: bool = typer.Option(False, "--int8", help="int8 weights and activations; needs --data to set their scales."),
    data: str | None = typer.Option(None, help="With --int8: the data set that the model was trained on."),
) -> None:
    """Turn a trained model into ONNX for `mien predict --model`, checked against torch."""
    from mien.errors import ConfigError, need

    need("torch", "train")
    from mien.checkpoint import load_model
    from mien.cli.reading import read_data
    from mien.data import split_rank
    from mien.export import export_onnx
    from mien.quantize import quantize_onnx

    if int8 and data is None:
        raise ConfigError("--int8 needs --data with the faces that the model was trained on")
    model, spec = load_model(run / "model.safetensors" if run.is_dir() else run)
    if int8 and data is not None:
        faces = read_data(data, size=spec.size)
        train = [s for s in faces.splits if split_rank(s) == 0]
        with tempfile.TemporaryDirectory() as folder:
            full = Path(folder) / "float32.onnx"
            worst = export_onnx(model, spec, full)
            quantize_onnx(full, onnx, (faces.part(*train) if train else faces).images)
        note = f"before int8 it differed from torch by at most {worst:.1e}; compare both with mien evaluate"
    else:
        note = f"differs from torch by at most {export_onnx(model, spec, onnx):.1e}"
    typer.echo(f"{onnx}: {onnx.stat().st_size / 1000:,.0f} kB, {note}")
