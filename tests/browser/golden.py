"""Golden files: what Python says of 236 pictures, for the JavaScript side to say the same.

The pictures are made here: drawn faces pasted into scenes, and two portraits that are free to use (NASA's astronaut in
``examples/``, the Navy's Grace Hopper that comes with matplotlib) turned, small, grey, dark, flat, stored on their side
with an EXIF tag that says so; pictures without a face; ready-made crops; a short film.

    python tests/browser/golden.py FOLDER     pictures.bin, crops.bin, golden.json and the models, for js/test/
"""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import Any

import cv2
import matplotlib
import numpy as np
from PIL import Image

from mien import Predictor
from mien.browser import write_models
from mien.data.synthetic import generate
from mien.images import decode
from mien.runtime import CenterFace, Classifier, find_model
from mien.video import FaceStream, Frame

ROOT = Path(__file__).parents[2]
ASTRONAUT = ROOT / "examples" / "astronaut.jpg"
sys.path.insert(0, str(ROOT / "tests"))
MODEL, OTHERS = "mien-small", ("mien-base", "mien-nano", "deep-emotion-2019")
DRAWN, PHOTOS, HANGING, EMPTY, READY = 96, 104, 8, 10, 12


def portraits() -> list[Any]:
    """Two photographs of 256 x 256 with one face each, BGR."""
    hopper = Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg"
    first = decode(ASTRONAUT.read_bytes(), "astronaut", colour=True)[:384, 64:448]
    second = decode(hopper.read_bytes(), "hopper", colour=True)[30:442, 40:452]
    return [cv2.resize(p, (256, 256), interpolation=cv2.INTER_AREA) for p in (first, second)]


def background(rng: np.random.Generator, width: int, height: int) -> Any:
    """Soft blotches of colour with some grain."""
    blotches = rng.integers(40, 210, (5, 7, 3), dtype=np.uint8)
    soft = cv2.resize(blotches, (width, height), interpolation=cv2.INTER_CUBIC).astype(np.float32)
    return np.clip(soft + rng.normal(0, 3, soft.shape), 0, 255).astype(np.uint8)


