"""Where the results of ``mien predict`` go: JSON, JSON lines, CSV and Parquet, on stdout or into a file.

CSV and JSON lines grow while the run goes on, and such a file can be resumed; JSON and Parquet are written at the end.
Leaves out: predicting (``predict``), and what the columns mean (``mien.results.table``).
"""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TextIO

from mien import __version__
from mien.errors import ConfigError, OutputError, need
from mien.files import check_writable, replace_file, write_text

if TYPE_CHECKING:
    from mien.faces import Photo
    from mien.spec import ModelSpec

__all__ = ["SUFFIXES", "CsvLines", "JsonDocument", "Kept", "Output", "open_output"]

#: Endings of the files that a run can be written into; the first two can be resumed.
SUFFIXES = (".csv", ".jsonl", ".json", ".parquet")


class Output(Protocol):
    """Takes one photo after the other; then ``finish`` where the run came to its end, and ``close`` in any case.

    on_stdout  whether it writes there while the run goes on
    """

    @property
    def on_stdout(self) -> bool: ...
    def add(self, photo: Photo) -> None: ...
    def finish(self) -> None: ...
    def close(self) -> None: ...


@dataclass(frozen=True)
class Kept:
    """What a resumed file holds already: photos by their path as it was given, and how many of them are unreadable."""

    photos: frozenset[str] = frozenset()
    unreadable: int = 0


class JsonDocument:
    """One JSON document with the model, given to ``write`` at the end."""

    on_stdout = False

    def __init__(self, write: Callable[[str], object], spec: ModelSpec, detector: str) -> None:
        model = {"name": spec.name, "labels": list(spec.labels), "scores": spec.scores, "licence": spec.licence}
        self._head = {"mien": __version__, "model": model, "detector": detector}
        self._write, self._photos = write, list[dict[str, Any]]()

    def add(self, photo: Photo) -> None:
        self._photos.append(photo.to_dict())

    def finish(self) -> None:
        self._write(json.dumps({**self._head, "photos": self._photos}, indent=2, ensure_ascii=False) + "\n")

    def close(self) -> None:
        pass


class CsvLines:
    """The rows of ``mien.results.table`` and the model's name, written and flushed photo by photo."""

    def __init__(self, stream: TextIO, spec: ModelSpec, *, head: bool = True) -> None:
        self._stream, self._spec, self._heads = stream, spec, csv_columns(spec)
        if head:
            _write(stream, _csv_text([self._heads]))

    def add(self, photo: Photo) -> None:
        from mien.results.table import rows

        lines = [[_cell(h, {**row, "model": self._spec.name}) for h in self._heads] for row in rows(photo)]
        _write(self._stream, _csv_text(lines))

    @property
    def on_stdout(self) -> bool:
        return self._stream is sys.stdout

    def finish(self) -> None:
        self._stream.flush()

    def close(self) -> None:
        if not self.on_stdout:
            self._stream.close()


class _JsonLines:
    """One line of JSON a photo, with the model's name, flushed at once."""

    on_stdout = False

    def __init__(self, stream: TextIO, spec: ModelSpec) -> None:
        self._stream, self._name = stream, spec.name

    def add(self, photo: Photo) -> None:
        _write(self._stream, json.dumps({**photo.to_dict(), "model": self._name}, ensure_ascii=False) + "\n")

    def finish(self) -> None:
        self._stream.flush()

    def close(self) -> None:
        self._stream.close()


class _Parquet:
    """The rows of ``mien.results.table`` in one Parquet file, whose metadata name the model and its terms."""

    on_stdout = False

    def __init__(self, path: Path, spec: ModelSpec) -> None:
        self._path, self._spec, self._rows = path, spec, list[dict[str, Any]]()
        self._parquet = need("pyarrow.parquet", "parquet")

    def add(self, photo: Photo) -> None:
        from mien.results.table import rows

        self._rows += rows(photo)

    def finish(self) -> None:
        from mien.results.table import to_arrow

        about = {"mien": __version__, "model": self._spec.name, "licence": self._spec.licence}
        table = to_arrow(self._rows, self._spec.labels).replace_schema_metadata(about)
        replace_file(self._path, lambda p: self._parquet.write_table(table, p))

    def close(self) -> None:
        pass


