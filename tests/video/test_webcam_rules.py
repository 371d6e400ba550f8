"""The webcam page follows and smooths faces as a video does: one sequence through both, in Python and in node."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from mien.faces import Detection, Face, Quality
from mien.runtime.prediction_set import PLAIN_SHARE, possible_labels
from mien.spec import ModelSpec
from mien.video import RULES, FaceStream, Frame
from mien.web import __file__ as web

LABELS = ("angry", "happy", "neutral")
PAGE = Path(web).parent / "page"
SCRIPT = """
import { readFileSync } from "node:fs";
import { Tracks } from "./tracks.mjs";
const { labels, rules, frames } = JSON.parse(readFileSync(0));
const tracks = new Tracks(labels, rules);
const alive = () => tracks.known.map((t) => t.number).filter((n) => n !== null);
console.log(JSON.stringify(frames.map(({ time, faces }) => [tracks.follow(faces, time), alive()])));
"""


class Recorded:
    """A predictor that says what was recorded, frame by frame."""

    detector = None

    def __init__(self, frames, calibration):
        self.spec = ModelSpec("recorded", LABELS, calibration=calibration)
        self.frames, self.searched, self.width, self.height = frames, 0, 640, 480

    def detect_in_frame(self, frame):
        self.searched += 1
        return [Detection(tuple(f["box"]), f["score"]) for f in self.frames[self.searched - 1]["faces"]]

    def find(self, photo, detections=None):
        return self

    def classify(self, found):
        return [tuple(self.face(f) for f in self.frames[self.searched - 1]["faces"])]

    def prediction_set(self, probabilities):
        return possible_labels(probabilities, self.spec)

    def face(self, f):
        best = max(f["probabilities"], key=f["probabilities"].get)
        fine = Quality(100, 1, 128, 50, problems=() if f["usable"] else ("spoilt",))
        return Face(best, f["probabilities"][best], tuple(f["prediction_set"]), f["probabilities"], tuple(f["box"]),
                    f["score"], None, np.zeros((8, 8), np.uint8), quality=fine)  # fmt: skip


def recorded(seed, spec):
    """Faces that wander, hide, come near, leave and are weak or spoilt, at a rate that changes; some gaps are long."""
    rng, frames, time = np.random.default_rng(seed), [], 0.0
    faces = [
        {"at": rng.uniform(50, 500, 2), "speed": rng.normal(0, 60, 2), "side": rng.uniform(40, 99)} for _ in range(4)
    ]
    for _ in range(150):
        step = float(rng.choice([0.0, 0.03, 0.1, 0.4, 2.0, 15.0], p=[0.04, 0.5, 0.3, 0.1, 0.04, 0.02]))
        time += step
        shown = []
        for face in faces:
            face["at"] += face["speed"] * min(step, 0.4) + rng.normal(0, 2, 2)
            face["side"] *= float(rng.normal(1, 0.03))
            if rng.random() < 0.05:
                face["speed"] = rng.normal(0, 150, 2)
            if rng.random() < 0.2:
                continue
            p = rng.dirichlet([1, 1, 1]).astype(np.float32)
            half = face["side"] / 2
            box = [*(face["at"] - half), *(face["at"] + half)]
            shown.append({
                "box": [round(float(v), 2) for v in box], "score": float(rng.choice([0.55, 0.9], p=[0.3, 0.7])),
                "usable": bool(rng.random() < 0.85), "probabilities": dict(zip(LABELS, map(float, p), strict=True)),
                "prediction_set": list(possible_labels(p, spec)), "label": LABELS[int(p.argmax())],
            })  # fmt: skip
        order = rng.permutation(len(shown))
        frames.append({"time": time, "faces": [shown[i] for i in order]})
    return frames


@pytest.mark.skipif(not shutil.which("node"), reason="node is not installed; the browser's tests run the page as well")
@pytest.mark.parametrize(("seed", "threshold"), [(0, None), (1, 0.2), (2, 0.35), (3, None)])
def test_the_page_and_a_video_follow_and_smooth_alike(tmp_path, seed, threshold):
    calibration = {} if threshold is None else {"threshold": threshold}
    frames = recorded(seed, ModelSpec("recorded", LABELS, calibration=calibration))
    (tmp_path / "tracks.mjs").write_bytes((PAGE / "tracks.js").read_bytes())
    (tmp_path / "run.mjs").write_text(SCRIPT, encoding="utf-8")
    rules = {**asdict(RULES), "set_threshold": threshold, "set_share": PLAIN_SHARE}
    given = json.dumps({"labels": LABELS, "rules": rules, "frames": frames})
    ran = subprocess.run(["node", "run.mjs"], input=given, capture_output=True, text=True, cwd=tmp_path, check=True)
    stream = FaceStream(Recorded(frames, calibration))
    numbers = set()
    for i, (frame, (page, alive)) in enumerate(zip(frames, json.loads(ran.stdout), strict=True)):
        searched = stream.search(Frame(i, frame["time"], np.zeros((480, 640, 3), np.uint8)))
        (ours,) = stream.classify([searched])
        assert [f.track for f in ours.photo] == [f["number"] for f in page], i
        assert set(alive) == searched.living, i
        for face, theirs in zip(ours.photo, page, strict=True):
            assert theirs["smooth"] == pytest.approx(list(face.probabilities.values()), abs=2e-6)
            assert (theirs["label"], tuple(theirs["prediction_set"])) == (face.label, face.prediction_set)
            assert theirs["confidence"] == pytest.approx(face.confidence, abs=2e-6)
            numbers.add(face.track)
    assert None in numbers
    assert max(filter(None, numbers)) > 8  # faces left for good and came anew


def test_the_rules_are_written_once():
    page = (PAGE / "tracks.js").read_text(encoding="utf-8")
    for name in (*asdict(RULES), "set_threshold", "set_share"):
        assert name in page, f"tracks.js does not know the rule {name}"
    assert "const GAP" not in page
    assert "0.7" not in page
