"""What damage costs the shipped networks, beside those that they go on from."""

from __future__ import annotations

from bench.reporting.records import record_of
from mien.evaluation.metrics import Robustness

__all__ = ["robust"]

NETWORKS = ("mien-small", "mien-nano")


def robust() -> str:
    """Accuracy under each kind of corruption, the mean of its five severities, before and after the recipe robust."""
    rows, n = [], 0
    kinds: list[str] = []
    for name in NETWORKS:
        for which, record in (("before", record_of(f"{name}-first")), ("now", record_of(name))):
            shipped = (record or {}).get("shipped")
            if shipped is None:
                continue
            found = Robustness.from_dict(shipped["robustness of heads"]["fer2013"])
            both = Robustness.from_dict(shipped["robustness"])
            kinds, n = list(found.by_kind), found.n
            figures = [found.clean, found.mean, both.clean, both.mean, *found.by_kind.values()]
            rows.append(f"| `{name}` | {which} | " + " | ".join(f"{100 * x:.1f}" for x in figures) + " |")
    if not rows:
        return "Not measured yet."
    head = ["file", "", "head fer2013", "corrupted", "both heads", "corrupted", *(k.replace("_", " ") for k in kinds)]
    note = (
        f"Accuracy in % by FER2013's labels of the very files, PublicTest, n = {n:,}; corrupted: the mean of nine "
        "kinds in five severities (`mien evaluate --corrupt`), then each kind for the head fer2013. Before: the int8 "
        "files that training went on from."
    )
    return "\n".join(["| " + " | ".join(head) + " |", "|" + " --- |" * len(head), *rows, "", note])
