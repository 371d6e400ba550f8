"""``mien data audit``: what is wrong with a data set."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mien.cli.reading import Data, SkipBad, left_out, name_left_out
from mien.cli.screen import stdout

if TYPE_CHECKING:
    from rich.table import Table

    from mien.data.audit import Audit
    from mien.data.dataset import FaceDataset

__all__ = ["audit"]


def audit(
    data: Data,
    votes: Annotated[
        Path | None, typer.Option(metavar="FILE", help="FER+ votes, fer2013new.csv: names what is no face.")
    ] = None,
    threshold: Annotated[
        float, typer.Option(help="Correlation from which two images are near-duplicates, over 0 up to 1.")
    ] = 0.90,
    within: Annotated[
        bool, typer.Option("--within", help="Also look for near-duplicates inside each split (half a minute).")
    ] = False,
    skip_bad: SkipBad = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document with all findings, on stdout.")] = False,
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="Write all findings into a .json file.")] = None,
    sheet: Annotated[
        Path | None, typer.Option(metavar="PNG", help="Save a contact sheet: the worst findings side by side.")
    ] = None,
) -> None:
    """Find copies within and across splits, copies with different labels, empty pictures, and pictures of no face."""
    from mien.data.sources import read_source
    from mien.errors import ConfigError
    from mien.files import write_text

    if sheet is not None and sheet.suffix.lower() != ".png":
        raise ConfigError(f"--sheet must name a .png file, got {sheet}")
    if out is not None and out.suffix.lower() != ".json":
        raise ConfigError(f"--out must name a .json file, got {out}")
    reading = read_source(data, votes=votes, skip_bad=skip_bad)
    found = _look(reading.dataset, threshold, within)
    name_left_out(reading)
    text = json.dumps({**found.to_dict(), **left_out(reading)}, indent=1, ensure_ascii=False)
    if out is not None:
        write_text(out, text + "\n")
    if sheet is not None:
        _save_sheet(reading.dataset, found, sheet)
    if as_json:
        typer.echo(text)
    else:
        _show(found)


def _look(ds: FaceDataset, threshold: float, within: bool) -> Audit:
    """The audit, with a bar on stderr while it compares."""
    from rich.console import Console
    from rich.progress import Progress

    from mien.data.audit import audit as look

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("comparing", total=None)

        def progress(done: int, of: int) -> None:
            bar.update(task, completed=done, total=of)

        return look(ds, threshold=threshold, within=within, progress=progress)


def _show(found: Audit) -> None:
    console = stdout()
    console.print(_table(found))
    for a in found.across:
        text = _sentence(a.split, a.other, a.near, a.images, a.agreement)
        console.print(text, highlight=False, markup=False, soft_wrap=True)


def _save_sheet(ds: FaceDataset, found: Audit, path: Path) -> None:
    """Write the contact sheet; an OutputError names a file that cannot be written."""
    import cv2

    from mien.files import replace_file
    from mien.visualization.audit_figure import audit_sheet

    _, data = cv2.imencode(".png", audit_sheet(ds, found))
    replace_file(path, lambda p: p.write_bytes(data.tobytes()))


def _table(found: Audit) -> Table:
    from rich.markup import escape
    from rich.table import Table

    table = Table(title=escape(f"{found.source}, fingerprint {found.fingerprint}"), title_justify="left")
    table.add_column("finding")
    for split in found.images:
        table.add_column(escape(split) or "images", justify="right")
    table.add_column("in all", justify="right")
    for name, by_split, total in _rows(found):
        cells = [f"{by_split[s]:,}" if s in by_split else "" for s in found.images]
        table.add_row(escape(name), *cells, "" if total is None else f"{total:,}")
    return table


def _rows(found: Audit) -> Iterator[tuple[str, dict[str, int], int | None]]:
    """Finding, its count by split, and its count in all."""
    yield "images", found.images, sum(found.images.values())
    yield "exact copies", found.copies_within, found.copies
    if found.near_within is not None:
        near = found.near_within
        yield "images with an exact copy or near-duplicate in the same split", near, sum(near.values())
    for a in found.across:
        yield f"exact copy in {a.other}", {a.split: a.exact}, None
        yield f"exact copy or near-duplicate in {a.other}", {a.split: a.near}, None
    for name, rows in (("one even grey", found.constant), ("no face, by all taggers", found.not_face)):
        if rows is not None:
            counts = {split: len(some) for split, some in rows.items()}
            yield name, counts, sum(counts.values())
    yield "groups of exact copies with different labels", {}, len(found.conflicts)
    yield "images in those groups", {}, sum(map(len, found.conflicts))


def _sentence(split: str, other: str, near: int, images: int, agreement: float | None) -> str:
    share = f"{near:,} of {images:,} images in {split} ({100 * near / max(images, 1):.1f} %) have a copy in {other}"
    return share + ("" if agreement is None else f"; the labels agree for {100 * agreement:.1f} %")
