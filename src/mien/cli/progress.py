"""The live display of a training run on stderr, and Ctrl-C as a clean stop. Shared by ``train`` and ``demo``."""

from __future__ import annotations

import os
import signal
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from mien.cli.screen import first_rank

if TYPE_CHECKING:
    from mien.training.loop import Batch, Epoch

__all__ = ["TrainingDisplay"]


class TrainingDisplay:
    """Context manager with the callbacks of ``training.train``: a bar with the time left, and a line for every epoch.

    The first Ctrl-C makes ``on_batch`` return True, which stops the run at that batch; a second one interrupts at once.
    Of several processes the first one speaks; torchrun repeats signals, so all of them ask for that one stop there.
    """

    def __init__(self, epochs: int) -> None:
        self.epochs = epochs
        self.ranks = int(os.environ.get("WORLD_SIZE", "1"))
        self.console = Console(stderr=True, quiet=not first_rank())
        self.stopping = False
        self._progress = Progress(
            TextColumn("epoch {task.fields[epoch]}/{task.fields[epochs]}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("loss {task.fields[loss]:.3f}  accuracy {task.fields[accuracy]:.1%}"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=self.console,
            transient=True,
        )
        self._task = self._progress.add_task("", total=None, epoch=1, epochs=epochs, loss=0.0, accuracy=0.0)
        self._old: Any = None
        self._old_term: Any = None

    def __enter__(self) -> TrainingDisplay:
        self._old = signal.signal(signal.SIGINT, self._interrupt)
        self._old_term = signal.signal(signal.SIGTERM, self._interrupt)
        self.console.print(
            "[dim]  epoch   train: loss  accuracy   val: loss  accuracy   images/s   theta[/dim]", soft_wrap=True
        )
        self._progress.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._progress.stop()
        signal.signal(signal.SIGINT, self._old)
        signal.signal(signal.SIGTERM, self._old_term)

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        if self.stopping and self.ranks == 1:
            raise KeyboardInterrupt
        if not self.stopping:
            self.console.print("stopping after this batch" + "; Ctrl-C again to drop it" * (self.ranks == 1))
        self.stopping = True

    def on_batch(self, batch: Batch) -> bool:
        """Move the bar."""
        self.epochs = batch.epochs
        self._progress.update(
            self._task,
            total=batch.epochs * batch.steps,
            completed=(batch.epoch - 1) * batch.steps + batch.step,
            epoch=batch.epoch,
            loss=batch.loss,
            accuracy=batch.accuracy,
        )
        return self.stopping

    def on_epoch(self, e: Epoch) -> None:
        """Print the epoch's line."""
        self.console.print(
            f"{e['epoch']:>3.0f}/{self.epochs:<3}   {e['train_loss']:11.3f}  {e['train_accuracy']:8.1%}"
            f"   {e['val_loss']:9.3f}  {e['val_accuracy']:8.1%}"
            f"   {e['images_per_second']:8,.0f}   {e['theta_spread']:.3f}",
            highlight=False,
            soft_wrap=True,
        )