def pasted(scene: Any, face: Any, x: int, y: int) -> None:
    """Lay an oval of a square picture into the scene."""
    side = len(face)
    mask = np.zeros((side, side), np.float32)
    cv2.ellipse(mask, (side // 2, side // 2), (int(side * 0.4), int(side * 0.48)), 0, 0, 360, 1, -1)
    mask = cv2.GaussianBlur(mask, (0, 0), side / 48)[..., None]
    there = scene[y : y + side, x : x + side]
    scene[y : y + side, x : x + side] = np.round(there * (1 - mask) + face * mask)


def turned(picture: Any, degrees: float, scale: float = 1.0) -> Any:
    side = len(picture)
    matrix = cv2.getRotationMatrix2D((side / 2 - 0.5, side / 2 - 0.5), -degrees, scale)
    return cv2.warpAffine(picture, matrix, (side, side), borderMode=cv2.BORDER_REPLICATE)


def drawn_scene(rng: np.random.Generator, faces: Any, i: int) -> tuple[str, Any]:
    count = 1 + (i % 3 == 0)
    scene = background(rng, 224, 160)
    for k in range(count):
        side = int(rng.integers(72, 112))
        face = cv2.cvtColor(cv2.resize(faces[(2 * i + k) % len(faces)], (side, side)), cv2.COLOR_GRAY2BGR)
        face = turned(face, float(rng.normal(0, 8)))
        pasted(scene, face, 112 * k + int(rng.integers(0, 113 - side)), int(rng.integers(0, 161 - side)))
    return f"drawn, {count}", scene


def photo_scene(rng: np.random.Generator, portrait: Any, i: int) -> tuple[str, Any]:
    """One of eight kinds of a portrait."""
    kind = i % 8
    if kind == 0:
        return "plain", cv2.resize(portrait, (int(rng.integers(96, 300)),) * 2, interpolation=cv2.INTER_AREA)
    if kind == 1:
        return "turned", turned(portrait, float(rng.uniform(-180, 180)))
    if kind == 2:
        scene = background(rng, 320, 240)
        side = int(rng.integers(64, 120))
        small = cv2.resize(portrait, (side, side), interpolation=cv2.INTER_AREA)
        pasted(scene, small, int(rng.integers(0, 320 - side)), int(rng.integers(0, 240 - side)))
        return "small", scene
    if kind == 3:
        grey = cv2.cvtColor(portrait, cv2.COLOR_BGR2GRAY)
        return "grey", cv2.cvtColor(cv2.convertScaleAbs(grey, alpha=float(rng.uniform(0.3, 1.2))), cv2.COLOR_GRAY2BGR)
    if kind == 4:
        return "flat", np.round((portrait.astype(np.float32) - 128) * rng.uniform(0.06, 0.5) + 128).astype(np.uint8)
    if kind == 5:
        return "exif", exif_turned(portrait, orientation=int(rng.integers(2, 9)))
    if kind == 6:
        return "tilted", turned(portrait, float(rng.uniform(-70, 70)), float(rng.uniform(0.5, 1)))
    return "noisy", np.clip(portrait + rng.normal(0, rng.uniform(5, 30), portrait.shape), 0, 255).astype(np.uint8)


def hanging_scene(rng: np.random.Generator, portrait: Any) -> Any:
    """A portrait in a scene of 320 x 240 that hangs between two quarters: its head is found around a hint at it."""
    scene, side = background(rng, 320, 240), int(rng.integers(90, 150))
    pasted(scene, cv2.resize(portrait, (side, side), interpolation=cv2.INTER_AREA), 160 - side // 2, 120 - side // 2)
    degrees = float(rng.uniform(115, 155)) * float(rng.choice([-1, 1]))
    matrix = cv2.getRotationMatrix2D((160, 120), -degrees, 1.0)
    return cv2.warpAffine(scene, matrix, (320, 240), borderMode=cv2.BORDER_REFLECT)


def exif_turned(picture: Any, orientation: int) -> Any:
    """What is read of a JPEG whose pixels lie otherwise and whose tag says how."""
    exif, out = Image.Exif(), io.BytesIO()
    exif[0x0112] = orientation
    Image.fromarray(picture[..., ::-1]).save(out, "JPEG", quality=92, exif=exif)
    return decode(out.getvalue(), "exif", colour=True)


def pictures() -> list[dict[str, Any]]:
    """All of them: name, detector, its size and pixels BGR."""
    rng, faces, photos = np.random.default_rng(7), generate(112, size=96, seed=3).images, portraits()
    found = [(*drawn_scene(rng, faces, i), "centerface", 224) for i in range(DRAWN)]
    found += [(*photo_scene(rng, photos[i // 8 % 2], i), "centerface", 224) for i in range(PHOTOS)]
    found += [("empty", background(rng, 96, 72), "centerface", None if i < 1 else 128) for i in range(EMPTY)]
    found += [("crop", cv2.cvtColor(faces[i], cv2.COLOR_GRAY2BGR), "none", None) for i in range(READY)]
    for i in (2, 97, 98, 100, 130):  # as Python chooses, at most four times enlarged: dear
        name, picture, detector, _ = found[i]
        small = cv2.resize(picture, None, fx=0.4, fy=0.4, interpolation=cv2.INTER_AREA)
        found.append((f"{name}, auto", small if i != 130 else picture[::2, ::2], detector, None))
    crowd = background(rng, 1000, 460)  # small faces in a large picture: closer looks, windows, tiles
    for k in range(4):
        face = cv2.resize(photos[k % 2], (56 + 4 * k,) * 2, interpolation=cv2.INTER_AREA)
        pasted(crowd, face, 40 + 240 * k, 60 + 90 * (k % 3))
    found.append(("crowd, auto", crowd, "centerface", None))
    hung = np.random.default_rng(11)
    hanging = [("hanging", hanging_scene(hung, photos[i % 2]), "centerface", 320) for i in range(HANGING + 1)]
    found += hanging[:2] + hanging[3:]  # two views of the third are equally good: a rounding decides
    return [{"name": n, "pixels": p, "detector": d, "size": s} for n, p, d, s in found]


def film() -> list[Any]:
    """Frames of a face that moves, hides for two frames and comes back."""
    rng, portrait = np.random.default_rng(5), portraits()[0]
    still, frames = background(rng, 320, 240), []
    for i in range(16):
        frame = still.copy()
        if i not in (8, 9):
            side = 150 + 3 * i
            pasted(frame, cv2.resize(portrait, (side, side), interpolation=cv2.INTER_AREA), 4 * i, 20)
        frames.append(frame)
    return frames


class Recorder:
    """Pixels one after the other in one file; gives each its place."""

    def __init__(self, path: Path) -> None:
        self.file, self.at = open(path, "wb"), 0  # noqa: SIM115

    def add(self, values: Any) -> int:
        start = self.at
        self.at += self.file.write(np.ascontiguousarray(values).tobytes())
        return start


def rgba(bgr: Any) -> Any:
    return cv2.cvtColor(bgr, cv2.COLOR_BGR2RGBA)


def for_browsers(folder: Path) -> None:
    """A JPEG that lies on its side, with what Python says of it, and a webcam's film, both for a real browser."""
    from browsing import film as webcam

    exif = Image.Exif()
    exif[0x0112] = 6
    portrait = cv2.rotate(portraits()[1], cv2.ROTATE_90_COUNTERCLOCKWISE)
    Image.fromarray(portrait[..., ::-1]).save(folder / "turned.jpg", "JPEG", quality=95, exif=exif)
    nano = Predictor("mien-nano", CenterFace(folder / "centerface.onnx", threads=1), threads=1)
    paths = {"turned": folder / "turned.jpg", "astronaut": ASTRONAUT}
    said = {name: nano.predict(path).to_dict() for name, path in paths.items()}
    (folder / "browser.json").write_text(json.dumps(said), encoding="utf-8")
    webcam(ASTRONAUT, folder / "webcam.mjpeg", 60)


def rounded(rows: Any) -> list[list[float]]:
    return [[round(float(v), 6) for v in row] for row in rows]


def main(folder: Path) -> None:
    """Write all of it into ``folder``."""
    write_models(folder, [MODEL, *OTHERS])
    detector = CenterFace(folder / "centerface.onnx", threads=1)
    sized = {None: detector, 128: detector.at_size(128), 224: detector.at_size(224), 320: detector.at_size(320)}
    predictors = {s: Predictor(MODEL, d, threads=1) for s, d in sized.items()}
    ready = Predictor(MODEL, "none", threads=1)
    others = {name: Classifier(find_model(name), threads=1) for name in OTHERS}
    pixels, crops, out = Recorder(folder / "pictures.bin"), Recorder(folder / "crops.bin"), []
    for made in pictures():
        picture = made.pop("pixels")
        photo = (ready if made["detector"] == "none" else predictors[made["size"]]).predict(picture)
        faces = [face.crop for face in photo]
        said = {name: rounded(c(faces).probabilities) for name, c in others.items()}
        place = {"at": pixels.add(rgba(picture)), "crops": [crops.add(c) for c in faces]}
        attention = rounded([f.attention.ravel() for f in photo])
        out.append({**made, **place, "photo": photo.to_dict(), "others": said, "attention": attention})
    frames = film()
    stream = FaceStream(predictors[None])
    told = [stream.push(Frame(i, 0.1 * i, frame)) for i, frame in enumerate(frames)]
    film_said = [
        {"at": pixels.add(rgba(f)), "photo": t.photo.to_dict(), "raw": [r.to_dict() for r in t.raw]}
        for f, t in zip(frames, told, strict=True)
    ]
    for_browsers(folder)
    text = json.dumps({"model": MODEL, "pictures": out, "film": film_said}, separators=(",", ":"))
    (folder / "golden.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
