"""``mien video``: a video or a camera in; a table, segments, a timeline and a marked video out.

Leaves out: what is kept while it runs (``mien.results.recorder``).
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from mien.cli.options import DETECTOR_SIZE
from mien.cli.screen import stdout
from mien.errors import ConfigError, MissingExtra

if TYPE_CHECKING:
    from mien.results.recorder import VideoRecorder
    from mien.spec import ModelSpec
    from mien.video import TrackedFrame

__all__ = ["video"]

_NAMED = 20  # broken frames that are named one by one
_LISTED = 40  # segments on the screen


def video(
    source: str = typer.Argument(help="A video file or address, or the number of a camera, such as 0."),
    fps: float | None = typer.Option(None, help="Look at so many frames a second at most, by their times."),
    every: int | None = typer.Option(None, min=1, help="Look at every N-th frame."),
    out: Path | None = typer.Option(
        None, help="Table: .csv, .jsonl, .json, .parquet; segments and timeline beside it."
    ),
    save: Path | None = typer.Option(None, help="Write a marked video (.mp4)."),
    show: bool = typer.Option(False, "--show", help="Show it in a window; q ends it."),
    model: str = typer.Option("", help="A shipped model (see `mien info`) or an .onnx file; MODEL:HEAD for one head."),
    detector: str = typer.Option(
        "centerface", help="centerface, yunet (with --detector-model), or none for face crops."
    ),
    detector_model: str = typer.Option("", help="The detector's own ONNX file.", metavar="FILE"),
    detector_size: str = DETECTOR_SIZE,
    look: float = typer.Option(0.2, min=0, help="Seconds between looks at the whole picture; 0: every frame, slower."),
    smooth: float = typer.Option(0.3, min=0, help="Time constant of each face's mean probabilities, s; 0: none."),
    hold: float = typer.Option(0.4, min=0, help="Seconds that a label must last to be a segment."),
    max_gap: float = typer.Option(10.0, min=0.7, help="Seconds without a face after which its track and segment end."),
    threads: int = typer.Option(1, min=1, help="Threads of onnxruntime, besides those that read and search."),
    excel: bool = typer.Option(False, "--excel", help="Begin CSV with the mark by which Excel knows UTF-8."),
    force: bool = typer.Option(False, "--force", help="Write --out and --save anew if they are there already."),
) -> None:
    """Follow the faces of a video and say what they express, and from when to when.

    Rows are written as they come. A video without a face is no error; broken or missing frames are named, what was read
    is kept, and the exit code is 1. Ctrl-C stops: files are whole up to there. docs/columns.md says what is in them.
    """
    _check(source, fps, every, out, save, show, force=force)
    from mien.results.recorder import VideoRecorder, open_video_table
    from mien.runtime import Predictor, make_detector
    from mien.video import VideoWriter, length, track_faces

    given: str | int = int(source) if source.isdecimal() and not Path(source).exists() else source
    whole = length(given)
    finder = make_detector(detector, detector_model or None, size=detector_size, threads=threads)
    predictor = Predictor(model or None, finder, threads)
    seen = track_faces(predictor, given, fps=fps, every=every, smooth=smooth, look=look, max_gap=max_gap)
    stopped = False
    with ExitStack() as files:
        settings = {"fps": fps, "every": every, "look": look, "smooth": smooth, "max_gap": max_gap}
        table = open_video_table(out, predictor, detector, source, settings, excel=excel, force=force) if out else None
        recorder = files.enter_context(VideoRecorder(table, hold, max_gap))
        writer = files.enter_context(VideoWriter(save)) if save else None
        files.callback(seen.close)
        progress = _Progress(whole)
        try:
            _run(seen, recorder, writer, show, progress)
        except KeyboardInterrupt:
            progress.clear()
            stopped = recorder.stopped = not isinstance(given, int)  # a camera has no other end
            typer.echo(f"stopped at {recorder.last:.2f} s; what was read is kept", err=True)
    _draw_timeline(recorder, out, source, predictor.spec)
    _report(recorder, out, save, predictor.spec)
    if stopped:
        raise typer.Exit(130)
    if recorder.broken:
        typer.echo(f"{recorder.missing:,} frames could not be read or are missing", err=True)
        raise typer.Exit(1)


def _check(
    source: str, fps: float | None, every: int | None, out: Path | None, save: Path | None, show: bool, *, force: bool
) -> None:
    """Everything that can be wrong with the flags, before a model is opened or a file made."""
    from mien.errors import need
    from mien.files import check_new
    from mien.results.forms import check_suffix
    from mien.video.frames import sampler
    from mien.video.reader import check_source

    if fps is not None and every is not None:
        raise ConfigError("--fps and --every exclude each other: choose one")
    sampler(fps, every)
    if not source.isdecimal():
        check_source(source)
    for path in (out, save):
        if path is not None:
            if path.exists() and Path(source).exists() and path.samefile(source):
                raise ConfigError(f"{path} is the video itself: choose another name")
            check_new(path, force=force)
    if out is not None:
        check_suffix(out)
        for beside in (f"{out.stem}-segments.csv", f"{out.stem}-timeline.png"):
            check_new(out.with_name(beside), force=force)
    if save is not None:
        if save.suffix.lower() != ".mp4":
            raise ConfigError(f"--save writes .mp4, got {save.name}")
        need("av", "video")
    if show:
        _check_window()


def _check_window() -> None:
    import cv2

    try:
        cv2.namedWindow("mien", cv2.WINDOW_NORMAL)
    except cv2.error as error:
        raise MissingExtra(
            "--show needs an OpenCV with windows, the headless one that mien installs has none: "
            "pip uninstall -y opencv-python-headless && pip install opencv-python (one of the two, they overwrite each "
            "other), on a machine with a screen. `mien serve` shows a webcam in the browser without that"
        ) from error


def _run(
    seen: Iterator[TrackedFrame], recorder: VideoRecorder, writer: object | None, show: bool, progress: _Progress
) -> None:
    from mien.video import VideoWriter
    from mien.visualization.video_overlay import mark

    for one in seen:
        recorder.add(one)
        if one.frame.note:
            progress.clear()
            typer.echo(f"note: {one.frame.note}", err=True)
        if one.photo.error and recorder.broken <= _NAMED:
            progress.clear()
            typer.echo(f"broken: {one.photo.error}", err=True)
        if one.frame.pixels is not None and (show or writer):
            marked = mark(one.frame.pixels, one.photo.faces)
            if isinstance(writer, VideoWriter):
                writer.write(marked, one.frame.time)
            if show and _shown(marked):
                break
        progress(one.frame.time)
    progress.clear()


def _shown(picture: object) -> bool:
    """Show a picture; True where the user wants to end it."""
    import cv2

    cv2.imshow("mien", picture)
    return (cv2.waitKey(1) & 0xFF) in (ord("q"), 27)


@dataclass
class _Progress:
    """The position on stderr, twice a second, where that is a terminal."""

    whole: float | None
    frames: int = 0
    started: float = field(default_factory=time.monotonic)
    last: float = 0.0

    def __call__(self, position: float) -> None:
        self.frames += 1
        now = time.monotonic()
        if now - self.last < 0.5 or not sys.stderr.isatty():
            return
        self.last = now
        of = "" if self.whole is None else f" of {self.whole:,.1f}"
        rate = self.frames / max(1e-6, now - self.started)
        sys.stderr.write(f"\r\x1b[K{position:,.1f}{of} s   {rate:.0f} frames/s")
        sys.stderr.flush()

    def clear(self) -> None:
        """Wipe the line."""
        if self.last:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()


def _draw_timeline(recorder: VideoRecorder, out: Path | None, source: str, spec: ModelSpec) -> None:
    if out is None:
        return
    from mien.runtime import accuracy_line

    path = out.with_name(f"{out.stem}-timeline.png")
    try:
        if recorder.timeline.draw(path, f"{Path(source).name}   |   {accuracy_line(spec)}", recorder.last):
            typer.echo(f"timeline: {path}", err=True)
    except MissingExtra as missing:
        typer.echo(f"no timeline was drawn: {missing}", err=True)


def _report(recorder: VideoRecorder, out: Path | None, save: Path | None, spec: ModelSpec) -> None:
    from rich.markup import escape
    from rich.table import Table

    from mien.labels import colour
    from mien.runtime import accuracy_line

    console = stdout()
    share = f" ({recorder.without / recorder.frames:.1%})" if recorder.frames else ""
    console.print(f"frames             {recorder.frames:,}   from {recorder.first or 0:.2f} to {recorder.last:.2f} s")
    console.print(f"faces              {recorder.faces:,}   in {recorder.tracks:,} tracks")
    console.print(f"without a face     {recorder.without:,} frames{share}")
    console.print(f"with unusable ones {recorder.unusable:,} frames")
    if recorder.broken:
        console.print(f"broken or missing  {recorder.missing:,} frames")
    console.print(f"segments           {recorder.count:,}")
    if recorder.segments:
        table = Table("track", "label", "start s", "end s", "mean probability", "frames", box=None, pad_edge=False)
        for e in recorder.segments[:_LISTED]:
            name = f"[{colour(e.label)}]{escape(e.label)}[/]"
            table.add_row(str(e.track), name, f"{e.start:.2f}", f"{e.end:.2f}", f"{e.probability:.1%}", f"{e.frames:,}")
        console.print(table)
    if recorder.count > _LISTED:
        where = f"; {recorder.segment_path} has all" if recorder.segment_path else "; --out FILE keeps all"
        console.print(escape(f"... and {recorder.count - _LISTED:,} more segments{where}"))
    for what, path in (("table", out), ("segments", recorder.segment_path), ("video", save)):
        if path is not None:
            typer.echo(f"{what}: {path}", err=True)
    console.print(f"[dim]{escape(accuracy_line(spec))}[/]", soft_wrap=True, highlight=False)
