"""Where the recordings of a study's design are: videos, which are followed first, or tables that there are already.

Leaves out: following faces (``video_folder``), and the study (``study``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from mien.errors import ConfigError
from mien.results.cells import from_cell, printable
from mien.study.delimited import read_sheet

if TYPE_CHECKING:
    from mien.cli.video_run import VideoSettings
    from mien.study.analysis.design import Design

__all__ = ["find_tables", "follow_videos"]

_TABLES = (".csv", ".jsonl", ".parquet")


def find_tables(design: Design, results: Path) -> dict[str, Path | str]:
    """Recording of the design -> its table in a folder of ``mien video``, or why there is none."""
    if not results.is_dir():
        raise ConfigError(f"--results must be a folder that mien video wrote, and {results} is none")
    known = _recordings_csv(results)
    return {name: _find(name, results, known) for name in design.recordings}


def follow_videos(
    design: Design, folder: Path, settings: VideoSettings, jobs: int, *, resume: bool, force: bool
) -> dict[str, Path | str]:
    """Follow the faces of the design's videos, each into its table in ``folder``; the tables as :func:`find_tables`.

    Recordings that are tables already stay as they are. Ctrl-C ends it with code 130, and what was done is kept.
    """
    found: dict[str, Path | str] = {}
    videos: dict[str, str] = {}
    for name in design.recordings:
        path = _beside(design.path, name)
        if path.is_dir():
            found[name] = "is a folder: the design names recordings one by one"
        elif path.suffix.lower() in _TABLES:
            found[name] = path
        else:
            videos[name] = str(path)
    if videos:
        from mien.cli.video_folder import record_all

        try:
            record_all(
                list(videos.values()), folder, settings, (), "csv", jobs, excel=False, resume=resume, force=force
            )
        except typer.Exit as end:
            if end.exit_code not in (0, 1):  # 1: some are damaged or cannot be read, which the study tells
                raise
        by_source = {source: _table(row, folder) for source, row in _recordings_csv(folder).items()}
        found |= {name: by_source.get(printable(path), "was not read") for name, path in videos.items()}
    return found


def _beside(design: Path, name: str) -> Path:
    """A recording is looked for beside the design, then from here."""
    beside = design.parent / name
    return beside if beside.exists() or not Path(name).exists() else Path(name)


def _recordings_csv(folder: Path) -> dict[str, Mapping[str, str]]:
    path = folder / "recordings.csv"
    rows = [row for _, row in read_sheet(path).rows] if path.is_file() else []
    read = [{name: from_cell(cell, str) or "" for name, cell in row.items()} for row in rows]
    return {row["source"]: row for row in read}


def _find(name: str, folder: Path, known: Mapping[str, Mapping[str, str]]) -> Path | str:
    """By its path, then by the name of its file, its results or its table; never one of two."""
    rows = list(known.values())
    ways: Sequence[list[Path | str]] = (
        [_table(row, folder) for row in rows if row["source"] == name],
        [_table(row, folder) for row in rows if Path(row["source"]).name == Path(name).name],
        [_table(row, folder) for row in rows if name in (row["name"], row["table"])],
        [folder / f"{stem}{ending}" for ending in _TABLES for stem in (name, Path(name).stem)],
    )
    for way in ways:
        there = [t for t in dict.fromkeys(way) if isinstance(t, str) or t.is_file()]
        if len(there) > 1:
            return f"two recordings in {folder} could be meant: write its path as recordings.csv has it"
        if there:
            return there[0]
    return f"{folder} has no table of it"


def _table(row: Mapping[str, str], folder: Path) -> Path | str:
    return folder / row["table"] if row.get("table") else row.get("error") or "could not be read"
