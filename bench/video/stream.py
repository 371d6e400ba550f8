"""How fast a video is, what the time goes to, what the windows cost in quality, and that memory does not grow.

    python -m bench.video.stream              # writes results/bench_video.json

Makes its own videos: the shipped photo's face moves and zooms over a plain wall, 640x480, H.264. Speed is measured from
the file to the answer, beside the loop that anybody would write (``cv2.VideoCapture``, ``Predictor.predict`` a frame),
in turns in one process. Memory is that of a fresh process that reads an hour's worth of frames (30 a second).
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np

from bench.conditions import ROOT, conditions, save
from mien import Predictor
from mien.faces import Detection, Photo
from mien.images import read_image
from mien.runtime import CenterFace
from mien.video import Frame, Tracker, VideoWriter, iou, read_frames, track_faces

PHOTO = ROOT / "examples" / "astronaut.jpg"
RATE, HOUR = 30, 108_000


def picture(t: float) -> np.ndarray:
    """The frame at ``t`` seconds: the face wanders and comes nearer, 60 to 190 pixels wide, over a wall."""
    photo = read_image(PHOTO, colour=True)[0:330, 90:450]
    scale = 1.1 + 0.55 * np.sin(0.9 * t)
    x, y = 320 + 140 * np.sin(0.7 * t), 240 + 60 * np.sin(1.1 * t)
    matrix = np.array([[scale, 0, x - scale * 190], [0, scale, y - scale * 110]], np.float64)
    wall = cv2.GaussianBlur(np.random.default_rng(0).integers(90, 170, (480, 640, 3), dtype=np.uint8), (0, 0), 9)
    return np.asarray(cv2.warpAffine(photo, matrix, (640, 480), dst=wall.copy(), borderMode=cv2.BORDER_TRANSPARENT))


def make_video(path: Path, seconds: float) -> None:
    with VideoWriter(path) as out:
        for i in range(round(seconds * RATE)):
            out.write(picture(i / RATE), i / RATE)


def obvious_loop(path: Path, predictor: Predictor) -> int:
    """What one writes without a toolkit for videos."""
    capture, faces = cv2.VideoCapture(str(path)), 0
    while True:
        good, frame = capture.read()
        if not good:
            return faces
        faces += len(predictor.predict(frame))


def speed(path: Path, frames: int, repeats: int) -> dict[str, object]:
    """Frames a second of several ways, one after the other in each round; medians, and ratios within a round."""
    usual, small = Predictor(threads=1), Predictor(detector=CenterFace(size=320, threads=1), threads=1)
    both = Predictor(threads=2)
    ways: dict[str, Callable[[], object]] = {
        "predict_video": lambda: list(usual.predict_video(path)),
        "predict_video, whole picture at 640 px in every frame": lambda: list(usual.predict_video(path, look=0)),
        "predict_video, whole picture at 320 px in every frame": lambda: list(small.predict_video(path, look=0)),
        "predict_video, every 5th frame": lambda: list(usual.predict_video(path, every=5)),
        "obvious loop, 1 thread": lambda: obvious_loop(path, usual),
        "obvious loop, 2 threads": lambda: obvious_loop(path, both),
    }
    rates: dict[str, list[float]] = {name: [] for name in ways}
    cpu: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(repeats):
        for name, run in ways.items():
            started, before = time.perf_counter(), time.process_time()
            run()
            rates[name].append(frames / (time.perf_counter() - started))
            cpu[name].append(1000 * (time.process_time() - before) / frames)
    loop = rates["obvious loop, 2 threads"]
    return {
        name: {
            "frames_per_s": round(statistics.median(rates[name]), 1),
            "all": [round(r, 1) for r in rates[name]],
            "cpu_ms_a_frame": round(statistics.median(cpu[name]), 2),
            "times_the_obvious_loop": round(
                statistics.median(a / b for a, b in zip(rates[name], loop, strict=True)), 2
            ),
        }
        for name in ways
    }


class Clock:
    """Adds up the processor time of the calls of some functions, in the thread that calls them."""

    def __init__(self) -> None:
        self.spent: dict[str, float] = {}

    def timed(self, name: str, call: Callable[..., object]) -> Callable[..., object]:
        def run(*given: object, **named: object) -> object:
            started = time.thread_time()
            try:
                return call(*given, **named)
            finally:
                self.spent[name] = self.spent.get(name, 0.0) + time.thread_time() - started

        return run


def shares(path: Path, frames: int) -> dict[str, object]:
    """Processor time a frame of each part, in ms, from one run; ``rest`` is what the process spent besides."""
    import mien.video.stream as video

    predictor, clock = Predictor(threads=1), Clock()
    list(predictor.predict_video(path, every=20))  # everything is loaded
    with ExitStack() as stack:

        def patch(owner: object, attribute: str, name: str) -> None:
            old = getattr(owner, attribute)
            setattr(owner, attribute, clock.timed(name, old))
            stack.callback(setattr, owner, attribute, old)

        patch(CenterFace, "detect", "detection")
        patch(predictor, "find", "crop")  # with the faces known, cropping is all it does
        patch(predictor, "classify", "network and quality")
        patch(Tracker, "update", "tracking")
        patch(video.FaceStream, "_smoothed", "smoothing")
        started, before = time.perf_counter(), time.process_time()
        looked = len(list(predictor.predict_video(path)))
        wall, total = time.perf_counter() - started, time.process_time() - before
    before = time.process_time()
    read = sum(1 for _ in read_frames(path))
    clock.spent["decoding"] = time.process_time() - before
    if looked != frames or read != frames:
        raise RuntimeError(f"{frames} frames were written, {looked} and {read} were read")
    clock.spent["rest"] = max(0.0, total - sum(clock.spent.values()))
    return {
        "frames_per_s": round(frames / wall, 1),
        "cpu_ms_a_frame": {name: round(1000 * s / frames, 3) for name, s in sorted(clock.spent.items())},
        "share": {name: round(s / sum(clock.spent.values()), 3) for name, s in sorted(clock.spent.items())},
    }


def calm(photos: list[Photo]) -> float:
    """Mean IoU of a box with that of the frame before: how much boxes jump, the face's own way included."""
    pairs = [(a[0].box, b[0].box) for a, b in pairwise(photos) if len(a) and len(b)]
    return round(float(np.mean([iou(a, b) for a, b in pairs])), 4)


