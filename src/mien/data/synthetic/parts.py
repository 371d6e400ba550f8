"""The parts of a stylised face, back to front: what identity and action units do to each.

In the spirit of parametric face models such as CANDIDE (Rydfalk 1987): a rest shape, offsets for who it is, offsets for
each action unit. The offsets are drawn by eye, larger than life, from the pictures in the FACS manual.
Leaves out: pose and painting (``drawing``), which units an expression moves (``action_units``).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from mien.data.synthetic.action_units import Activation
from mien.data.synthetic.drawing import Array, Layer, columns, sides, smooth

__all__ = ["GAZE", "IDENTITY", "layers"]

#: What tells people apart, name -> lowest and highest value; a "pick" chooses among styles.
IDENTITY: dict[str, tuple[float, float]] = {
    "width": (0.92, 1.08),
    "jaw": (-0.08, 0.10),
    "chin": (-0.06, 0.06),
    "eye_size": (0.85, 1.25),
    "eye_gap": (-0.03, 0.04),
    "eye_tilt": (-0.025, 0.03),
    "iris": (15.0, 95.0),
    "brow_thick": (0.6, 1.5),
    "brow_y": (-0.03, 0.03),
    "brow_slope": (-0.05, 0.02),
    "brow_arch": (-0.02, 0.04),
    "nose_long": (-0.05, 0.05),
    "nose_wide": (0.8, 1.25),
    "mouth_wide": (0.88, 1.14),
    "mouth_y": (-0.03, 0.03),
    "mouth_rest": (-0.025, 0.025),
    "lips": (0.6, 1.5),
    "skin": (95.0, 215.0),
    "hair_tone": (0.0, 1.0),
    "hair_pick": (0.0, 1.0),
    "beard_pick": (0.0, 1.0),
    "glasses_pick": (0.0, 1.0),
    "clothes": (20.0, 230.0),
    "age": (0.0, 1.0),
}
#: What changes from picture to picture without being an expression: where the eyes look.
GAZE: dict[str, tuple[float, float]] = {"gaze_x": (-0.06, 0.06), "gaze_y": (-0.015, 0.02)}

# Hair styles: lift of the crown, hair behind the head (0 none, 1 long, 2 round), hairline's y at _HAIR_X.
_HAIR_X = np.array([-0.82, -0.72, -0.55, -0.28, 0.0, 0.28, 0.55, 0.72, 0.82])
_HAIR: tuple[tuple[float, int, tuple[float, ...]], ...] = (
    (1.00, 0, (-2.0,) * 9),  # bald
    (1.04, 0, (-0.15, -0.35, -0.62, -0.70, -0.72, -0.70, -0.62, -0.35, -0.15)),  # short
    (1.10, 0, (-0.10, -0.30, -0.44, -0.52, -0.49, -0.53, -0.46, -0.30, -0.10)),  # fringe
    (1.10, 0, (-0.15, -0.40, -0.74, -0.82, -0.70, -0.60, -0.52, -0.30, -0.10)),  # parted at the side
    (1.08, 1, (0.00, -0.15, -0.45, -0.70, -0.86, -0.70, -0.45, -0.15, 0.00)),  # long, parted in the middle
    (1.08, 1, (0.00, -0.25, -0.45, -0.52, -0.54, -0.52, -0.45, -0.25, 0.00)),  # long, with a fringe
    (1.25, 2, (-0.20, -0.42, -0.66, -0.74, -0.76, -0.74, -0.66, -0.42, -0.20)),  # round
    (1.03, 0, (-0.25, -0.50, -0.85, -0.86, -0.72, -0.86, -0.85, -0.50, -0.25)),  # receding
)
_BEARDS = ("", "", "", "", "stubble", "full", "moustache", "goatee")

Who = dict[str, Array]


def layers(who: Who, au: Activation) -> list[Layer]:
    """The layers of N faces, back to front; ``who`` holds :data:`IDENTITY` and :data:`GAZE` by name, ``(N,)`` each."""
    parts: tuple[Callable[[Who, Activation], list[Layer]], ...]
    parts = (_behind, _head, _folds, _beard, _eyes, _brows, _nose, _mouth, _glasses, _hair)
    return [layer for part in parts for layer in part(who, au)]


def _both(au: Activation, unit: int) -> Array:
    """A unit's mean over the two halves, ``(N,)``."""
    mean: Array = au[unit].mean(1)
    return mean


