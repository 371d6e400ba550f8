"""From annotations to a code for each frame, under a model's labels; frames without one are counted by their reason.

Leaves out: reading annotations (``annotations``), comparing (``comparison``).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from mien.errors import ConfigError
from mien.labels import canonical, fold
from mien.study.annotations import Annotation, Problem

__all__ = ["codes_at", "named", "parse_map"]


def parse_map(text: str, labels: Sequence[str]) -> dict[str, str]:
    """``"a=angry,blink="`` -> what a coder writes (folded) -> the model's label, "" for what is left out on purpose."""
    found = {}
    for part in filter(None, (p.strip() for p in text.split(","))):
        said, equals, label = (p.strip() for p in part.partition("="))
        if not equals or not said:
            raise ConfigError(f"--map must be CODE=LABEL[,...], got {part!r}")
        if label and label not in labels:
            raise ConfigError(f"--map {part}: the model's labels are {', '.join(labels)}; or nothing, to leave it out")
        found[fold(said)] = label
    return found


def named(
    annotations: Sequence[Annotation], labels: Sequence[str], mapping: Mapping[str, str], where: str
) -> tuple[list[Annotation], list[Problem]]:
    """The annotations under the model's names, by ``mapping`` first, then by themselves or a usual word for them.

    Those whose label stays unknown are left out: a problem for each such label, with their number and seconds.
    """
    kept, unknown, seconds = list[Annotation](), Counter[str](), defaultdict[str, float](float)
    for a in annotations:
        label = mapping.get(fold(a.label))
        if label is None:
            label = next((x for x in (a.label, fold(a.label), canonical(a.label)) if x in labels), None)
        if label:
            kept.append(Annotation(a.start, a.end, label))
        elif label is None:
            unknown[a.label] += 1
            seconds[a.label] += a.end - a.start
    return kept, [
        Problem(
            where,
            f"{label!r} is no label of the model ({n:,} annotations, {seconds[label]:.1f} s): --map '{label}=LABEL', "
            f"or '{label}=' to leave it out",
        )
        for label, n in unknown.items()
    ]


def codes_at(
    times: NDArray[np.float64], annotations: Sequence[Annotation], labels: Sequence[str], uncoded: str = ""
) -> tuple[NDArray[np.int64], dict[str, int]]:
    """The code of each frame, -1 where there is none, and reason -> number of frames without one.

    times    float64 ``(N,)``, seconds, rising
    uncoded  the label of frames that no annotation covers; "" leaves them missing

    A frame on which two annotations with different labels lie has no code.
    """
    codes = np.full(len(times), -1, np.int64)
    twice = np.zeros(len(times), bool)
    for a in annotations:
        span = slice(*np.searchsorted(times, [a.start - 1e-6, a.end - 1e-6]))
        code = labels.index(a.label)
        twice[span] |= (codes[span] >= 0) & (codes[span] != code)
        codes[span] = code
    gaps = codes < 0
    if uncoded:
        codes[gaps] = labels.index(uncoded)
    codes[twice] = -1
    missing = {"not coded": 0 if uncoded else int(gaps.sum()), "two labels at once": int(twice.sum())}
    return codes, {reason: n for reason, n in missing.items() if n}
