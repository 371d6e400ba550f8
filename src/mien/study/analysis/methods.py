"""A study in words: the paragraph for the methods section, what was found, and what a reader must know.

Every figure comes from the study and from its tables' metadata. Leaves out: the page (``page``).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from mien import __version__
from mien.study.analysis.analysis import Study
from mien.study.analysis.comparisons import Comparison
from mien.study.analysis.measures import MISSING, together
from mien.video.baseline import FORMULA
from mien.wording import counted

__all__ = ["findings", "methods", "notes", "p_words", "sources"]

_MEASURES = {
    "share": "share of the measured time in which a label was the most probable one",
    "mean_probability": "mean probability over the measured time",
    "segments_per_minute": "number of segments a minute of measured time",
    "latency": "latency of the first segment",
    "mean_length": "mean length of segments",
}
_TESTS = {
    "sign-flip": "sign-flip permutation tests of the differences within participants ({how})",
    "permutation": "permutation tests between participants (Welch's t, {draws:,} shuffles)",
    "mixed model": "linear mixed models with a random intercept for participants (statsmodels {statsmodels}, "
    "restricted likelihood, t tests)",
}


def methods(study: Study) -> str:
    """The paragraph, on one line, ready to paste."""
    return " ".join([*_reading(study), *_sample(study), *_analysis(study)])


def sources(study: Study) -> list[Mapping[str, Any]]:
    """The metadata of each different run that the tables come from, without those whose metadata are lost."""
    runs = {str(m.get("run")): m for r in study.recorded.values() if (m := r.metadata)}
    return list(runs.values())


def _reading(study: Study) -> Iterator[str]:
    """What read the faces, and what a score is."""
    runs = sources(study)
    if not runs:
        yield f"Facial expressions were read with mien; the metadata of its tables are lost. Analysed by {__version__}."
        return
    m = runs[0]
    model, detector, settings = (dict(m.get(name) or {}) for name in ("model", "detector", "settings"))
    yield (
        f"Facial expressions were read frame by frame with mien {m.get('mien')} (network {model.get('name')}, SHA-256 "
        f"{str(model.get('sha256'))[:16]}...; face detector {detector.get('name')}"
        + (f", SHA-256 {detector['sha256'][:16]}...)." if detector.get("sha256") else ").")
    )
    yield (
        f"For each usable face the network gives a probability for each of {len(study.labels)} labels "
        f"({', '.join(study.labels)}): how likely the people who labelled its training pictures would have named the "
        "expression so. It is a score of the movement of the face, not a measure of felt emotion."
    )
    yield from _accuracy(model)
    taken = {"fps": "at most {} frames a second were read", "every": "every {}th frame was read"}
    read = [words.format(settings[name]) for name, words in taken.items() if settings.get(name)]
    yield (
        "Faces were followed from frame to frame"
        + (f" ({read[0]})" if read else "")
        + f", and each person's probabilities smoothed with a time constant of {settings.get('smooth', 0.3)} s; a "
        f"label counts as a segment where it lasts at least {settings.get('hold', 0.4)} s."
    )
    if len(runs) > 1:
        yield f"The recordings were read with {len(runs)} different settings or versions, of which this is the first."


def _accuracy(model: Mapping[str, Any]) -> Iterator[str]:
    for split, s in dict(model.get("scores") or {}).items():
        if "accuracy_ci95" in s and "views" not in split:
            low, high = s["accuracy_ci95"]
            yield (
                f"On the labelled photographs of {split} it names {100 * s['accuracy']:.1f} % as their labels do (95 % "
                f"interval {100 * low:.1f} to {100 * high:.1f} %, n = {s['n']:,}); on others it is not known."
            )
            return


def _sample(study: Study) -> Iterator[str]:
    """How much there was, what was missing, what was left out."""
    stretches = study.stretches
    whole = together(list(stretches.values()))
    everybody = {s.participant for s in study.design.stretches}
    recordings = counted(len(study.design.recordings), "recording")
    yield (
        f"The design names {counted(len(everybody), 'participant')}, {recordings} and "
        f"{counted(sum(not s.baseline for s in study.design.stretches), 'stretch', 'stretches')} in "
        f"{counted(len(study.design.conditions()), 'condition')} ({', '.join(study.design.conditions())}), of which "
        f"{len(stretches):,} could be measured ({whole.asked / 60:.1f} min)."
    )
    why = [f"{n} {100 * v / whole.asked:.1f} %" for n, v in zip(MISSING, whole.missing, strict=True) if v > 0]
    yield (
        f"Of their time {100 * whole.share_missing:.1f} % is missing"
        + (f" ({', '.join(why)})" if why else "")
        + f"; in {100 * whole.share_unsure:.1f} % of the measured time the prediction set held more than one label."
    )
    yield from _left_out(study)


def _left_out(study: Study) -> Iterator[str]:
    limits = study.options.limits
    rules = [
        f"more than {100 * limits.max_missing:g} % of their time missing",
        f"less than {limits.min_seconds:g} s measured",
        *([f"more than {100 * limits.max_unsure:g} % of it unsure"] if limits.max_unsure < 1 else []),
    ]
    stretches = Counter(e.rule for e in study.exclusions if e.level == "stretch")
    people = Counter(e.rule for e in study.exclusions if e.level == "participant")
    yield (
        f"Stretches with {', or '.join(rules)} were left out ({sum(stretches.values()):,}{_by(stretches)}), and "
        f"participants who lost more than {100 * limits.max_lost:g} % of their stretches so"
        + (" or have no usable frame at rest" if study.scores == "relative" else "")
        + f" ({sum(people.values()):,}{_by(people)}); {counted(len(study.participants), 'participant')} remained."
    )
    rows = Counter(e.level for e in study.exclusions)
    told = [
        *([f"{counted(rows['row'], 'row')} of the design"] if rows["row"] else []),
        *([f"{counted(rows['recording'], 'row')} of recordings that could not be read"] if rows["recording"] else []),
    ]
    if told:
        yield f"Not used: {' and '.join(told)}."


def _analysis(study: Study) -> Iterator[str]:
    o = study.options
    if study.scores == "relative":
        how = "the median of all of a participant's frames" if o.median else "stretches at rest"
        yield (
            f"Probabilities were taken relative to each participant's face at rest, known from {how}: {FORMULA}."
            if study.rests
            else f"Probabilities are relative to each participant's face at rest: {FORMULA}."
        )
    yield (
        "Each frame counts for the time that it was shown; time that is missing counts nowhere, and several stretches "
        "of a participant in a condition were pooled by time."
    )
    found = study.comparisons
    if not found:
        yield "There is one condition, so nothing was compared."
        return
    kinds = " and ".join(_test(name, study) for name in dict.fromkeys(c.test for c in found))
    told = " and the ".join(_MEASURES[m] for m in o.measures)
    tested = sum(c.found.p is not None for c in found)
    yield (
        f"Conditions were compared by the {told}, with {kinds}, two-sided, and Holm's correction over all {tested:,} "
        f"tests (alpha = {o.alpha:g}); intervals are 95 %, Student's, over participants."
    )


def _test(name: str, study: Study) -> str:
    if name == "mixed model":
        from importlib.metadata import version

        return _TESTS[name].format(statsmodels=version("statsmodels"))
    most = max(c.participants for c in study.comparisons)
    how = "all of them" if most <= 14 else f"{study.options.draws:,} draws"
    return _TESTS[name].format(how=how, draws=study.options.draws)


def findings(study: Study) -> list[str]:
    """A sentence for each difference that is called real; one that says so where there is none."""
    real = [c for c in study.comparisons if c.real(study.options.alpha)]
    if not study.comparisons:
        return ["There is one condition: nothing was compared."]
    if not real:
        return [f"None of {len(study.comparisons):,} differences is called real at alpha = {study.options.alpha:g}."]
    return [_finding(c) for c in sorted(real, key=lambda c: (c.p_holm or 0, c.found.p or 0))]


def _finding(c: Comparison) -> str:
    f = c.found
    factor, unit = (100, " %") if c.measure in ("share", "mean_probability") else (1, "")
    a, b = (f"{factor * m:.1f}{unit}" if m is not None else "–" for m in c.means)
    points = " points" if unit else ""
    span = "" if f.low is None or f.high is None else f" [{factor * f.low:.1f}, {factor * f.high:.1f}]"
    effect = "" if f.effect is None else f", d{'_z' if c.test == 'sign-flip' else ''} = {f.effect:.2f}"
    more = "more" if (f.difference or 0) > 0 else "less"
    return (
        f"{c.label}, {_MEASURES[c.measure].split(' of ')[0]}: {more} in {c.second} ({b}) than in {c.first} ({a}), "
        f"difference {factor * (f.difference or 0):.1f}{points}{span}{effect}, n = {c.participants}, "
        f"p {p_words(f.p)}, by Holm {p_words(c.p_holm)}."
    )


def notes(study: Study) -> list[str]:
    """What a reader must know to believe no more than is there."""
    found = list(_few(study))
    if len(sources(study)) > 1:
        found.append("The recordings were read with different settings or versions of mien: differences may be theirs.")
    if lost := [n for n, r in study.recorded.items() if not r.metadata]:
        found.append(
            f"The metadata of {len(lost):,} tables are lost, such as that of {lost[0]}: nobody knows their run."
        )
    whole = together(list(study.stretches.values()))
    if whole.missing[MISSING.index("several persons")] > 0.02 * whole.asked:
        found.append(
            "Frames with several persons are missing: name the participant's number in a column track of the design."
        )
    if few := [who for who, n in study.rests.items() if n < 25]:
        found.append(f"The rest of {', '.join(few[:5])} is known from fewer than 25 frames.")
    if study.has_stimuli:
        found.append(
            "The tests generalise over participants, not over stimuli: other stimuli may give another difference."
        )
    if any(m == "share" for m in study.options.measures) and study.comparisons:
        found.append("Shares of all labels sum to 1: where one rises, others fall. These are not separate findings.")
    return found


def _few(study: Study) -> Iterator[str]:
    """Where no difference could be called real, however large."""
    tested = [c for c in study.comparisons if c.test == "sign-flip" and c.found.p is not None]
    if tested and (n := max(c.participants for c in tested)) <= 14:
        least = 2 / 2**n * len(tested)
        if least > study.options.alpha:
            yield (
                f"With {n} participants the smallest p of a sign-flip test is {2 / 2**n:.2g}, with Holm's correction "
                f"over {len(tested)} tests {min(1.0, least):.2g}: no difference can be called real, however large."
            )


def p_words(p: float | None) -> str:
    """``= .012``, ``< .001``, ``not known``."""
    if p is None or not np.isfinite(p):
        return "not known"
    return "< .001" if p < 0.001 else f"= {p:.3f}".replace("0.", ".", 1)


def _by(counts: Mapping[str, int]) -> str:
    return f": {', '.join(f'{n:,} by {rule}' for rule, n in counts.items())}" if counts else ""
