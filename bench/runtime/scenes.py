"""Generated scenes with faces at known places, to calibrate, train and measure face detectors.

Faces of FER2013 (read at run time, never kept), faces drawn here and the heads of two photographs, of 10 to 400
pixels, are pasted over pictures that dependencies ship, drawn grounds and noise. A scene depends on the seed, its
number and the faces alone. Leaves out: natural crowds; what a detector finds here it may miss in the street, and the
other way round.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.data import read_faces
from mien.data.synthetic import generate
from mien.images import read_image

__all__ = ["KINDS", "Placed", "Scene", "Scenes", "read_crops", "whole_photographs"]

#: What a scene shows: number of faces, and their least and largest size in pixels.
KINDS: dict[str, tuple[int, int, int, int]] = {
    "near": (1, 1, 100, 400),
    "few": (2, 6, 24, 160),
    "many": (12, 30, 10, 60),
    "turned": (1, 4, 40, 200),
    "dark": (1, 5, 24, 200),
    "empty": (0, 0, 0, 0),
}

# pictures without a face; coins and the cameraman have some
_PNG = "brick chelsea clock_motion coffee color grass gravel horse ihc logo moon motorcycle_left page"
_HEADS = (  # photograph, and the square of the head in it
    ("skimage", "data/astronaut.png", (167, 60, 287, 180)),
    ("matplotlib", "mpl-data/sample_data/grace_hopper.jpg", (178, 85, 348, 255)),
)
_FRAME = 0.17  # mirrored margin of a crop, in its sides

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Placed:
    """A face: the middle of its square, its side in pixels, degrees clockwise, and where it is from."""

    x: float
    y: float
    side: float
    turn: float
    source: str


@dataclass(frozen=True, eq=False)
class Scene:
    """A picture, uint8 ``(H, W, 3)`` BGR, of a kind, and its faces."""

    image: Pixels
    faces: tuple[Placed, ...]
    kind: str


def read_crops(path: str | Path, *, odd: bool) -> Pixels:
    """Training's faces of FER2013's CSV, every second one: even rows set scales and train, odd ones measure."""
    return read_faces(path).part("Training").images[int(odd) :: 2]


class Scenes:
    """Scenes by number.

    crops  uint8 ``(N, 48, 48)`` faces of photographs, or None: drawn ones and two heads alone
    seed   another one makes other scenes
    """

    def __init__(self, crops: Pixels | None, seed: int, size: tuple[int, int] = (640, 480)) -> None:
        self.seed, self.size = seed, size
        self._sources = {"drawn": list(generate(280, seed=seed, size=96).images), "photograph": _heads()}
        if crops is not None:
            self._sources["fer2013"] = crops  # type: ignore[assignment]
        self._grounds = _grounds()

    def all(self, n: int, kinds: Sequence[str] = tuple(KINDS)) -> Iterator[Scene]:
        """``n`` scenes, kinds in turn."""
        return (self.one(i, kinds[i % len(kinds)]) for i in range(n))

    def one(self, number: int, kind: str) -> Scene:
        """Scene ``number`` of a kind of :data:`KINDS`."""
        rng = np.random.default_rng([self.seed, number, list(KINDS).index(kind)])
        image, faces = self._ground(rng), list[Placed]()
        least, most, small, large = KINDS[kind]
        for _ in range(int(rng.integers(least, most + 1))):
            side = float(np.exp(rng.uniform(np.log(small), np.log(large))))
            turn = float(rng.uniform(-180, 180) if kind == "turned" else np.clip(rng.normal(0, 9), -25, 25))
            place = self._free(rng, side, faces)
            if place:
                source = str(rng.choice(list(self._sources), p=self._shares()))
                faces.append(Placed(*place, side, turn, source))
                _paste(image, self._face(rng, source), faces[-1])
        if rng.random() < 0.3:
            image = np.repeat(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)[..., None], 3, axis=2)
        return Scene(_camera(rng, image, kind == "dark"), tuple(faces), kind)

    def _shares(self) -> list[float]:
        return [0.15, 0.1, 0.75] if "fer2013" in self._sources else [0.6, 0.4]

    def _free(self, rng: np.random.Generator, side: float, faces: Sequence[Placed]) -> tuple[float, float] | None:
        """A place for a face that keeps clear of the others."""
        width, height = self.size
        half = min(0.7 * side, width / 2 - 1, height / 2 - 1)
        for _ in range(30):
            x, y = rng.uniform(half, width - half), rng.uniform(half, height - half)
            if all(max(abs(f.x - x), abs(f.y - y)) > 0.75 * (f.side + side) for f in faces):
                return float(x), float(y)
        return None

    def _face(self, rng: np.random.Generator, source: str) -> Pixels:
        """A crop in colour, uint8 ``(S, S, 3)``: grey ones get a tone of skin."""
        crops = self._sources[source]
        face = crops[int(rng.integers(len(crops)))]
        face = face[:, ::-1] if rng.random() < 0.5 else face
        if face.ndim == 3:
            return np.ascontiguousarray(face)
        tone = np.array([rng.uniform(0.55, 0.9), rng.uniform(0.7, 0.95), 1.0]) * rng.uniform(0.9, 1.15)
        return np.asarray(np.clip(face[..., None] * tone, 0, 255), np.uint8)

    def _ground(self, rng: np.random.Generator) -> Pixels:
        kind = rng.choice(["picture", "drawn", "noise"], p=[0.6, 0.3, 0.1])
        if kind == "picture":
            return _cut(rng, self._grounds[int(rng.integers(len(self._grounds)))], *self.size)
        width, height = self.size
        cells = rng.integers(0, 256, (int(rng.integers(2, 10)), int(rng.integers(2, 12)), 3)).astype(np.uint8)
        image = np.asarray(cv2.resize(cells, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)
        if kind == "drawn":
            return _shapes(rng, image)
        noise = rng.normal(0, rng.uniform(10, 60), (height, width, 3)).astype(np.float32)
        grain = cv2.GaussianBlur(noise, (0, 0), rng.uniform(0.4, 4)) * 2
        return np.asarray(np.clip(image + grain, 0, 255), np.uint8)


def whole_photographs(rng: np.random.Generator, size: tuple[int, int]) -> Pixels:
    """One to four photographs of people side by side, of any size, a little turned, each within its part."""
    width, height = size
    down, across = ((1, 1), (1, 2), (2, 2))[int(rng.integers(3))]
    columns, rows = width // across, height // down
    out = np.zeros((height, width, 3), np.uint8)
    for i in range(down * across):
        package, name, (left, top, right, bottom) = _HEADS[int(rng.integers(len(_HEADS)))]
        photograph = read_image(_folder(package) / name, colour=True)
        k = min(columns, rows) / (bottom - top) * float(np.exp(rng.uniform(-2.2, -0.3)))
        if k < 1:  # warpAffine samples four pixels only
            photograph = cv2.GaussianBlur(photograph, (0, 0), 0.45 / k).astype(np.uint8)
        middle = ((left + right) / 2, (top + bottom) / 2)
        matrix = cv2.getRotationMatrix2D(middle, float(rng.normal(0, 12)), k)
        matrix[:, 2] += np.array([columns, rows]) * rng.uniform(0.25, 0.75, 2) - middle
        if rng.random() < 0.5:
            matrix = np.array([[-1.0, 0, columns - 1], [0, 1, 0]]) @ np.vstack([matrix, [0, 0, 1]])
        part = cv2.warpAffine(photograph, matrix, (columns, rows), borderMode=cv2.BORDER_REFLECT_101)
        y, x = i // across * rows, i % across * columns
        out[y : y + rows, x : x + columns] = part
    return out


def _folder(package: str) -> Path:
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise SystemExit(f"{package} is not installed: pip install 'mien[classical,train]'")
    return Path(spec.origin).parent


def _grounds() -> list[Pixels]:
    found = [_folder("skimage") / "data" / f"{name}.png" for name in _PNG.split(" ")]
    found += [_folder("skimage") / "data" / f"{name}.jpg" for name in ("rocket", "retina", "hubble_deep_field")]
    found += [_folder("sklearn") / "datasets" / "images" / f"{name}.jpg" for name in ("china", "flower")]
    return [read_image(path, colour=True) for path in found]


def _heads() -> list[Pixels]:
    """Heads of photographs, framed as FER2013 frames its faces."""
    return [read_image(_folder(p) / name, colour=True)[t:b, left:r] for p, name, (left, t, r, b) in _HEADS]


def _cut(rng: np.random.Generator, picture: Pixels, width: int, height: int) -> Pixels:
    """A random part of a picture, enlarged or reduced, perhaps mirrored."""
    high, wide = picture.shape[:2]
    share = rng.uniform(0.5, 1.0)
    k = min(wide / width, high / height) * share
    columns, rows = int(width * k), int(height * k)
    left, top = int(rng.integers(0, wide - columns + 1)), int(rng.integers(0, high - rows + 1))
    part = picture[top : top + rows, left : left + columns]
    method = cv2.INTER_AREA if k > 1 else cv2.INTER_CUBIC
    out = cv2.resize(part, (width, height), interpolation=method)
    return np.ascontiguousarray(out[:, ::-1] if rng.random() < 0.5 else out, dtype=np.uint8)


def _shapes(rng: np.random.Generator, image: Pixels) -> Pixels:
    """Ovals, boxes and strokes, some in the tones of skin."""
    height, width = image.shape[:2]
    for _ in range(int(rng.integers(3, 40))):
        colour = [int(v) for v in rng.integers(0, 256, 3)] if rng.random() < 0.7 else [110, 150, 210]
        x, y, a, b = (int(v) for v in rng.integers(0, (width, height, width // 4, height // 4)))
        shape = rng.integers(3)
        if shape == 0:
            cv2.ellipse(image, (x, y), (a // 2 + 1, b // 2 + 1), float(rng.uniform(0, 180)), 0, 360, colour, -1)
        elif shape == 1:
            cv2.rectangle(image, (x, y), (x + a, y + b), colour, -1)
        else:
            cv2.line(image, (x, y), (x + a - width // 8, y + b - height // 8), colour, int(rng.integers(1, 12)))
    return np.asarray(cv2.GaussianBlur(image, (0, 0), float(rng.uniform(0.3, 2))), np.uint8)


def _paste(image: Pixels, face: Pixels, at: Placed) -> None:
    """Put a face with a mirrored margin and a soft edge into the picture, in place."""
    k = at.side / face.shape[0]
    if k < 1:  # warpAffine samples four pixels only
        face = np.asarray(cv2.resize(face, None, fx=k, fy=k, interpolation=cv2.INTER_AREA), np.uint8)
    own = face.shape[0]
    margin = max(1, round(_FRAME * own))
    large = cv2.copyMakeBorder(face, margin, margin, margin, margin, cv2.BORDER_REFLECT_101)
    side = large.shape[0]
    y, x = np.mgrid[0:side, 0:side]
    off = np.hypot((x - side / 2 + 0.5) / (0.47 * side), (y - side / 2 + 0.5) / (0.52 * side))
    mask = np.clip((1.08 - off) / 0.12, 0, 1).astype(np.float32)
    half = int(0.75 * at.side * side / own) + 2
    x0, y0, x1, y1 = int(at.x) - half, int(at.y) - half, int(at.x) + half, int(at.y) + half
    left, top, right, bottom = max(0, x0), max(0, y0), min(image.shape[1], x1), min(image.shape[0], y1)
    matrix = cv2.getRotationMatrix2D((side / 2 - 0.5, side / 2 - 0.5), -at.turn, at.side / own)
    matrix[:, 2] += (at.x - left - side / 2, at.y - top - side / 2)
    size = (right - left, bottom - top)
    there = cv2.warpAffine(large, matrix, size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    share = cv2.warpAffine(mask, matrix, size)[..., None]
    part = image[top:bottom, left:right]
    part[:] = np.clip(part * (1 - share) + there * share, 0, 255).astype(np.uint8)


def _camera(rng: np.random.Generator, image: Pixels, dark: bool) -> Pixels:
    """Light, blur, grain and compression."""
    out = image.astype(np.float32)
    out *= rng.uniform(0.12, 0.4) if dark else rng.uniform(0.75, 1.15)
    if rng.random() < 0.3:
        out = cv2.GaussianBlur(out, (0, 0), float(rng.uniform(0.4, 1.2)))
    out += rng.normal(0, rng.uniform(0, 6), out.shape).astype(np.float32)
    out8 = np.clip(out, 0, 255).astype(np.uint8)
    _, encoded = cv2.imencode(".jpg", out8, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(50, 96))])
    return np.asarray(cv2.imdecode(encoded, cv2.IMREAD_COLOR), np.uint8)
