"""What a picture costs from its bytes to its faces: decoding beside OpenCV, and work in the right order.

    python -m bench.images.cost            # writes results/bench_pictures.json

Decoding: JPEGs of 0.26 and 12 megapixels, whole and as small as is enough, beside ``cv2.imdecode``; transparent
pictures of 50 megapixels, and a JPEG that EXIF turns, with the memory that they take (Linux only). Cropping: ten faces
of 300 to 1,000 pixels in a photo of 24 megapixels, cut first and, as it was before, blurred whole. Second look: a
faceless photo of that size, shrunk before the margin is put around it and after; ``detect_whole`` is all that the
detector does with it. Both ways run in turns in one process, on one thread; times are processor time.
"""

from __future__ import annotations

import argparse
import io
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bench.conditions import RESULTS, ROOT, conditions, save
from mien.images import decode, read_image
from mien.preprocessing import crop_face, crop_matrix
from mien.runtime import CenterFace
from mien.spec import ModelSpec

__all__ = ["main"]

_SPEC = ModelSpec("bench", ("any",))
_CHILD = """
import sys, time
from bench.images.hostile import memory_above, reset_peak
from mien.images import read_image
read_image("examples/astronaut.jpg", colour=True)
before, started = reset_peak(), time.process_time()
read_image(sys.argv[1], colour=True)
print(round(time.process_time() - started, 2), round(memory_above(before)))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--out", type=Path, default=RESULTS / "bench_pictures.json")
    args = parser.parse_args()
    cv2.setNumThreads(1)
    record = {
        "decode_ms": _jpegs(args.repeats),
        "transparent_50_megapixels": {kind: _large(kind) for kind in ("PNG", "WEBP", "TIFF", "GIF", "AVIF")},
        "turned_50_megapixels": {"JPEG": _large("JPEG")},
        "crop_10_faces_of_24_megapixels": _crops(args.repeats),
        "no_face_in_24_megapixels": _faceless(args.repeats),
    }
    found = conditions("pillow", "opencv-python-headless", repeats=args.repeats, threads=1, figure="median")
    save(args.out, {**record, "conditions": found})


def in_turns(repeats: int, **ways: Callable[[], object]) -> dict[str, float]:
    """Median milliseconds of processor time of each way, taken in turns: a machine may do other work meanwhile."""
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(repeats + 1):  # the first does not count
        for name, way in ways.items():
            started = time.process_time()
            way()
            times[name].append(time.process_time() - started)
    return {name: round(1000 * statistics.median(t[1:]), 2) for name, t in times.items()}


def _jpegs(repeats: int) -> dict[str, dict[str, float]]:
    photo = read_image(ROOT / "examples" / "astronaut.jpg", colour=True)
    large = cv2.resize(photo, (4000, 3000), interpolation=cv2.INTER_CUBIC)
    found = {}
    for name, pixels in (("512x512", photo), ("4000x3000", large)):
        data = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, 90])[1].tobytes()
        found[name] = in_turns(
            repeats,
            mien=partial(decode, data, "", colour=True),
            mien_grey=partial(decode, data, "", colour=False),
            mien_640_px_are_enough=partial(decode, data, "", colour=True, enough=640),
            opencv=partial(cv2.imdecode, np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR),
        )
    return found


def _large(kind: str) -> dict[str, float]:
    """What a picture of 8,000 x 6,250 takes in a process of its own, its 150 MB of pixels included."""
    picture = Image.new("RGBA", (8000, 6250), (200, 20, 20, 0))
    picture.paste(Image.effect_noise((300, 300), 80).convert("RGBA"), (50, 50))
    exif = Image.Exif()
    exif[0x0112] = 6  # as phones write upright photos
    ways: dict[str, dict[str, Any]] = {
        "WEBP": {"lossless": True, "method": 0},
        "TIFF": {"compression": "tiff_lzw"},
        "AVIF": {"speed": 10},
        "JPEG": {"exif": exif},
    }
    buffer = io.BytesIO()
    (picture.convert("RGB") if kind == "JPEG" else picture).save(buffer, kind, **ways.get(kind, {}))
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "picture"
        file.write_bytes(buffer.getvalue())
        command = [sys.executable, "-c", _CHILD, str(file)]
        child = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    seconds, megabytes = child.stdout.split()
    return {"file_kb": round(len(buffer.getvalue()) / 1e3), "cpu_s": float(seconds), "peak_mb": float(megabytes)}


def _photo() -> NDArray[np.uint8]:
    noise = np.random.default_rng(0).integers(0, 256, (4000, 6000, 3), dtype=np.uint8)
    return np.asarray(cv2.GaussianBlur(noise, (0, 0), 3), np.uint8)


def _crops(repeats: int) -> dict[str, float]:
    photo = _photo()
    sides = np.linspace(300, 1000, 10)
    boxes = [(500.0 * i, 150.0 * i, 500.0 * i + 0.8 * s, 150.0 * i + s) for i, s in enumerate(sides)]
    new, old = [crop_face(photo, b, _SPEC) for b in boxes], _blurred_whole(photo, boxes)
    times = in_turns(
        repeats,
        before_ms=lambda: _blurred_whole(photo, boxes),
        after_ms=lambda: [crop_face(photo, b, _SPEC) for b in boxes],
    )
    return {**times, "greatest_difference": int(np.abs(np.array(new, int) - np.array(old, int)).max())}


def _blurred_whole(photo: NDArray[np.uint8], boxes: Sequence[tuple[float, ...]]) -> list[NDArray[Any]]:
    """Crops as they were made before: the photo grey once, and all of it blurred for every face."""
    grey, crops = cv2.cvtColor(photo, cv2.COLOR_BGR2GRAY), []
    for box in boxes:
        matrix = crop_matrix(box, _SPEC)
        shrink = 1 / matrix[0, 0] / 2
        soft = cv2.GaussianBlur(grey, (0, 0), 0.5 * shrink) if shrink > 1 else grey
        crops.append(cv2.warpAffine(soft, matrix, (_SPEC.size,) * 2, borderMode=cv2.BORDER_REPLICATE))
    return crops


def _faceless(repeats: int) -> dict[str, float]:
    photo, detector = _photo(), CenterFace(threads=1)

    def around(picture: NDArray[Any]) -> NDArray[Any]:
        height, width = picture.shape[:2]
        sides = (height // 4, height // 4, width // 4, width // 4)
        return np.asarray(cv2.copyMakeBorder(picture, *sides, cv2.BORDER_CONSTANT, value=(128, 128, 128)))

    def shrunk(picture: NDArray[Any], width: int) -> NDArray[Any]:
        return np.asarray(cv2.resize(picture, (width, width * 2 // 3), interpolation=cv2.INTER_AREA))

    return in_turns(
        repeats,
        before_margin_then_shrink_ms=lambda: shrunk(around(photo), 320),
        after_shrink_then_margin_ms=lambda: around(shrunk(photo, 213)),
        detect_whole_ms=lambda: detector.detect(photo),
    )


if __name__ == "__main__":
    main()
