"""Diagnosis: why a photo's faces got their answers, and how far small changes move them; or why no face is found.

Leaves out: drawing (``visualization.diagnosis_figure``) and the screen (``mien explain``).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.explain import by_landmarks, by_thirds, occlusion
from mien.explain.photos import landmarks_in_crop
from mien.faces import Detection, Face, Photo
from mien.images import as_picture
from mien.preprocessing import crop_face, raise_contrast
from mien.runtime.detector import CenterFace, YuNet
from mien.runtime.predictor import Image, Predictor, source_of
from mien.runtime.search import FIRST
from mien.spec import ModelSpec

__all__ = ["GAMMAS", "MARGINS", "TURNS", "Diagnosis", "FaceDiagnosis", "Search", "Sweep", "diagnose"]

#: Sides of the crop that are tried on each face, in units of the usual.
MARGINS = tuple(round(0.8 + 0.05 * i, 2) for i in range(11))
#: Powers of the grey values, on the scale 0..1, that are tried on each face; above 1 is darker.
GAMMAS = tuple(round(float(2 ** (i / 5)), 3) for i in range(-5, 6))
#: Turns of the crop that are tried on each face, in degrees clockwise.
TURNS = tuple(float(d) for d in range(-15, 16, 3))

_SIZES = (320, 640, 1280, 1920)  # pixels at which a face is searched for where none was found
_LOWEST = 0.05  # score down to which such a search looks


@dataclass(frozen=True, eq=False)
class Sweep:
    """The answers for one face while one thing is changed.

    name           what is changed: ``crop margin``, ``brightness`` or ``turn``
    values         of the change, ``(V,)``; ``usual`` is the one that changes nothing
    probabilities  float32 ``(V, K)``
    """

    name: str
    values: tuple[float, ...]
    usual: float
    probabilities: NDArray[np.float32]

    def keeps(self, label: int) -> int:
        """How many of the variants have ``label`` as their most probable class."""
        return int((self.probabilities.argmax(axis=1) == label).sum())


@dataclass(frozen=True, eq=False)
class FaceDiagnosis:
    """One face, how steady its answer is, and what the answer rests on.

    sweeps  see :class:`Sweep`
    heat    float32 ``(S, S)``: occlusion map of the crop, see :func:`mien.explain.occlusion`
    parts   eyes, nose, mouth and elsewhere (thirds of the crop where there are no landmarks) -> share of the map's
            weight and share of the area
    """

    face: Face
    sweeps: tuple[Sweep, ...]
    heat: NDArray[np.float32]
    parts: dict[str, tuple[float, float]]

    @property
    def top(self) -> tuple[tuple[str, float], tuple[str, float]]:
        """The two most probable expressions, with their probabilities."""
        (first, second) = sorted(self.face.probabilities.items(), key=lambda item: -item[1])[:2]
        return first, second

    @property
    def label_number(self) -> int:
        """Number of the face's label among the classes."""
        return list(self.face.probabilities).index(self.face.label)

    @property
    def kept(self) -> tuple[int, int]:
        """How many variants keep the label, and how many there are; the unchanged one is counted once in each sweep."""
        return sum(s.keeps(self.label_number) for s in self.sweeps), sum(len(s.values) for s in self.sweeps)

    @property
    def verdict(self) -> str:
        """Steadiness in words: steady where all variants keep the label, shaky where more than a fifth lose it."""
        kept, n = self.kept
        word = "steady" if kept == n else "mostly steady" if kept >= 0.8 * n else "shaky"
        rest = "" if kept == n else f"; {self._others()}"
        return f"{word}: {kept} of {n} variants keep {self.face.label}{rest}"

    def _others(self) -> str:
        """``crop margin: happy 2, sad 1; turn: sad 1``: what the others become."""
        names, lost = list(self.face.probabilities), []
        for sweep in self.sweeps:
            best = sweep.probabilities.argmax(axis=1)
            found = [f"{names[k]} {int((best == k).sum())}" for k in np.unique(best) if k != self.label_number]
            lost += [f"{sweep.name}: {', '.join(found)}"] * bool(found)
        return "; ".join(lost)

    def to_dict(self) -> dict[str, Any]:
        """All but the pixels, in types that ``json.dumps`` takes."""
        (first, p), (second, q) = self.top
        kept, n = self.kept
        return {
            **self.face.to_dict(),
            "top2": [[first, round(p, 6)], [second, round(q, 6)]],
            "gap": round(p - q, 6),
            "stability": {"kept": kept, "variants": n, "verdict": self.verdict},
            "sweeps": [_sweep_dict(s, list(self.face.probabilities)) for s in self.sweeps],
            "rests_on": {k: {"weight": round(w, 4), "area": round(a, 4)} for k, (w, a) in self.parts.items()},
        }


