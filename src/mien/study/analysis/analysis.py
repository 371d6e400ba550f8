"""From a design and its recordings to everything that a study says: the one path through this folder.

Leaves out: videos (``mien video``), files and drawing (``tables``, ``figures``, ``page``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien.errors import ConfigError, DataError
from mien.study.analysis.cells import MEASURES, pooled
from mien.study.analysis.comparisons import TESTS, Comparison, compare_conditions
from mien.study.analysis.curves import Curve, curves
from mien.study.analysis.design import Design, Stretch
from mien.study.analysis.exclusions import Exclusion, Limits, exclude, kept_lines
from mien.study.analysis.measures import Measured, measure
from mien.study.analysis.recorded import PersonFrames, Recorded, read_recorded
from mien.study.annotations import Problem
from mien.video import relative, rest_of
from mien.video.rules import RULES

__all__ = ["Options", "Study", "analyse", "read_recordings_of"]

_HOLD = 0.4  # seconds, where a table does not say what mien video was told

Cells = dict[tuple[str, ...], Measured]


@dataclass(frozen=True)
class Options:
    """How a study is analysed.

    scores    ``plain`` or ``relative`` to the participant at rest; "" takes relative where the design has stretches at
              rest, or ``median`` is set
    median    the rest of a participant is the median of all of their frames in the design
    measures  that are tested, of :data:`MEASURES`
    test      ``permutation`` or ``mixed``
    alpha     a difference is called real where its corrected p is at most this
    bin_width seconds of a bin of the curves
    """

    scores: str = ""
    median: bool = False
    measures: tuple[str, ...] = ("share",)
    test: str = "permutation"
    alpha: float = 0.05
    bin_width: float = 0.5
    limits: Limits = field(default_factory=Limits)
    draws: int = 10_000
    seed: int = 0

    def __post_init__(self) -> None:
        for name, value, allowed in (
            ("scores", self.scores or "plain", ("plain", "relative")),
            ("test", self.test, TESTS),
            *(("measure", m, tuple(MEASURES)) for m in self.measures),
        ):
            if value not in allowed:
                raise ConfigError(f"--{name} must be one of {', '.join(allowed)}, got {value!r}")
        if not 0 < self.alpha < 1:
            raise ConfigError(f"--alpha must lie between 0 and 1, got {self.alpha}")
        if not 0.02 <= self.bin_width < float("inf"):
            raise ConfigError(f"--bin must be 0.02 seconds or more, got {self.bin_width}")


@dataclass(frozen=True)
class Study:
    """What came of it.

    scores        those that are tested and drawn: ``plain`` or ``relative``
    stretches     all that could be measured, also those that are left out
    by_condition  scores -> (participant, condition) -> measured; ``by_stimulus`` with the stimulus as third part
    rests         participant -> frames of their rest
    problems      rows and recordings that cannot be used
    """

    design: Design
    options: Options
    labels: tuple[str, ...]
    scores: str
    recorded: Mapping[str, Recorded]
    stretches: Mapping[Stretch, Measured]
    exclusions: Sequence[Exclusion]
    by_condition: Mapping[str, Cells]
    by_stimulus: Mapping[str, Cells]
    comparisons: Sequence[Comparison]
    curves: Sequence[Curve]
    stimulus_curves: Sequence[Curve]
    rests: Mapping[str, int]
    problems: Sequence[Problem]

    @property
    def conditions(self) -> tuple[str, ...]:
        """In the order of the design, those that are left."""
        left = {key[1] for key in self.by_condition[self.scores]}
        return tuple(c for c in self.design.conditions() if c in left)

    @property
    def participants(self) -> tuple[str, ...]:
        """Those who are left."""
        return tuple(dict.fromkeys(key[0] for key in self.by_condition[self.scores]))

    @property
    def has_stimuli(self) -> bool:
        """Whether the design names any."""
        return any(s.stimulus for s in self.stretches)


def read_recordings_of(design: Design, tables: Mapping[str, Path | str]) -> tuple[dict[str, Recorded], list[Problem]]:
    """The recordings that the design names: name -> arrays, and those that cannot be used.

    tables  name -> the table, or why there is none
    """
    found, problems = dict[str, Recorded](), list[Problem]()
    for name in design.recordings:
        table = tables.get(name, "there is no table of it")
        try:
            if isinstance(table, str):
                raise DataError(table)
            found[name] = read_recorded(table)
        except DataError as error:
            problems.append(Problem(name, str(error), whole=True))
    return found, problems


def analyse(
    design: Design, recorded: Mapping[str, Recorded], options: Options, problems: Sequence[Problem] = ()
) -> Study:
    """Measure, leave out by the rules, put together, compare; ConfigError where nothing is left.

    recorded  name -> recording; the stretches of those that are not there are listed as left out
    """
    labels, bad = _labels(recorded)
    recorded = {name: r for name, r in recorded.items() if name not in {p.where for p in bad}}
    there = [s for s in design.stretches if s.recording in recorded]
    persons = {key: recorded[key[0]].person(key[1]) for key in dict.fromkeys((s.recording, s.tracks) for s in there)}
    frames = {s: persons[s.recording, s.tracks] for s in there}
    rests = _rests(frames, labels, options)
    scores = _scores(options, recorded, rests, there)
    conditions = [s for s in there if not s.baseline]
    plain = {s: _measure(s, frames[s], recorded, labels, options) for s in conditions}
    exclusions = exclude(plain, options.limits)
    measured: dict[str, dict[Stretch, Measured]] = {"plain": plain}
    if scores == "relative":
        exclusions += _without_rest(conditions, rests)
        shifted = _relative_frames(frames, conditions, recorded, rests, labels, median=options.median)
        measured["relative"] = {s: _measure(s, f, recorded, labels, options) for s, f in shifted.items()}
    kept = kept_lines(exclusions, conditions)
    left = {name: {s: m for s, m in of.items() if s.line in kept} for name, of in measured.items()}
    if not left[scores]:
        raise ConfigError(f"{design.path}: nothing is left to analyse: {_why(exclusions, [*problems, *bad])}")
    told = [*design.problems, *problems, *bad]
    lost = [s for s in design.stretches if s.recording not in recorded]
    rows = [_lost_row(p) for p in design.problems] + [_lost(s) for s in lost]
    return _study(design, options, labels, scores, recorded, plain, [*rows, *exclusions], left, rests, told)


def _study(
    design: Design,
    options: Options,
    labels: tuple[str, ...],
    scores: str,
    recorded: Mapping[str, Recorded],
    plain: Mapping[Stretch, Measured],
    exclusions: Sequence[Exclusion],
    left: Mapping[str, Mapping[Stretch, Measured]],
    rests: Mapping[str, NDArray[np.float64]],
    problems: Sequence[Problem],
) -> Study:
    by_condition = {n: pooled(of, lambda s: (s.participant, s.condition)) for n, of in left.items()}
    by_stimulus = {n: pooled(of, lambda s: (s.participant, s.condition, s.stimulus)) for n, of in left.items()}
    o = options
    return Study(
        design,
        options,
        labels,
        scores,
        recorded,
        plain,
        exclusions,
        by_condition,
        by_stimulus,
        compare_conditions(
            by_condition[scores],
            design.conditions(),
            labels,
            o.measures,
            test=o.test,
            scores=scores,
            draws=o.draws,
            seed=o.seed,
        ),
        curves(by_condition[scores], o.bin_width),
        curves({k: m for k, m in by_stimulus[scores].items() if k[2]}, o.bin_width),
        {who: len(p) for who, p in rests.items()},
        problems,
    )


def _labels(recorded: Mapping[str, Recorded]) -> tuple[tuple[str, ...], list[Problem]]:
    """The labels of the first recording, and the recordings that have others."""
    labels = next((r.labels for r in recorded.values()), ())
    bad = [
        Problem(name, f"its model has other labels ({', '.join(r.labels)}) than the first one's", whole=True)
        for name, r in recorded.items()
        if r.labels != labels
    ]
    return labels, bad


def _inside(s: Stretch, f: PersonFrames) -> NDArray[np.bool_]:
    low = -np.inf if s.start is None else s.start
    high = np.inf if s.end is None else s.end
    inside: NDArray[np.bool_] = (f.times + f.steps > low) & (f.times < high)
    return inside


def _rests(
    frames: Mapping[Stretch, PersonFrames], labels: Sequence[str], options: Options
) -> dict[str, NDArray[np.float64]]:
    """Participant -> probabilities of their frames at rest ``(N, K)``, of those who have any."""
    calm: dict[str, list[NDArray[np.float64]]] = {}
    for s, f in frames.items():
        if s.baseline or options.median:
            calm.setdefault(s.participant, []).append(f.probabilities[_inside(s, f) & (f.reasons == 0)])
    found = {who: np.concatenate(parts) for who, parts in calm.items()}
    return {who: p for who, p in found.items() if len(p)}


def _scores(
    options: Options,
    recorded: Mapping[str, Recorded],
    rests: Mapping[str, NDArray[np.float64]],
    stretches: Sequence[Stretch],
) -> str:
    """Which scores are tested, and whether they can be had."""
    at_rest = options.median or any(s.baseline for s in stretches)
    scores = options.scores or ("relative" if at_rest else "plain")
    lacking = [name for name, r in recorded.items() if r.relative is None]
    if scores == "relative" and not rests and lacking:
        raise ConfigError(
            f"relative scores need a baseline, and {lacking[0]} has none: rows of the design with yes in the column "
            "baseline (with usable frames), --baseline median, or tables of mien video --baseline"
        )
    return scores


def _relative_frames(
    frames: Mapping[Stretch, PersonFrames],
    stretches: Sequence[Stretch],
    recorded: Mapping[str, Recorded],
    rests: Mapping[str, NDArray[np.float64]],
    labels: Sequence[str],
    *,
    median: bool,
) -> dict[Stretch, PersonFrames]:
    """Frames relative to their participant's rest, of those who have one; as the tables have them where nobody has."""
    if not rests:
        return {s: recorded[s.recording].person(s.tracks, relative=True) for s in stretches}
    if "neutral" not in labels:
        raise ConfigError(f"a baseline needs a model with the label neutral, this one has {', '.join(labels)}")
    neutral, calm = labels.index("neutral"), {who: rest_of(p, median=median) for who, p in rests.items()}
    made = dict[tuple[str, tuple[int, ...], str], PersonFrames]()
    found = dict[Stretch, PersonFrames]()
    for s in stretches:
        if s.participant in calm:
            key = s.recording, s.tracks, s.participant
            if key not in made:
                shifted = relative(frames[s].probabilities, calm[s.participant], neutral)
                made[key] = replace(frames[s], probabilities=shifted)
            found[s] = made[key]
    return found