def _hair_tone(who: Who) -> Array:
    """Grey value of the hair: mostly dark, some light, never close to the skin's."""
    tone = 18.0 + 190.0 * who["hair_tone"] ** 2
    return np.where(np.abs(tone - who["skin"]) < 40, who["skin"] - 55.0, tone)


def _oval(x: Array | float, y: Array | float, rx: Array | float, ry: Array | float, points: int = 14) -> Array:
    """A closed oval, ``(..., points + 1, 2)``."""
    turns = [2 * np.pi * k / points for k in range(points + 1)]
    return columns(*[(x + rx * np.cos(t), y + ry * np.sin(t)) for t in turns])


def _outline(who: Who, au: Activation) -> Array:
    """The face's edge, ``(N, 14, 2)`` control points clockwise from the crown; the jaw drops with unit 26."""
    w, jaw, drop = who["width"], who["jaw"], 0.14 * _both(au, 26)
    chin = who["chin"] + drop
    half: list[tuple[Array | float, Array | float]] = [
        (0.45 * w, -0.92),
        (0.69 * w, -0.55),
        (0.75 * w, -0.1),
        ((0.71 + 0.5 * jaw) * w, 0.3),
    ]
    half += [((0.55 + jaw) * w, 0.66 + 0.5 * drop), ((0.26 + 0.7 * jaw) * w, 0.93 + chin)]
    other: list[tuple[Array | float, Array | float]] = [(-x, y) for x, y in reversed(half)]
    return columns((0.0, -1.02), *half, (0.0, 1.0 + chin), *other)


def _behind(who: Who, au: Activation) -> list[Layer]:
    """Hair behind the head, neck and clothes."""
    style = np.array([back for _, back, _ in _HAIR])[(who["hair_pick"] * len(_HAIR)).astype(int)]
    zero, tone = 0 * who["skin"], _hair_tone(who)
    neck = columns((-0.36, 0.6), (0.36, 0.6), (0.42, 1.3), (-0.42, 1.3))
    body = columns((-0.42, 1.1), (0.0, 1.3), (0.42, 1.1), (1.6, 1.45), (1.6, 2.4), (-1.6, 2.4), (-1.6, 1.45))
    return [
        Layer(_oval(zero, 0.25, 0.98, 1.35, 20), 0.85 * tone, style == 1),
        Layer(_oval(zero, -0.25, 1.12, 1.12, 20), 0.85 * tone, style == 2),
        Layer(neck + zero[:, None, None], 0.68 * who["skin"]),
        Layer(body + zero[:, None, None], who["clothes"]),
    ]


def _head(who: Who, au: Activation) -> list[Layer]:
    """Ears and the face itself, with a darker edge."""
    edge = smooth(_outline(who, au), closed=True)
    ears = [Layer(_oval(s * 0.77 * who["width"], -0.02, 0.1, 0.2), 0.85 * who["skin"]) for s in (-1, 1)]
    return [*ears, Layer(edge, who["skin"]), Layer(edge, 0.72 * who["skin"], width=0.03)]


