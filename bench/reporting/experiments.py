"""Tables of docs/log.md: trials, teachers, students, and what a graph of the step saves."""

from __future__ import annotations

import json
from typing import Any

from bench.conditions import RESULTS
from bench.reporting.records import mean_cell, record_of, seeds_word
from mien.evaluation.metrics import mean_and_spread

__all__ = ["graph", "students", "teachers", "trials", "words"]


def trials(name: str) -> str:
    record = json.loads((RESULTS / f"trials_{name}.json").read_text())
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


def teachers(group: str) -> str:
    """The members of an ensemble, each kind of them, and its mean."""
    record = record_of(f"teachers-{group}")
    if record is None:
        return "Not measured yet."
    rows = [
        "| teacher | PublicTest | 10 views | clean | strict majority, 10 views | faces it has not seen | has seen |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    unseen, seen = (
        " to ".join(f"{100 * f(m[k] for m in record['members']):.1f}" for f in (min, max))
        if k in record["members"][0]
        else ""
        for k in ("right_unseen", "right_seen")
    )
    for kind, own_plus in zip(record.get("kinds", []), record.get("kinds-ferplus", []), strict=True):
        s, own = kind["summary"], own_plus["summary"]
        where = "on the feature map" if kind["options"].get("transformer") == "feature" else "on the input"
        seeds = seeds_word(s["accuracy_views1"]["n_seeds"])
        figures = [mean_cell(s[key]) for key in ("accuracy_views1", "accuracy_views10", "clean_views1")]
        figures.append(mean_cell(own["majority accuracy_views10"]))
        rows.append(f"| transformer {where} ({seeds}) | {' | '.join(figures)} | | |")
    s, plus = record["summary"], record["summary-ferplus"]
    rows.append(
        f"| one of {len(record['members'])} | {mean_cell(s['accuracy_views1'])} | {mean_cell(s['accuracy_views10'])} | "
        f"{mean_cell(s['clean_views1'])} | {mean_cell(plus['majority accuracy_views10'])} | {unseen} | {seen} |"
    )
    one, ten = record["mean"]["1"], record["mean"]["10"]
    said = [
        one["accuracy"],
        ten["accuracy"],
        one["clean"]["accuracy"],
        record["mean-ferplus"]["majority 10"]["accuracy"],
    ]
    cells = " | ".join(f"{100 * value:.1f}" for value in said)
    targets = f"{100 * record['targets']['right']:.1f}" if "targets" in record else ""
    rows.append(f"| the mean of them | {cells} | {targets} | |")
    return "\n".join([*rows, "", f"{record['hardware']}; n = {one['n']:,}."])


def students(group: str) -> str:
    """Networks that follow the teachers, beside the same networks as they were published before."""
    record = record_of(f"students-{group}")
    if record is None:
        return "Not measured yet."
    # mien-base had another shape when it was a student
    before = {"mien-small": "mien-small-scratch", "mien-nano": "mien-nano-with-transformer", "mien-base": "-"}
    rows = [
        "| network | which | epochs | PublicTest | clean | before: epochs | PublicTest | clean |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    groups: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for run in record["runs"]:
        share = run.get("share")
        counted = f"weight {share:g}" if share else "silent"
        what = run.get("what", f"those that have learnt a face: {counted}")
        groups.setdefault((run["network"], what), []).append(run)
    for (network, which), runs in groups.items():
        figures = []
        for key in ("accuracy", "clean"):
            mean, sd = mean_and_spread([r[key] for r in runs])
            figures.append(mean_cell({"mean": mean, "sd": sd}))
        known = record_of(before.get(network, network))
        published = ["", "", ""]
        if known is not None:
            own = known["summary"]
            published = [
                str(known["seeds"][0]["epochs"]),
                mean_cell(own["accuracy_views1"]),
                mean_cell(own["clean_views1"]),
            ]
        cells = [f"`{network}`", which, f"{runs[0]['epochs']} ({seeds_word(len(runs))})", *figures, *published]
        rows.append("| " + " | ".join(cells) + " |")
    return "\n".join([*rows, "", f"{record['conditions']}."])


def graph() -> str:
    """What a CUDA graph of the step saves."""
    record = json.loads((RESULTS / "bench_graph.json").read_text())
    rows = [
        "| network | which | batch | kernels one by one, ms a step | as a graph, ms | ratio |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for s in record["steps"]:
        rows.append(
            f"| `{s['network']}` | {s['what']} | {s['batch_size']} | {s['eager_ms']:.1f} | {s['graph_ms']:.1f} | "
            f"{s['eager_ms'] / s['graph_ms']:.1f} |"
        )
    return "\n".join([*rows, "", f"Conditions: {record['conditions']}."])


def words() -> str:
    """What was tried for the bag of visual words."""
    record = json.loads((RESULTS / "trials_bow.json").read_text())
    rows = ["| bags of words, linear SVM | C | faces to learn from | PublicTest |", "| --- | --- | --- | --- |"]
    for t in record["trials"]:
        rows.append(f"| {t['what']} | {t['C']:g} | {t['faces']:,} | {100 * t['accuracy']:.1f} |")
    return "\n".join([*rows, "", f"Conditions: {record['conditions']}."])
