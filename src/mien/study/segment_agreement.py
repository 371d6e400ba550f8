"""Do two coders mark the same segments? Segments of one and of the other are linked by how much they overlap.

After EasyDIAg (Holle & Rein 2015, Behavior Research Methods 47, 837-847), with one difference: overlap is the part that
two segments share of what they cover together. Frames flatter long segments; here each segment counts once.
Leaves out: agreement by frames (``agreement``).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mien.study.agreement import kappa
from mien.video import SegmentFinder

__all__ = ["CodedSegment", "link", "segment_counts", "segment_measures", "stretches"]

_GAP = 1.0  # seconds without a frame that both have coded, after which a segment ends; of slow films two frames

#: Start, end (seconds) and class number.
CodedSegment = tuple[float, float, int]


def stretches(times: NDArray[np.float64], codes: NDArray[np.int64], hold: float = 0.0) -> list[CodedSegment]:
    """The segments of codes ``(N,)``, negative where there is none, at rising ``times`` of all frames.

    hold  seconds that a code must last, see :class:`~mien.video.SegmentFinder`
    """
    step = float(np.median(np.diff(times))) if len(times) > 1 else 0.0
    finder, even = SegmentFinder(hold, max(_GAP, 1.5 * step)), dict.fromkeys(map(str, np.unique(codes).tolist()), 1.0)
    found = []
    for time, code in zip(times.tolist(), codes.tolist(), strict=True):
        if code >= 0:
            found += finder.add(1, time, str(code), even)
        found += finder.tick(time)
    return [(s.start, s.end, int(s.label)) for s in (*found, *finder.close())]


def link(a: Sequence[CodedSegment], b: Sequence[CodedSegment], overlap: float = 0.5) -> list[tuple[int, int]]:
    """Pairs of indices, each in one pair at most, the best overlap first, whatever the labels.

    overlap  what two segments must share of what they cover together, above 0 and up to 1
    """
    pairs, first = [], 0
    for i, (start, end, _) in enumerate(a):
        while first < len(b) and b[first][1] <= start:
            first += 1
        for j in range(first, len(b)):
            if b[j][0] >= end:
                break
            shared = min(end, b[j][1]) - max(start, b[j][0])
            share = shared / (max(end, b[j][1]) - min(start, b[j][0]))
            if share >= overlap - 1e-9:
                pairs.append((share, i, j))
    free_a, free_b, linked = set(range(len(a))), set(range(len(b))), []
    for _, i, j in sorted(pairs, key=lambda p: (-p[0], p[1], p[2])):
        if i in free_a and j in free_b:
            free_a.remove(i)
            free_b.remove(j)
            linked.append((i, j))
    return sorted(linked)


def segment_counts(
    a: Sequence[CodedSegment],
    b: Sequence[CodedSegment],
    k: int,
    overlap: float = 0.5,
    block: float = float("inf"),
    start: float = 0.0,
) -> NDArray[np.float64]:
    """Counts ``(B, k + 1, k + 1)``: rows the label in ``a``, columns in ``b``, last row and column for no partner.

    block  seconds; a pair belongs to the block in which the segment of ``a`` begins, counted from ``start``
    """
    linked = link(a, b, overlap)
    cells = [(a[i][0], a[i][2], b[j][2]) for i, j in linked]
    in_a, in_b = {i for i, _ in linked}, {j for _, j in linked}
    cells += [(s[0], s[2], k) for i, s in enumerate(a) if i not in in_a]
    cells += [(s[0], k, s[2]) for j, s in enumerate(b) if j not in in_b]
    places = [int((time - start) // block) for time, _, _ in cells]
    counts = np.zeros((max(places, default=0) + 1, k + 1, k + 1))
    for place, (_, row, column) in zip(places, cells, strict=True):
        counts[place, row, column] += 1
    return counts


def segment_measures(counts: NDArray[np.float64], labels: Sequence[str]) -> dict[str, NDArray[np.float64]]:
    """Measures of tables of :func:`segment_counts` ``(..., k + 1, k + 1)``; NaN where one is undefined.

    ``percent`` of all segments, linked or not, 0..100, that have a partner with the same label; ``linked`` that have a
    partner at all; ``kappa of linked`` of the labels of partners, so of naming alone, without finding; ``f1 LABEL``
    ``2 both / (first + second)``.
    """
    named = counts[..., :-1, :-1]
    both = np.diagonal(named, axis1=-2, axis2=-1)
    first, second = counts[..., :-1, :].sum(-1), counts[..., :, :-1].sum(-2)
    with np.errstate(invalid="ignore", divide="ignore"):
        everything = counts.sum((-2, -1))
        f1 = 2 * both / (first + second)
        whole = {
            "percent": 100 * both.sum(-1) / everything,
            "linked": 100 * named.sum((-2, -1)) / everything,
            "kappa of linked": kappa(named),
        }
    return {**whole, **{f"f1 {label}": f1[..., i] for i, label in enumerate(labels)}}
