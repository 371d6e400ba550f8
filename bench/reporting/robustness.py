"""What damage costs the shipped networks, beside those that they go on from."""

from __future__ import annotations

from bench.reporting.records import record_of
from mien.evaluation.metrics import Robustness

__all__ = ["robust"]

NETWORKS = ("mien-small", "mien-nano")


def robust() -> str:
    """Accuracy under each kind of corruption, the mean of its five severities, before and after the recipe robust."""
    columns: dict[str, dict[str, float]] = {}
    n = 0
    for name in NETWORKS:
        for which, record in (("before", record_of(f"{name}-first")), ("now", record_of(name))):
            shipped = (record or {}).get("shipped")
            if shipped is None:
                continue
            found = Robustness.from_dict(shipped["robustness of heads"]["fer2013"])
            both, n = Robustness.from_dict(shipped["robustness"]), found.n
            columns[f"`{name}` {which}"] = {
                "both heads": both.clean,
                "both heads, corrupted": both.mean,
                "head fer2013": found.clean,
                "head fer2013, corrupted": found.mean,
                **{kind.replace("_", " "): value for kind, value in found.by_kind.items()},
            }
    if not columns:
        return "Not measured yet."
    rows = [
        f"| {what} | " + " | ".join(f"{100 * column[what]:.1f}" for column in columns.values()) + " |"
        for what in next(iter(columns.values()))
    ]
    head = ["", *columns]
    note = (
        f"Accuracy in % by FER2013's labels of the very files, PublicTest, n = {n:,}; corrupted: the mean of nine "
        "kinds in five severities (`mien evaluate --corrupt`), then each kind for the head fer2013. Before: the int8 "
        "files that training went on from."
    )
    return "\n".join(["| " + " | ".join(head) + " |", "|" + " --- |" * len(head), *rows, "", note])