def _without_rest(stretches: Sequence[Stretch], rests: Mapping[str, NDArray[np.float64]]) -> list[Exclusion]:
    people = dict.fromkeys(s.participant for s in stretches)
    return [Exclusion("participant", "no usable frame at rest", who) for who in people if rests and who not in rests]


def _measure(
    s: Stretch, f: PersonFrames, recorded: Mapping[str, Recorded], labels: Sequence[str], options: Options
) -> Measured:
    r = recorded[s.recording]
    hold, max_gap = r.setting("hold", _HOLD), r.setting("max_gap", RULES.max_gap)
    return measure(f, labels, s.start, s.end, hold=hold, max_gap=max_gap, bin_width=options.bin_width)


def _lost(s: Stretch) -> Exclusion:
    return Exclusion("recording", "cannot be used", s.participant, s.condition, s.stimulus, s.recording, s.line)


def _lost_row(p: Problem) -> Exclusion:
    return Exclusion("row", p.reason, recording=p.where)


def _why(exclusions: Sequence[Exclusion], problems: Sequence[Problem]) -> str:
    told = [f"line {e.line}: {e.rule}" if e.line else f"{e.participant}: {e.rule}" for e in exclusions]
    return "; ".join([*map(str, problems), *told][:5]) or "no recording was found"
