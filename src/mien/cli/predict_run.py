"""The run of ``mien predict``: every photo into every output as soon as it is there.

Leaves out: flags (``predict``), what people read (``predict_view``) and the formats (``mien.results``).
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack, nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from mien.cli.given_files import GivenFiles
from mien.cli.predict_paths import drawing_names
from mien.faces import Face, Photo
from mien.files import check_new, replace_file, sha256_of
from mien.results.cells import one_line, printable
from mien.results.schema import Record
from mien.results.writers import TableWriter
from mien.runtime import Predictor

if TYPE_CHECKING:
    from rich.progress import Progress

__all__ = ["PredictRun"]


class PredictRun:
    """Photos through a predictor into every output as they come.

    kept   photos that a resumed table holds already
    count  how often each outcome came, "face" for the faces, "photos" for all
    """

    def __init__(
        self, predictor: Predictor, found: GivenFiles, outputs: Sequence[TableWriter], drawings: Path | None, kept: int
    ) -> None:
        self.predictor, self.found, self.outputs, self.kept = predictor, found, outputs, kept
        self.count = Counter[str]()
        names = drawing_names(found.names.values()) if drawings else {}
        self.drawings = {path: drawings / name for path, name in names.items() if drawings}

    def check_drawings(self, *, force: bool) -> None:
        """ConfigError where a drawing is there already, unless with ``force``."""
        for path in self.drawings.values():
            check_new(path, force=force)

    def through(self, paths: Sequence[str], jobs: int) -> bool:
        """All of ``paths``, then the outputs are closed; whether Ctrl-C stopped it."""
        try:
            with ExitStack() as ending:
                for output in self.outputs:
                    ending.push(partial(self._close, output))
                self._do(paths, jobs)
        except KeyboardInterrupt:
            return True
        return False

    def _do(self, paths: Sequence[str], jobs: int) -> None:
        bar = _bar(len(paths), streams=any(output.on_stdout for output in self.outputs))
        with nullcontext() if bar.disable else bar:  # older versions of rich end one that is not shown with a line
            task = bar.task_ids[0]
            for photo in self.predictor.predict_many(paths, jobs=jobs, searched=lambda: bar.advance(task)):
                self._take(photo)

    def _take(self, photo: Photo) -> None:
        path = photo.source
        photo = replace(photo, source=printable(path), error=self.found.errors.get(path, photo.error))
        if photo.error:
            typer.echo(one_line(f"skipped: {photo.source}: {photo.error}"), err=True)
        elif path in self.drawings:
            _save(self.drawings[path], path, photo.faces, self.predictor)
        self.count.update({"photos": 1, photo.outcome: 1, "face": len(photo)})
        record = Record(photo, sha256=sha256_of(path))
        for output in self.outputs:
            output.add(record)

    def _close(self, output: TableWriter, kind: type[BaseException] | None, *_: object) -> None:
        outcomes = {name: n for name, n in self.count.items() if name not in ("photos", "face")}
        sums = {"photos": self.count["photos"], "kept": self.kept, "faces": self.count["face"], "outcomes": outcomes}
        output.close(kind is None, {"counts": sums, "passed_over": self.found.passed.to_dict()})


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


def _save(path: Path, source: str, faces: Sequence[Face], predictor: Predictor) -> None:
    import cv2

    from mien.images import read_image
    from mien.runtime import accuracy_line
    from mien.visualization.overlay import draw

    photo = read_image(source, colour=True)
    picture = draw(photo, faces, predictor.spec, predictor.predict_crops, accuracy_line(predictor.spec))
    _, data = cv2.imencode(".png", picture)
    replace_file(path, lambda p: p.write_bytes(data.tobytes()))
