"""How often a study calls a difference real, with an effect and without one."""

from __future__ import annotations

from bench.reporting.records import record_of

__all__ = ["study_effects"]


def study_effects() -> str:
    record = record_of("study")
    if record is None:
        return "Not measured yet."
    rows = [
        "| studies | effect on the share of happy | any difference called real | the planted one found | drawn |",
        "| --- | --- | --- | --- | --- |",
    ]
    for name, r in record["studies"].items():
        found = r.get("called_real") or r["planted_found"]
        low, high = found["ci95"]
        cell = f"{100 * found['share']:.1f} % ({100 * low:.1f} to {100 * high:.1f})"
        effect = f"{100 * r['mean_difference_of_shares']:.1f} points" if r["effect_logits"] else "none"
        cells = (cell, "") if "called_real" in r else ("", cell)
        rows.append(f"| {name} | {effect} | {cells[0]} | {cells[1]} | {found['n']:,} |")
    c = next(iter(record["studies"].values()))["conditions"]
    note = (
        f"{c['people']} participants, {c['conditions']} conditions of {c['stimuli_each']} stimuli, stretches of "
        f"{c['stretch_seconds']:g} s; seven labels, corrected by Holm at 0.05; in brackets Wilson's 95 % interval."
    )
    return "\n".join([*rows, "", note])
