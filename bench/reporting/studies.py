"""Tables of docs/study.md: how often a study calls a difference real, and what a person's own baseline does."""

from __future__ import annotations

from typing import Any

from bench.reporting.records import percent, record_of, table

__all__ = ["own_baseline", "study_effects"]


def study_effects() -> str:
    """Studies with an effect and without one."""
    record, rows = record_of("study"), []
    for name, r in record["studies"].items():
        effect = f"{percent(r['mean_difference_of_shares'])} points" if r["effect_logits"] else "none"
        found = [_share_cell(r[key]) if key in r else "" for key in ("called_real", "planted_found")]
        rows.append([name, effect, *found, f"{(r.get('called_real') or r['planted_found'])['n']:,}"])
    c = next(iter(record["studies"].values()))["conditions"]
    note = (
        f"{c['people']} participants, {c['conditions']} conditions of {c['stimuli_each']} stimuli, stretches of "
        f"{c['stretch_seconds']:g} s; seven labels, corrected by Holm at 0.05; in brackets Wilson's 95 % interval."
    )
    head = ["studies", "effect on the share of happy", "any difference called real", "the planted one found", "drawn"]
    return table(head, rows, note)


def _share_cell(found: dict[str, Any]) -> str:
    low, high = found["ci95"]
    return f"{percent(found['share'])} % ({percent(low)} to {percent(high)})"


def own_baseline() -> str:
    """False and true calls of drawn people, as they are and relative to their rest."""
    record = record_of("baseline")
    rows = [
        [kind, *(f"{100 * found[way][calls]['share']:.0f} %" for calls in _CALLS for way in ("raw", "relative"))]
        for kind, found in record["kinds"].items()
    ]
    neutral, others = (record["kinds"]["as drawn"]["raw"][calls]["n"] for calls in _CALLS)
    c = record["conditions"]
    note = (
        f"{neutral} neutral and {others} other faces of {c['people']} people a row, `{c['model']}`. The network learnt "
        "from photographs, so the change counts, not the level."
    )
    return table(["people", "false calls, alone", "relative", "true calls, alone", "relative"], rows, note)


_CALLS = ("false_calls", "true_calls")
