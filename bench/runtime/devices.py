"""OpenVINO beside onnxruntime on this CPU, and what a Raspberry Pi may do: measured here, reckoned there.

    python -m bench.runtime.devices            # writes results/bench_devices.json; a minute on an idle core

Times are processor time of one run with one thread, the median of several in which both take turns; the ratio is the
median of those within a turn, and the clock's time stands beside. The estimate for a Raspberry Pi counts the
multiply-adds of the convolutions and products in each file at the input's size and divides them by half of the peak of
one core: 4 float32 lanes and one fused multiply-add a cycle at 1.8 GHz (Cortex-A72, Pi 4), two at 2.4 GHz (Cortex-A76,
Pi 5), by ARM's optimisation guides. The share that the float32 detector reaches of this processor's peak stands beside
it, at the clock that Linux names, which is below the one it runs at. Memory, decoding, further looks at a picture and
what int8 saves in networks are left out: good to a factor of two.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from bench.conditions import RESULTS, ROOT, conditions, save
from mien.runtime.session import load_onnxruntime, open_session

WEIGHTS = ROOT / "src" / "mien" / "weights"
DETECTORS, SIDES = ("centerface", "centerface-small"), ((320, 256), (640, 480), (640, 640))
NETWORKS, BATCHES = ("mien-small", "mien-nano"), (1, 64)
SHARE = 0.5  # of a board's peak
BOARDS = {"Raspberry Pi 4": 4 * 1 * 1.8e9, "Raspberry Pi 5": 4 * 2 * 2.4e9}  # multiply-adds a second of one core


def timed(calls: dict[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    """Milliseconds of processor time and by the clock of each call, and how many times the first takes the second's."""
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in calls}
    for i in range(repeats + 1):
        for name, call in calls.items():
            used, began = time.process_time(), time.perf_counter()
            call()
            if i:  # the first run prepares
                found[name].append((time.process_time() - used, time.perf_counter() - began))
    record = dict[str, float]()
    for name, each in found.items():
        own, clock = (1000 * statistics.median(times) for times in zip(*each, strict=True))
        record |= {f"{name}_ms": round(own, 3), f"{name}_clock_ms": round(clock, 3)}
    ratios = [a[0] / b[0] for a, b in zip(*found.values(), strict=True)]
    return record | {"ratio": round(statistics.median(ratios), 3)}


def multiply_adds(file: Path, shape: tuple[int, ...]) -> int:
    """Of convolutions and matrix products, for an input of ``shape``, by the shapes that a run has."""
    model = onnx.load(file)
    nodes = [n for n in model.graph.node if n.op_type in ("Conv", "ConvTranspose", "Gemm", "MatMul")]
    names = sorted({name for node in nodes for name in (node.input[0], node.input[1], node.output[0])})
    fixed = {t.name: list(t.dims) for t in model.graph.initializer}
    there = {o.name for o in model.graph.output}
    wanted = [name for name in names if name not in fixed and name != model.graph.input[0].name]
    model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in wanted if name not in there)
    session = load_onnxruntime().InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    arrays = session.run(wanted, {model.graph.input[0].name: np.zeros(shape, np.float32)})
    shapes = {**fixed, **{name: list(a.shape) for name, a in zip(wanted, arrays, strict=True)}}
    shapes[model.graph.input[0].name] = list(shape)
    total = 0
    for node in nodes:
        first, second, out = (shapes[name] for name in (node.input[0], node.input[1], node.output[0]))
        if node.op_type in ("Conv", "ConvTranspose"):
            total += int(np.prod(out if node.op_type == "Conv" else first)) * int(np.prod(second[1:]))
        else:
            total += int(np.prod(out)) * first[-1]
    return total


def measured(name: str, shape: tuple[int, ...], repeats: int) -> dict[str, Any]:
    """One file at one size on each device."""
    file, rng = WEIGHTS / f"{name}.onnx", np.random.default_rng(0)
    x = (rng.random(shape) * 255).astype(np.float32) if name in DETECTORS else rng.standard_normal(shape).astype("f4")
    calls: dict[str, Callable[[], object]] = {}
    for device in ("cpu", "openvino"):
        session = open_session(file, 1, device)
        names, feed = [o.name for o in session.get_outputs()], {session.get_inputs()[0].name: x}
        calls[device] = lambda s=session, n=names, f=feed: s.run(n, f)  # type: ignore[misc]
    adds = multiply_adds(file, shape)
    return {"file": name, "shape": list(shape), "multiply_adds": adds, **timed(calls, repeats)}


def peak() -> float:
    """Multiply-adds a second of one core here: float32 lanes x 2 a cycle x its clock, as Linux has them."""
    text = Path("/proc/cpuinfo").read_text()
    lanes = 16 if " avx512f" in text else 8
    clock = max(float(line.split(":")[1]) for line in text.splitlines() if line.startswith("cpu MHz")) * 1e6
    # Zen 4 runs 512 bits in two halves: as many multiply-adds a cycle as with 256
    return (8 if "AMD" in text else lanes) * 2 * clock


def estimates(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Milliseconds on one core of each board, and frames a second with one face, searched at 320 x 256."""
    need = {row["file"]: row["multiply_adds"] for row in rows if row["shape"][0] == 1 and row["shape"][2] in (48, 256)}
    out = {}
    for board, own in BOARDS.items():
        ms = {name: round(1000 * need[name] / (own * SHARE), 1) for name in ("centerface", "mien-nano", "mien-small")}
        frame = ms["centerface"] + ms["mien-nano"]
        out[board] = {**ms, "frames_a_second": {"one core": round(1000 / frame, 1)}}
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--out", type=Path, default=RESULTS / "bench_devices.json")
    given = parser.parse_args()
    load = os.getloadavg()[0]
    rows = [measured(name, (1, 3, h, w), given.repeats) for name in DETECTORS for w, h in SIDES]
    rows += [measured(name, (n, 1, 48, 48), 3 * given.repeats) for name in NETWORKS for n in BATCHES]
    whole = next(row for row in rows if row["file"] == "centerface" and row["shape"][2] == 480)
    share = whole["multiply_adds"] / (whole["cpu_ms"] / 1000) / peak()
    record = {
        "rows": rows,
        "peak_multiply_adds_a_second": peak(),
        "share_of_peak": round(share, 3),
        "estimates": estimates(rows),
        "conditions": conditions("onnxruntime", "openvino", "numpy", threads=1, load_1min_at_start=round(load, 2)),
    }
    save(given.out, record)


if __name__ == "__main__":
    main()
