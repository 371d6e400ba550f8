"""mien and human coders on the same recordings: every two of them, by frames and by segments.

Leaves out: finding which files belong together (``pairing``) and showing the outcome (``agreement_tables``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.errors import ConfigError
from mien.study.agreement import Figure, coincidences, confusions, figures, krippendorff_alpha, pair_measures
from mien.study.segment_agreement import segment_counts, segment_measures, stretches

__all__ = ["MIEN", "Comparison", "Level", "Recording", "Rules", "compare"]

#: The name of mien among the coders.
MIEN = "mien"


@dataclass(frozen=True)
class Rules:
    """How is compared.

    hold     seconds that a label of mien must last to be a segment
    overlap  what two linked segments share of what they cover together, above 0, up to 1
    block    seconds of a block of the bootstrap over time
    over     ``time`` or ``recordings``; "" takes recordings where there are 8 or more
    draws, seed   of the bootstrap
    """

    hold: float = 0.4
    overlap: float = 0.5
    block: float = 5.0
    over: str = ""
    draws: int = 2000
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.overlap <= 1:
            raise ConfigError(f"overlap must be above 0 and at most 1, got {self.overlap}")
        if not 0 < self.block < float("inf"):
            raise ConfigError(f"block must be above 0 seconds, got {self.block}")


@dataclass(frozen=True)
class Recording:
    """One recording.

    times   float64 ``(N,)``, seconds of its frames
    codes   coder -> int64 ``(N,)``, -1 where there is none; mien first
    unsure  bool ``(N,)``, where mien's prediction set holds more than one label
    missing coder -> reason -> frames without a code
    """

    name: str
    times: NDArray[np.float64]
    codes: Mapping[str, NDArray[np.int64]]
    unsure: NDArray[np.bool_]
    missing: Mapping[str, Mapping[str, int]] = field(default_factory=dict)


@dataclass(frozen=True)
class Level:
    """Two coders on one level.

    level      ``frames``, ``sure frames`` (of mien, where its prediction set holds one label) or ``segments``
    n          frames that both coded, or segments, linked pairs once
    counts     rows ``first``, columns ``second``; for segments the last row and column are those without a partner
    """

    first: str
    second: str
    level: str
    n: int
    counts: NDArray[np.int64]
    measures: dict[str, Figure]

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        told = {"first": self.first, "second": self.second, "level": self.level, "n": self.n}
        return {**told, "measures": {k: f.to_dict() for k, f in self.measures.items()}, "counts": self.counts.tolist()}


@dataclass(frozen=True)
class Comparison:
    """What :func:`compare` found.

    levels  of every two coders
    alphas  Krippendorff's alpha of all together by frames: ``all coders``, and ``human coders`` where there are two
    """

    labels: tuple[str, ...]
    recordings: Sequence[Recording]
    levels: list[Level]
    alphas: dict[str, Figure]
    over: str
    rules: Rules


def compare(recordings: Sequence[Recording], labels: Sequence[str], rules: Rules | None = None) -> Comparison:
    """Compare every two coders on all recordings that both have; ConfigError where no frame has two codes."""
    rules = rules or Rules()
    over = rules.over or ("recordings" if len(recordings) >= 8 else "time")
    rules_of = {"over": over, "draws": rules.draws, "seed": rules.seed}
    coders = list(dict.fromkeys(name for r in recordings for name in r.codes))
    levels = []
    for first, second in combinations(coders, 2):
        shared = [r for r in recordings if first in r.codes and second in r.codes]
        levels += _levels(first, second, shared, tuple(labels), rules, rules_of)
    if not any(level.n for level in levels):
        raise ConfigError(
            "no frame has two codes: do the files belong together, and does --map name the coder's labels?"
        )
    groups = {"all coders": coders, "human coders": [c for c in coders if c != MIEN]}
    alphas = {
        name: _alpha(group, recordings, len(labels), rules.block, rules_of)
        for name, group in groups.items()
        if len(group) > 1 and not (name == "all coders" and len(group) == 2)
    }
    return Comparison(tuple(labels), recordings, levels, alphas, over, rules)


def _levels(
    first: str, second: str, shared: Sequence[Recording], labels: tuple[str, ...], rules: Rules, drawing: dict[str, Any]
) -> list[Level]:
    k = len(labels)
    frames, sure, segments = [], [], []
    for r in shared:
        a, b, blocks = r.codes[first], r.codes[second], _blocks(r.times, rules.block)
        frames.append(confusions(a, b, k, blocks))
        sure.append(confusions(np.where(r.unsure, -1, a), b, k, blocks))
        segments.append(_segments(r, first, second, k, rules))
    by_frame, by_segment = partial(pair_measures, labels=labels), partial(segment_measures, labels=labels)
    found = [("frames", by_frame, frames), ("segments", by_segment, segments)]
    if MIEN in (first, second):
        found.insert(1, ("sure frames", by_frame, sure))
    return [_level(first, second, name, measure, parts, drawing) for name, measure, parts in found if parts]


def _level(first: str, second: str, name: str, measure: Any, parts: Any, drawing: dict[str, Any]) -> Level:
    counts = np.sum([p.sum(0) for p in parts], 0).astype(np.int64)
    return Level(first, second, name, int(counts.sum()), counts, figures(measure, parts, **drawing))


def _segments(r: Recording, first: str, second: str, k: int, rules: Rules) -> NDArray[np.float64]:
    """Of the frames that both coded, so that nobody is blamed for what the other left out."""
    a, b = r.codes[first], r.codes[second]
    both = (a >= 0) & (b >= 0)
    if not both.any():
        return np.zeros((1, k + 1, k + 1))
    marked_a, marked_b = (
        stretches(r.times, np.where(both, codes, -1), rules.hold if name == MIEN else 0.0)
        for name, codes in ((first, a), (second, b))
    )
    return segment_counts(marked_a, marked_b, k, rules.overlap, rules.block, float(r.times[0]))


def _alpha(
    coders: Sequence[str], recordings: Sequence[Recording], k: int, block: float, drawing: dict[str, Any]
) -> Figure:
    parts = []
    for r in recordings:
        codes = [r.codes[c] for c in coders if c in r.codes]
        if len(codes) > 1:
            parts.append(coincidences(np.stack(codes), k, _blocks(r.times, block)))
    if not parts:
        return Figure(None)
    return figures(lambda counts: {"alpha": krippendorff_alpha(counts)}, parts, **drawing)["alpha"]


def _blocks(times: NDArray[np.float64], block: float) -> NDArray[np.int64]:
    return ((times - times[0]) // block).astype(np.int64) if len(times) else np.zeros(0, np.int64)
