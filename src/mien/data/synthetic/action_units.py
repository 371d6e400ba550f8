"""Which facial muscles an expression moves: action units (FACS) and how they combine, drawn at random by intensity.

The action units are those of the Facial Action Coding System (Ekman & Friesen 1978; Ekman, Friesen & Hager 2002). Which
of them make an expression, and how often, follows table 1 of Du, Tao & Martinez, "Compound facial expressions of
emotion", PNAS 111(15), 2014 (doi 10.1073/pnas.1322355111): units seen in nearly everybody, and others with the share of
people that showed them. Raised upper lids in anger, tight lids in disgust and open mouths in both are EMFACS variants
(Friesen & Ekman 1983); those shares are ours. The shares were set from memory of the paper: don't cite them from here.
Leaves out: what a unit does to the drawing (``parts``).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["ACTION_UNITS", "PROTOTYPES", "UNIFORMS_PER_FACE", "Activation", "activate"]

#: The action units that the drawings know, by FACS number.
ACTION_UNITS: dict[int, str] = {
    1: "inner brow raiser",
    2: "outer brow raiser",
    4: "brow lowerer",
    5: "upper lid raiser",
    6: "cheek raiser",
    7: "lid tightener",
    9: "nose wrinkler",
    10: "upper lip raiser",
    11: "nasolabial deepener",
    12: "lip corner puller",
    15: "lip corner depressor",
    17: "chin raiser",
    20: "lip stretcher",
    23: "lip tightener",
    24: "lip pressor",
    25: "lips part",
    26: "jaw drop",
    45: "blink",
}

#: Expression -> action unit -> share of people who show it. 0.95 stands for "nearly everybody".
PROTOTYPES: dict[str, dict[int, float]] = {
    "angry": {4: 0.95, 7: 0.95, 24: 0.95, 17: 0.52, 23: 0.29, 10: 0.26, 5: 0.25, 25: 0.2, 26: 0.1},
    "disgust": {9: 0.95, 10: 0.95, 17: 0.95, 4: 0.31, 24: 0.26, 25: 0.25, 7: 0.3},
    "fear": {1: 0.95, 4: 0.95, 20: 0.95, 25: 0.95, 5: 0.63, 2: 0.57, 26: 0.33},
    "happy": {12: 0.95, 25: 0.95, 6: 0.51},
    "sad": {4: 0.95, 15: 0.95, 17: 0.67, 1: 0.60, 6: 0.50, 11: 0.26},
    "surprise": {1: 0.95, 2: 0.95, 25: 0.95, 26: 0.95, 5: 0.66},
    "neutral": {},
}

# A unit that an expression does not call for still moves in this share of faces, up to this intensity.
_STRAY_SHARE, _STRAY_MOST = 0.08, 0.35
# The weakest expression moves its muscles by this share of the full movement.
_FAINTEST = 0.4
# Units that cannot act together: where the first is stronger, the second rests.
_RIVALS = ((25, 24), (26, 24), (24, 25), (24, 26), (12, 15), (15, 12), (5, 45))

#: Uniform numbers that :func:`activate` uses up for one face.
UNIFORMS_PER_FACE = 1 + 5 * len(ACTION_UNITS)

#: Action unit -> float ``(N, 2)``, its intensity (0 rest, 1 full) on the left and on the right half of the picture.
Activation = dict[int, NDArray[np.float64]]


def activate(names: list[str], uniforms: NDArray[np.float64]) -> Activation:
    """Intensities of all action units for faces with the expressions ``names``.

    ``uniforms`` is ``(N, UNIFORMS_PER_FACE)`` in [0, 1): overall strength, then for each unit whether it is shown, how
    much, whether it strays, how far, and by how much the two halves differ.
    """
    strength = _FAINTEST + (1.0 - _FAINTEST) * uniforms[:, :1]
    shown, much, strays, far, uneven = np.split(uniforms[:, 1:], 5, axis=1)
    share = np.array([[PROTOTYPES[name].get(unit, 0.0) for unit in ACTION_UNITS] for name in names])
    meant = (shown < share) * strength * (0.7 + 0.5 * much)
    stray = (strays < _STRAY_SHARE) * _STRAY_MOST * far
    level = np.minimum(np.maximum(meant, stray), 1.15)
    units = dict(zip(ACTION_UNITS, level.T, strict=True))
    for first, second in _RIVALS:
        units[second] = units[second] * (units[first] <= units[second])
    tilt = 0.25 * (uneven.T - 0.5)
    return {u: np.stack([v * (1 - t), v * (1 + t)], 1) for (u, v), t in zip(units.items(), tilt, strict=True)}