def _folds(who: Who, au: Activation) -> list[Layer]:
    """Cheeks and the wrinkles that muscles make: darker the harder they pull, and with age."""
    skin, age = who["skin"], 0.3 * who["age"][:, None]
    up = 0.06 * au[12]
    cheek = columns((0.28, 0.14), (0.45, 0.02), (0.6, 0.12), (0.58, 0.28), (0.4, 0.34)) - columns((0.0, 0.08 * au[6]))
    lid = columns((0.17, 0.03 - 0.02 * au[6]), (0.32, 0.075 - 0.03 * au[6]), (0.49, 0.0 - 0.02 * au[6]))
    crow = columns((0.53, -0.1), (0.62, -0.13 + 0.02 * au[6]))
    lips = columns((0.15, 0.17), (0.27 + up, 0.3), (0.33 + up, 0.42), (0.34 + up, 0.54 - up))
    frown = columns((0.05, -0.24), (0.055, -0.34), (0.04, -0.44))
    nose = columns((0.0, -0.12), (0.06, -0.08), (0.11, -0.1))
    nose_low = columns((0.03, -0.01), (0.09, 0.03), (0.14, 0.0))
    raised = columns((0.0, -0.59), (0.2, -0.6), (0.2 + 0.25 * au[2], -0.57 - 0.02 * au[2]))
    chin = columns((0.0, 0.72), (0.1, 0.74), (0.17, 0.8))
    lines: list[tuple[Array, Array, float]] = [
        (lid, np.maximum(au[6], 0.4 * au[7]) + 0.7 * age, 0.022),
        (crow, au[6] + 0.5 * age, 0.02),
        (lips, np.maximum.reduce([0.9 * au[12], 0.9 * au[10], 0.7 * au[9], au[11], 0.5 * au[6]]) + age, 0.026),
        (frown, au[4] + 0.4 * age, 0.026),
        (nose, 1.2 * au[9], 0.026),
        (nose_low, 1.2 * au[9], 0.024),
        (raised, np.maximum(0.9 * au[1], 0.9 * au[2]) + 0.6 * age - 0.1, 0.024),
        (chin, 0.9 * au[17], 0.026),
    ]
    glow = skin[:, None] * (1.0 + 0.09 * np.minimum(np.maximum(au[6], 0.7 * au[12]), 1))
    found = [
        Layer(smooth(p, closed=True), glow[:, s], au[12][:, s] + au[6][:, s] > 0.1) for s, p in enumerate(sides(cheek))
    ]
    for points, depth, width in lines:
        points = smooth(np.broadcast_to(points, (*au[1].shape, *points.shape[-2:])), 3)
        for s, p in enumerate(sides(points)):
            found.append(Layer(p, skin * (1 - 0.42 * np.minimum(depth[:, s], 1.0)), depth[:, s] > 0.12, width))
    return found


