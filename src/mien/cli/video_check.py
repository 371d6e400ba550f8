"""Everything that can be wrong with the flags of ``mien video``, before a model is opened or a file made.

Leaves out: what is wrong with a video (``mien.video.reader``).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mien.errors import ConfigError, MissingExtra, need
from mien.files import check_new
from mien.results.forms import SUFFIXES, check_suffix
from mien.study.exports import EXPORTS, beside_export, check_export, export_ending, export_name
from mien.study.markers import read_markers
from mien.video.frames import sampler
from mien.video.reader import check_source

__all__ = ["check_markers", "check_sampling", "check_single", "check_window", "endings_of"]


def endings_of(also: Sequence[str]) -> tuple[str, ...]:
    """The endings that ``--also`` names, each once; ConfigError, or MissingExtra without their library."""
    endings = tuple(dict.fromkeys(export_name(word) for given in also for word in given.split(",")))
    for ending in endings:
        check_export(ending)
    return endings


def check_sampling(fps: float | None, every: int | None) -> None:
    """ConfigError for flags that choose no frames."""
    if fps is not None and every is not None:
        raise ConfigError("--fps and --every exclude each other: choose one")
    sampler(fps, every)


def check_single(source: str, table: Path | None, exports: Sequence[Path], draw: Path | None, *, force: bool) -> None:
    """The files of one video: of kinds that can be written, none there already, none the video itself."""
    if not source.isdecimal():
        check_source(source)
    beside: list[Path] = []
    if table is not None:
        if table.suffix.lower() not in SUFFIXES:
            raise ConfigError(f"--out must end in {', '.join((*SUFFIXES, *EXPORTS))}, got {table}")
        check_suffix(table)
        beside += [
            table.with_name(f"{table.stem}-{name}")
            for name in ("segments.csv", "relative-segments.csv", "timeline.png")
        ]
    for path in exports:
        check_export(export_ending(path))
        beside.append(beside_export(path))
    for path in filter(None, (table, *exports, draw, *beside)):
        if path.exists() and Path(source).exists() and path.samefile(source):
            raise ConfigError(f"{path} is the video itself: choose another name")
        check_new(path, force=force)
    if draw is not None:
        if draw.suffix.lower() != ".mp4":
            raise ConfigError(f"--draw writes .mp4, got {draw.name}")
        need("av", "video")


def check_markers(source: str, markers: Path | None, table: Path | None) -> None:
    """``--markers`` belongs to a film with a table; what is wrong in its file is known before anything is made."""
    if markers is None:
        return
    if table is None:
        raise ConfigError("--markers adds a column to a table: name it with --out")
    if source.isdecimal() and not Path(source).exists():
        raise ConfigError("--markers belongs to a film: what happens before a camera is known afterwards only")
    read_markers(markers)


def check_window() -> None:
    """MissingExtra where OpenCV can open no window."""
    import cv2

    try:
        cv2.namedWindow("mien", cv2.WINDOW_NORMAL)
    except cv2.error as error:
        raise MissingExtra(
            "--show needs an OpenCV with windows, the headless one that mien installs has none: "
            "pip uninstall -y opencv-python-headless && pip install opencv-python (one of the two, they overwrite each "
            "other), on a machine with a screen. `mien serve` shows a webcam in the browser without that"
        ) from error
