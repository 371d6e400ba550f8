"""Opening a table to write, anew or where an interrupted run left it.

What decides an answer must be the same: model, detector, settings and versions, by the metadata and by the column
``run`` of each row. Of a run that did not end the last picture is done again, since its rows may be incomplete; so is a
picture whose file has changed. Leaves out: the formats (``forms``, ``reading``).
"""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from itertools import groupby
from pathlib import Path
from typing import Any

from mien.errors import ConfigError
from mien.files import check_new, replace_file, sha256_of
from mien.results.forms import Form
from mien.results.provenance import Provenance, sidecar
from mien.results.reading import has_bom, read_entries, read_metadata
from mien.results.schema import Row
from mien.results.writers import TableFile

__all__ = ["Kept", "open_table"]


@dataclass
class Kept:
    """What a resumed table holds already.

    photos      by their path as it was given
    unreadable  how many of them cannot be read
    changed     how many were left out because their files are others now
    notes       what the user should know
    """

    photos: set[str] = field(default_factory=set)
    unreadable: int = 0
    changed: int = 0
    notes: list[str] = field(default_factory=list)


def open_table(
    path: Path,
    form: Form,
    provenance: Provenance,
    *,
    force: bool = False,
    resume: bool = False,
    pictures: Mapping[str, str] | None = None,
    more: Mapping[str, Any] | None = None,
) -> tuple[TableFile, Kept]:
    """The table to write into, and what is kept of it; ConfigError says what is wrong, and leaves the file as it was.

    force     write it anew if it is there already; ``resume`` goes on with it
    pictures  path as the table has it -> path of the file, of this run's pictures; None: cannot be resumed
    more      goes into the metadata
    """
    growing = form.growing(path)
    left = growing if growing.exists() or not path.exists() else path
    if not resume:
        goes_on = "" if pictures is None else "--resume goes on with it, "
        check_new(path, force=force, remedy=f"{goes_on}--force overwrites it")
        if growing != path:
            words = "the rows of a run that was killed, as JSON lines"
            check_new(growing, force=force, remedy=f"{words}; {goes_on}--force begins anew")
    metadata = {"run": provenance.run, **provenance.to_dict(), **(more or {})}
    metadata["started"] = datetime.now(timezone.utc).isoformat(timespec="seconds")
    if not (resume and left.exists()):
        return TableFile(path, form, metadata), Kept()
    kept, form, since = _go_on(left, path, form, provenance, pictures or {})
    return TableFile(path, form, {**metadata, "started": since or metadata["started"]}, more=True), kept


def _go_on(
    left: Path, path: Path, form: Form, provenance: Provenance, pictures: Mapping[str, str]
) -> tuple[Kept, Form, str | None]:
    """Write what can be kept of the table ``left`` as the beginning of the growing file."""
    kept, grown = Kept(), left == form.growing(path)
    try:
        if form.suffix == ".csv" and has_bom(left):
            form = replace(form, bom=True)
        metadata = read_metadata(left, grown=grown)
        if metadata is None and form.suffix == ".json":
            raise ValueError(f"{sidecar(left)} is missing, which says how it was made")
        if metadata is None:
            kept.notes.append(f"{sidecar(left)} is missing: only the rows of {left.name} could be compared")
        elif differences := provenance.differences(metadata):
            columns = "its columns are others, and " if any(d.startswith("the labels") for d in differences) else ""
            raise ValueError(f"{columns}it was written with {', and with '.join(differences)}")
        metadata = metadata or {}
        entries = _checked(read_entries(left, form, grown=grown), form, provenance)
        chosen = _chosen(entries, kept, pictures, metadata.get("started"), whole=metadata.get("complete") is True)
        replace_file(form.growing(path), lambda p: _fill(p, form, chosen))
    except (OSError, ValueError, KeyError, TypeError, csv.Error) as error:
        raise ConfigError(f"{left}: cannot be resumed: {error}; choose another file, or --force") from error
    return kept, form, metadata.get("started")


def _fill(path: Path, form: Form, groups: Iterable[list[Row]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as out:
        out.write(form.head())
        for group in groups:
            out.write(form.text(group))


def _checked(entries: Iterable[Row], form: Form, provenance: Provenance) -> Iterator[Row]:
    """The entries, of which each must come from a run with the same model, detector and settings."""
    for number, entry in enumerate(entries, start=1):
        if "photo" not in entry:
            raise ValueError(f"entry {number} names no photo: it was not written by mien predict")
        if form.suffix != ".json" and entry.get("run") != provenance.run:
            model = entry.get("model")
            if model != provenance.model["name"]:
                raise ValueError(f"it was written with the model {model}, not {provenance.model['name']}")
            raise ValueError(
                f"{entry['photo']} was done with other settings ({entry.get('run')}, not {provenance.run})"
            )
        yield entry


def _chosen(
    entries: Iterable[Row], kept: Kept, pictures: Mapping[str, str], since: str | None, *, whole: bool
) -> Iterator[list[Row]]:
    """The rows of each picture that stays; ``kept`` counts them."""
    begun = datetime.fromisoformat(since).timestamp() if since else 0.0
    held: list[Row] = []
    for _, group in groupby(entries, key=lambda entry: entry["photo"]):
        yield from _stay(held, kept, pictures, begun)
        held = list(group)
    if whole:
        yield from _stay(held, kept, pictures, begun)


def _stay(group: list[Row], kept: Kept, pictures: Mapping[str, str], begun: float) -> Iterator[list[Row]]:
    if not group:
        return
    name = group[0]["photo"]
    if name in pictures and _has_changed(pictures[name], group[0].get("sha256") or "", begun):
        kept.changed += 1
        return
    kept.photos.add(name)
    kept.unreadable += bool(group[0].get("error"))
    yield group


def _has_changed(path: str, sha256: str, begun: float) -> bool:
    """Whether a picture's file is another than when it was looked at; read only where its times say that it may be."""
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return False
    return max(found.st_mtime, found.st_ctime) >= begun - 2 and sha256_of(path) != sha256