def csv_columns(spec: ModelSpec) -> list[str]:
    """The columns of :class:`CsvLines`."""
    from mien.results.table import columns

    return [*columns(spec.labels), "model"]


def open_output(
    path: Path, spec: ModelSpec, detector: str, *, resume: bool = False, parquet: bool = False
) -> tuple[Output, Kept]:
    """The output for a file by its ending, and what is kept of it with ``resume``; ConfigError says what is wrong.

    ``parquet``: whatever it ends in. Of a resumed CSV the last photo is done again, since its rows may be incomplete;
    a broken last JSON line likewise.
    """
    suffix = ".parquet" if parquet else path.suffix.lower()
    if suffix not in SUFFIXES:
        raise ConfigError(f"--out must end in {', '.join(SUFFIXES)}, got {path}")
    if resume and suffix not in SUFFIXES[:2]:
        raise ConfigError(f"--resume needs an --out that grows with the run, {' or '.join(SUFFIXES[:2])}, got {path}")
    check_writable(path.parent)
    if suffix == ".json":
        return JsonDocument(lambda text: write_text(path, text), spec, detector), Kept()
    if suffix == ".parquet":
        return _Parquet(path, spec), Kept()
    if path.exists() and not resume:
        raise ConfigError(f"{path} is there already: --resume goes on with it, else delete it or choose another file")
    kept = _keep(path, spec) if path.exists() else Kept()
    try:
        new = not path.exists() or not path.stat().st_size
        stream = path.open("a", encoding="utf-8", newline="")
    except OSError as error:
        raise OutputError(f"{path}: cannot be written ({error.strerror}); choose another file") from error
    return (CsvLines(stream, spec, head=new) if suffix == ".csv" else _JsonLines(stream, spec)), kept


def _keep(path: Path, spec: ModelSpec) -> Kept:
    """Cut what may be incomplete off the end of the file, and say what is left."""
    try:
        text = path.read_bytes().decode("utf-8", "replace")
        found, kept = (_kept_csv if path.suffix.lower() == ".csv" else _kept_lines)(text, spec)
    except (OSError, ValueError, KeyError, TypeError, csv.Error) as error:
        raise ConfigError(f"{path}: cannot be resumed ({error}); choose another file") from error
    if found != text:
        replace_file(path, lambda p: p.write_bytes(found.encode()))
    return kept


def _kept_csv(text: str, spec: ModelSpec) -> tuple[str, Kept]:
    lines = list(csv.reader(io.StringIO(text, newline="")))
    if not lines:
        return "", Kept()
    heads = csv_columns(spec)
    if lines[0] != heads:
        if len(lines) == 1 and _csv_text([heads]).startswith(text):  # cut in the middle of its head
            return "", Kept()
        raise ValueError("its columns are not those of this model and version")
    last = lines[-1][0] if lines[-1] else ""
    whole = [line for line in lines[1:] if line and line[0] != last]
    told = [dict(zip(heads, line, strict=True)) for line in whole]
    _check_model({row["model"] for row in told}, spec)
    bad = len({row["photo"] for row in told if row["error"]})
    return _csv_text([heads, *whole]), Kept(frozenset(row["photo"] for row in told), bad)


def _kept_lines(text: str, spec: ModelSpec) -> tuple[str, Kept]:
    whole = text[: text.rfind("\n") + 1]
    told = [json.loads(line) for line in whole.splitlines()]
    _check_model({row["model"] for row in told}, spec)
    return whole, Kept(frozenset(row["photo"] for row in told), sum("error" in row for row in told))


def _check_model(names: set[str], spec: ModelSpec) -> None:
    if names - {spec.name}:
        raise ValueError(f"it was written with the model {', '.join(sorted(names))}, not {spec.name}")


def _cell(head: str, row: dict[str, Any]) -> str:
    """Places to a hundredth, chances to a millionth, truth as 1 and 0, and nothing where there is nothing."""
    value = row.get(head)
    if value is None:
        return ""
    return str(int(value)) if isinstance(value, bool) else str(value)


def _csv_text(lines: Sequence[Sequence[str]]) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows(lines)
    return out.getvalue()


def _write(stream: TextIO, text: str) -> None:
    try:
        stream.write(text)
        stream.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OutputError(f"{stream.name}: cannot be written ({error.strerror}); --resume goes on from here") from error
