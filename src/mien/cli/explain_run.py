"""The run of ``mien explain``: over photos, with a diagnosis and sheets of maps, and over a data set, with mean maps.

Leaves out: flags (``explain``), the model (``explain_model``) and the words (``explain_view``, ``diagnosis_view``).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from mien.cli.diagnosis_view import say_diagnosis, write_diagnosis
from mien.cli.explain_view import say, say_classes
from mien.cli.screen import stdout

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from mien.cli.explain_model import Opened
    from mien.runtime import Detector, Predictor

__all__ = ["PhotoRun", "explain_data"]


class PhotoRun:
    """Photos through a model, with everything that is asked for.

    options    of ``explain_photo``: which maps, and how
    named      these methods were asked for one by one: what a network has not is said
    quiet      print nothing on stdout
    predictor  for the diagnosis; None leaves it out
    documents  the diagnoses, for JSON
    """

    def __init__(
        self, opened: Opened, finder: Detector, out: Path, options: dict[str, Any], *, named: bool, quiet: bool
    ) -> None:
        self.opened, self.finder, self.out, self.options, self.named, self.quiet = (
            opened, finder, out, options, named, quiet,
        )  # fmt: skip
        self.predictor: Predictor | None = None
        self.documents = list[dict[str, Any]]()
        self._taken = set[str]()
        self._gradcam = opened.gradcam if named else _if_installed(opened, options["methods"])

    def through(self, photos: Sequence[Path]) -> int:
        """All of them; how many could not be read, each of which is named."""
        from mien.errors import DataError
        from mien.images import read_image
        from mien.runtime import accuracy_line

        bad = 0
        for photo in photos:
            try:
                pixels = read_image(photo, colour=True)
            except DataError as error:
                typer.echo(f"skipped: {error}", err=True)
                self.documents.append({"photo": str(photo), "error": error.message})
                bad += 1
                continue
            if self.predictor is not None:
                self._diagnose(photo)
            if self.options["methods"]:
                self._explain(photo, pixels)
        if not self.quiet:
            stdout().print(accuracy_line(self.opened.spec), markup=False, style="dim")
        return bad

    def _diagnose(self, photo: Path) -> None:
        from mien.diagnostics import diagnose

        assert self.predictor is not None
        found = diagnose(self.predictor, photo)
        self.documents.append(found.to_dict())
        path = self.out / f"{_free_name(f'{photo.stem}-why', self._taken)}.png"
        write_diagnosis(found, self.predictor, path)
        if not self.quiet:
            say_diagnosis(found)
            stdout().print(f"  {'written':<12} {path}\n", markup=False)

    def _explain(self, photo: Path, pixels: NDArray[np.uint8]) -> None:
        """A sheet and the arrays of every face."""
        from mien.explain.photos import explain_photo
        from mien.runtime import accuracy_line
        from mien.visualization.explanation_figure import draw_explanation

        opened, footer = self.opened, accuracy_line(self.opened.spec)
        faces = explain_photo(pixels, opened.answer, opened.spec, self.finder, gradcam=self._gradcam, **self.options)
        if not faces and self.predictor is None:
            stdout().print(f"{photo}: no face found", markup=False)
        for number, e in enumerate(faces, start=1):
            path = self.out / _free_name(f"{photo.stem}-{number}", self._taken)
            title = f"{photo.name}, face {number} of {len(faces)}"
            _write(path, draw_explanation(e, title=title, footer=footer, warps_input=opened.warps_input), e.arrays())
            if not self.quiet:
                say(e, title, path, self.options["methods"] if self.named else ())


def _if_installed(opened: Opened, methods: Sequence[str]) -> Any:
    """Grad-CAM with ``--method all``: left out, with the line that installs it, where captum is missing."""
    from mien.errors import MissingExtra, need

    if opened.gradcam is None or "gradcam" not in methods:
        return None
    try:
        need("captum", "explain")
    except MissingExtra as error:
        typer.echo(f"no Grad-CAM: {error}", err=True)
        return None
    return opened.gradcam


def explain_data(
    opened: Opened, data: str, split: str | None, limit: int | None, seed: int, out: Path, **options: Any
) -> None:
    """The sheet and the arrays of mean maps of each expression in ``data``."""
    from rich.console import Console
    from rich.progress import Progress

    from mien.cli.explain_model import labelled
    from mien.cli.reading import read_data
    from mien.explain import mean_maps
    from mien.runtime import accuracy_line
    from mien.visualization.class_figure import draw_classes

    spec = opened.spec
    everything = read_data(data, size=spec.size, colour=spec.channels == 3).with_channels(spec.channels)
    faces = labelled(everything, spec.labels, split, limit, seed)
    assert faces.labels is not None
    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("explaining", total=len(faces))
        means = mean_maps(
            opened.answer,
            faces.array,
            faces.labels,
            spec.labels,
            **options,
            on_faces=lambda done, _: bar.update(task, completed=done),
        )
    part = "+".join(s for s in faces.splits if s)
    where = f"{part} of " * bool(part) + Path(faces.source).name
    sheet = draw_classes(means, title=f"{spec.name} on {where}", footer=accuracy_line(spec))
    path = out / ("per-class" + f"-{part}" * bool(part))
    _write(path, sheet, means.arrays())
    say_classes(means, path)


def _free_name(name: str, taken: set[str]) -> str:
    """``name``, with a number behind it where another photo of that name had it; case does not tell names apart."""
    free, number = name, 2
    while free.lower() in taken:
        free, number = f"{name}-{number}", number + 1
    taken.add(free.lower())
    return free


def _write(path: Path, sheet: NDArray[np.uint8], arrays: dict[str, NDArray[np.generic]]) -> None:
    """``path`` with the endings .png and .npz."""
    import cv2
    import numpy as np

    from mien.files import replace_file

    _, data = cv2.imencode(".png", sheet)
    replace_file(Path(f"{path}.png"), lambda p: p.write_bytes(data.tobytes()))

    def write(file: Path) -> None:
        with file.open("wb") as f:
            np.savez_compressed(f, **arrays)  # type: ignore[arg-type]

    replace_file(Path(f"{path}.npz"), write)