@dataclass(frozen=True)
class Search:
    """A look for faces at one size: the best score from ``lowest`` up, and its box; None where there was nothing."""

    size: int
    score: float | None
    box: tuple[float, float, float, float] | None = None
    lowest: float = _LOWEST


@dataclass(frozen=True, eq=False)
class Diagnosis:
    """One photo: its faces with a diagnosis each, or, where there is none, what was tried and what to do.

    pixels    uint8 ``(H, W, 3)`` BGR
    searches  one a size, only without a face and with CenterFace or YuNet; ``threshold``: a face
    advice    what to do, one sentence each
    """

    photo: Photo
    pixels: NDArray[np.uint8]
    faces: tuple[FaceDiagnosis, ...]
    searches: tuple[Search, ...] = ()
    threshold: float | None = None
    advice: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """All but the pixels, in types that ``json.dumps`` takes."""
        found = self.photo.to_dict()
        searches = [
            {"size": s.size, "score": None if s.score is None else round(s.score, 4), "box": s.box}
            for s in self.searches
        ]
        more = {"threshold": self.threshold, "searches": searches} if not self.faces else {}
        return {**found, "faces": [r.to_dict() for r in self.faces], **more, "advice": list(self.advice)}


def diagnose(predictor: Predictor, image: Image) -> Diagnosis:
    """Diagnose one photo; DataError where it cannot be read. About 200 answers of the network a face."""
    pixels = as_picture(image)
    photo = replace(predictor.predict(pixels), source=source_of(image))
    if not photo.faces:
        searches, threshold = _search(predictor, pixels), getattr(predictor.detector, "threshold", None)
        return Diagnosis(photo, pixels, (), searches, threshold, _advice_for_none(photo, searches, threshold))
    reports = tuple(_report(predictor, pixels, face) for face in photo)
    return Diagnosis(photo, pixels, reports, advice=_advice(reports))


