"""From finished runs to published figures: results/NAME.json, and the shipped model with its card.

    python -m bench.export.publish score NAME RUN [RUN ...] --data fer2013.csv [--votes fer2013new.csv]
    python -m bench.export.publish ship NAME --runs FOLDER --data fer2013.csv [--votes fer2013new.csv] [--int8]
    python -m bench.export.publish card NAME

``score`` evaluates every run, one a seed, on PublicTest, with and without views, full and clean; of runs with two heads
each is scored alone, and the second becomes NAME-ferplus, scored on both of FER+'s tests. ``ship`` exports the seed
that did best, with all its heads, with --int8 as int8 if that loses at most 0.3 points and is faster, evaluates the
very file that it leaves in the package, clean and corrupted, and writes its card; the card gives mean and spread over
the seeds beside the file's own score. The tables in README and docs are
made from these results by bench/reporting/tables.py.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import platform
import statistics
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from bench.conditions import RESULTS
from bench.export.cards import WEIGHTS, card, split_of, write
from bench.export.heads import judge, of_run
from mien.data import FaceDataset, read_faces, read_votes, train_val, with_votes
from mien.evaluation.metrics import mean_and_spread
from mien.evaluation.model import Model, open_model
from mien.evaluation.scoring import evaluate, measure_robustness
from mien.export.onnx import export_onnx, write_spec
from mien.export.quantize import quantize_onnx
from mien.files import replace_file
from mien.models.weights import read_spec
from mien.runtime import Classifier
from mien.runtime.processors import processor

VIEWS = (1, 10)
MOST_LOST = 0.003
LICENCE = (
    "Code and weights: MIT. The weights were trained on FER2013, whose pictures carry rights of others and were given "
    "out for research: check that your use allows it."
)
HEADS = {"": "fer2013", "-ferplus": "fer+"}

#: name of a test -> its training part and the part that is scored
Tests = dict[str, tuple[FaceDataset, FaceDataset]]


def read_tests(data: str, votes: str | None, ferplus: bool) -> Tests:
    """The tests for networks of seven classes, or of FER+'s eight; both are PublicTest."""
    faces = read_faces(data)
    if not ferplus:
        return {"": train_val(faces)}
    if votes is None:
        raise SystemExit("--votes is needed for FER+")
    table = read_votes(votes)
    return {f"{kind} ": train_val(with_votes(faces, table, kind)) for kind in ("majority", "argmax")}


def score(name: str, runs: Sequence[Path], data: str, votes: str | None, hardware: str | None = None) -> None:
    """Evaluate every run; write mean, spread and each run's figures. ``hardware`` trained them; None: this machine."""
    for ending in HEADS:
        models = [head_of(run, ending) for run in runs]
        if None in models:
            continue
        tests = read_tests(data, votes, bool(ending))
        seeds = [_seed(run, str(model), tests) for run, model in zip(runs, models, strict=True)]
        summary = summarised(seeds, tests)
        record = {
            "name": name + ending,
            "summary": summary,
            "hardware": hardware or f"{processor()[0]}, {platform.machine()}",
            "python": platform.python_version(),
            "seeds": seeds,
            **_still_shipped(name + ending, seeds),
        }
        write(record)
        print(name + ending, json.dumps({k: [v["mean"], v["sd"]] for k, v in summary.items()}, indent=1))


