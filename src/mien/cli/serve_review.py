"""``mien serve --video``: finds the table of the film, or makes it, and opens the review.

Leaves out: the review itself (``mien.study.review``), the server (``serve``).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from mien.errors import ConfigError, DataError

if TYPE_CHECKING:
    from mien.runtime import Predictor
    from mien.study import Review

__all__ = ["check_review", "open_review"]


def check_review(video: Path | None, results: Path | None) -> None:
    """What can be wrong with the options before a model is opened."""
    if video is None:
        if results is not None:
            raise ConfigError("--results belongs to --video: name the film as well")
        return
    for option, path in (("video", video), ("results", results)):
        if path is not None and not path.is_file():
            raise ConfigError(f"--{option} must be a file, got {path}")


def open_review(video: Path, results: Path | None, predictor: Predictor, detector: str, detector_size: str) -> Review:
    """The review of ``video`` with the table ``results``; None takes the one beside the film, or makes it there."""
    from mien.study import Review

    table = results or _beside(video)
    if table is None:
        table = video.with_suffix(".csv")
        if table.exists():
            raise ConfigError(
                f"{table} is no whole table of this film: name its table with --results, or move {table.name} away"
            )
        _record(video, table, predictor, detector, detector_size)
    review = Review(video, table)
    for note in review.journal.notes:
        typer.echo(f"note: {note}", err=True)
    typer.echo(f"table: {table}", err=True)
    typer.echo(f"corrections: {review.journal.path} ({len(review.journal.history.entries):,} so far)", err=True)
    return review


def _beside(video: Path) -> Path | None:
    """The table of ``mien video`` that lies beside the film, is of it, and is whole."""
    from mien.files import sha256_of
    from mien.results.frame_tables import open_frames

    for suffix in (".csv", ".jsonl", ".parquet"):
        path = video.with_suffix(suffix)
        try:
            about = open_frames(path).metadata
        except DataError:
            continue
        if about.get("complete") and (about.get("video") or {}).get("sha256") == sha256_of(video):
            return path
    return None


def _record(video: Path, table: Path, predictor: Predictor, detector: str, detector_size: str) -> None:
    from mien.cli.video_run import Files, Progress, VideoSettings, record
    from mien.video import LOOK, RULES, SMOOTH, length

    typer.echo(f"{video.name} has no table yet: following its faces first, into {table}", err=True)
    settings = VideoSettings("", detector, "", detector_size, 1, None, None, LOOK, SMOOTH, 0.4, RULES.max_gap)
    progress = Progress(length(video))

    def tell(line: str) -> None:
        progress.clear()
        typer.echo(line, err=True)

    recorder = record(predictor, settings, str(video), Files(table), tell=tell, progress=progress)
    progress.clear()
    if recorder.stopped:
        raise KeyboardInterrupt
