"""``mien train``: a recipe and a data set in, a folder with weights, history and curves out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from mien.cli.options import renamed
from mien.wording import counted

if TYPE_CHECKING:
    from mien.data import FaceDataset
    from mien.training.recipe import Recipe

__all__ = ["train"]


def train(
    recipe: str = typer.Argument(..., help="Name of a recipe that comes with mien, or a TOML file."),
    data: str = typer.Option(..., help="CSV, folder, archive or Parquet of faces, or synthetic[:N]."),
    out: Path | None = typer.Option(None, help="Folder for the run."),
    votes: Path | None = typer.Option(None, help="FER+ votes (fer2013new.csv) for the same rows."),
    target: str | None = typer.Option(
        None, help="With --votes: train on FER+ majority, argmax or soft targets, or on both labellings at once."
    ),
    size: int | None = typer.Option(None, help="Side in pixels that faces are resized to; 48 where not given."),
    colour: bool = typer.Option(False, "--colour", help="Learn faces in colour (RGB), not in grey."),
    epochs: int | None = typer.Option(None, help="Instead of the recipe's."),
    batch_size: int | None = typer.Option(None, help="Instead of the recipe's."),
    lr: float | None = typer.Option(None, help="Peak learning rate, instead of the recipe's."),
    weight_decay: float | None = typer.Option(None, help="Instead of the recipe's."),
    l2: float | None = typer.Option(None, hidden=True),
    teacher: str | None = typer.Option(
        None, help="Models to follow, A[,B...]: runs, files, shipped names, .npz of predictions."
    ),
    init: str | None = typer.Option(
        None, help="Weights to start from: a published network (mien info), a run or its model.safetensors."
    ),
    freeze: str | None = typer.Option(None, help="With --init: trunk (train the heads alone) or none."),
    add_head: str | None = typer.Option(
        None, help="With --init: name of a new head; the old ones stay beside it, on a frozen trunk."
    ),
    budget: str | None = typer.Option(
        None, help="Longest that training may take, such as 90s, 5m or 2h: fewer epochs, chosen before the first step."
    ),
    name: str | None = typer.Option(
        None, help="Of the model, in card and tables; where it starts from weights OUT's name, else the recipe's."
    ),
    seed: int | None = typer.Option(None, help="Seed of weights, order, augmentation and, by default, split."),
    split_seed: int | None = typer.Option(
        None, min=0, help="Seed of the split alone, where the data have no parts: a student needs its teachers'."
    ),
    device: str = typer.Option("auto", help="auto, cpu, cuda, cuda:1 ... or mps."),
    threads: int | None = typer.Option(None, min=1, help="CPU threads; all cores where not given."),
    val_split: str | None = typer.Option(None, help="Part to validate on; PublicTest or validation where not given."),
    resume: bool = typer.Option(False, "--resume", help="Continue the run in OUT."),
    skip_bad: bool = typer.Option(False, "--skip-bad", help="Leave bad rows out, counted, instead of stopping."),
    tensorboard: bool = typer.Option(False, "--tensorboard", help="Write TensorBoard events into OUT as well."),
    sync_bn: bool = typer.Option(
        False, "--sync-bn", help="Under torchrun: batch norm over the whole batch, not over each process' share."
    ),
    plan: int | None = typer.Option(
        None, min=1, metavar="N", help="Say what N processes would do (steps, batch, faces, memory), and train nothing."
    ),
) -> None:
    """Train a network and report loss and accuracy for training and validation.

    Faces of any size and shape are resized; a head without anything to learn from the data is left out, and said.
    With your own few faces start from a network that knows faces: `mien train finetune --data my_faces --out RUN`.
    `torchrun --nproc-per-node N -m mien train ...` trains with N processes; docs/scale.md says more.
    """
    from mien.errors import ConfigError, need

    for module in ("torch", "msgspec", "matplotlib"):
        need(module, "train")
    import torch

    from mien.cli.options import seconds_of
    from mien.cli.reading import read_data
    from mien.cli.screen import show_warnings
    from mien.data import train_val
    from mien.files import check_writable
    from mien.training import load_recipe
    from mien.training.devices import keep_memory

    weight_decay = renamed("--l2", "--weight-decay", l2, weight_decay)
    given = {"epochs": epochs, "batch_size": batch_size, "lr": lr, "weight_decay": weight_decay, "size": size}
    given["channels"] = 3 if colour else None
    with show_warnings():
        chosen = load_recipe(recipe).override(**given, seed=seed)
    seconds = seconds_of(budget)
    if out is None and plan is None:
        raise ConfigError("--out FOLDER is missing: where the run goes")
    if out is not None and plan is None:
        new = not out.exists()
        check_writable(out)
        if new:  # it is made again with what goes into it: an error of the data leaves no empty folder
            out.rmdir()
    if threads:
        torch.set_num_threads(threads)
    keep_memory()
    faces = read_data(
        data, votes=votes, target=target, skip_bad=skip_bad, mixed=chosen.size, colour=chosen.channels == 3
    )
    part, held = train_val(faces, val_split=val_split, seed=chosen.seed if split_seed is None else split_seed)
    if teacher is not None and not all(t.strip() for t in teacher.split(",")):
        raise ConfigError(f"--teacher must name models, A[,B...], got {teacher!r}; leave it out to train without")
    teachers = teacher.split(",") if teacher else []
    if out is None or plan is not None:
        from mien.training.plan import plan as planned

        typer.echo(str(planned(chosen, part, held, plan or 1, taught=bool(teachers))))
        return
    if teacher:
        typer.echo(f"{teacher}: predicting {counted(len(part), 'face')}, where that was not done before", err=True)
    starting = {"init": init, "freeze": freeze, "add_head": add_head, "budget": seconds, "size": size, "name": name}
    more = {"teacher": teachers, "device": device, "resume": resume, "tensorboard": tensorboard, "sync_bn": sync_bn}
    _train(chosen, part, held, out, **more, **starting)


def _train(chosen: Recipe, part: FaceDataset, held: FaceDataset, out: Path, **options: Any) -> None:
    """The run with its display, and what came of it."""
    from mien.cli.progress import TrainingDisplay
    from mien.cli.screen import show_warnings
    from mien.training import train as run
    from mien.training.loop import Stopped

    with TrainingDisplay(chosen.epochs) as show, show_warnings():
        show.console.print(
            f"{chosen.name}: {counted(len(part), 'face')} to train ({' '.join(part.splits)}), {len(held):,} to validate"
            f" ({' '.join(held.splits)}), {len(part.names)} classes",
            highlight=False,
            soft_wrap=True,
        )
        try:
            model = run(
                chosen,
                part,
                held,
                out=out,
                on_batch=show.on_batch,
                on_epoch=show.on_epoch,
                **options,
            )
        except Stopped as stop:
            typer.echo(f"{stop}; go on with the same command and --resume", err=True)
            raise typer.Exit(130) from None
    typer.echo(str(model.report))
    if model.report.clean:
        typer.echo(f"clean (no near-duplicate in training): {model.report.clean}")
    typer.echo(f"weights, history and curves: {out}")
