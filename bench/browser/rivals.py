"""mien in the browser beside @vladmandic/human and @vladmandic/face-api: the same pictures in the same Chromium.

    python -m bench.browser.rivals --data fer2013.csv      # after `make web`; writes results/bench_browser.json

The other libraries, at fixed versions, come from npm into build/rivals, with the networks that their packages hold and
TensorFlow.js' WebAssembly; both look for faces with their own detectors. Each runs in browsers of its own:

speed     bytes up to the first answer (gzip), and milliseconds of processor time of the page's process, which other
          work on the machine is not part of: of the first answer, of a picture of 640x480 with one face (each one
          anew), of its detector and of its network alone, and of a frame as it takes videos (15 a second)
memory    private memory of the page's process after 1,000 such frames, less that of the empty page
accuracy  right answers on crops of FER2013's PublicTest: the whole way, with the crop shown as large and with such a
          margin as gives the library most faces of Training, and the network alone on the crop

Leaves out: graphics processors, which these machines have not; ``agreement`` holds our own figures.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np

from bench.browser.agreement import name_and_vnni
from bench.conditions import RESULTS, ROOT, conditions, save
from mien.data import read_faces

PACKAGES = {"@vladmandic/human": "3.3.6", "@vladmandic/face-api": "1.7.15", "@tensorflow/tfjs-backend-wasm": "4.22.0"}
HEADS = ("mien-nano, fer2013", "mien-small, fer2013")  # as fast as the same networks' default answer
LIBRARIES = (
    *("mien-nano, near", "mien-nano", "mien-small", *HEADS),
    *("human", "human, no mesh", "face-api, SSD", "face-api, tiny"),
)
PARTS = ("speed", "memory", "accuracy")
FOLDER = ROOT / "build" / "rivals"
FRAMINGS = tuple({"side": side, "margin": margin} for side, margin in ((240, 0.0), (240, 0.5), (120, 1.0), (120, 2.0)))
OUT = RESULTS / "bench_browser.json"


def install() -> None:
    """Fetch the other libraries, where they are not there yet; no script of theirs is run."""
    if all((FOLDER / "node_modules" / name).is_dir() for name in PACKAGES):
        return
    FOLDER.mkdir(parents=True, exist_ok=True)
    (FOLDER / "package.json").write_text('{"private": true}\n', encoding="utf-8")
    wanted = [f"{name}@{version}" for name, version in PACKAGES.items()]
    options = ["--ignore-scripts", "--legacy-peer-deps", "--no-fund", "--no-audit", "--loglevel=error"]
    subprocess.run(["npm", "install", *options, *wanted], cwd=FOLDER, check=True)


def write_faces(data: str, tuning: int, n: int) -> None:
    """build/rivals/faces.bin: labels, then crops, ``tuning`` of Training and ``n`` of PublicTest, drawn with seed 0."""
    faces, rng = read_faces(data), np.random.default_rng(0)
    labels, images = [], []
    for name, count in (("Training", tuning), ("PublicTest", n)):
        part = faces.part(name)
        drawn = rng.permutation(len(part.images))[:count]
        labels.append(np.asarray(part.labels)[drawn].astype(np.uint8))
        images.append(part.images[drawn])
    (FOLDER / "faces.bin").write_bytes(np.concatenate(labels).tobytes() + np.concatenate(images).tobytes())


def measured(part: str, options: dict[str, Any]) -> dict[str, Any]:
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if chromium is None or not (ROOT / "js" / "dist" / "mien.js").is_file():
        raise SystemExit("this bench needs Chromium, and js/dist: make web")
    given = {"part": part, "rivals": "build/rivals", "chromium": chromium, "framings": FRAMINGS, **options}
    script = str(ROOT / "bench" / "browser" / "rivals.mjs")
    run = subprocess.run(["node", script, json.dumps(given)], check=True, stdout=subprocess.PIPE, text=True)
    found: dict[str, Any] = json.loads(run.stdout)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, help="FER2013's CSV")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS, help="the others stay as they are")
    parser.add_argument("--libraries", nargs="+", choices=LIBRARIES, default=LIBRARIES)
    parser.add_argument(
        "--rounds", type=int, default=5, help="of speed and memory, each in a new browser; the median counts"
    )
    parser.add_argument("--frames", type=int, default=1000, help="after which memory is read")
    parser.add_argument("--whole", type=int, default=600, help="crops of PublicTest that go the whole way")
    parser.add_argument("--alone", type=int, default=3589, help="crops of PublicTest for the network alone")
    parser.add_argument(
        "--tuning", type=int, default=60, help="crops of Training by which a library's framing is chosen"
    )
    parser.add_argument("--out", type=Path, default=OUT)
    given = parser.parse_args()
    install()
    if "accuracy" in given.parts:
        write_faces(given.data, given.tuning, given.alone)
    options = {name: getattr(given, name) for name in ("libraries", "rounds", "frames", "whole", "alone", "tuning")}
    for part in given.parts:
        chosen = [name for name in given.libraries if part == "accuracy" or name not in HEADS]
        found = measured(part, {**options, "libraries": chosen})
        old = given.out.read_text(encoding="utf-8") if given.out.exists() else "{}"
        record: dict[str, Any] = {**json.loads(old), "packages": PACKAGES}
        told = {**options, "chromium": found["chromium"], "processor": name_and_vnni(), "data": Path(given.data).name}
        entry = record.setdefault(part, {"libraries": {}})
        entry["libraries"].update(found["libraries"])
        entry["conditions"] = conditions(**told)
        save(given.out, record)


if __name__ == "__main__":
    main()