def quality(path: Path) -> dict[str, object]:
    """Boxes and labels of the windows, and of a whole look at 320 px, against a look at 640 px in every frame."""
    usual, small = Predictor(threads=1), Predictor(detector=CenterFace(size=320, threads=1), threads=1)
    truth = [s.photo for s in track_faces(usual, path, look=0, smooth=0)]
    out: dict[str, object] = {"frames": len(truth), "faces": sum(map(len, truth)), "iou_with_frame_before": calm(truth)}
    for name, predictor, look in (
        ("windows, one look in five at 640 px, the others at 320", usual, 0.2),
        ("320 px in every frame", small, 0.0),
    ):
        photos = [s.photo for s in track_faces(predictor, path, look=look, smooth=0)]
        pairs = [(a[0], b[0]) for a, b in zip(truth, photos, strict=True) if len(a) and len(b)]
        ious = [iou(a.box, b.box) for a, b in pairs]
        out[name] = {
            "faces": sum(map(len, photos)),
            "tracks": len({f.track for p in photos for f in p if f.track}),
            "iou_mean": round(float(np.mean(ious)), 4),
            "iou_lowest": round(float(np.min(ious)), 4),
            "iou_with_frame_before": calm(photos),
            "same_label": round(float(np.mean([a.label == b.label for a, b in pairs])), 4),
        }
    return out


class Cheap:
    """A detector that costs nothing: two faces at known places, one of them hidden now and then."""

    def detect(self, image: np.ndarray) -> list[Detection]:
        here = float(image[0, 0, 0])
        faces = [Detection((100 + here / 4, 100, 250 + here / 4, 250), 0.9)]
        return faces + [Detection((400, 120, 520, 240), 0.8)] * (here > 20)


def looped(count: int) -> Iterator[Frame]:
    """``count`` frames of a few pictures, again and again."""
    pictures = [np.ascontiguousarray(picture(i / 3)) for i in range(24)]
    for i, p in enumerate(pictures):
        p[0, 0, 0] = 10 * i
    for i in range(count):
        yield Frame(i, i / RATE, pictures[i % len(pictures)].copy())


def resident() -> float:
    """MB of this process that lie in memory now."""
    with open("/proc/self/statm", encoding="ascii") as f:
        return int(f.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def hour(folder: Path, count: int) -> dict[str, object]:
    """Read ``count`` frames into a table, segments and a timeline, as ``mien video`` does; memory on the way."""
    from mien.results.provenance import provenance_of
    from mien.results.recorder import VideoRecorder, open_video_table

    predictor = Predictor(detector=Cheap(), threads=1)
    peaks, peak, started = {}, 0.0, time.perf_counter()
    table = open_video_table(folder / "hour.csv", provenance_of(predictor, "cheap"), {"source": "looped"})
    with VideoRecorder(table) as recorder:
        for i, seen in enumerate(track_faces(predictor, looped(count)), start=1):
            recorder.add(seen)
            if i % 50 == 0 or i == count:
                peak = max(peak, resident())
            for percent in (5, 25, 50, 100):
                if i == count * percent // 100:
                    peaks[f"peak_mb_at_{percent}_percent"] = round(peak, 1)
    with open(folder / "hour.csv", encoding="utf-8") as f:
        rows = sum(1 for _ in f) - 1
    return {"frames": count, "rows": rows, **peaks, "frames_per_s": round(count / (time.perf_counter() - started), 1)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=20, help="length of the video")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--hour", type=int, default=HOUR, help="frames of the run that measures memory")
    parser.add_argument("--out", type=Path, default=ROOT / "results" / "bench_video.json")
    parser.add_argument("--only-hour", type=Path, help=argparse.SUPPRESS)  # the fresh process that main starts
    given = parser.parse_args()
    if given.only_hour:
        print(json.dumps(hour(given.only_hour, given.hour)))
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "face.mp4"
        make_video(path, given.seconds)
        frames = round(given.seconds * RATE)
        record = {
            "model": Predictor().spec.name,
            "video": f"640x480, H.264, one face, {frames} frames",
            "speed": speed(path, frames, given.repeats),
            "parts": shares(path, frames),
            "quality": quality(path),
        }
        command = [sys.executable, "-m", __spec__.name, "--only-hour", folder, "--hour", str(given.hour)]
        record["memory"] = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    record["conditions"] = conditions("onnxruntime", "opencv-python-headless", "numpy")
    save(given.out, record)


if __name__ == "__main__":
    main()
