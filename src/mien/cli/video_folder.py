"""Many recordings of ``mien video``: each into tables of its own in a folder, then all into one.

One that cannot be read is a row and the others go on, whatever befalls it: with ``--jobs`` each runs in a process, and
where one of these dies the recordings that it took along are done again, each alone.
Leaves out: one recording (``video_run``), which are meant (``video_paths``), tables of all (``results.recordings``).
"""

from __future__ import annotations

import multiprocessing
import signal
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import typer

from mien.cli.given_files import GivenFiles
from mien.cli.video_baseline import rest_notes
from mien.cli.video_paths import find_videos, result_names
from mien.cli.video_run import Files, VideoSettings, record
from mien.errors import ConfigError, MienError, MissingExtra
from mien.files import check_new, check_writable
from mien.results.cells import one_line
from mien.results.forms import check_suffix
from mien.results.provenance import Provenance
from mien.results.recorder import about_video
from mien.results.recordings import Recording, kept_counts, write_all
from mien.runtime import Predictor
from mien.study.spss import join_savs
from mien.wording import counted

__all__ = ["record_all"]

_FORMATS = ("csv", "jsonl", "parquet")


@dataclass(frozen=True)
class _Task:
    """One recording, as a process is told of it."""

    path: str
    source: str
    name: str
    settings: VideoSettings
    files: Files


def record_all(
    given: Sequence[str],
    out: Path | None,
    settings: VideoSettings,
    endings: tuple[str, ...],
    table: str,
    jobs: int,
    *,
    excel: bool,
    resume: bool,
    force: bool,
) -> None:
    """All recordings into the folder ``out``; exit code 1 where one is damaged or unreadable, 130 after Ctrl-C."""
    folder, suffix = _check(out, table, excel=excel, resume=resume, force=force)
    found = find_videos(given)
    check_writable(folder)
    names = result_names(found.names)
    provenance = settings.provenance(_predictor(settings))
    tasks = [
        _Task(path, source, names[source], settings, _files(folder, names[source], suffix, endings, excel))
        for source, path in found.names.items()
    ]
    for path in [folder / f"all{suffix}", *(task.files.table for task in tasks)] if not (resume or force) else ():
        assert path is not None
        check_new(path, remedy="--resume goes on with the folder, --force writes it anew")
    done = {task.source: kept for task in tasks if resume and (kept := _kept(task, provenance))}
    bad = {task.source: _bad(task, why) for task in tasks if (why := found.errors.get(found.names[task.source]))}
    left = [task for task in tasks if task.source not in done and task.source not in bad]
    results, stopped = done | bad, False
    for recording in bad.values():
        _tell(recording, 0, 0)
    try:
        for number, recording in enumerate(_run(left, jobs), start=1):
            results[recording.source] = recording
            _tell(recording, number, len(left))
    except KeyboardInterrupt:
        stopped = True
    _finish(folder, suffix, tasks, results, found, provenance, excel=excel, stopped=stopped)


def _check(out: Path | None, table: str, *, excel: bool, resume: bool, force: bool) -> tuple[Path, str]:
    """The folder of the results and the ending of their tables."""
    if out is None:
        raise ConfigError("several videos need --out FOLDER, for their tables")
    if out.suffix and not out.is_dir():
        raise ConfigError(f"several videos need a folder as --out, got {out}; make it first where its name has a dot")
    if resume and force:
        raise ConfigError("--resume and --force exclude each other: go on with the folder, or write it anew")
    if table.lower().lstrip(".") not in _FORMATS:
        raise ConfigError(f"--format must be one of {', '.join(_FORMATS)}, got {table!r}")
    suffix = check_suffix(out / f"all.{table.lower().lstrip('.')}")
    if excel and suffix != ".csv":
        raise ConfigError("--excel is for CSV: leave it out, or give --format csv")
    return out, suffix


def _files(folder: Path, name: str, suffix: str, endings: tuple[str, ...], excel: bool) -> Files:
    exports = tuple(folder / f"{name}{ending}" for ending in endings)
    return Files(folder / f"{name}{suffix}", exports, None, excel, force=True)


def _kept(task: _Task, provenance: Provenance) -> Recording | None:
    """What an earlier run has written of a recording, None where something of it is missing."""
    table = task.files.table
    assert table is not None
    counts = kept_counts(table, provenance, about_video(task.path))
    relative = [table.with_name(f"{table.stem}-relative-segments.csv")] if task.settings.baseline else []
    beside = (table.with_name(f"{table.stem}-segments.csv"), *relative, *task.files.exports)
    if counts is None or not all(path.exists() for path in beside):
        return None
    return _of_counts(task, counts, kept=True)


def _of_counts(task: _Task, counts: Any, *, kept: bool = False, notes: Sequence[str] = ()) -> Recording:
    missing = counts.get("missing", 0)
    why = f"{counted(missing, 'frame')} missing or unreadable" if missing else ""
    return Recording(task.source, task.name, "damaged" if missing else "done", why, counts, kept, notes)


def _bad(task: _Task, why: str) -> Recording:
    return Recording(task.source, task.name, "unreadable", one_line(why))


