"""Which files belong together: tables of ``mien video`` and the coders' files of the same recordings, by their names.

Leaves out: reading either (``frames``, ``annotations``).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from mien.errors import ConfigError, DataError
from mien.study.annotations import Annotation, Coding, Problem, read_coding
from mien.study.coders import codes_at, named, parse_map
from mien.study.comparison import MIEN, Recording
from mien.study.frames import Frames, is_table, read_frames
from mien.wording import counted

__all__ = ["read_recordings"]


def read_recordings(
    files: Sequence[Path],
    *,
    tiers: Sequence[str] = (),
    mapping: str = "",
    uncoded: str = "",
    tracks: Collection[int] = (),
    column: str = "label",
) -> tuple[list[Recording], tuple[str, ...], list[Problem]]:
    """The recordings with all their coders, the model's labels, and everything that could not be used.

    files    tables and coders' files in any order. One table takes all coders' files; of several each takes those
             whose names begin with its own: ``talk.csv`` takes ``talk.eaf`` and ``talk-anna.eaf``
    tiers    names of tiers, each a coder; none takes the only one that a file has
    mapping, uncoded    see :func:`~mien.study.coders.parse_map`, :func:`~mien.study.coders.codes_at`
    tracks, column      see :func:`~mien.study.frames.read_frames`

    A recording or a coder's file that cannot be used is a problem, and the others go on; ConfigError or DataError where
    nothing is left, or where there is one of each and it cannot be used.
    """
    tables, coders = [f for f in files if is_table(f)], [f for f in files if not is_table(f)]
    if not tables or not coders:
        what = (
            "table of mien video (.csv, .jsonl, .parquet)"
            if not tables
            else "coder's file (.eaf, .TextGrid, .boris, .csv)"
        )
        raise ConfigError(f"there is no {what} among {', '.join(map(str, files)) or 'no files'}")
    owners, problems = _owners(tables, coders)
    found: list[Recording] = []
    labels: tuple[str, ...] = ()
    for table in tables:
        try:
            frames = read_frames(table, tracks=tracks, column=column)
            if labels and frames.labels != labels:
                raise DataError(f"its model has other labels than that of {tables[0].name}", str(table))
            wanted = parse_map(mapping, frames.labels)
            _check_uncoded(uncoded, frames.labels)
            recording = _recording(frames, owners[table], tiers, wanted, uncoded, problems)
        except DataError as error:
            if len(tables) == 1:
                raise
            problems.append(Problem(table.name, str(error), whole=True))
            continue
        labels = frames.labels
        found.append(recording)
    if not found:
        raise ConfigError(f"no recording can be compared: {'; '.join(map(str, problems))}")
    return found, labels, problems


def _check_uncoded(uncoded: str, labels: Sequence[str]) -> None:
    if uncoded and uncoded not in labels:
        raise ConfigError(f"--uncoded must be one of {', '.join(labels)}, got {uncoded!r}")


def _owners(tables: Sequence[Path], coders: Sequence[Path]) -> tuple[dict[Path, list[Path]], list[Problem]]:
    if len(tables) == 1:
        return {tables[0]: list(coders)}, []
    owners: dict[Path, list[Path]] = {table: [] for table in tables}
    problems = []
    for coder in coders:
        of = [t for t in tables if coder.stem == t.stem or coder.stem.startswith((f"{t.stem}-", f"{t.stem}_"))]
        if of:
            owners[max(of, key=lambda t: len(t.stem))].append(coder)
        else:
            problems.append(Problem(coder.name, "begins like none of the tables, so nobody knows its recording", True))
    return owners, problems


def _recording(
    frames: Frames,
    files: Sequence[Path],
    tiers: Sequence[str],
    mapping: Mapping[str, str],
    uncoded: str,
    problems: list[Problem],
) -> Recording:
    if not files:
        raise DataError("there is no coder's file for it", str(frames.path))
    codes, missing = {MIEN: frames.codes}, {MIEN: dict(frames.missing)}
    for file in files:
        try:
            coding = read_coding(file)
            chosen = _tiers(coding, tiers)
        except DataError as error:
            if len(files) == 1:
                raise
            problems.append(Problem(file.name, str(error), whole=True))
            continue
        problems += coding.problems
        for tier in chosen:
            where = f"{file.name}, tier {tier!r}"
            annotations, unknown = named(coding.tiers[tier], frames.labels, mapping, where)
            problems += unknown + _late(annotations, frames, where)
            name = _name(file, tier, frames.path, files, chosen)
            codes[name], missing[name] = codes_at(frames.times, annotations, frames.labels, uncoded)
    if len(codes) == 1:
        raise DataError("none of its coder's files can be used", str(frames.path))
    return Recording(frames.path.stem, frames.times, codes, frames.unsure, missing)


def _tiers(coding: Coding, wanted: Sequence[str]) -> list[str]:
    filled = {name: len(a) for name, a in coding.tiers.items() if a}
    told = (
        ", ".join(f"{name!r} ({counted(n, 'annotation')})" for name, n in filled.items()) or "none with an annotation"
    )
    if wanted:
        found = [name for name in wanted if name in coding.tiers]
        if not found:
            raise DataError(f"has no tier {' or '.join(map(repr, wanted))}; it has {told}", str(coding.path))
        return found
    if len(filled) != 1:
        raise DataError(
            f"which tier? Choose with --tier, more than once for several coders, of {told}", str(coding.path)
        )
    return list(filled)


def _name(file: Path, tier: str, table: Path, files: Sequence[Path], chosen: Sequence[str]) -> str:
    """The coder's: the tier where a file has several, else what the file's name has behind the recording's."""
    if len(chosen) > 1:
        own = tier
    else:
        own = file.stem.removeprefix(table.stem).strip("-_ ") if len(files) > 1 else ""
        own = own or ("coder" if file.stem == table.stem or len(files) == 1 else file.stem)
    same = [f for f in files if f != file and f.stem == file.stem]
    return f"{own} ({file.suffix[1:]})" if same or own == MIEN else own


def _late(annotations: Sequence[Annotation], frames: Frames, where: str) -> list[Problem]:
    end = float(frames.times[-1]) if len(frames.times) else 0.0
    late = [a for a in annotations if a.start > end]
    return [Problem(where, f"{len(late):,} annotations begin after the last frame, at {end:.2f} s")] if late else []
