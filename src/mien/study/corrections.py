"""What a person corrects of a followed recording: who is who, what a face shows, what happened.

Nothing is changed in place: a recording as corrected is what its corrections, in their order, make of what was found.
So to undo one is to leave it out, and everything else stands. Pure arithmetic on arrays.
Leaves out: the lines in which corrections are kept (``journal``), the table they belong to (``reviewed``).
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.errors import ConfigError

__all__ = ["KINDS", "Correction", "Event", "Found", "Reviewed", "as_found", "correct", "new_person", "parse_correction"]

_LONGEST = 200  # characters of an event's name
_SAME = 5e-4  # seconds: corrections are typed to the millisecond, and a page holds times in single precision
_NO_TEXT = re.compile("[\ud800-\udfff]")  # half characters, which JSON can hold and no file of text

#: What can be done -> what it needs, then what it may have.
KINDS: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "merge": (("person", "into"), ()),
    "split": (("person", "start", "into"), ()),
    "exclude": (("person",), ("start", "end")),
    "include": (("person",), ("start", "end")),
    "label": (("person", "start", "end", "label"), ()),
    "event": (("start", "name"), ("end",)),
}


@dataclass(frozen=True)
class Correction:
    """One correction; ``do`` is a key of :data:`KINDS`.

    merge    ``person`` is in truth ``into``
    split    from ``start`` on ``person`` is in truth somebody else, who gets the number ``into``
    exclude  ``person`` is not to be counted, from ``start`` up to ``end`` seconds, or at all; ``include`` takes it back
    label    ``person`` shows ``label`` from ``start`` up to ``end``
    event    ``name`` happened at ``start``, or lasted until ``end``
    """

    do: str
    person: int | None = None
    into: int | None = None
    start: float | None = None
    end: float | None = None
    label: str | None = None
    name: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON, without what it does not have."""
        return {f.name: getattr(self, f.name) for f in fields(self) if getattr(self, f.name) is not None}


@dataclass(frozen=True)
class Event:
    """``name`` from ``start`` up to ``end`` seconds; at one moment where ``end`` is None."""

    start: float
    name: str
    end: float | None = None


@dataclass(frozen=True, eq=False)
class Found:
    """The faces of a recording as they were found, a row each, in the order of the table.

    labels  the model's
    times   float64 ``(N,)``, seconds, never going back
    person  int64 ``(N,)``, from 1; 0 for a face that is nobody's
    label   int64 ``(N,)``, index into ``labels``; -1 for none
    """

    labels: tuple[str, ...]
    times: NDArray[np.float64]
    person: NDArray[np.int64]
    label: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Reviewed:
    """The same faces as they are corrected.

    person, label  as in :class:`Found`
    by_hand        bool ``(N,)``, whether a person has set the label
    excluded       bool ``(N,)``
    events         in the order in which they were marked
    """

    person: NDArray[np.int64]
    label: NDArray[np.int64]
    by_hand: NDArray[np.bool_]
    excluded: NDArray[np.bool_]
    events: tuple[Event, ...] = ()


def as_found(found: Found) -> Reviewed:
    """Before any correction."""
    none = np.zeros(len(found.times), bool)
    return Reviewed(found.person, found.label, none, none)


def new_person(found: Found, numbers: Sequence[int]) -> int:
    """A number that nobody has or had; ``numbers`` are those that corrections have given."""
    return max([int(found.person.max(initial=0)), *numbers]) + 1


def correct(found: Found, now: Reviewed, c: Correction) -> Reviewed:
    """``now`` with one more correction; ConfigError says why it cannot be made, such as that nobody is there."""
    return _DO[c.do](found, now, c)


def _merge(found: Found, now: Reviewed, c: Correction) -> Reviewed:
    if c.person == c.into:
        raise ConfigError(f"person {c.person} cannot be merged with themselves: choose another one")
    assert c.into is not None
    mine, theirs = _rows(found, now, c), _of(now, c.into)
    both = np.intersect1d(found.times[mine & ~now.excluded], found.times[theirs & ~now.excluded])
    if len(both):
        raise ConfigError(
            f"persons {c.person} and {c.into} are both seen at {both[0]:.2f} s, so they are two: split or exclude first"
        )
    return replace(now, person=np.where(mine, c.into, now.person))


