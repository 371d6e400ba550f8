"""What a comparison found, as rows of a tidy table and as one JSON document.

Leaves out: the screen (``cli.agree``).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from mien import __version__
from mien.study.annotations import Problem
from mien.study.comparison import MIEN, Comparison, Recording

__all__ = ["COLUMNS", "document", "rows", "shares"]

#: Columns of the table that ``mien agree --out`` writes; docs/study.md explains them.
COLUMNS = ("first", "second", "level", "measure", "label", "second_label", "value", "low", "high", "n")


def rows(found: Comparison) -> Iterator[dict[str, Any]]:
    """One row a measure, a cell of a confusion, and a count of frames; keys are :data:`COLUMNS`."""
    names = [*found.labels, "no partner"]
    for level in found.levels:
        pair = {"first": level.first, "second": level.second, "level": level.level}
        for name, figure in level.measures.items():
            measure, _, label = name.partition(" ") if name.startswith("f1 ") else (name, "", "")
            yield {**pair, "measure": measure, "label": label, **_rounded(figure.to_dict()), "n": level.n}
        for i, counts in enumerate(level.counts.tolist()):
            for j, n in enumerate(counts):
                yield {**pair, "measure": "confusion", "label": names[i], "second_label": names[j], "value": n}
    for group, figure in found.alphas.items():
        yield {"first": group, "level": "frames", "measure": "alpha", **_rounded(figure.to_dict())}
    for told in shares(found.recordings):
        pair = {"first": told["coder"], "second": told["recording"], "level": "frames", "n": told["frames"]}
        for reason, n in told["missing"].items():
            yield {**pair, "measure": "missing", "label": reason, "value": n}
        if told["coder"] == MIEN:
            yield {**pair, "measure": "unsure", "value": told["unsure"]}


def shares(recordings: Sequence[Recording]) -> Iterator[dict[str, Any]]:
    """Of each recording and coder: frames, frames with a code, those without by reason, and unsure ones of mien."""
    for r in recordings:
        for coder, codes in r.codes.items():
            coded = codes >= 0
            told = {"recording": r.name, "coder": coder, "frames": len(codes), "coded": int(coded.sum())}
            unsure = {"unsure": int((r.unsure & coded).sum())} if coder == MIEN else {}
            yield {**told, "missing": dict(r.missing.get(coder, {})), **unsure}


def document(found: Comparison, problems: Sequence[Problem]) -> dict[str, Any]:
    """All of it, ready for JSON."""
    return {
        "mien": __version__,
        "labels": list(found.labels),
        "rules": {**asdict(found.rules), "over": found.over},
        "recordings": list(shares(found.recordings)),
        "agreement": [level.to_dict() for level in found.levels],
        "alpha": {name: figure.to_dict() for name, figure in found.alphas.items()},
        "unusable": [{"where": p.where, "reason": p.reason} for p in problems],
    }


def _rounded(told: dict[str, Any]) -> dict[str, Any]:
    return {name: None if value is None else round(value, 6) for name, value in told.items()}