def _still_shipped(name: str, seeds: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """What the record says of the shipped file, where that was made of one of these runs."""
    file = RESULTS / f"{name}.json"
    before = json.loads(file.read_text()) if file.is_file() else {}
    if "shipped" not in before:
        return {}
    runs = [s["history"] for s in before["seeds"] if s["seed"] == before["shipped"]["seed"]]
    return {"shipped": before["shipped"]} if any(s["history"] in runs for s in seeds) else {}


def head_of(run: Path, ending: str) -> str | None:
    """What ``open_model`` takes for one head of a run, FER2013's or FER+'s; None where the run has none for FER+."""
    older = run / "second.safetensors"  # runs of mien 0.1.0 had a file for each head
    if ending and older.is_file():
        return str(older)
    if HEADS[ending] in [h.name for h in read_spec(run / "model.safetensors").heads]:
        return f"{run}:{HEADS[ending]}"
    return None if ending else str(run)


def summarised(seeds: Sequence[dict[str, Any]], tests: Tests) -> dict[str, Any]:
    """Mean and spread of accuracy, full and clean, for each test and number of views."""
    summary = {}
    for test in tests:
        for views in VIEWS:
            for kind in ("accuracy", "clean"):
                mean, spread = mean_and_spread([_value(s["reports"][f"{test}{views}"], kind) for s in seeds])
                summary[f"{test}{kind}_views{views}"] = {"mean": mean, "sd": spread, "n_seeds": len(seeds)}
    return summary


def _seed(run: Path, model: str, tests: Tests) -> dict[str, Any]:
    loaded, history = open_model(model), json.loads((run / "history.json").read_text())
    last = history[-1]
    return {
        "run": run.name,
        "seed": loaded.spec.recipe["seed"],
        "epochs": len(history),
        "training_minutes": sum(e["seconds"] for e in history) / 60,
        "last_epoch": {k: last[k] for k in last if k.startswith(("train_", "val_", "theta"))},
        "parameters": sum(p.numel() for p in loaded.forward.parameters()),  # type: ignore[attr-defined]
        "recipe": loaded.spec.recipe,
        "teachers": loaded.spec.data.get("teachers"),
        "calibration": loaded.spec.calibration,
        "history": [{k: round(v, 5) for k, v in e.items()} for e in history],
        "reports": reports(loaded, tests),
    }


def reports(model: Model, tests: Tests) -> dict[str, Any]:
    """``model`` scored on every test, without and with views."""
    return {
        f"{test}{views}": evaluate(model, val, train=train, views=views).to_dict()
        for test, (train, val) in tests.items()
        for views in VIEWS
    }


def _value(report: dict[str, Any], kind: str = "accuracy") -> float:
    return float(report["clean"]["accuracy"] if kind == "clean" else report["accuracy"])


def ship(name: str, runs: Path, data: str, votes: str | None, int8: bool) -> None:
    """Export the best seed with all its heads, evaluate the file, write its card and the record of both."""
    if name.endswith("-ferplus"):
        whole = name.removesuffix("-ferplus")
        raise SystemExit(f"{name} is a head of {whole}, no file of its own: ship {whole}")
    record = json.loads((RESULTS / f"{name}.json").read_text())
    tests = read_tests(data, votes, False)
    best = max(record["seeds"], key=lambda s: _value(s["reports"]["1"]))
    model, spec = of_run(runs / best["run"], data, votes)
    file = WEIGHTS / f"{name}.onnx"
    parity = export_onnx(model, replace(spec, name=name, licence=LICENCE, scores={}), file)
    train, val = tests[""]
    quantization = _try_int8(file, train, val) if int8 else None
    found = judge(file, data, votes) if spec.heads else _judged(file, tests)
    record["shipped"] = {
        "seed": best["seed"],
        "precision": open_model(file).spec.precision,
        "parity": parity,
        "quantization": quantization,
        "bytes": file.stat().st_size,
        "sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
        **found,
    }
    write(record)
    card(name)
    print(f"{file}: {file.stat().st_size / 1000:.0f} kB, parity {parity:.1e}, seed {best['seed']}, {quantization}")


def _judged(file: Path, tests: Tests) -> dict[str, Any]:
    """As ``heads.judge``, for a file with one answer."""
    model = open_model(file)
    scores = reports(model, tests)
    write_spec(file, replace(model.spec, scores={split_of(key, r): r for key, r in scores.items()}))
    return {"reports": scores, "robustness": measure_robustness(model, tests[""][1]).to_dict()}


def _try_int8(file: Path, train: FaceDataset, val: FaceDataset) -> dict[str, Any]:
    """Replace ``file`` by its int8 version if that loses little and is faster; the figures of both either way."""
    small = file.with_name(f"int8-{file.name}")
    quantize_onnx(file, small, train.images)
    found: dict[str, Any] = {}
    for precision, path in (("float32", file), ("int8", small)):
        found[precision] = {
            "accuracy": evaluate(open_model(path), val).accuracy,
            "ms_per_face": _milliseconds(path),
            "bytes": path.stat().st_size,
        }
    full, quarter = found["float32"], found["int8"]
    lost = full["accuracy"] - quarter["accuracy"]
    found["kept"] = "int8" if lost <= MOST_LOST and quarter["ms_per_face"] < full["ms_per_face"] else "float32"
    if found["kept"] == "int8":
        replace_file(file, lambda p: p.write_bytes(small.read_bytes()))
    small.unlink()
    return found


def _milliseconds(file: Path) -> float:
    """Median time of one face on one core."""
    classifier, face = Classifier(file, threads=1), np.zeros((1, 48, 48), np.uint8)
    times = []
    for _ in range(300):
        start = time.perf_counter()
        classifier(face)
        times.append(time.perf_counter() - start)
    return 1000 * statistics.median(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True, dest="command")
    one = commands.add_parser("score")
    one.add_argument("name")
    one.add_argument("runs", nargs="+", type=Path)
    one.add_argument("--hardware", help="where the runs were trained; this machine where not given")
    two = commands.add_parser("ship")
    two.add_argument("name")
    two.add_argument("--runs", required=True, type=Path, help="the folder that holds the runs")
    two.add_argument("--int8", action="store_true")
    three = commands.add_parser("card")
    three.add_argument("name")
    for command in (one, two):
        command.add_argument("--data", required=True)
        command.add_argument("--votes")
    a = parser.parse_args()
    if a.command == "score":
        score(a.name, a.runs, a.data, a.votes, a.hardware)
    elif a.command == "card":
        card(a.name)
    else:
        ship(a.name, a.runs, a.data, a.votes, a.int8)


if __name__ == "__main__":
    main()
