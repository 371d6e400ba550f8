"""``mien train``: a recipe and a data set in, a folder with weights, history and curves out."""

from __future__ import annotations

from pathlib import Path

import typer

__all__ = ["train"]


def train(
    recipe: str = typer.Argument(..., help="Name of a recipe that comes with mien, or a TOML file."),
    data: str = typer.Option(..., help="CSV, folder, archive or Parquet of faces, or synthetic[:N]."),
    out: Path = typer.Option(..., help="Folder for the run."),
    votes: Path | None = typer.Option(None, help="FER+ votes (fer2013new.csv) for the same rows."),
    target: str | None = typer.Option(
        None, help="With --votes: train on FER+ majority, argmax or soft targets, or on both labellings at once."
    ),
    epochs: int | None = typer.Option(None, help="Instead of the recipe's."),
    batch_size: int | None = typer.Option(None, help="Instead of the recipe's."),
    lr: float | None = typer.Option(None, help="Peak learning rate, instead of the recipe's."),
    l2: float | None = typer.Option(None, help="Weight decay, instead of the recipe's."),
    teacher: str | None = typer.Option(
        None, help="Models to follow, A[,B...]: runs, files, shipped names, .npz of answers."
    ),
    seed: int | None = typer.Option(None, help="Seed of weights, order, augmentation and split."),
    device: str = typer.Option("auto", help="auto, cpu, cuda or mps."),
    threads: int | None = typer.Option(None, min=1, help="CPU threads; all cores where not given."),
    val_split: str | None = typer.Option(None, help="Part to validate on; PublicTest or validation where not given."),
    resume: bool = typer.Option(False, "--resume", help="Continue the run in OUT."),
    skip_bad: bool = typer.Option(False, "--skip-bad", help="Leave bad rows out, counted, instead of stopping."),
    tensorboard: bool = typer.Option(False, "--tensorboard", help="Write TensorBoard events into OUT as well."),
) -> None:
    """Train a network and report loss and accuracy for training and validation."""
    from mien.errors import need

    need("torch", "train")
    need("matplotlib", "train")
    import torch

    from mien.cli.progress import TrainingDisplay
    from mien.cli.reading import read_data
    from mien.data import train_val
    from mien.files import check_writable
    from mien.training.distillation import ask
    from mien.training.loop import Stopped
    from mien.training.recipe import load_recipe
    from mien.training.run import train_run

    chosen = load_recipe(recipe).override(epochs=epochs, batch_size=batch_size, lr=lr, l2=l2, seed=seed)
    check_writable(out)
    if threads:
        torch.set_num_threads(threads)
    faces = read_data(data, votes=votes, target=target, skip_bad=skip_bad)
    part, held = train_val(faces, val_split=val_split, seed=chosen.seed)
    if teacher:
        typer.echo(f"asking {teacher} about {len(part):,} faces, {max(1, chosen.distill.copies)} times each", err=True)
    asked = ask(teacher.split(","), part, chosen.distill, chosen.augment, device=device) if teacher else None
    with TrainingDisplay(chosen.epochs) as show:
        show.console.print(
            f"{chosen.name}: {len(part):,} faces to train ({' '.join(part.splits)}), {len(held):,} to validate"
            f" ({' '.join(held.splits)}), {len(part.names)} classes",
            highlight=False,
            soft_wrap=True,
        )
        try:
            result = train_run(
                chosen,
                part,
                held,
                out,
                teacher=asked,
                device=device,
                resume=resume,
                tensorboard=tensorboard,
                on_batch=show.on_batch,
                on_epoch=show.on_epoch,
            )
        except Stopped as stop:
            typer.echo(f"{stop}; go on with the same command and --resume", err=True)
            raise typer.Exit(130) from None
    typer.echo(str(result.report))
    if result.report.clean:
        typer.echo(f"clean (no twin in training): {result.report.clean}")
    typer.echo(f"weights, history and curves: {out}")