def _run(tasks: Sequence[_Task], jobs: int) -> Iterator[Recording]:
    """The recordings as they are done; KeyboardInterrupt ends them all."""
    if jobs == 1 or len(tasks) < 2:
        for task in tasks:
            recording = _one(task)
            yield recording
            if recording.outcome == "stopped":
                raise KeyboardInterrupt
        return
    lost = list[_Task]()
    yield from _in_processes(tasks, min(jobs, len(tasks)), lost)
    for task in lost:  # one of them has killed its process: each alone, so that the others go on
        again = list[_Task]()
        yield from _in_processes([task], 1, again)
        yield from (
            _bad(t, "the process that read it has died; the file may be damaged, or memory short") for t in again
        )


def _in_processes(tasks: Sequence[_Task], jobs: int, lost: list[_Task]) -> Iterator[Recording]:
    """The recordings in processes of their own; those whose process died go into ``lost``."""
    context = multiprocessing.get_context("spawn")
    stop = context.Event()
    with ProcessPoolExecutor(jobs, context, _begin, (stop,)) as pool:
        waiting: dict[Future[Recording], _Task] = {pool.submit(_one, task): task for task in tasks}
        try:
            for future in as_completed(waiting):
                try:
                    yield future.result()
                except BrokenProcessPool:
                    lost.append(waiting[future])
        except BaseException:  # Ctrl-C, here or in who takes the recordings
            stop.set()
            pool.shutdown(cancel_futures=True)
            raise


_STOP: list[Any] = []  # the event by which a process knows that Ctrl-C was pressed


def _begin(stop: Any) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent says when, so that files are whole
    _STOP.append(stop)


def _progress(_: float) -> None:
    if _STOP and _STOP[0].is_set():
        raise KeyboardInterrupt


@lru_cache(maxsize=1)
def _predictor(settings: VideoSettings) -> Predictor:
    return settings.predictor()


def _one(task: _Task) -> Recording:
    """Do one recording, whatever befalls it."""
    notes = list[str]()
    predictor = _predictor(task.settings)
    try:
        recorder = record(predictor, task.settings, task.path, task.files, tell=notes.append, progress=_progress)
    except MienError as error:
        return _bad(task, str(error).removeprefix(f"{task.path}: "))
    except Exception as error:  # a fault of a decoder, or of mien: the others go on, and it is named
        return _bad(task, f"{type(error).__name__}: {error}")
    if recorder.stopped:
        return Recording(task.source, task.name, "stopped", "stopped before its end", recorder.counts(), notes=notes)
    notes += [*rest_notes(recorder.rests), *_timeline(task, recorder, predictor)]
    return _of_counts(task, recorder.counts(), notes=notes)


def _timeline(task: _Task, recorder: Any, predictor: Predictor) -> list[str]:
    from mien.cli.video_view import draw_timeline

    assert task.files.table is not None
    try:
        draw_timeline(recorder, task.files.table, task.source, predictor.spec)
    except MissingExtra as missing:
        return [f"no timeline was drawn: {missing}"]
    return []


def _tell(recording: Recording, number: int, of: int) -> None:
    """A line on stderr, and what was noted."""
    place = f"[{number}/{of}] " if of else ""
    counts = recording.counts
    words = f"{counted(counts['frames'], 'frame')}, {counted(counts['segments'], 'segment')}" if counts else ""
    told = "; ".join(filter(None, (words, recording.error)))
    typer.echo(one_line(f"{place}{recording.outcome}: {recording.source}: {told}"), err=True)
    for note in recording.notes:
        typer.echo(one_line(f"    {note}"), err=True)


def _finish(
    folder: Path,
    suffix: str,
    tasks: Sequence[_Task],
    results: dict[str, Recording],
    found: GivenFiles,
    provenance: Provenance,
    *,
    excel: bool,
    stopped: bool,
) -> None:
    """Write the tables of all and say how it went."""
    waiting = "stopped before its end"
    every = [results.get(t.source) or Recording(t.source, t.name, "stopped", waiting) for t in tasks]
    paths = write_all(folder, suffix, every, provenance, excel=excel, complete=not stopped)
    paths += _all_sav(folder, tasks, {r.source for r in every if r.has_table})
    if found.passed:
        typer.echo(str(found.passed), err=True)
    if kept := sum(r.kept for r in every):
        typer.echo(f"kept: {counted(kept, 'recording')} of an earlier run", err=True)
    for path in paths:
        typer.echo(f"written: {path}", err=True)
    sums = ", ".join(f"{n:,} {o}" for o in ("done", "damaged", "unreadable", "stopped") if (n := _count(every, o)))
    sys.stdout.write(f"recordings         {len(every):,}   {sums}\n")
    if stopped:
        typer.echo("stopped; what was done is kept, --resume goes on with it", err=True)
        raise typer.Exit(130)
    if bad := len(every) - _count(every, "done"):
        typer.echo(f"damaged or unreadable: {bad:,} of {counted(len(every), 'recording')}", err=True)
        raise typer.Exit(1)


def _all_sav(folder: Path, tasks: Sequence[_Task], whole: set[str]) -> list[Path]:
    """Where each recording has a .sav, one of them all: ``all.sav``."""
    parts = [p for task in tasks if task.source in whole for p in task.files.exports if p.suffix == ".sav"]
    if not parts:
        return []
    join_savs(folder / "all.sav", parts)
    return [folder / "all.sav"]


def _count(recordings: Sequence[Recording], outcome: str) -> int:
    return sum(r.outcome == outcome for r in recordings)