def _eyes(who: Who, au: Activation) -> list[Layer]:
    """White, iris cut off by the lids, lid lines and the fold above."""
    size, skin = who["eye_size"][:, None], who["skin"]
    open_ = 1 - 0.9 * np.minimum(2 * au[45], 1.0)
    upper = np.maximum(
        (0.08 * size + 0.075 * au[5] - 0.035 * au[7] - 0.012 * au[4] - 0.025 * au[9] - 0.01 * au[12]) * open_, 0.012
    )
    lower = np.maximum(0.05 * size + 0.012 * au[5] - 0.03 * au[7] - 0.04 * au[6] - 0.02 * au[9], 0.004)
    cx, cy, half = 0.315 + who["eye_gap"][:, None] + 0 * size, -0.15, 0.165 * size
    tilt = who["eye_tilt"][:, None] + 0.02 * au[4] - 0.045 * au[1]

    def lid(height: Array, u: Array | float, sign: float) -> Array:
        """The lid's y at ``u`` (-1 inner corner, 1 outer corner), ``(N, 2)``."""
        y: Array = cy + sign * height * np.maximum(1 - np.square(u), 0.0) ** 0.7 - tilt * u
        return y

    def iris(side: int, radius: float, dx: float, dy: float, points: int) -> Array:
        """An oval cut off by the lids, ``(N, P, 2)``, mirrored where ``side`` is 0."""
        mirror, turns = (-1.0, 1.0)[side], [2 * np.pi * k / points for k in range(points)]
        look = who["gaze_x"][:, None] * mirror
        cols = []
        for t in turns:
            u = np.clip((look + dx * mirror + radius * size * np.cos(t)) / half, -1, 1)
            y = cy - 0.015 + who["gaze_y"][:, None] + dy + radius * size * np.sin(t)
            cols.append((cx + u * half, np.clip(y, lid(upper, u, -1.0), lid(lower, u, 1.0))))
        return sides(columns(*cols))[side]

    us = [-1 + k / 4 for k in range(9)]
    top = columns(*[(cx + u * half, lid(upper, u, -1.0)) for u in us])
    bottom = columns(*[(cx + u * half, lid(lower, u, 1.0)) for u in us])
    fold = top[:, :, 1:] - columns((0.0, 0.035 + 0.012 * au[5] - 0.012 * au[4]))
    white = np.concatenate([top, bottom[:, :, ::-1]], 2)
    found = []
    for s in (0, 1):
        a, b, c, d = (sides(p)[s] for p in (white, bottom, fold, top))
        found += [Layer(a, np.minimum(160 + 0.38 * skin, 244)), Layer(b, 0.66 * skin, width=0.018)]
        found += [
            Layer(iris(s, 0.082, 0.0, 0.0, 14), who["iris"]),
            Layer(iris(s, 0.04, 0.0, 0.0, 10), 0.3 * who["iris"]),
        ]
        found += [Layer(iris(s, 0.024, -0.03, -0.03, 6), 0 * skin + 250)]
        found += [Layer(c, 0.74 * skin, width=0.016), Layer(d, 0.3 * skin, width=0.034)]
    return found


def _brows(who: Who, au: Activation) -> list[Layer]:
    """Brows, thick inside and thin outside: 1 lifts the inner end, 2 the outer, 4 lowers and draws together."""
    w, down = who["eye_gap"][:, None], 0.05 * au[9] + 0.015 * au[7]
    slope, y = who["brow_slope"][:, None], who["brow_y"][:, None]
    line = columns(
        (0.13 + w - 0.055 * au[4], -0.35 + y + slope - 0.13 * au[1] - 0.01 * au[2] + 0.1 * au[4] + down),
        (0.28 + w - 0.03 * au[4], -0.395 + y - 0.08 * au[1] - 0.06 * au[2] + 0.075 * au[4] + down),
        (0.43 + w, -0.41 + y - who["brow_arch"][:, None] - 0.02 * au[1] - 0.13 * au[2] + 0.035 * au[4]),
        (0.57 + w, -0.33 + y - slope - 0.11 * au[2] + 0.005 * au[4]),
    )
    thick = who["brow_thick"][:, None]
    half = columns((0.0, 0.036 * thick), (0.0, 0.042 * thick), (0.0, 0.03 * thick), (0.0, 0.006 * thick))
    shape = np.concatenate([smooth(line - half, 3), smooth(line + half, 3)[:, :, ::-1]], -2)
    tone = np.minimum(_hair_tone(who), 0.62 * who["skin"])
    return [Layer(p, tone, bump=0.03) for p in sides(shape)]


def _nose(who: Who, au: Activation) -> list[Layer]:
    """Sides, tip, wings and nostrils; 9 and 10 lift and widen them."""
    skin, lift = who["skin"], 0.06 * au[9] + 0.02 * au[10]
    y = 0.22 + who["nose_long"][:, None] - lift
    w = who["nose_wide"][:, None] * (1 + 0.15 * au[9] + 0.08 * au[10] + 0.05 * au[12])
    bridge = columns((0.075, -0.2), (0.06, -0.05), (0.085 * w, y - 0.12), (0.13 * w, y - 0.03))
    wing = columns(
        (0.1 * w, y - 0.09), (0.15 * w, y - 0.02), (0.12 * w, y + 0.035), (0.05 * w, y + 0.03), (0.0, y + 0.06)
    )
    found = []
    for s in (0, 1):
        hole = sides(_oval(0.068 * w, y + 0.02, 0.036 * w, 0.02 + 0.01 * au[9], 8))[s]
        found += [Layer(smooth(sides(bridge)[s], 3), (0.8, 0.9)[s] * skin, width=0.03, bump=0.06)]
        found += [
            Layer(smooth(sides(wing)[s], 3), 0.58 * skin, width=0.026, bump=0.12),
            Layer(hole, 0.3 * skin, bump=0.12),
        ]
    return found


