"""Coded recordings into the files of other programs, by the file's ending.

Leaves out: how each looks (a module each), and what is coded (``spans``).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from mien.errors import ConfigError, need
from mien.files import replace_file
from mien.results.provenance import sidecar, write_sidecar
from mien.study.bids import events_json, write_events
from mien.study.boris import write_boris
from mien.study.elan import write_eaf
from mien.study.praat import write_textgrid
from mien.study.spans import CodedRecording
from mien.study.spss import write_sav
from mien.study.subtitles import write_vtt

__all__ = ["EXPORTS", "beside_export", "check_export", "export_ending", "export_name", "write_export"]

_WRITERS: dict[str, Callable[[Path, CodedRecording], None]] = {
    ".eaf": write_eaf,
    ".TextGrid": write_textgrid,
    ".boris": write_boris,
    "_events.tsv": write_events,
    ".vtt": write_vtt,
    ".sav": write_sav,
}
_MODULES = {".eaf": ("pympi",), ".sav": ("pandas", "pyreadstat")}

#: Endings of the files that can be written, as their programs spell them.
EXPORTS = tuple(_WRITERS)


def export_ending(path: Path) -> str:
    """The one of :data:`EXPORTS` that a file's name ends in, in any case; "" for none."""
    return next((ending for ending in EXPORTS if path.name.lower().endswith(ending.lower())), "")


def export_name(word: str) -> str:
    """``eaf``, ``.eaf`` or ``textgrid`` -> its ending; ConfigError for an unknown one."""
    found = {ending.lower().lstrip("._"): ending for ending in EXPORTS} | {"events": "_events.tsv"}
    ending = found.get(word.lower().lstrip("._"))
    if ending is None:
        raise ConfigError(f"--also must be one of {', '.join(e.lstrip('._') for e in EXPORTS)}, got {word!r}")
    return ending


def check_export(ending: str) -> None:
    """MissingExtra where the library for files of an ending is not there."""
    for module in _MODULES.get(ending, ()):
        need(module, "study")


def beside_export(path: Path) -> Path:
    """The file that is written beside an export and says where it comes from."""
    return path.with_suffix(".json") if export_ending(path) == "_events.tsv" else sidecar(path)


def write_export(path: Path, coded: CodedRecording) -> None:
    """Write ``path`` whole or not at all, and its metadata beside it."""
    ending = export_ending(path)
    replace_file(path, lambda p: _WRITERS[ending](p, coded))
    if ending == "_events.tsv":
        events_json(path, coded)
    else:
        write_sidecar(path, {**coded.metadata, "video": {"source": coded.source}})
