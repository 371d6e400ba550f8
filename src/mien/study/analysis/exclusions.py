"""What is left out of a study, by which rule, with the value that broke it: nothing is left out without a line.

Leaves out: measuring (``measures``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mien.errors import ConfigError
from mien.study.analysis.design import Stretch
from mien.study.analysis.measures import Measured

__all__ = ["COLUMNS", "Exclusion", "Limits", "exclude", "kept_lines"]

#: Columns of ``exclusions.csv``.
COLUMNS = ("level", "participant", "condition", "stimulus", "recording", "line", "rule", "value", "limit")


@dataclass(frozen=True)
class Limits:
    """The rules.

    max_missing  share of a stretch that may be missing, 0..1
    max_unsure   share of its measured time in which the prediction set may hold more than one label; 1: no rule
    min_seconds  measured seconds that it must have
    max_lost     share of a participant's stretches that may be left out, above which all of theirs are
    """

    max_missing: float = 0.5
    max_unsure: float = 1.0
    min_seconds: float = 1.0
    max_lost: float = 0.5

    def __post_init__(self) -> None:
        for name in ("max_missing", "max_unsure", "max_lost"):
            if not 0 <= (value := getattr(self, name)) <= 1:
                raise ConfigError(f"--{name.replace('_', '-')} must be a share from 0 to 1, got {value}")
        if not 0 <= self.min_seconds < float("inf"):
            raise ConfigError(f"--min-seconds must be 0 or more, got {self.min_seconds}")


@dataclass(frozen=True)
class Exclusion:
    """Something that is left out.

    level  ``stretch``, ``participant``, or ``row`` of the design or ``recording`` where nothing could be measured
    value, limit  what broke the rule; None where the rule has no number
    """

    level: str
    rule: str
    participant: str = ""
    condition: str = ""
    stimulus: str = ""
    recording: str = ""
    line: int | None = None
    value: float | None = None
    limit: float | None = None


def exclude(measured: Mapping[Stretch, Measured], limits: Limits) -> list[Exclusion]:
    """Who and what is left out: stretches by their own rules, then participants who have lost too many of theirs."""
    found = [e for stretch, m in measured.items() if (e := _of_stretch(stretch, m, limits)) is not None]
    lost = {e.line for e in found}
    by_person: dict[str, list[int]] = {}
    for stretch in measured:
        by_person.setdefault(stretch.participant, []).append(stretch.line)
    for person, lines in by_person.items():
        share = sum(line in lost for line in lines) / len(lines)
        if share > limits.max_lost:
            found.append(
                Exclusion("participant", "share of stretches left out", person, value=share, limit=limits.max_lost)
            )
    return found


def _of_stretch(s: Stretch, m: Measured, limits: Limits) -> Exclusion | None:
    rules = (
        ("share missing", m.share_missing, limits.max_missing, m.share_missing > limits.max_missing),
        ("measured seconds", m.measured, limits.min_seconds, m.measured < limits.min_seconds or not m.measured),
        ("share unsure", m.share_unsure, limits.max_unsure, m.share_unsure > limits.max_unsure),
    )
    for rule, value, limit, broken in rules:
        if broken:
            return Exclusion("stretch", rule, s.participant, s.condition, s.stimulus, s.recording, s.line, value, limit)
    return None


def kept_lines(exclusions: Sequence[Exclusion], stretches: Sequence[Stretch]) -> set[int]:
    """Lines of the stretches that no exclusion names, nor their participant."""
    lines = {e.line for e in exclusions if e.level == "stretch"}
    people = {e.participant for e in exclusions if e.level == "participant"}
    return {s.line for s in stretches if s.line not in lines and s.participant not in people}
