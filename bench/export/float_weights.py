"""Float weights to train from, made of the shipped files.

    python -m bench.export.float_weights NAME ... --data fer2013.csv --votes fer2013new.csv [--run RUN]

With --run they are those of the run that the shipped file was made of. Where a run was not kept, what is left is the
int8 file: a whole number for each weight of a convolution and a scale for each output channel. Their products are float
weights again, as far from the lost ones as rounding to 255 steps takes them; biases and all that is not a convolution
were never rounded. Batch norm, which was folded into the convolutions, is made anew on FACES of Training
(``mien.models.unfuse``).

Writes src/mien/weights/NAME.safetensors, matrices and kernels as float16, and compares what it wrote with the shipped
file on PublicTest, into results/float_weights.json: accuracy of every answer, and how far apart the probabilities are.
Refuses to write where an answer loses more than MOST_LOST.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import numpy_helper
from torch import Tensor, nn

from bench.conditions import RESULTS, conditions
from bench.export.cards import WEIGHTS
from bench.export.heads import of_run
from mien.data import FaceDataset, read_faces, read_votes, train_val, with_votes
from mien.evaluation.metrics import Report
from mien.evaluation.model import Loaded, open_model
from mien.evaluation.scoring import scored, versions
from mien.files import write_text
from mien.models import create_model, fuse, unfuse
from mien.models.heads import classifier
from mien.models.weights import load_model, write_tensors
from mien.preprocessing import normalise
from mien.spec import SPEC_KEY, ModelSpec
from mien.training.provenance import sketch

RECORD = RESULTS / "float_weights.json"
FACES, BATCH = 4096, 512
MOST_LOST = 0.005  # files that give the same answer for 98 % of 3,589 faces are 0.2 % apart by chance (one sd)


def floats(proto: Any) -> dict[str, NDArray[np.float32]]:
    """The weights in an exported file by their name in the network; int8 ones times their scales."""
    values = {i.name: numpy_helper.to_array(i) for i in proto.graph.initializer}
    found = {}
    for name, value in values.items():
        if name.startswith("model.") and value.dtype == np.float32 and not name.endswith("_scale"):
            found[name] = value
        elif name.endswith("_quantized"):
            zero, scale = (values[f"{name.removesuffix('_quantized')}{end}"] for end in _ends(name, values))
            shape = (-1,) + (1,) * (value.ndim - 1)
            found[name.removesuffix("_quantized")] = (value.astype(np.float32) - zero.reshape(shape)) * scale.reshape(
                shape
            )
    return {name.removeprefix("model."): value for name, value in found.items()}


def _ends(name: str, values: dict[str, Any]) -> tuple[str, str]:
    """How zero point and scale of a quantized weight or bias are called."""
    for ends in (("_zero_point", "_scale"), ("_quantized_zero_point", "_quantized_scale")):
        if all(f"{name.removesuffix('_quantized')}{end}" in values for end in ends):
            return ends
    raise SystemExit(f"{name}: has no zero point and scale")


def deployed(proto: Any, spec: ModelSpec) -> nn.Module:
    """The network of an exported file in torch, all heads side by side."""
    state = floats(proto)
    values = {i.name: numpy_helper.to_array(i) for i in proto.graph.initializer}
    for head in spec.heads[1:]:
        for part in ("weight", "bias"):
            state[f"head.{part}"] = np.concatenate([state[f"head.{part}"], values[f"{head.output}.{part}"]])
    options = dict(spec.model)
    classes = sum(len(h.labels) for h in spec.heads) or len(spec.labels)
    network = fuse(create_model(options.pop("name"), num_classes=classes, in_chans=spec.channels, **options))
    network.load_state_dict({k: torch.from_numpy(np.array(v)) for k, v in state.items()})
    return network


def trainable(plain: nn.Module, spec: ModelSpec, faces: NDArray[np.uint8]) -> nn.Module:
    """``plain`` in the form that trains, its batch norm made on ``faces``."""
    options = dict(spec.model)
    classes = classifier(plain).out_features
    model = create_model(options.pop("name"), num_classes=classes, in_chans=spec.channels, **options)
    x = normalise(torch.from_numpy(faces.astype(np.float32)), spec)[:, None]
    unfuse(model, plain, torch.split(x, BATCH))
    return model.eval()


def half(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Matrices and kernels in half precision; the rest is small, and variances need the range."""
    return {k: (v.half() if v.ndim > 1 else v).contiguous() for k, v in state.items()}


