"""The browser's side beside Python's, what the page weighs, and what its smaller detector loses.

    make web && python tests/browser/golden.py build/golden
    python -m bench.browser.agreement --golden build/golden --data fer2013.csv     -> results/browser.json

onnxruntime-web runs in node, on one thread of WebAssembly; its times are the least of twelve. The detector is judged
on generated scenes (``bench.runtime.scenes``), against the whole one. Leaves out: other libraries, and what a browser
itself costs.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
from pathlib import Path
from typing import Any

import numpy as np

from bench.conditions import RESULTS, ROOT, conditions, save
from bench.runtime.scenes import Scenes, read_crops
from mien.faces import Detection
from mien.runtime import CenterFace
from mien.runtime.processors import processor
from mien.video.tracking import iou

_LEAST = 24.0  # pixels of a face that is to be found


def detectors(golden: Path, data: str, count: int) -> dict[str, Any]:
    """What the browser's file finds of the faces that the whole one finds."""
    whole = CenterFace(size=640, threads=1)
    others = {"the smaller one": CenterFace(golden / "centerface.onnx", size=640, threads=1)}
    found: dict[str, list[float]] = {name: [] for name in others}
    more = dict.fromkeys(others, 0)
    for scene in Scenes(read_crops(data, odd=True), seed=11).all(count):
        faces = [d for d in whole.detect(scene.image) if _side(d) >= _LEAST]
        for name, detector in others.items():
            seen = detector.detect(scene.image)
            best = [max((iou(d.box, s.box) for s in seen), default=0.0) for d in faces]
            found[name] += best
            more[name] += sum(all(iou(s.box, d.box) < 0.5 for d in faces) for s in seen if _side(s) >= _LEAST + 2)
    return {
        name: {
            "faces": len(best),
            "found": float(np.mean(np.array(best) >= 0.5)),
            "iou_median": float(np.median([b for b in best if b >= 0.5])),
            "faces_that_float_does_not_find": more[name],
        }
        for name, best in found.items()
    }


def _side(found: Detection) -> float:
    left, top, right, bottom = found.box
    return float(np.sqrt((right - left) * (bottom - top)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--golden", type=Path, required=True, help="what tests/browser/golden.py wrote")
    parser.add_argument("--data", required=True, help="FER2013's CSV")
    parser.add_argument("--scenes", type=int, default=90)
    given = parser.parse_args()
    golden = given.golden.resolve()
    whole = CenterFace(threads=1).path
    files = {"float32": whole, "the smaller one": golden / "centerface.onnx"}
    command = ["node", "bench/browser/measure.mjs", *(f"{name}={path}" for name, path in files.items())]
    environment = {**os.environ, "MIEN_GOLDEN": str(golden)}
    ran = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    record = json.loads(ran.stdout.splitlines()[-1])
    record["detectors"] = detectors(golden, given.data, given.scenes)
    node = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True).stdout.strip()
    told = conditions("onnxruntime", "numpy", node=node, onnxruntime_web="1.30.0", threads=1, processor=name_and_vnni())
    save(RESULTS / "browser.json", {**record, "conditions": told})


def name_and_vnni() -> str:
    """The processor's name and whether it has the instructions that int8 gains by."""
    name, features = processor()
    return f"{name}, {'with' if any('vnni' in feature for feature in features) else 'without'} VNNI"


if __name__ == "__main__":
    main()
