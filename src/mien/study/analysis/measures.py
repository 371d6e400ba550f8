"""What one stretch of a recording says: seconds of each label, segments, latency, curves; and what is missing of it.

All are sums over time, so that stretches can be put together without a mean of means; time that is missing is in none
of them, and is told beside. Leaves out: tables (``cells``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mien.study.analysis.recorded import REASONS, PersonFrames
from mien.video import SegmentFinder

__all__ = ["MISSING", "Measured", "measure", "together"]

#: Why time is missing: a frame says nothing, or there is none.
MISSING = (*REASONS[1:], "no frame")

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Measured:
    """One stretch, or several together; K labels, B bins of time from the start on.

    asked, measured  seconds that it lasts, and those of them that say something
    missing          ``(5,)`` seconds, by :data:`MISSING`
    unsure           seconds, of the measured ones
    shown            ``(K,)`` seconds in which each label was the most probable one
    mass             ``(K,)`` integral of each label's probability over the measured time
    segments         ``(K,)`` number; ``length`` their seconds, without what is missing in them
    latency          ``(K,)`` seconds from the start to the first segment, nan where there is none; of several stretches
                     the mean over those with one
    with_one         ``(K,)`` number of stretches that have one
    bins             ``(B, K)`` as ``mass``, of each bin; ``bin_time`` ``(B,)`` its measured seconds
    """

    asked: float
    measured: float
    missing: Array
    unsure: float
    shown: Array
    mass: Array
    segments: Array
    length: Array
    latency: Array
    with_one: Array
    bins: Array
    bin_time: Array

    @property
    def share_missing(self) -> float:
        """Of the seconds asked for, 0..1; 1 where none were, as behind a recording's end."""
        return min(1.0, max(0.0, 1 - self.measured / self.asked)) if self.asked else 1.0

    @property
    def share_unsure(self) -> float:
        """Of the measured seconds; nan without any."""
        return self.unsure / self.measured if self.measured else float("nan")


def measure(
    frames: PersonFrames,
    labels: Sequence[str],
    start: float | None,
    end: float | None,
    *,
    hold: float,
    max_gap: float,
    bin_width: float,
) -> Measured:
    """Measure ``frames`` from ``start`` up to ``end``; None is where they start or end.

    hold, max_gap  see :class:`~mien.video.SegmentFinder`, which sees the frames of the stretch only
    bin_width      seconds of a bin of the curves
    """
    until = frames.times + frames.steps
    begin = float(frames.times[0]) if start is None else start
    finish = max(begin, float(until[-1])) if end is None else end
    weights = np.maximum(np.minimum(until, finish) - np.maximum(frames.times, begin), 0.0)
    told = np.flatnonzero((frames.reasons == 0) & (weights > 0))
    w, p = weights[told], frames.probabilities[told]
    codes = p.argmax(1) if len(told) else np.zeros(0, np.int64)
    k = len(labels)
    lost = np.bincount(frames.reasons, weights, len(REASONS))[1:]
    uncovered = max(0.0, finish - begin - float(weights.sum()))
    segments, length, latency = _segments(frames.times[told], w, codes, labels, begin, hold, max_gap)
    bins, bin_time = _bins(np.maximum(frames.times[told], begin) - begin, w, p, finish - begin, bin_width)
    return Measured(
        asked=finish - begin,
        measured=float(w.sum()),
        missing=np.append(lost, uncovered),
        unsure=float(w[frames.unsure[told]].sum()),
        shown=np.bincount(codes, w, k).astype(np.float64),
        mass=w @ p,
        segments=segments,
        length=length,
        latency=latency,
        with_one=(segments > 0).astype(np.float64),
        bins=bins,
        bin_time=bin_time,
    )


def together(parts: Sequence[Measured]) -> Measured:
    """Several stretches as one: sums, and for the latency the mean over those that have one."""
    size = max(len(m.bin_time) for m in parts)
    having = sum(m.with_one for m in parts)
    late = np.sum([np.nan_to_num(m.latency) * m.with_one for m in parts], axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        latency = late / having
    return Measured(
        asked=sum(m.asked for m in parts),
        measured=sum(m.measured for m in parts),
        missing=np.sum([m.missing for m in parts], axis=0),
        unsure=sum(m.unsure for m in parts),
        shown=np.sum([m.shown for m in parts], axis=0),
        mass=np.sum([m.mass for m in parts], axis=0),
        segments=np.sum([m.segments for m in parts], axis=0),
        length=np.sum([m.length for m in parts], axis=0),
        latency=latency,
        with_one=np.asarray(having, np.float64),
        bins=np.sum([_longer(m.bins, size) for m in parts], axis=0),
        bin_time=np.sum([_longer(m.bin_time, size) for m in parts], axis=0),
    )


def _longer(bins: Array, size: int) -> Array:
    """With empty bins behind."""
    if len(bins) == size:
        return bins
    return np.concatenate([bins, np.zeros((size - len(bins), *bins.shape[1:]))])


def _segments(
    times: Array, w: Array, codes: NDArray[np.int64], labels: Sequence[str], begin: float, hold: float, max_gap: float
) -> tuple[Array, Array, Array]:
    """Number, measured seconds and latency of each label's segments; a segment takes frames one behind the other."""
    finder, nothing = SegmentFinder(hold, max_gap), dict.fromkeys(labels, 0.0)
    found = [
        s for t, c in zip(times.tolist(), codes.tolist(), strict=True) for s in finder.add(1, t, labels[c], nothing)
    ]
    number, length, latency = np.zeros(len(labels)), np.zeros(len(labels)), np.full(len(labels), np.nan)
    first = 0
    for segment in found + finder.close():
        k = labels.index(segment.label)
        number[k] += 1
        length[k] += w[first : first + segment.frames].sum()
        if np.isnan(latency[k]):
            latency[k] = max(0.0, times[first] - begin)
        first += segment.frames
    return number, length, latency


def _bins(begins: Array, w: Array, p: Array, lasts: float, width: float) -> tuple[Array, Array]:
    """Integrals of probabilities and of measured time over bins; a frame that lies in two is shared between them."""
    edges = width * np.arange(max(1, int(np.ceil(lasts / width - 1e-9))) + 1)
    edges[-1] = max(edges[-1], lasts)
    if not len(w):
        return np.zeros((len(edges) - 1, p.shape[1])), np.zeros(len(edges) - 1)
    at = np.stack([begins, begins + w], 1).ravel()
    sums = np.concatenate(
        [np.zeros((1, p.shape[1] + 1)), np.cumsum(np.column_stack([p, np.ones(len(p))]) * w[:, None], 0)]
    )
    steps = np.stack([sums[:-1], sums[1:]], 1).reshape(len(at), -1)
    filled = np.stack([np.interp(edges, at, column) for column in steps.T], 1)
    parts = np.diff(filled, axis=0)
    return parts[:, :-1], parts[:, -1]