def made(name: str, train: FaceDataset) -> tuple[nn.Module, ModelSpec]:
    """The float weights of a shipped file whose run is lost."""
    source = WEIGHTS / f"{name}.onnx"
    proto = onnx.load(str(source))
    spec = ModelSpec.from_json({p.key: p.value for p in proto.metadata_props}[SPEC_KEY], str(source))
    where = f"de-quantized from the shipped {spec.precision} file" if spec.precision == "int8" else "the shipped file's"
    rows = np.sort(np.random.default_rng(0).permutation(len(train))[:FACES])
    # the graph of the shipped file divides the mean of its heads, these weights do not
    temperature = spec.calibration["temperature"] if spec.answer else spec.temperature
    network = trainable(deployed(proto, spec), spec, train.images[rows])
    return network, replace(spec, temperature=temperature, data={**spec.data, "weights": where})


def make(
    name: str, train: FaceDataset, tests: dict[str, FaceDataset], kept: tuple[nn.Module, ModelSpec] | None
) -> dict[str, Any]:
    """Write the float weights of one network; what they are beside the shipped file.

    tests  head name -> faces labelled as it was taught, "" for the default answer
    kept   of the run that the shipped file was made of, None where it is lost
    """
    source, target = WEIGHTS / f"{name}.onnx", WEIGHTS / f"{name}.safetensors"
    network, spec = made(name, train) if kept is None else kept
    if kept is not None:
        spec = replace(spec, name=name, data={**spec.data, "weights": "those that the shipped file was made of"})
    tensors, where = half(network.state_dict()), spec.data["weights"]
    own = replace(spec, precision="float32", data={**spec.data, "learnt": sketch(train.images)})
    write_tensors(target, tensors, {SPEC_KEY: own.to_json()})
    asked = ("", *(h.name for h in spec.heads))
    found = {head: _beside(source, target, head, tests[head]) for head in asked}
    if lost := [k for k, (f, _) in found.items() if f["shipped"] - f["float"] > MOST_LOST]:
        target.unlink()
        raise SystemExit(f"{name}: {', '.join(lost)} would lose more than {MOST_LOST:.1%}: {found}; nothing is kept")
    scores = {head: {report.split: report.to_dict()} for head, (_, report) in found.items()}
    heads = tuple(replace(h, scores=scores[h.name]) for h in own.heads)
    write_tensors(target, tensors, {SPEC_KEY: replace(own, scores=scores[""], heads=heads).to_json()})
    return {
        "bytes": target.stat().st_size,
        "sha256": hashlib.sha256(target.read_bytes()).hexdigest(),
        "made from": hashlib.sha256(source.read_bytes()).hexdigest(),
        "weights": where,
        "faces for batch norm": 0 if kept else FACES,
        "PublicTest": {head or "default answer": figures for head, (figures, _) in found.items()},
    }


def _beside(source: Path, target: Path, head: str, test: FaceDataset) -> tuple[dict[str, float], Report]:
    """One answer of both files on faces of PublicTest, and the report of the float weights."""
    shipped = scored(open_model(f"{source}:{head}" if head else source), test)
    network, spec = load_model(target, head or None)
    own = scored(Loaded(network, spec, str(target)), test)
    p, q = shipped.probabilities, own.probabilities
    apart = np.abs(p - q)
    figures = {
        "n": len(test),
        "shipped": shipped.report.accuracy,
        "float": own.report.accuracy,
        "same answer": float((p.argmax(1) == q.argmax(1)).mean()),
        "mean difference of probabilities": float(apart.mean()),
        "largest difference of a face, median": float(np.median(apart.max(1))),
        "largest difference of a face, 99 %": float(np.quantile(apart.max(1), 0.99)),
    }
    return figures, own.report


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="+", help="shipped networks")
    parser.add_argument("--data", required=True, help="FER2013")
    parser.add_argument("--votes", required=True, help="FER+ votes: their majority scores the second head")
    parser.add_argument("--run", type=Path, help="the run that the shipped file of the one NAME was made of")
    given = parser.parse_args()
    if given.run and len(given.names) > 1:
        raise SystemExit(f"--run goes with one network, got {', '.join(given.names)}")
    faces = read_faces(given.data)
    train, val = train_val(faces)
    majority = train_val(with_votes(faces, read_votes(given.votes), "majority"))[1]
    tests = {"": val, "fer2013": val, "fer+": majority}
    record = json.loads(RECORD.read_text()) if RECORD.is_file() else {}
    for name in given.names:
        kept = of_run(given.run, given.data, given.votes) if given.run else None
        record[name] = {**make(name, train, tests, kept), "fingerprint": val.fingerprint}
        print(name, json.dumps(record[name], indent=1))
    record["conditions"] = conditions("torch", "onnxruntime", views=1, **versions())
    write_text(RECORD, json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
