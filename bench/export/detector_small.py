"""The small face detector: CenterFace with about half of its channels, half of its time and a tenth of its bytes.

    python -m bench.export.detector_small --data fer2013.csv     # writes src/mien/weights/centerface-small.onnx

Channels that say least are left out and the rest is fitted by least squares (``detector_pruning``), then the small
network learns to say what the whole one says on generated scenes (``detector_training``, 80 minutes on one core), and
at last its heat map is raised (``detector_raising``). Names and meaning of input and outputs are CenterFace's.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from bench.conditions import ROOT
from bench.export.detector_network import HEAT, Steps, steps_of, written
from bench.export.detector_pruning import pruned
from bench.export.detector_raising import raising_of
from bench.export.detector_training import distilled, pictures, teacher, tensor_of
from bench.runtime.scenes import read_crops
from mien.files import replace_file

__all__ = ["raised"]

WEIGHTS = ROOT / "src" / "mien" / "weights"
TOLD = "CenterFace, arXiv 1911.03599, MIT, with fewer channels; see LICENSE.centerface-small"


def raised(steps: Steps, by: float) -> Steps:
    """Steps whose heat map, before its sigmoid, has ``by`` more."""
    return [replace(s, bias=np.asarray(s.bias + by, np.float32)) if s.output == HEAT else s for s in steps]


def write(steps: Steps, path: Path) -> None:
    data = written(steps, TOLD).SerializeToString()
    replace_file(path, lambda p: p.write_bytes(data))
    print(f"{path}: {len(data):,} bytes, SHA-256 {hashlib.sha256(data).hexdigest()}", flush=True)


def main() -> None:
    import onnx

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, help="FER2013's CSV")
    parser.add_argument("--out", type=Path, default=WEIGHTS / "centerface-small.onnx")
    given = parser.parse_args()
    torch.set_num_threads(1)
    crops, source = read_crops(given.data, odd=False), WEIGHTS / "centerface.onnx"
    several = itertools.islice((batch for batch in pictures(crops, seed=1) if len(batch) > 1), 12)
    steps = pruned(steps_of(onnx.load(str(source))), tensor_of([image for batch in several for image in batch]))
    steps = distilled(steps, pictures(crops, seed=5), teacher(source), kept=lambda made: write(made, given.out))
    write(steps, given.out)
    needed = raising_of(given.out, given.data)
    print(needed)
    write(raised(steps, needed.by), given.out)


if __name__ == "__main__":
    main()
