"""The record of a shipped network in results/, and its card, which is written from that record and the file.

Leaves out: making and evaluating the file (``publish``).
"""

from __future__ import annotations

import json
from typing import Any

from bench.conditions import RESULTS, ROOT
from mien.evaluation.model import open_model
from mien.files import write_text
from mien.reporting.card import model_card

WEIGHTS = ROOT / "src" / "mien" / "weights"


def write(record: dict[str, Any]) -> None:
    """Into results/, under its name."""
    write_text(RESULTS / f"{record['name']}.json", json.dumps(record, indent=1) + "\n")


def card(name: str) -> None:
    """Write the card of a shipped model."""
    write_text(WEIGHTS / f"{name}.md", card_of(name))


def card_of(name: str) -> str:
    """The card of a shipped model, from its file and its record."""
    record = json.loads((RESULTS / f"{name}.json").read_text())
    file, shipped, seeds = WEIGHTS / f"{name}.onnx", record["shipped"], record["seeds"]
    spec = open_model(file).spec
    return model_card(
        spec,
        parameters=seeds[0]["parameters"],
        file_bytes=shipped["bytes"],
        seeds={} if spec.heads else _by_seed(record),
        head_seeds={h.name: _by_seed(_record_of_head(record, h.name)) for h in spec.heads},
        robustness=shipped["robustness"],
        head_robustness=shipped.get("robustness of heads"),
        tilt=_tilt_of(name),
        float_weights=json.loads((RESULTS / "float_weights.json").read_text()).get(name),
    )


def _tilt_of(name: str) -> dict[str, Any] | None:
    """What was measured about tilted heads, where it was with this network."""
    found: dict[str, Any] = json.loads((RESULTS / "tilt.json").read_text())
    return found if found["model"] == name else None


def _by_seed(record: dict[str, Any]) -> dict[str, list[float]]:
    """Split -> accuracy of each seed's run."""
    first = record["seeds"][0]["reports"] if record["seeds"] else {}
    return {split_of(key, r): [s["reports"][key]["accuracy"] for s in record["seeds"]] for key, r in first.items()}


def _record_of_head(record: dict[str, Any], head: str) -> dict[str, Any]:
    """The record of a head's runs: the second one's is a file of its own."""
    if head == record["shipped"]["answer"]["heads"][0]:
        return record
    found: dict[str, Any] = json.loads((RESULTS / f"{record['name']}-ferplus.json").read_text())
    return found


def split_of(key: str, report: dict[str, Any]) -> str:
    """``majority 10`` -> ``PublicTest (majority), 10 views``."""
    test, _, views = key.rpartition(" ")
    name = report["split"] + (f" ({test})" if test else "")
    return name if views == "1" else f"{name}, {views} views"
