"""The network of a run with its heads calibrated, and every answer of a file with two heads scored: the default one by
both labellings, each head by its own.

Leaves out: training them, and the weight of their mean (``mien.evaluation.heads``).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from mien.data import FaceDataset, read_faces, read_votes, train_val, with_votes
from mien.data.duplicates import near_duplicates
from mien.evaluation.model import Loaded, open_model, together
from mien.evaluation.scoring import measure_robustness, scored
from mien.export.onnx import write_spec
from mien.labels import FER2013, FERPLUS
from mien.models.weights import load_network
from mien.spec import ModelSpec
from mien.training.finishing import recalibrated

FIRST, SECOND = "fer2013", "fer+"
SHOWN = (1, 10)  # views of the scores


def in_seven(faces: FaceDataset) -> FaceDataset:
    """Faces labelled with FER+'s classes, in FER2013's seven; contempt is left out."""
    assert faces.labels is not None
    table = np.array([FER2013.names.index(n) if n in FER2013.names else -1 for n in FERPLUS.names])
    labels = np.where(faces.labels >= 0, table[faces.labels], -1)
    kept = labels >= 0
    return replace(faces.take(kept), names=FER2013.names, labels=labels[kept].astype(np.int64), votes=None)


def of_run(run: Path, data: str, votes: str | None) -> tuple[nn.Module, ModelSpec]:
    """The network of a run, whatever mien trained it, calibrated as this one does it."""
    model, spec = load_network(run / "model.safetensors")
    faces = read_faces(data)
    if spec.heads:
        if votes is None:
            raise SystemExit("--votes is needed to calibrate FER+'s head")
        faces = with_votes(faces, read_votes(votes), "both")
    train, val = train_val(faces)
    return recalibrated(model, spec, val, ~near_duplicates(val.array, train.array), val.fingerprint)


class Remembered:
    """A network that is asked about no face twice: several answers of one file are scored on the same faces."""

    def __init__(self, forward: Callable[[Tensor], Tensor]) -> None:
        self.forward = forward
        self.said: dict[bytes, Tensor] = {}

    def __call__(self, x: Tensor) -> Tensor:
        keys = [hashlib.sha256(face.numpy()).digest() for face in x.contiguous()]
        if new := [i for i, key in enumerate(keys) if key not in self.said]:
            self.said |= zip([keys[i] for i in new], self.forward(x[new]), strict=True)
        return torch.stack([self.said[key] for key in keys])


def judge(file: Path, data: str, votes: str | None) -> dict[str, Any]:
    """Score every answer of ``file``, clean and corrupted, and write the scores into it; gives what its record says."""
    if votes is None:
        raise SystemExit("--votes is needed to evaluate FER+'s head")
    answers = {"": open_model(file)} | {f":{h}": open_model(f"{file}:{h}") for h in (FIRST, SECOND)}
    asked = Remembered(together(list(answers.values())))
    ends = np.cumsum([0, *(len(a.labels) for a in answers.values())]).tolist()
    columns = {head: slice(i, j) for head, i, j in zip(answers, ends[:-1], ends[1:], strict=True)}

    def opened(head: str) -> Loaded:
        return replace(answers[head], forward=lambda x: asked(x)[:, columns[head]])

    spec, faces, table = answers[""].spec, read_faces(data), read_votes(votes)
    train, val = train_val(faces)
    majority, argmax = (train_val(with_votes(faces, table, kind))[1] for kind in ("majority", "argmax"))
    clean = ~near_duplicates(val.images, train.images)

    def scores(head: str, part: FaceDataset, test: str = "") -> dict[str, Any]:
        kept, split = np.isin(np.asarray(val.rows), np.asarray(part.rows)), "PublicTest" + (test and f" ({test})")
        return {
            split if views == 1 else f"{split}, {views} views": scored(
                opened(head), part, clean=clean[kept], views=views
            ).report.to_dict()
            for views in SHOWN
        }

    both = scores("", val) | scores("", in_seven(majority), "FER+ majority")
    of_heads = {
        FIRST: scores(f":{FIRST}", val),
        SECOND: scores(f":{SECOND}", majority, "majority") | scores(f":{SECOND}", argmax, "argmax"),
    }
    write_spec(file, replace(spec, scores=both, heads=tuple(replace(h, scores=of_heads[h.name]) for h in spec.heads)))
    return {
        "answer": spec.answer,
        "reports": both,
        "heads": of_heads,
        "robustness": measure_robustness(opened(""), val).to_dict(),
        "robustness of heads": {
            head: measure_robustness(opened(f":{head}"), part).to_dict()
            for head, part in ((FIRST, val), (SECOND, majority))
        },
    }
