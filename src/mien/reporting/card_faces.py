"""What a card says of faces that are not as in the test: corrupted, tilted, turned sideways.

Leaves out: the card itself (``card``), measuring (``mien.evaluation.scoring``, bench/runtime/tilt.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mien.evaluation.corruptions import MODERATE
from mien.evaluation.metrics import Robustness
from mien.reporting.markdown import percent, plain, section

__all__ = ["moderate", "pose_section", "robustness_section"]

_FEW = 30  # faces below which an accuracy says nothing
_NO_TILT = "Tilted in the picture: not measured with this network."


def robustness_section(found: Robustness, level: int = 2) -> str:
    """Accuracy and, where they were measured, prediction sets on corrupted faces."""
    lines = [f"| {plain(name)} | {' | '.join(f'{100 * v:.1f}' for v in row)} |" for name, row in found.rows()]
    columns = ["Corrupted by", *map(str, range(1, len(found.by_severity) + 1)), "Mean", "Drop"]
    seed, views = (plain(found.conditions.get(k, "–")) for k in ("seed", "views"))
    notes = (
        f"Accuracy in % on {plain(found.split) or 'one part'} at each severity, slight to severe, and how many points "
        f"the mean lies under the {percent(found.clean)} on the images as they are; {found.n:,} images, views {views}, "
        f"seed {seed}. On average {100 * found.relative:.1f} % of the clean accuracy is left. Corrupted by "
        "mien.evaluation.corruptions, after Hendrycks & Dietterich 2019, arXiv 1903.12261."
    )
    head = [f"| {' | '.join(columns)} |", "|" + " --- |" * len(columns)]
    return section("Robustness", "\n".join([*head, *lines, "", notes, *_coverages(found)]), level)


def _coverages(found: Robustness) -> list[str]:
    """How often prediction sets hold the true class of corrupted images, as lines."""
    if found.clean_coverage is None or not found.coverages:
        return []
    severities = [*map(str, range(1, len(found.by_severity) + 1))]
    rows = [
        f"| {plain(kind.replace('_', ' '))} | {' | '.join(f'{100 * v:.1f}' for v in row)} |"
        for kind, row in found.coverages.items()
    ]
    words = (
        "How often the prediction set holds the true class of these images, in %; of those as they are it holds "
        f"{percent(found.clean_coverage)}, by the labels of {plain(found.split) or 'this part'} alone. "
        f"Severities {moderate()} of all kinds together are what the promise under Calibration covers."
    )
    return [
        "",
        words,
        "",
        f"| Corrupted by | {' | '.join(severities)} |",
        "|" + " --- |" * (len(severities) + 1),
        *rows,
    ]


def pose_section(found: Mapping[str, Any] | None) -> str:
    """What is known of heads that are tilted or turned sideways.

    found  what bench/runtime/tilt.py measured with this network; None where it did not
    """
    return section("Tilted and turned heads", "\n\n".join([_tilt(found) if found else _NO_TILT, _yaw(found or {})]))


def _yaw(found: Mapping[str, Any]) -> str:
    """The cylinder's figures where there are any; that nothing was measured on photographs in any case."""
    rows = [r for r in found.get("yaw", ()) if r["n"] >= _FEW]
    told = ", ".join(f"{r['degrees']} degrees {percent(r['accuracy'])} of {r['n']}" for r in rows)
    drawn = f" Faces laid on a cylinder that turns, of {found['n']}, those found: {told}." if rows else ""
    return f"Turned sideways (yaw): not measured on photographs.{drawn}"


def _tilt(found: Mapping[str, Any]) -> str:
    """Accuracy by how far heads are turned in the picture, both directions together."""
    parts: dict[int, list[Mapping[str, Any]]] = {}
    for row in found["tilt"]:
        parts.setdefault(abs(row["degrees"]), []).append(row)
    lines = []
    for degrees, rows in sorted(parts.items()):
        n, asked = sum(r["n"] for r in rows), found["n"] * len(rows)
        accuracy = sum(r["n"] * r["accuracy"] for r in rows) / n if n else 0.0
        lines.append(f"| {degrees} | {100 * n / asked:.0f} % of {asked:,} | {percent(accuracy)} |")
    words = (
        f"Faces of {plain(found['split'])} in a larger picture, turned to both sides, searched and cropped as "
        f"`mien predict` does, which turns a crop upright beyond {found['turned_from']:g} degrees. Few faces: an "
        "accuracy is good to about 5 to 10 points."
    )
    head = ["| Degrees | Found | Accuracy of those found |", "|" + " --- |" * 3]
    return "\n".join([words, "", *head, *lines])


def moderate() -> str:
    """The severities that a prediction set's promise covers."""
    return f"{MODERATE[0]} to {MODERATE[-1]}"