def _mouth(who: Who, au: Activation) -> list[Layer]:
    """Lips, teeth, tongue and the dark between, from corner to corner."""
    skin, u = who["skin"], np.linspace(-1, 1, 17)
    side = (u > 0).astype(int)
    round_ = (
        0.24 * au[26] * (1 - np.minimum(au[20] + au[12], 1))
    )  # a dropped jaw narrows a mouth that nothing stretches
    out = 0.32 * au[12] + 0.26 * au[20] - 0.12 * au[23] - 0.1 * au[24] - round_ - 0.05 * au[17]
    cx = 0.265 * who["mouth_wide"][:, None] * (1 + out)
    cy = who["mouth_rest"][:, None] - 0.15 * au[12] + 0.12 * au[15] + 0.035 * au[20] + 0.02 * au[10] * (1 - au[12])
    m = {k: _both(au, k)[:, None] for k in (10, 12, 17, 20, 23, 24, 25, 26)}
    x, bow = u * cx[:, side], np.maximum(1 - u**2, 0)
    line = 0.53 + who["mouth_y"][:, None] + 0.03 * m[12] - 0.05 * m[17] - 0.035 * m[10] + cy[:, side] * np.abs(u) ** 1.7
    gap = 0.085 * m[25] + 0.2 * m[26] + 0.03 * m[10] * m[25]
    thin = np.maximum(1 - 0.65 * m[24] - 0.4 * m[23] - 0.25 * m[12] - 0.25 * m[20], 0.2) * who["lips"][:, None]
    upper, lower = line - 0.3 * gap * bow**0.6, line + 0.7 * gap * bow**0.6
    cupid = bow**0.6 * (1 - 0.22 * np.exp(-((u / 0.16) ** 2)))
    top = upper - 0.055 * thin * cupid - 0.045 * m[10] * bow
    foot = lower + 0.075 * thin * bow**0.6 * (1 + 0.35 * m[17])
    teeth = np.minimum(upper + (0.05 + 0.02 * m[12] + 0.03 * m[10] + 0.02 * m[20]) * bow**0.4, lower)
    tongue = np.maximum(lower - 0.3 * gap * bow, teeth)
    opened, closed = gap[:, 0] > 0.02, gap[:, 0] <= 0.03

    def band(a: Array, b: Array) -> Array:
        return np.concatenate([np.stack([x, a], -1), np.stack([x, b], -1)[:, ::-1]], 1)

    frown = columns((cx + 0.015, 0.53 + who["mouth_y"][:, None] + cy), (cx + 0.05, 0.6 + who["mouth_y"][:, None] + cy))
    marks = [
        Layer(p, skin * (1 - 0.4 * np.minimum(au[15][:, s], 1)), au[15][:, s] > 0.15, 0.026)
        for s, p in enumerate(sides(frown))
    ]
    middle = slice(4, 13)
    return [
        *marks,
        Layer(np.stack([x, foot + 0.035], -1)[:, middle], 0.84 * skin, width=0.03, bump=0.03),
        Layer(band(top, upper), 0.64 * skin, bump=0.03),
        Layer(band(lower, foot), 0.72 * skin, bump=0.03),
        Layer(band(upper, lower), 0 * skin + 28, opened, bump=0.03),
        Layer(band(tongue, lower), 0.3 * skin + 30, gap[:, 0] > 0.16, bump=0.03),
        Layer(band(upper, teeth), 0 * skin + 232, opened, bump=0.03),
        Layer(np.stack([x, line], -1), 0.32 * skin, closed, 0.026, bump=0.03),
    ]