def _report(predictor: Predictor, pixels: NDArray[np.uint8], face: Face) -> FaceDiagnosis:
    spec, size = predictor.spec, len(face.crop)
    near, box = _surroundings(pixels, face.box, spec)
    crop = crop_face(near, box, spec, face.turn)
    variants = (
        ("crop margin", MARGINS, 1.0, [crop_face(near, box, _with_margin(spec, m), face.turn) for m in MARGINS]),
        ("brightness", GAMMAS, 1.0, [_lit(crop, g) for g in GAMMAS]),
        ("turn", TURNS, 0.0, [crop_face(near, box, spec, face.turn - d) for d in TURNS]),
    )
    crops = np.stack([raise_contrast(crop) for *_, made in variants for crop in made])
    answers = iter(predictor.predict_crops(crops))
    sweeps = tuple(
        Sweep(name, values, usual, np.stack([next(answers) for _ in values])) for name, values, usual, _ in variants
    )
    heat = occlusion(predictor.predict_crops, face.crop, size=max(1, size // 6), stride=max(1, size // 12))
    points = landmarks_in_crop(Detection(face.box, face.score, face.landmarks, face.turn), spec)
    parts = by_thirds(heat) if points is None else by_landmarks(heat, points)
    return FaceDiagnosis(face, sweeps, heat, parts)


def _with_margin(spec: ModelSpec, factor: float) -> ModelSpec:
    """The spec whose crop has its side times ``factor``, around the same centre."""
    return replace(spec, crop=replace(spec.crop, scale=spec.crop.scale * factor))


def _lit(crop: NDArray[np.uint8], gamma: float) -> NDArray[np.uint8]:
    """Grey values to the power ``gamma`` on the scale 0..1: above 1 is darker."""
    return np.asarray(np.round(255 * (crop / 255.0) ** gamma), np.uint8)


def _surroundings(
    pixels: NDArray[np.uint8], box: Sequence[float], spec: ModelSpec
) -> tuple[NDArray[np.uint8], tuple[float, float, float, float]]:
    """The part of a photo that any variant of a crop can reach, and the box in it: saves time in large photos."""
    left, top, right, bottom = box
    reach = 1.5 * spec.crop.scale * max(right - left, bottom - top)
    x, y = max(0, int((left + right) / 2 - reach)), max(0, int((top + bottom) / 2 - reach))
    part = pixels[y : int((top + bottom) / 2 + reach) + 1, x : int((left + right) / 2 + reach) + 1]
    return np.ascontiguousarray(part), (left - x, top - y, right - x, bottom - y)


def _search(predictor: Predictor, pixels: NDArray[np.uint8]) -> tuple[Search, ...]:
    """The best candidate at each size, however weak, by the predictor's own detector; other kinds cannot be asked."""
    detector, side = predictor.detector, max(pixels.shape[:2])
    if not isinstance(detector, CenterFace | YuNet):
        return ()
    sizes = {size for size in _SIZES if size <= 2 * side}  # enlarging more shows nothing new
    out = []
    for size in sorted(sizes | {detector.size or FIRST}):
        found = detector.look(pixels, min(size / side, 4.0))
        out.append(Search(size, found[0].score, found[0].box) if found else Search(size, None))
    return tuple(out)


def _advice(reports: Sequence[FaceDiagnosis]) -> tuple[str, ...]:
    """What would help, for the faces that were found; each sentence once."""
    rules: tuple[tuple[Callable[[FaceDiagnosis], bool], str], ...] = (
        (
            lambda r: _has(r, "too small"),
            "Take a photo in which the face has more pixels; enlarging this one adds none.",
        ),
        (lambda r: _has(r, "too blurred"), "Take a sharper photo: hold still, focus on the face, use more light."),
        (lambda r: _has(r, "contrast"), "Use more even light, or a photo that is neither burnt out nor nearly black."),
        (lambda r: _has(r, "turned too far"), "Take a photo in which the head is turned towards the camera."),
        (lambda r: _has(r, "upright"), "Turn the photo so that the head stands upright."),
        (lambda r: r.face.uncertain, "Where the face is uncertain, count every expression that it may be as possible."),
        (
            lambda r: r.kept[0] < r.kept[1],
            "Where small changes alter the answer, trust it less than its probability says.",
        ),
    )
    return tuple(text for holds, text in rules if any(holds(r) for r in reports))


def _has(report: FaceDiagnosis, words: str) -> bool:
    quality = report.face.quality
    return quality is not None and any(words in problem for problem in quality.problems)


def _advice_for_none(photo: Photo, searches: Sequence[Search], threshold: float | None) -> tuple[str, ...]:
    scored = [(s.score, s.size) for s in searches if s.score is not None]
    out = []
    if threshold is not None and scored:
        best, size = max(scored)
        if best > threshold:
            out.append(f"At {size} pixels there is a face of score {best:.2f}: --detector-size {size}.")
        else:
            out.append(
                f"The best candidate scores {best:.2f}, {threshold:.2f} is needed: take a photo in which the face is"
                " larger, sharper, less covered and upright."
            )
    else:
        out.append(
            "Nothing in it looks like a face, even faintly: take a photo that shows one from the front, upright."
        )
    if min(photo.width, photo.height) <= 256:
        out.append("If the picture is a face crop already: --detector none.")
    return tuple(out)


def _sweep_dict(sweep: Sweep, labels: Sequence[str]) -> dict[str, Any]:
    best = sweep.probabilities.argmax(axis=1)
    return {
        "change": sweep.name,
        "values": list(sweep.values),
        "labels": [labels[k] for k in best],
        "probabilities": [[round(float(p), 4) for p in row] for row in sweep.probabilities],
    }
