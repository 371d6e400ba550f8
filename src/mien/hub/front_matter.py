"""The head of a card on the hub: licence, tags, and each score with its split, as ``model-index`` wants them.

It is YAML whose values are written as JSON, which is YAML too. Leaves out: the card's words (``mien.reporting.card``).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from mien.evaluation.metrics import Report
from mien.spec import ModelSpec

__all__ = ["front_matter"]

_TAGS = ("facial-expression-recognition", "emotion-recognition", "image-classification", "onnx", "calibration")
_DATA = {"fer2013": ("fer2013", "FER2013"), "synthetic": ("synthetic", "faces drawn by mien")}


def front_matter(spec: ModelSpec) -> str:
    """The lines between and with ``---``, from the spec and its scores."""
    kind = str(spec.model.get("name") or spec.name)
    head: dict[str, Any] = {
        "license": "mit" if "MIT" in spec.licence else "other",
        "library_name": "mien",
        "pipeline_tag": "image-classification",
        "tags": [*_TAGS, *([kind] if kind not in _TAGS else [])],
        "metrics": ["accuracy", "f1"],
        "model-index": [{"name": spec.name, "results": [_result(spec, s, raw) for s, raw in spec.scores.items()]}],
    }
    if "MIT" not in spec.licence:
        head["license_name"] = "unstated" if not spec.licence else "see-card"
    if not spec.scores:
        del head["metrics"], head["model-index"]  # the hub refuses one without results
    lines = (f"{key}: {json.dumps(value, ensure_ascii=False)}" for key, value in head.items())
    return "\n".join(["---", *lines, "---", ""])


def _result(spec: ModelSpec, split: str, raw: Mapping[str, Any]) -> dict[str, Any]:
    """One evaluation: its data, split and figures."""
    words = " ".join(str(value) for value in spec.data.values()).lower()
    kind, name = next((found for key, found in _DATA.items() if key in words), ("unnamed", "unnamed"))
    return {
        "task": {"type": "image-classification", "name": "facial expression recognition"},
        "dataset": {"type": kind, "name": name, "split": split},
        "metrics": list(_metrics(Report.from_dict(raw))),
    }


def _metrics(report: Report) -> list[dict[str, Any]]:
    low, high = report.accuracy_ci95
    found = [
        ("accuracy", f"accuracy (95 % interval {low:.3f} to {high:.3f}, n {report.n:,})", report.accuracy),
        ("f1", "macro-F1", report.macro_f1),
        ("log_loss", "log loss, nats", report.log_loss),
        ("ece", "expected calibration error", report.ece),
    ]
    if report.clean is not None:
        clean = report.clean
        found.insert(1, ("accuracy", f"accuracy without near-duplicates in training (n {clean.n:,})", clean.accuracy))
    return [{"type": kind, "name": name, "value": round(float(value), 5)} for kind, name, value in found]
