"""Tables of docs/training.md: what fine-tuning is worth, and what the weights to start from are."""

from __future__ import annotations

from typing import Any

from bench.reporting.records import mean_cell, record_of

__all__ = ["finetune", "float_weights"]

_WAYS = ("untouched", "scratch", "heads alone", "everything")


def finetune() -> str:
    """Mean recall of each way for each task and number of faces, and how far fine-tuning is above the untouched."""
    record = record_of("finetune")
    if record is None:
        return "Not measured yet."
    rows = [
        "| task | faces a class | untouched | from scratch | heads alone | everything | "
        "heads, everything above untouched |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for row in record["paired"]:
        cells = " | ".join(mean_cell(row["mean recall"][way]) for way in _WAYS)
        above = ", ".join(_above(row["paired"][f"{way} above untouched"], row["seeds"]) for way in _WAYS[2:])
        rows.append(f"| {row['task']} | {row['n']} | {cells} | {above} |")
    seeds = sorted({row["seeds"] for row in record["paired"]})
    many = " to ".join(map(str, dict.fromkeys((seeds[0], seeds[-1])))) + (" seed" if seeds == [1] else " seeds")
    words = (
        f"Mean recall over the classes in % of `{record['network']}` on faces that take no part, mean ± standard "
        f"deviation over {many}, each with faces of its own, the same for all ways; in "
        "brackets how many seeds are better. Every class has as many faces as the others in training, which is why it "
        f"counts as much as they do here. {_epochs(record)}; one core, mien {record['conditions']['versions']['mien']}."
    )
    return "\n".join([*rows, "", words])


def _above(found: dict[str, Any], seeds: int) -> str:
    spread = "" if found["sd"] is None else f" ± {100 * found['sd']:.1f}"
    return f"{100 * found['mean']:+.1f}{spread} ({found['better']} of {seeds})"


def _epochs(record: dict[str, Any]) -> str:
    return ", ".join(f"{epochs} epochs with {n} faces a class" for n, epochs in record["epochs"].items())


def float_weights() -> str:
    """Each published network: its accuracy beside the shipped file's, and how near the answers are."""
    record = record_of("float_weights")
    if record is None:
        return "Not measured yet."
    rows = [
        "| weights | size | head | shipped file | float weights | same answer | "
        "a face's largest difference, median, 99 % |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for name, own in record.items():
        for head, f in own.get("PublicTest", {}).items():
            apart = [100 * f[f"largest difference of a face, {k}"] for k in ("median", "99 %")]
            rows.append(
                f"| {name} | {own['bytes'] / 1e6:.2f} MB | {head} | {100 * f['shipped']:.1f} % | "
                f"{100 * f['float']:.1f} % | {100 * f['same answer']:.1f} % | {apart[0]:.1f}, {apart[1]:.1f} points |"
            )
    return "\n".join(rows)
