"""What people coded, out of ELAN (.eaf), Praat (.TextGrid), BORIS (.boris) and CSV or TSV: who, when, what.

Whatever cannot be used is kept as a :class:`Problem` with its place and its reason.
Leaves out: which labels a model has, and writing such files.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mien.errors import DataError, need
from mien.study.delimited import number, read_sheet

__all__ = ["SUFFIXES", "Annotation", "Coding", "Problem", "read_coding"]

#: Endings of the files that can be read.
SUFFIXES = (".eaf", ".textgrid", ".boris", ".csv", ".tsv")

_STARTS = ("start", "onset", "begin", "start_s", "begin time - ss.msec", "start (s)", "tmin", "begin_time")
_ENDS = ("end", "offset", "stop", "end_s", "end time - ss.msec", "stop (s)", "tmax", "end_time")
_LENGTHS = ("duration", "duration (s)", "duration - ss.msec")
_LABELS = ("label", "code", "annotation", "value", "trial_type", "behavior", "emotion", "expression", "text")
_TIERS = ("tier", "coder", "rater", "subject", "annotator")


@dataclass(frozen=True)
class Annotation:
    """``label`` from ``start`` up to, not including, ``end``, in seconds."""

    start: float
    end: float
    label: str


@dataclass(frozen=True)
class Problem:
    """Something that cannot be used: where it is, and why.

    whole  whether it is a recording or a whole file
    """

    where: str
    reason: str
    whole: bool = False

    def __str__(self) -> str:
        return f"{self.where}: {self.reason}"


@dataclass
class Coding:
    """A file of annotations: tier -> what was coded, in the order of the file, and what could not be used."""

    path: Path
    tiers: dict[str, list[Annotation]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def add(self, tier: str, start: Any, end: Any, label: str, where: str = "") -> None:
        """Keep an annotation, or the reason why not; one without a label is a gap and nobody's fault."""
        found = self.tiers.setdefault(tier, [])
        place = f"{self.path.name}, {where or f'tier {tier!r}'}"
        if start is None or end is None:
            self.problems.append(Problem(place, f"{label!r} has no {'start' if start is None else 'end'}"))
        elif not end > start:
            self.problems.append(Problem(place, f"{label!r} ends at {end:g} s, not after its start at {start:g} s"))
        elif start < 0:
            self.problems.append(Problem(place, f"{label!r} starts before the film, at {start:g} s"))
        elif label.strip():
            found.append(Annotation(float(start), float(end), label.strip()))


def read_coding(path: Path) -> Coding:
    """Read a file of annotations; DataError where all of it is unusable, MissingExtra without pympi for two formats."""
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise DataError(f"no file of annotations: its name must end in {', '.join(SUFFIXES)}", str(path))
    if not path.is_file():
        raise DataError("no such file", str(path))
    readers = {".eaf": _read_eaf, ".textgrid": _read_textgrid, ".boris": _read_boris}
    coding = Coding(path)
    readers.get(suffix, _read_sheet)(coding)
    return coding


def _read_eaf(coding: Coding) -> None:
    elan = need("pympi", "study").Elan
    try:
        eaf = elan.Eaf(str(coding.path), suppress_version_warning=True)
        tiers = {name: eaf.get_annotation_data_for_tier(name) for name in eaf.get_tier_names()}
        origin = next((int(m["TIME_ORIGIN"]) for m in eaf.media_descriptors if m.get("TIME_ORIGIN")), 0)
    except Exception as error:  # its parser raises whatever it meets
        raise DataError(f"no ELAN file ({type(error).__name__}: {error})", str(coding.path)) from error
    for name, found in tiers.items():
        coding.tiers.setdefault(name, [])
        for *times, value in sorted((a[:3] for a in found), key=lambda a: a[0] or 0):
            start, end = (None if t is None else (t + origin) / 1000 for t in times)
            coding.add(name, start, end, value or "")


def _read_textgrid(coding: Coding) -> None:
    praat = need("pympi", "study").Praat
    head = coding.path.read_bytes()[:3]
    codec = "utf-16" if head[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        grid = praat.TextGrid(str(coding.path), codec=codec)
    except Exception as error:  # the same
        raise DataError(f"no TextGrid ({type(error).__name__}: {error})", str(coding.path)) from error
    for tier in grid.get_tiers():
        if tier.tier_type != "IntervalTier":
            coding.problems.append(Problem(f"{coding.path.name}, tier {tier.name!r}", "has points, no intervals"))
            continue
        coding.tiers.setdefault(tier.name, [])
        for start, end, text in tier.get_intervals(sort=True):
            coding.add(tier.name, start, end, text)


def _read_boris(coding: Coding) -> None:
    """Format 7: events are rows of time, subject, behaviour, ...; every second one of a state ends it."""
    try:
        project = json.loads(coding.path.read_text(encoding="utf-8-sig"))
        observations = project["observations"]
        kinds = {b["code"]: b["type"] for b in project["behaviors_conf"].values()}
        events = {name: [(float(e[0]), str(e[1]), str(e[2])) for e in o["events"]] for name, o in observations.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        raise DataError(f"no BORIS project ({type(error).__name__}: {error})", str(coding.path)) from error
    for name, rows in events.items():
        prefix = f"{name}: " if len(events) > 1 else ""
        opened: dict[tuple[str, str], float] = {}
        for time, subject, code in sorted(rows):
            tier = prefix + (subject or "no subject")
            if "state" not in kinds.get(code, "State event").lower():
                coding.problems.append(Problem(f"{coding.path.name}, {time:g} s", f"{code!r} is a point, no state"))
            elif (subject, code) in opened:
                coding.add(tier, opened.pop((subject, code)), time, code)
            else:
                opened[subject, code] = time
        for (subject, code), time in opened.items():
            coding.add(prefix + (subject or "no subject"), time, None, code, f"{time:g} s")
    for found in coding.tiers.values():
        found.sort(key=lambda a: a.start)


def _read_sheet(coding: Coding) -> None:
    sheet = read_sheet(coding.path)
    by_fold = {name.lower(): name for name in reversed(sheet.names)}
    start, end, length, label, tier = (_first(by_fold, names) for names in (_STARTS, _ENDS, _LENGTHS, _LABELS, _TIERS))
    if start is None or label is None or (end is None and length is None):
        raise DataError(
            f"needs the columns start, end (or duration) and label, has {', '.join(sheet.names)}", str(coding.path)
        )
    for line, words in sheet.long.items():
        coding.problems.append(Problem(f"{coding.path.name}, line {line}", words))
    for line, row in sheet.rows:
        try:
            begin = number(row[start])
            finish = number(row[end]) if end is not None else begin + number(row[length or ""])
            said = row[label]
        except (KeyError, ValueError) as error:
            coding.problems.append(Problem(f"{coding.path.name}, line {line}", f"its times are no seconds ({error})"))
            continue
        coding.add(row.get(tier or "", "") or "all", begin, finish, said, f"line {line}")


def _first(by_fold: dict[str, str], names: Iterable[str]) -> str | None:
    return next((by_fold[name] for name in names if name in by_fold), None)
