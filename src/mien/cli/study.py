"""``mien study``: a design and its recordings in; tables, figures, a page and a methods paragraph out.

Leaves out: all arithmetic (``mien.study.analysis``), and where recordings are (``study_recordings``).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import typer
from rich.markup import escape

from mien.cli.options import DETECTOR, DETECTOR_FILE, DETECTOR_SIZE, MODEL
from mien.cli.screen import stdout
from mien.errors import ConfigError

if TYPE_CHECKING:
    from rich.table import Table

    from mien.study.analysis.analysis import Study
    from mien.study.analysis.design import Design

__all__ = ["study"]

_NAMED = 20  # problems and exclusions on the screen


def study(
    design: Path = typer.Argument(
        help="CSV or TSV with the columns recording, participant, condition, and perhaps stimulus, start, end, track, "
        "baseline."
    ),
    out: Path = typer.Option(..., help="Folder for the page, tables/, figures/, and recordings/ of videos."),
    results: Path | None = typer.Option(
        None, help="Folder that mien video wrote; then no video is read.", metavar="FOLDER"
    ),
    measure: list[str] = typer.Option(
        ["share"],
        help="What is tested, more than once for several: share, mean_probability, segments_per_minute, latency, "
        "mean_length.",
    ),
    test: str = typer.Option("permutation", help="permutation (within or between participants), or mixed (model)."),
    alpha: float = typer.Option(
        0.05, help="A difference is called real where its p, corrected by Holm, is at most so."
    ),
    baseline: str = typer.Option(
        "", help="median: each participant's rest is the median of all their frames. Rows of the design can be rests."
    ),
    scores: str = typer.Option("", help="plain, or relative to the participant at rest; relative where rest is known."),
    bin_: float = typer.Option(0.5, "--bin", help="Seconds of a bin of the curves."),
    max_missing: float = typer.Option(0.5, help="Leave a stretch out where a larger share of it is missing."),
    max_unsure: float = typer.Option(1.0, help="Leave it out where a larger share of its measured time is unsure."),
    min_seconds: float = typer.Option(1.0, help="Leave it out where less was measured."),
    max_lost: float = typer.Option(0.5, help="Leave a participant out who lost a larger share of their stretches."),
    model: str = MODEL,
    detector: str = DETECTOR,
    detector_model: str = DETECTOR_FILE,
    detector_size: str = DETECTOR_SIZE,
    fps: float | None = typer.Option(None, help="Look at so many frames a second at most."),
    jobs: int = typer.Option(1, min=1, help="So many videos at a time, in a process each."),
    seed: int = typer.Option(0, min=0, help="Seed of the permutations."),
    excel: bool = typer.Option(False, "--excel", help="Begin CSV with the mark by which Excel knows UTF-8."),
    resume: bool = typer.Option(False, "--resume", help="Keep the videos that are done, and write the rest anew."),
    force: bool = typer.Option(False, "--force", help="Do all anew."),
) -> None:
    """From a design and its recordings to tables, tests, figures, one page and a methods paragraph.

    Videos are followed as by `mien video`, which has more options: run it first, and give its folder as --results. Rows
    and recordings that cannot be used are named, and the exit code is 1; what the rules leave out is listed. Nothing is
    averaged over missing time. docs/study.md walks through a study.
    """
    from mien.cli.video_run import VideoSettings
    from mien.study.analysis.analysis import Options, analyse, read_recordings_of
    from mien.study.analysis.design import read_design
    from mien.study.analysis.exclusions import Limits
    from mien.video import LOOK, RULES, SMOOTH

    if baseline not in ("", "median"):
        raise ConfigError(
            f"--baseline of a study must be median, got {baseline!r}: for stretches at rest write rows with yes in the "
            "design's column baseline"
        )
    limits = Limits(max_missing, max_unsure, min_seconds, max_lost)
    measures = tuple(dict.fromkeys(measure))
    options = Options(scores, baseline == "median", measures, test, alpha, bin_, limits, seed=seed)
    plan = read_design(design)
    _check(out, test, resume=resume, force=force)
    if results is not None:
        from mien.cli.study_recordings import find_tables

        tables = find_tables(plan, results)
    else:
        from mien.cli.study_recordings import follow_videos

        settings = VideoSettings(
            model, detector, detector_model, detector_size, 1, fps, None, LOOK, SMOOTH, 0.4, RULES.max_gap
        )
        tables = follow_videos(plan, out / "recordings", settings, jobs, resume=resume, force=force)
    recorded, problems = read_recordings_of(plan, tables)
    found = analyse(plan, recorded, options, problems)
    _write(out, plan, found, excel=excel)
    _show(found, out)
    if found.problems:
        raise typer.Exit(1)


def _check(out: Path, test: str, *, resume: bool, force: bool) -> None:
    """What must be right before an hour of videos is read."""
    from mien.errors import need
    from mien.files import check_new, check_writable

    for module in ("matplotlib", "jinja2", "scipy", "pandas", "pyreadstat", "pyarrow"):
        need(module, "study")
    if test == "mixed":
        need("statsmodels", "study")
    if resume and force:
        raise ConfigError("--resume and --force exclude each other: keep the videos that are done, or do all anew")
    if out.suffix and not out.is_dir():
        raise ConfigError(f"--out must be a folder, got {out}; make it first where its name has a dot")
    check_writable(out)
    remedy = "--resume keeps the recordings and writes the rest anew, --force does all anew"
    check_new(out / "study.html", force=resume or force, remedy=remedy)


def _write(out: Path, plan: Design, found: Study, *, excel: bool) -> None:
    from mien.files import write_text
    from mien.study.analysis.figures import draw_figures
    from mien.study.analysis.methods import methods
    from mien.study.analysis.page import write_study_page
    from mien.study.analysis.tables import about, tables_of, write_tables

    facts = about(found)
    write_tables(out / "tables", tables_of(found), facts, excel=excel)
    figures = draw_figures(found, out / "figures")
    write_text(out / "methods.txt", methods(found) + "\n")
    write_text(out / "study.json", json.dumps(facts, indent=1, ensure_ascii=False) + "\n")
    write_study_page(out / "study.html", found, figures, plan.path.stem)


def _show(found: Study, out: Path) -> None:
    """The differences on stdout; what could not be used or was left out on stderr."""
    from mien.results.cells import one_line
    from mien.study.analysis.methods import findings, notes

    for problem in found.problems[:_NAMED]:
        typer.echo(one_line(f"not used: {problem}"), err=True)
    if len(found.problems) > _NAMED:
        typer.echo(f"not used: {len(found.problems) - _NAMED:,} more; the page names all", err=True)
    by_rule = [e for e in found.exclusions if e.level in ("stretch", "participant")]
    if by_rule:
        typer.echo(f"left out by rule: {len(by_rule):,}, listed in tables/exclusions.csv", err=True)
    console = stdout()
    if found.comparisons:
        console.print(_table(found))
    for line in (*findings(found), *(f"note: {n}" for n in notes(found))):
        console.print(escape(line), highlight=False, soft_wrap=True)
    for name in ("study.html", "methods.txt", "study.json", "tables", "figures"):
        typer.echo(f"written: {out / name}", err=True)


def _table(found: Study) -> Table:
    from rich.table import Table

    from mien.study.analysis.page import comparison_cells

    heads, rows = comparison_cells(found)
    table = Table(*heads, box=None, pad_edge=False)
    for row in rows:
        table.add_row(*map(escape, row), style="bold" if row[-1] == "real" else "")
    return table
