"""From finished runs to published figures: results/NAME.json, the shipped model with its card, the README's table.

    python bench/publish.py score NAME RUN [RUN ...] --data fer2013.csv   # results/NAME.json, one run a seed
    python bench/publish.py ship NAME --runs FOLDER                       # src/mien/weights/NAME.onnx and NAME.md
    python bench/publish.py tables                                        # tables in README.md and docs/log.md

Scores are those of the last epoch's weights on PublicTest; the run that is shipped is the best of the seeds there, and
the card gives mean and spread over all of them beside it.
"""

from __future__ import annotations

import argparse
import json
import platform
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from mien.card import model_card
from mien.checkpoint import load_model
from mien.data import read_faces, train_val
from mien.evaluation import evaluate, open_model
from mien.export import export_onnx
from mien.files import write_text
from mien.metrics import Report, mean_and_spread

ROOT = Path(__file__).resolve().parents[1]
RESULTS, WEIGHTS = ROOT / "results", ROOT / "src" / "mien" / "weights"
VIEWS = (1, 10)
RECIPES = ("deep-emotion-2019", "report")
LICENCE = (
    "Code and weights: MIT. The weights were trained on FER2013, whose pictures carry rights of others and were given "
    "out for research: check that your use allows it."
)


def score(name: str, runs: Sequence[Path], data: str) -> None:
    """Evaluate every run with and without views, full and clean; write mean, spread and each run's figures."""
    train, val = train_val(read_faces(data))
    seeds = [_seed(run, train, val) for run in runs]
    summary = {}
    for views in VIEWS:
        for kind in ("accuracy", "clean"):
            mean, spread = mean_and_spread([_value(s["reports"][str(views)], kind) for s in seeds])
            summary[f"{kind}_views{views}"] = {"mean": mean, "sd": spread, "n_seeds": len(seeds)}
    record = {"name": name, "summary": summary, "hardware": _cpu(), "python": platform.python_version(), "seeds": seeds}
    write_text(RESULTS / f"{name}.json", json.dumps(record, indent=1) + "\n")
    print(json.dumps(summary, indent=1))


def _seed(run: Path, train: Any, val: Any) -> dict[str, Any]:
    loaded, history = open_model(run), json.loads((run / "history.json").read_text())
    last = history[-1]
    return {
        "run": run.name,
        "seed": loaded.spec.recipe["seed"],
        "epochs": len(history),
        "training_minutes": sum(e["seconds"] for e in history) / 60,
        "last_epoch": {k: last[k] for k in last if k.startswith(("train_", "val_", "theta"))},
        "parameters": sum(p.numel() for p in load_model(run / "model.safetensors")[0].parameters()),
        "recipe": loaded.spec.recipe,
        "history": [{k: round(v, 5) for k, v in e.items()} for e in history],
        "reports": {str(v): evaluate(loaded, val, train=train, views=v).to_dict() for v in VIEWS},
    }


def _value(report: dict[str, Any], kind: str) -> float:
    return float(report["clean"]["accuracy"] if kind == "clean" else report["accuracy"])


def _cpu() -> str:
    info = Path("/proc/cpuinfo")
    for line in info.read_text().splitlines() if info.is_file() else []:
        if line.startswith("model name"):
            return f"{line.split(':', 1)[1].strip()}, {platform.machine()}"
    return platform.machine()


def ship(name: str, runs: Path) -> None:
    """Export the best seed with its scores and write its card."""
    record = json.loads((RESULTS / f"{name}.json").read_text())
    best = max(record["seeds"], key=lambda s: _value(s["reports"]["1"], "accuracy"))
    model, spec = load_model(runs / best["run"] / "model.safetensors")
    scores = {}
    for views in VIEWS:
        report = best["reports"][str(views)]
        scores[report["split"] + ("" if views == 1 else f", {views} views")] = report
    spec = replace(spec, name=name, scores=scores, licence=LICENCE)
    file = WEIGHTS / f"{name}.onnx"
    worst = export_onnx(model, spec, file)
    seeds = {"PublicTest": [_value(s["reports"]["1"], "accuracy") for s in record["seeds"]]}
    seeds["PublicTest, 10 views"] = [_value(s["reports"]["10"], "accuracy") for s in record["seeds"]]
    card = model_card(
        spec,
        [Report.from_dict(r) for r in scores.values()],
        parameters=best["parameters"],
        file_bytes=file.stat().st_size,
        seeds=seeds,
    )
    write_text(WEIGHTS / f"{name}.md", card)
    print(f"{file}: {file.stat().st_size / 1000:.0f} kB, parity {worst:.1e}, seed {best['seed']}")


def write_tables() -> None:
    """Fill the tables between markers in README.md and docs/log.md from results/."""
    for file, tables in (
        (ROOT / "README.md", {"results": _results(), "speed": _speed()}),
        (ROOT / "docs" / "log.md", {"trials": _trials()}),
    ):
        text = file.read_text(encoding="utf-8")
        for name, table in tables.items():
            start, end = f"<!-- {name}: written by bench/publish.py -->", f"<!-- /{name} -->"
            before, rest = text.split(start)
            text = f"{before}{start}\n\n{table}\n\n{end}{rest.split(end)[1]}"
        write_text(file, text)
    for name in RECIPES:
        file = ROOT / "src" / "mien" / "recipes" / f"{name}.toml"
        lines = file.read_text(encoding="utf-8").splitlines()
        at = next(i for i, line in enumerate(lines) if line.startswith("# Expected"))
        lines[at] = _expected(name)
        write_text(file, "\n".join(lines) + "\n")


