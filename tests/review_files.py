"""Tables as ``mien video`` writes them, of faces that were never followed, for the tests of the review."""

from __future__ import annotations

import numpy as np

from mien.faces import Face, Photo
from mien.results.provenance import Provenance
from mien.results.recorder import VideoRecorder, open_video_table
from mien.video import Frame, TrackedFrame

LABELS = ("angry", "happy", "sad")
RATE = 10.0
BOX = (10.0, 10.0, 50.0, 50.0)
TINY = {"name": "tiny", "sha256": "0", "labels": list(LABELS), "scores": {}, "licence": "MIT"}


def recorded_table(path, shown, sha256="abc"):
    """A table as ``mien video`` writes it: of each frame track -> label, at 10 frames a second, 0.1 s each."""
    provenance = Provenance(TINY, {"name": "none"}, {"hold": 0.4, "max_gap": 10.0})
    table = open_video_table(path, provenance, {"source": "talk.mp4", "sha256": sha256}, force=True)
    with VideoRecorder(table) as recorder:
        for i, faces in enumerate(shown):
            time = i / RATE
            drawn = [one_face(track, label, time) for track, label in faces.items()]
            photo = Photo("talk.mp4", tuple(drawn), 160, 120, time=time)
            recorder.add(TrackedFrame(Frame(i, time, duration=1 / RATE), photo, tuple(drawn)))
    return path


def one_face(track, label, time):
    chances = {name: 0.8 if name == label else 0.1 for name in LABELS}
    crop = np.zeros((48, 48), np.uint8)
    return Face(label, 0.8, (label,), chances, BOX, 0.9, None, crop, track=track, time=time)


SHOWN = [{1: "happy"}] * 10 + [{}] * 3 + [{2: "sad"}] * 10