def _beard(who: Who, au: Activation) -> list[Layer]:
    """Stubble, full beard, moustache or goatee; it goes with jaw and lips."""
    pick = np.array(_BEARDS)[(who["beard_pick"] * len(_BEARDS)).astype(int)]
    hair, lift, drop = _hair_tone(who), 0.05 * _both(au, 12) + 0.04 * _both(au, 10), 0.14 * _both(au, 26)
    tone = np.where(pick == "stubble", 0.84 * who["skin"] + 0.16 * hair, hair)
    edge = _outline(who, au)[:, 4:11] * np.array([1.03, 1.01])  # over the edge's line
    inner = columns((-0.5, 0.34), (-0.32, 0.37), (0.0, 0.36 - lift), (0.32, 0.37), (0.5, 0.34))
    full = np.concatenate([smooth(edge), smooth(inner)], 1)
    lip = (
        (-0.27, 0.46),
        (-0.12, 0.36),
        (0.0, 0.35),
        (0.12, 0.36),
        (0.27, 0.46),
        (0.1, 0.45),
        (0.0, 0.43),
        (-0.1, 0.45),
    )
    moustache = smooth(columns(*[(x, y - lift) for x, y in lip]), 3, closed=True)
    goatee = smooth(
        columns(
            (-0.17, 0.7 + drop),
            (0.0, 0.66 + drop),
            (0.17, 0.7 + drop),
            (0.2, 0.9 + drop),
            (0.0, 1.02 + drop),
            (-0.2, 0.9 + drop),
        ),
        closed=True,
    )
    return [
        Layer(full, tone, (pick == "full") | (pick == "stubble")),
        Layer(moustache, hair, (pick == "moustache") | (pick == "goatee"), bump=0.05),
        Layer(goatee, hair, pick == "goatee"),
    ]


def _glasses(who: Who, au: Activation) -> list[Layer]:
    """Rims, bridge and temples for about one in five."""
    pick, zero = who["glasses_pick"], 0 * who["skin"]
    show, tone = pick > 0.8, np.where(pick > 0.95, 190.0, 28.0)
    corners = ((0.1, -0.27), (0.34, -0.29), (0.53, -0.26), (0.52, -0.08), (0.4, 0.04), (0.2, 0.03), (0.11, -0.06))
    found = []
    for s in (-1.0, 1.0):
        rim = smooth(columns(*[(s * x + zero, y) for x, y in corners]), 3, closed=True)
        temple = columns((s * 0.53 + zero, -0.2), (s * 0.78 + zero, -0.2))
        found += [Layer(p, tone, show, 0.034, 0.1) for p in (rim, temple)]
    return [*found, Layer(columns((-0.1 + zero, -0.17), (zero, -0.2), (0.1 + zero, -0.17)), tone, show, 0.034, 0.1)]


def _hair(who: Who, au: Activation) -> list[Layer]:
    """Hair in front: between hairline and crown."""
    style = (who["hair_pick"] * len(_HAIR)).astype(int)
    lift = np.array([a for a, _, _ in _HAIR])[style][:, None]
    y = np.array([line for _, _, line in _HAIR])[style]
    x = _HAIR_X * who["width"][:, None]
    turn = np.linspace(0, np.pi, 15)
    arc = np.stack([0.8 * who["width"][:, None] * lift * np.cos(turn), -0.15 - 0.92 * lift * np.sin(turn)], -1)
    shape = np.concatenate([smooth(np.stack([x, y], -1), 3), arc], 1)
    tone, shine = _hair_tone(who), 0.9 * arc[:, 3:9] * np.array([0.95, 1.0])
    return [Layer(shape, tone, style > 0), Layer(shine, tone + 18, (style > 0) & (style < 7), width=0.05)]
