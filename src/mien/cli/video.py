"""``mien video``: videos or a camera in; tables, segments, timelines, marked videos and files for coders out.

Leaves out: the run of one recording (``video_run``), of many (``video_folder``), and what is kept (``mien.results``).
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from mien.cli.options import DETECTOR, DETECTOR_FILE, DETECTOR_SIZE, DEVICE, DRAW_OLD, MODEL, renamed
from mien.cli.video_baseline import BASELINE, check_baseline, rest_notes
from mien.errors import ConfigError, MissingExtra
from mien.wording import counted

if TYPE_CHECKING:
    from mien.cli.video_run import Files, VideoSettings

__all__ = ["video"]


def video(
    sources: list[str] = typer.Argument(
        help="Video files or addresses, folders (searched through), or the number of a camera, such as 0."
    ),
    fps: float | None = typer.Option(None, help="Look at so many frames a second at most, by their times."),
    every: int | None = typer.Option(None, min=1, help="Look at every N-th frame."),
    out: Path | None = typer.Option(
        None,
        help="Table: .csv, .jsonl, .json, .parquet; or .eaf, .TextGrid, .boris, _events.tsv, .vtt, .sav for the "
        "segments; or a folder for all of several videos.",
    ),
    also: list[str] = typer.Option(
        [], help="Write the segments beside --out as well: eaf, TextGrid, boris, events.tsv, vtt, sav.", metavar="KIND"
    ),
    table: str = typer.Option("csv", "--format", help="Of the tables of several videos: csv, jsonl, parquet."),
    jobs: int = typer.Option(1, min=1, help="Of several videos, so many at a time, in a process each."),
    resume: bool = typer.Option(False, "--resume", help="Keep the videos that the folder --out holds already."),
    draw: str = typer.Option("", help="Write the video with its faces marked, an .mp4.", metavar="FILE"),
    save: str = DRAW_OLD,
    show: bool = typer.Option(False, "--show", help="Show it in a window; q ends it."),
    model: str = MODEL,
    detector: str = DETECTOR,
    detector_model: str = DETECTOR_FILE,
    detector_size: str = DETECTOR_SIZE,
    device: str = DEVICE,
    look: float = typer.Option(0.2, min=0, help="Seconds between looks at the whole picture; 0: every frame, slower."),
    smooth: float = typer.Option(0.3, min=0, help="Time constant of each face's mean probabilities, s; 0: none."),
    hold: float = typer.Option(0.4, min=0, help="Seconds that a label must last to be a segment."),
    max_gap: float = typer.Option(10.0, min=0.7, help="Seconds without a face after which its track and segment end."),
    baseline: str = BASELINE,
    markers: Path | None = typer.Option(
        None, help="CSV of what happened when (time, marker), joined to the table by time.", metavar="FILE"
    ),
    lsl: bool = typer.Option(False, "--lsl", help="Send labels and probabilities as Lab Streaming Layer streams."),
    threads: int = typer.Option(1, min=1, help="Threads of onnxruntime, besides those that read and search."),
    excel: bool = typer.Option(False, "--excel", help="Begin CSV with the mark by which Excel knows UTF-8."),
    force: bool = typer.Option(False, "--force", help="Write --out and --draw anew if they are there already."),
) -> None:
    """Follow the faces of videos and say what they express, and from when to when.

    Rows are written as they come. A video without a face is no error; broken or missing frames are named, what was read
    is kept, and the exit code is 1. Ctrl-C stops: files are whole up to there. Of several videos each has its tables in
    the folder --out, and all.csv, all-segments.csv and recordings.csv have all; one that cannot be read is a row, and
    the others go on. docs/columns.md says what is in them, docs/video.md how segments come about.
    """
    from mien.cli.video_check import check_sampling, endings_of
    from mien.cli.video_run import Files, VideoSettings

    draw = renamed("--save", "--draw", save, draw)
    check_sampling(fps, every)
    endings = endings_of(also)
    networks = (model, detector, detector_model, detector_size, threads)
    settings = VideoSettings(*networks, fps, every, look, smooth, hold, max_gap, baseline, device)
    if len(sources) > 1 or Path(sources[0]).is_dir() or (out is not None and _is_folder(out)):
        check_baseline(baseline, out)
        for option, given in (("draw", draw), ("show", show), ("markers", markers), ("lsl", lsl)):
            if given:
                raise ConfigError(f"--{option} is for one video, got several, or a folder: run each by itself")
        from mien.cli.video_folder import record_all

        record_all(sources, out, settings, endings, table, jobs, excel=excel, resume=resume, force=force)
        return
    if resume or jobs > 1:
        raise ConfigError(f"--{'resume' if resume else 'jobs'} is for several videos, with a folder as --out")
    files = Files(out, (), Path(draw) if draw else None, excel, force, markers)
    _single(sources[0], settings, files, endings, show=show, lsl=lsl)


def _is_folder(out: Path) -> bool:
    return out.is_dir() or (not out.suffix and not out.is_file())


def _single(
    source: str,
    settings: VideoSettings,
    asked: Files,
    endings: tuple[str, ...],
    *,
    show: bool,
    lsl: bool,
) -> None:
    """One video or camera, whose sums and segments are printed; ``asked.table`` is what ``--out`` names."""
    from mien.cli.video_check import check_markers, check_single, check_window
    from mien.cli.video_run import Progress, record
    from mien.cli.video_view import draw_timeline, report
    from mien.study.exports import export_ending
    from mien.video import length

    out, draw = asked.table, asked.video
    if endings and out is None:
        raise ConfigError("--also needs --out FILE, beside which it writes")
    table = None if out is None or export_ending(out) else out
    exports = () if out is None else _exports(out, endings)
    check_baseline(settings.baseline, table)
    check_single(source, table, exports, draw, force=asked.force)
    check_markers(source, asked.markers, table)
    if show:
        check_window()
    given: str | int = int(source) if source.isdecimal() and not Path(source).exists() else source
    progress = Progress(length(given))

    def tell(line: str) -> None:
        progress.clear()
        typer.echo(line, err=True)

    predictor = settings.predictor()
    files = replace(asked, table=table, exports=exports)
    shown = _shown if show else None
    recorder = record(predictor, settings, given, files, tell=tell, progress=progress, show=shown, lsl=lsl)
    progress.clear()
    timeline = None
    try:
        timeline = draw_timeline(recorder, table, source, predictor.spec) if table else None
    except MissingExtra as missing:
        tell(f"no timeline was drawn: {missing}")
    written = [("timeline", timeline), ("table", table), ("segments", recorder.segment_path), ("video", draw)]
    report(recorder, written + [("coded", path) for path in exports], predictor.spec)
    for note in rest_notes(recorder.rests):
        typer.echo(note, err=True)
    if recorder.stopped:
        raise typer.Exit(130)
    if recorder.broken:
        typer.echo(f"{counted(recorder.missing, 'frame')} missing or unreadable", err=True)
        raise typer.Exit(1)


def _exports(out: Path, endings: tuple[str, ...]) -> tuple[Path, ...]:
    """``--out`` where it is one itself, and those that ``--also`` wants beside it, each once."""
    from mien.study.exports import export_ending

    own = export_ending(out)
    stem = out.name[: -len(own)] if own else out.stem
    beside = [out.with_name(stem + ending) for ending in endings if ending != own]
    return tuple([out, *beside] if own else beside)


def _shown(picture: object) -> bool:
    """Show a picture; True where the user wants to end it."""
    import cv2

    cv2.imshow("mien", picture)
    return (cv2.waitKey(1) & 0xFF) in (ord("q"), 27)
