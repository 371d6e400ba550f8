"""No model is shipped without evidence: what it is, how it was measured, and that it was this very file.

The figures come from results/, so these tests run in the repository only.
"""

from __future__ import annotations

import copy
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from mien.evaluation.metrics import Report, Robustness
from mien.labels import LABEL_SETS
from mien.runtime import DEFAULT_MODEL, Classifier, shipped_models
from mien.spec import ModelSpec

RESULTS = Path(__file__).parents[2] / "results"
MODELS = shipped_models()
LEAST_SEEDS = 3


def missing(spec: ModelSpec, record: dict[str, Any], card: str, sha256: str) -> list[str]:
    """What the evidence for a shipped model lacks."""
    shipped = record.get("shipped", {})
    measured = record.get("first", record)  # weights that go on from published ones: those have three seeds
    wants = {
        "labels of a known set": any(spec.labels == s.names for s in LABEL_SETS.values()),
        "the file's own hash": shipped.get("sha256") == sha256,
        "three seeds": len({s["seed"] for s in measured.get("seeds", [])}) >= LEAST_SEEDS,
        "mean and spread": all(v["sd"] is not None for v in measured.get("summary", {"": {"sd": None}}).values()),
        "its own seeds, as many as the card says": _seeds_word(len(record.get("seeds", []))) in card,
        "parity of the export": shipped.get("parity", 1) <= 1e-4,
        "scores with and without views": len(spec.scores) >= 2 and any("views" in k for k in spec.scores),
        "scores on PublicTest": any(k.startswith("PublicTest") for k in spec.scores),
        "clean scores": all(r.get("clean") for r in spec.scores.values()),
        "a calibration": {"threshold", "temperature", "ece", "coverage"} <= set(spec.calibration),
        "a table of spoilt images": bool(shipped.get("robustness")),
        "a licence": bool(spec.licence),
        "its data": {"source", "fingerprint", "n"} <= set(spec.data),
        "its recipe": bool(spec.recipe),
        "versions": {"mien", "torch"} <= set(spec.versions),
        "dates": all(r.get("conditions", {}).get("date") for r in spec.scores.values()),
    }
    for head in spec.heads:
        wants |= {
            f"scores of {head.name}": any(k.startswith("PublicTest") for k in head.scores),
            f"clean scores of {head.name}": all(r.get("clean") for r in head.scores.values()),
            f"a calibration of {head.name}": {"threshold", "temperature", "ece", "coverage"} <= set(head.calibration),
            f"the card's section on {head.name}": f"\n## The head {head.name} alone\n" in card,
        }
    if spec.heads:
        wants["what each weight does"] = len(spec.answer.get("tried", ())) > 10
    sections = ("Data", "Scores", "Calibration", "Reliability", "Robustness", "Intended use", "Limits", "Licence")
    wants |= {f"the card's section {s}": f"\n## {s}\n" in card for s in sections}
    return [what for what, there in wants.items() if not there]


def _seeds_word(n: int) -> str:
    return "\nOne seed, " if n == 1 else f"\nOver {n} seeds, "


def evidence(name: str) -> tuple[ModelSpec, dict[str, Any], str, str]:
    file = MODELS[name]
    record = json.loads((RESULTS / f"{name}.json").read_text())
    if (first := RESULTS / f"{name}-first.json").is_file():
        record["first"] = json.loads(first.read_text())
    card = file.with_suffix(".md").read_text(encoding="utf-8")
    return Classifier(file, threads=1).spec, record, card, hashlib.sha256(file.read_bytes()).hexdigest()


def test_there_are_models_and_a_default() -> None:
    assert DEFAULT_MODEL in MODELS


@pytest.mark.parametrize("name", MODELS)
def test_every_shipped_model_has_its_evidence(name: str) -> None:
    assert missing(*evidence(name)) == []


@pytest.mark.parametrize("name", MODELS)
def test_card_and_file_tell_the_same_figures(name: str) -> None:
    spec, record, card, _ = evidence(name)
    assert spec.name == name
    everything = [*spec.scores.items(), *(item for head in spec.heads for item in head.scores.items())]
    for split, raw in everything:
        report = Report.from_dict(raw)
        assert f"{100 * report.accuracy:.2f} %" in card, split
    assert Robustness.from_dict(record["shipped"]["robustness"]).clean in [r["accuracy"] for r in spec.scores.values()]
    best = max(s["reports"][next(iter(s["reports"]))]["accuracy"] for s in record["seeds"])
    kept = next(s for s in record["seeds"] if s["seed"] == record["shipped"]["seed"])
    assert kept["reports"][next(iter(kept["reports"]))]["accuracy"] == best


@pytest.mark.parametrize(
    ("change", "lack"),
    [
        (lambda e: e[0].scores.clear(), "scores on PublicTest"),
        (lambda e: e[0].calibration.clear(), "a calibration"),
        (lambda e: e[0].heads[1].calibration.clear(), "a calibration of fer+"),
        (lambda e: e[0].answer.clear(), "what each weight does"),
        (lambda e: e[1]["first"]["seeds"].pop(), "three seeds"),
        (lambda e: e[1]["seeds"].pop(), "its own seeds, as many as the card says"),
        (lambda e: e[1]["shipped"].update(sha256="0" * 64), "the file's own hash"),
        (lambda e: e[1]["shipped"].pop("robustness"), "a table of spoilt images"),
        (lambda e: e.__setitem__(2, e[2].replace("## Limits", "## Praise")), "the card's section Limits"),
    ],
)
def test_a_model_without_evidence_is_refused(change: Any, lack: str) -> None:
    spec, record, card, sha256 = evidence(DEFAULT_MODEL)
    changed = [copy.deepcopy(spec), copy.deepcopy(record), card, sha256]
    change(changed)
    assert lack in missing(*changed)