def _expected(name: str) -> str:
    record = json.loads((RESULTS / f"{name}.json").read_text())
    s, seeds = record["summary"], record["seeds"]
    minutes = mean_and_spread([x["training_minutes"] for x in seeds])[0]
    one, ten = _mean(s["accuracy_views1"]), _mean(s["accuracy_views10"])
    return f"# Expected on PublicTest: {one} %, 10 views {ten} % ({len(seeds)} seeds), {minutes:.0f} min on one core"


def _results() -> str:
    rows = [
        "| recipe | parameters | PublicTest | 10 views | clean | spread of theta | training |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for name in RECIPES:
        record = json.loads((RESULTS / f"{name}.json").read_text())
        s, seeds = record["summary"], record["seeds"]
        theta = [x["last_epoch"]["theta_spread"] for x in seeds]
        minutes = mean_and_spread([x["training_minutes"] for x in seeds])[0]
        cells = [
            f"`{name}`",
            f"{seeds[0]['parameters']:,}",
            *(_mean(s[k]) for k in ("accuracy_views1", "accuracy_views10", "clean_views1")),
            f"{min(theta):.3f} to {max(theta):.3f}",
            f"{seeds[0]['epochs']} epochs, {minutes:.0f} min, one core",
        ]
        rows.append("| " + " | ".join(cells) + " |")
    report = seeds[0]["reports"]["1"]
    rows.append("")
    rows.append(
        f"Accuracy in %, mean ± standard deviation over {len(seeds)} seeds, n = {report['n']:,} "
        f"({report['clean']['n']:,} clean: without images that have an exact or near copy in Training); weights of the "
        f"last epoch; fingerprint of PublicTest {report['conditions']['fingerprint']}; {record['hardware']}; "
        f"mien {report['conditions']['mien']}, torch {report['conditions']['torch']}, {report['conditions']['date']}."
    )
    return "\n".join(rows)


def _mean(entry: dict[str, float]) -> str:
    spread = "" if entry["sd"] is None else f" ± {100 * entry['sd']:.1f}"
    return f"{100 * entry['mean']:.1f}{spread}"


def _speed() -> str:
    read, train, predict, drawn = (
        json.loads((RESULTS / f"{n}.json").read_text())
        for n in ("bench_read_csv", "bench_train_throughput", "bench_predict", "synthetic_baseline")
    )
    ways, cold, warm = read["ways"], predict["cold"], predict["warm"]
    usual, ours = train["usual"]["images_per_second"], train["ours"]["images_per_second"]
    rows = [
        "| what | the usual way | mien | ratio |",
        "| --- | --- | --- | --- |",
        f"| reading FER2013, {read['csv_bytes'] / 1e6:.0f} MB of CSV | {ways['tutorial']['seconds']:.1f} s, "
        f"{ways['tutorial']['peak_mb']:.0f} MB (pandas, then `split` for each row) | {ways['cold']['seconds']:.1f} s, "
        f"{ways['cold']['peak_mb']:.0f} MB | {read['tutorial_over_cold']:.1f} |",
        f"| the same again, from the cache | | {ways['cached']['seconds']:.2f} s | |",
        f"| training the 2019 network, {train['conditions']['threads']} threads | {usual:,.0f} images/s (PNG files, "
        f"one-image transforms, DataLoader, float32) | {ours:,.0f} images/s | {train['ratio']:.1f} |",
        f"| first answer on a photo, from a cold start | | {cold['median_s']:.2f} s | |",
        f"| a photo afterwards, nearly all of it finding the face | | {warm['predict_ms']:.0f} ms | |",
        f"| the network alone, one face | | {warm['classify_1_ms']:.2f} ms | |",
        "",
        f"{train['conditions']['cpu']}, {train['conditions']['cpus']} cores, Python {read['python']}. On drawn faces "
        f"of people it has not seen, the 2019 network reaches {100 * drawn['network']['accuracy']:.1f} % and logistic "
        f"regression on pixels {100 * drawn['linear']['accuracy']:.1f} % (n = {drawn['images']['validation']:,}): the "
        "embedded data is a lesson, not a benchmark.",
    ]
    return "\n".join(rows)


def _trials() -> str:
    record = json.loads((RESULTS / "trials_2019.json").read_text())
    rows = [
        "| trial | epochs done | validation accuracy after each, % | spread of theta | images/s, median |",
        "| --- | --- | --- | --- | --- |",
    ]
    for t in record["trials"]:
        history = t["history"]
        accuracy = ", ".join(f"{100 * e['val_accuracy']:.1f}" for e in history)
        rate = sorted(e["images_per_second"] for e in history)[len(history) // 2]
        done = f"{len(history)} of {t['recipe']['epochs']}"
        rows.append(f"| {t['what']} | {done} | {accuracy} | {history[-1]['theta_spread']:.3f} | {rate:,.0f} |")
    return "\n".join([*rows, "", f"Conditions: {record['conditions']}."])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True, dest="command")
    one = commands.add_parser("score")
    one.add_argument("name")
    one.add_argument("runs", nargs="+", type=Path)
    one.add_argument("--data", required=True)
    two = commands.add_parser("ship")
    two.add_argument("name")
    two.add_argument("--runs", required=True, type=Path, help="the folder that holds the runs")
    commands.add_parser("tables")
    a = parser.parse_args()
    if a.command == "score":
        score(a.name, a.runs, a.data)
    elif a.command == "ship":
        ship(a.name, a.runs)
    else:
        write_tables()


if __name__ == "__main__":
    main()
