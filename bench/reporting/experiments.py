"""Tables of trainings: trials, teachers, students, what a graph of the step saves, fine-tuning, weights to start from.

Leaves out: the published networks (``scores``).
"""

from __future__ import annotations

from typing import Any

from bench.reporting.records import mean_cell, percent, record_if_there, record_of, seeds_word, table
from mien.evaluation.metrics import mean_and_spread

__all__ = ["finetune", "float_weights", "graph", "students", "teachers", "trials", "words"]

_WAYS = ("untouched", "scratch", "heads alone", "everything")
#: network -> the record of the same network as it was published before; mien-base had another shape as a student
_BEFORE = {"mien-small": "mien-small-scratch", "mien-nano": "mien-nano-with-transformer", "mien-base": "-"}


def trials(name: str) -> str:
    """Short trainings, with their validation accuracy after each epoch."""
    record, rows = record_of(f"trials_{name}"), []
    for t in record["trials"]:
        history = t["history"]
        rate = sorted(e["images_per_second"] for e in history)[len(history) // 2]
        accuracy = ", ".join(percent(e["val_accuracy"]) for e in history)
        done = f"{len(history)} of {t['recipe']['epochs']}"
        rows.append([t["what"], done, accuracy, f"{history[-1]['theta_spread']:.3f}", f"{rate:,.0f}"])
    head = ["trial", "epochs done", "validation accuracy after each, %", "spread of theta", "images/s, median"]
    return table(head, rows, f"Conditions: {record['conditions']}.")


def teachers(group: str) -> str:
    """The members of an ensemble, each kind of them, and its mean."""
    record, rows = record_of(f"teachers-{group}"), []
    for kind, plus in zip(record.get("kinds", []), record.get("kinds-ferplus", []), strict=True):
        where = "feature map" if kind.get("options", {}).get("transformer") == "feature" else "input"
        what = kind.get("what", f"transformer on the {where}")
        seeds = seeds_word(kind["summary"]["accuracy_views1"]["n_seeds"])
        cells = _member_cells(kind["summary"], plus["summary"])
        rows.append([f"{what} ({seeds})", *cells, "", ""])
    cells = _member_cells(record["summary"], record["summary-ferplus"])
    known = [_least_to_most(record["members"], key) for key in ("right_unseen", "right_seen")]
    rows.append([f"one of {len(record['members'])}", *cells, *known])
    one, ten, plus = record["mean"]["1"], record["mean"]["10"], record["mean-ferplus"]["majority 10"]
    said = [one["accuracy"], ten["accuracy"], one["clean"]["accuracy"], plus["accuracy"]]
    targets = percent(record["targets"]["right"]) if "targets" in record else ""
    rows.append(["the mean of them", *map(percent, said), targets, ""])
    head = ["teacher", "PublicTest", "10 views", "clean", "strict majority, 10 views"]
    head += ["faces it has not seen", "has seen"]
    return table(head, rows, f"{record['hardware']}; n = {one['n']:,}.")


def _member_cells(summary: dict[str, Any], ferplus: dict[str, Any]) -> list[str]:
    own = [mean_cell(summary[key]) for key in ("accuracy_views1", "accuracy_views10", "clean_views1")]
    return [*own, mean_cell(ferplus["majority accuracy_views10"])]


def _least_to_most(members: list[dict[str, Any]], key: str) -> str:
    values = [m[key] for m in members if key in m]
    return f"{percent(min(values))} to {percent(max(values))}" if values else ""


def students(group: str) -> str:
    """Networks that follow the teachers, beside the same networks as they were published before."""
    record, groups = record_of(f"students-{group}"), dict[tuple[str, str], list[dict[str, Any]]]()
    for run in record["runs"]:
        counted = f"weight {run['share']:g}" if run.get("share") else "silent"
        what = run.get("what", f"those that have learnt a face: {counted}")
        groups.setdefault((run["network"], what), []).append(run)
    rows = []
    for (network, which), runs in groups.items():
        found = (mean_and_spread([r[key] for r in runs]) for key in ("accuracy", "clean"))
        figures = [mean_cell({"mean": mean, "sd": sd}) for mean, sd in found]
        published, known = ["", "", ""], record_if_there(_BEFORE.get(network, network))
        if known is not None:
            own = [mean_cell(known["summary"][key]) for key in ("accuracy_views1", "clean_views1")]
            published = [str(known["seeds"][0]["epochs"]), *own]
        epochs = f"{runs[0]['epochs']} ({seeds_word(len(runs))})"
        rows.append([f"`{network}`", which, epochs, *figures, *published])
    head = ["network", "which", "epochs", "PublicTest", "clean", "before: epochs", "PublicTest", "clean"]
    return table(head, rows, f"{record['conditions']}.")


def graph() -> str:
    """What a CUDA graph of the step saves."""
    record, rows = record_of("bench_graph"), []
    for s in record["steps"]:
        times = [f"{s['eager_ms']:.1f}", f"{s['graph_ms']:.1f}", f"{s['eager_ms'] / s['graph_ms']:.1f}"]
        rows.append([f"`{s['network']}`", s["what"], str(s["batch_size"]), *times])
    head = ["network", "which", "batch", "kernels one by one, ms a step", "as a graph, ms", "ratio"]
    return table(head, rows, f"Conditions: {record['conditions']}.")


def words() -> str:
    """What was tried for the bag of visual words."""
    record = record_of("trials_bow")
    rows = [[t["what"], f"{t['C']:g}", f"{t['faces']:,}", percent(t["accuracy"])] for t in record["trials"]]
    head = ["bags of words, linear SVM", "C", "faces to learn from", "PublicTest"]
    return table(head, rows, f"Conditions: {record['conditions']}.")


def finetune() -> str:
    """Mean recall of each way for each task and number of faces, and how far fine-tuning is above the untouched."""
    record, rows = record_of("finetune"), []
    for row in record["paired"]:
        above = ", ".join(_above(row["paired"][f"{way} above untouched"], row["seeds"]) for way in _WAYS[2:])
        rows.append([row["task"], str(row["n"]), *(mean_cell(row["mean recall"][way]) for way in _WAYS), above])
    seeds = sorted({row["seeds"] for row in record["paired"]})
    many = " to ".join(map(str, dict.fromkeys((seeds[0], seeds[-1])))) + (" seed" if seeds == [1] else " seeds")
    epochs = ", ".join(f"{epochs} epochs with {n} faces a class" for n, epochs in record["epochs"].items())
    note = (
        f"Mean recall over the classes in % of `{record['network']}` on faces that take no part, mean ± standard "
        f"deviation over {many}, each with faces of its own, the same for all ways; in "
        "brackets how many seeds are better. Every class has as many faces as the others in training, which is why it "
        f"counts as much as they do here. {epochs}; one core, mien {record['conditions']['versions']['mien']}."
    )
    head = ["task", "faces a class", "untouched", "from scratch", "heads alone", "everything"]
    return table([*head, "heads, everything above untouched"], rows, note)


def _above(found: dict[str, Any], seeds: int) -> str:
    spread = "" if found["sd"] is None else f" ± {percent(found['sd'])}"
    return f"{100 * found['mean']:+.1f}{spread} ({found['better']} of {seeds})"


def float_weights() -> str:
    """Each published network: its accuracy beside the shipped file's, and how near the answers are."""
    rows = []
    for name, own in record_of("float_weights").items():
        for head, f in own.get("PublicTest", {}).items():
            apart = ", ".join(percent(f[f"largest difference of a face, {k}"]) for k in ("median", "99 %"))
            said = [f"{percent(f[key])} %" for key in ("shipped", "float", "same answer")]
            rows.append([name, f"{own['bytes'] / 1e6:.2f} MB", head, *said, f"{apart} points"])
    columns = ["weights", "size", "head", "shipped file", "float weights", "same answer"]
    return table([*columns, "a face's largest difference, median, 99 %"], rows)
