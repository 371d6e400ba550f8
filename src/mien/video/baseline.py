"""What a face says relative to the same person's face at rest: some people look angry or sad when they feel nothing.

A person's features shift what the network says of all their faces alike. In log probabilities, its own scale, that
is a constant, and it can be seen where the person is known to be neutral::

    rest_k     = mean over the neutral stretch of log(p_k + 0.01)        (or the median over the whole film)
    relative_k = (p_k + 0.01) * exp(reference_k - rest_k), divided by the sum over all k

``reference`` is log(r_k + 0.01) of a face at rest as it should be: r is 0.4 for neutral, the others share 0.6 equally.
So the person's rest itself comes out as neutral, 0.4, and whatever differs counts by how much it differs. The 0.01
keeps noise from raising labels that are almost 0 at rest. The same shift of logits is used to correct priors (Saerens,
Latinne & Decaestecker 2002, Neural Computation 14, 21-41); 0.4, which was chosen on other drawn people than those of
``bench/video/baseline.py``, and 0.01 are ours. numpy only. Leaves out: tables (``results.relative``).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mien.errors import ConfigError

__all__ = ["FORMULA", "RestInterval", "Rests", "parse_baseline", "relative", "rest_of"]

#: What the metadata of tables say.
FORMULA = (
    "relative_k = (p_k + 0.01) exp(reference_k - rest_k), divided by its sum; rest_k = mean (median: median) of "
    "log(p_k + 0.01) at rest; reference_k = log(r_k + 0.01), r = 0.4 for neutral, 0.6 shared equally by the others"
)

_FLOOR = 0.01
_NEUTRAL = "neutral"
_AT_REST = 0.4  # of neutral in the reference


@dataclass(frozen=True)
class RestInterval:
    """From ``start`` to ``end``, in seconds, both included."""

    start: float
    end: float


def parse_baseline(text: str) -> RestInterval | str:
    """``"2-10"`` -> a stretch, ``"median"`` as it is, anything else is the path of a file."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*-\s*(\d+(?:\.\d+)?)", text.strip())
    if not found:
        return text
    start, end = float(found[1]), float(found[2])
    if not end > start:
        raise ConfigError(f"--baseline {text}: the stretch must end after its start")
    return RestInterval(start, end)


def rest_of(probabilities: ArrayLike, *, median: bool = False) -> NDArray[np.float64]:
    """A person's rest ``(K,)`` from probabilities ``(N, K)``, N at least 1, of their neutral face: mean logarithms."""
    logs = np.log(np.asarray(probabilities, np.float64) + _FLOOR)
    found: NDArray[np.float64] = np.median(logs, 0) if median else logs.mean(0)
    return found


def relative(probabilities: ArrayLike, rest: NDArray[np.float64], neutral: int) -> NDArray[np.float64]:
    """Probabilities ``(..., K)`` relative to a :func:`rest_of` ``(K,)``; they sum to 1. ``neutral`` is its index."""
    k = len(rest)
    reference = np.full(k, (1 - _AT_REST) / (k - 1))
    reference[neutral] = _AT_REST
    shift = np.log(reference + _FLOOR) - rest
    logs = np.log(np.asarray(probabilities, np.float64) + _FLOOR) + shift
    raised = np.exp(logs - logs.max(-1, keepdims=True))
    found: NDArray[np.float64] = raised / raised.sum(-1, keepdims=True)
    return found


class Rests:
    """Each person's rest, from a film as it goes by, and their faces relative to it at the end.

    labels  of the model, with ``neutral`` among them
    how     a :class:`RestInterval` of the film, ``median`` of all of each person's frames (right for those who rest
            most of the time; keeps K float32 a face), or the probabilities ``(N, K)`` of the only person's neutral face
    """

    def __init__(self, labels: Sequence[str], how: RestInterval | str | NDArray[np.float64]) -> None:
        if _NEUTRAL not in labels:
            raise ConfigError(f"a baseline needs a model with the label neutral, this one has {', '.join(labels)}")
        self.labels, self.how = tuple(labels), how
        self._neutral = self.labels.index(_NEUTRAL)
        self._seen: dict[int, list[NDArray[np.float32]]] = {}
        self._rests: dict[int, NDArray[np.float64] | None] = {}
        self._given = None if isinstance(how, RestInterval | str) else rest_of(how)

    def add(self, track: int, time: float, probabilities: Mapping[str, float]) -> None:
        """One usable face of a person."""
        kept = self._seen.setdefault(track, [])
        inside = self.how.start <= time <= self.how.end if isinstance(self.how, RestInterval) else self._given is None
        if inside:
            kept.append(np.fromiter(probabilities.values(), np.float32, len(self.labels)))

    def relative(self, track: int | None, probabilities: Sequence[float]) -> dict[str, float] | None:
        """Label -> relative probability, once the film is over; None for somebody whose rest is not known."""
        rest = None if track is None else self._rest(track)
        if rest is None:
            return None
        return dict(zip(self.labels, map(float, relative(probabilities, rest, self._neutral)), strict=True))

    def to_dict(self) -> dict[str, Any]:
        """For a table's metadata: the formula, each person's rest as probabilities and its frames, and who has none."""
        rests = {track: self._rest(track) for track in sorted(self._seen)}
        known = {track: rest for track, rest in rests.items() if rest is not None}
        number = 0 if self._given is None else len(np.asarray(self.how))
        told = {
            str(track): {"frames": number or len(self._seen[track]), "rest": self._rounded(rest)}
            for track, rest in known.items()
        }
        return {"formula": FORMULA, "persons": told, "without": [track for track in rests if track not in known]}

    def _rest(self, track: int) -> NDArray[np.float64] | None:
        if self._given is not None:
            return self._given
        if track not in self._rests:
            seen = self._seen.get(track)
            self._rests[track] = rest_of(np.stack(seen), median=self.how == "median") if seen else None
        return self._rests[track]

    def _rounded(self, rest: NDArray[np.float64]) -> dict[str, float]:
        return {
            label: round(max(0.0, float(np.exp(v)) - _FLOOR), 6) for label, v in zip(self.labels, rest, strict=True)
        }