def _split(found: Found, now: Reviewed, c: Correction) -> Reviewed:
    assert c.start is not None
    assert c.into is not None
    rows = _of(now, c.person)
    later = rows & (found.times >= c.start - _SAME)
    if not later.any() or (later == rows).all():
        raise ConfigError(
            f"person {c.person} has no frame {'from' if not later.any() else 'before'} {c.start:.2f} s on"
        )
    if (now.person == c.into).any():
        raise ConfigError(f"there is a person {c.into} already: a split needs a new number")
    return replace(now, person=np.where(later, c.into, now.person))


def _exclude(found: Found, now: Reviewed, c: Correction) -> Reviewed:
    return replace(now, excluded=now.excluded | _rows(found, now, c))


def _include(found: Found, now: Reviewed, c: Correction) -> Reviewed:
    excluded = now.excluded & ~_rows(found, now, c)
    times = found.times[(now.person == c.person) & ~excluded]
    if len(twice := times[1:][times[1:] == times[:-1]]):
        raise ConfigError(f"person {c.person} would be seen twice at {twice[0]:.2f} s: split or undo a merge first")
    return replace(now, excluded=excluded)


def _label(found: Found, now: Reviewed, c: Correction) -> Reviewed:
    assert c.label is not None
    if c.label not in found.labels:
        raise ConfigError(f"label must be one of {', '.join(found.labels)}, got {c.label!r}")
    rows = _rows(found, now, c)
    return replace(now, label=np.where(rows, found.labels.index(c.label), now.label), by_hand=now.by_hand | rows)


def _event(found: Found, now: Reviewed, c: Correction) -> Reviewed:
    assert c.start is not None
    assert c.name is not None
    return replace(now, events=(*now.events, Event(c.start, c.name, c.end)))


_DO: Mapping[str, Callable[[Found, Reviewed, Correction], Reviewed]] = {
    "merge": _merge,
    "split": _split,
    "exclude": _exclude,
    "include": _include,
    "label": _label,
    "event": _event,
}


def _of(now: Reviewed, person: int | None) -> NDArray[np.bool_]:
    rows: NDArray[np.bool_] = now.person == person
    if not rows.any():
        raise ConfigError(f"there is no person {person}")
    return rows


def _rows(found: Found, now: Reviewed, c: Correction) -> NDArray[np.bool_]:
    """The person's rows in the time that the correction names."""
    start, end = -math.inf if c.start is None else c.start, math.inf if c.end is None else c.end
    rows = _of(now, c.person) & (found.times >= start - _SAME) & (found.times < end - _SAME)
    if not rows.any():
        raise ConfigError(f"person {c.person} is not seen from {start:.2f} to {end:.2f} s")
    return rows


def parse_correction(given: Any) -> Correction:
    """A correction out of JSON; ConfigError names the field, its value and the rule."""
    do = given.get("do") if isinstance(given, dict) else given
    if not isinstance(do, str) or do not in KINDS:
        raise ConfigError(f"do must be one of {', '.join(KINDS)}, got {do!r:.60}")
    needed, possible = KINDS[do]
    if lacking := [name for name in needed if given.get(name) is None]:
        raise ConfigError(f"{do} needs {', '.join(needed)}; {lacking[0]} is missing")
    if unknown := sorted(set(given) - {"do", *needed, *possible}):
        raise ConfigError(f"{do} has {', '.join((*needed, *possible))}, not {unknown[0]!r:.60}")
    read = {name: _READ[name](name, value) for name, value in given.items() if name != "do" and value is not None}
    c = Correction(do, **read)
    if c.start is not None and c.end is not None and not c.end > c.start:
        raise ConfigError(f"end must lie after start, got {c.end:g} and {c.start:g}")
    return c


def _number(name: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value < 2**31:
        raise ConfigError(f"{name} must be a person's number from 1, got {value!r}")
    return value


def _seconds(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e9:
        raise ConfigError(f"{name} must be seconds from 0, got {value!r}")
    return float(value)


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str) or not 0 < len(value.strip()) <= _LONGEST or _NO_TEXT.search(value):
        raise ConfigError(f"{name} must be text of 1 to {_LONGEST} characters, got {value!r:.60}")
    return value.strip()


_READ: Mapping[str, Callable[[str, Any], Any]] = {
    "person": _number,
    "into": _number,
    "start": _seconds,
    "end": _seconds,
    "label": _text,
    "name": _text,
}
