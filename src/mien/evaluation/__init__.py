"""How good a model is, ours or anybody's: scores with their conditions, calibration, groups, pairs, corruptions.

Whether somebody else's model has seen the faces that it is scored on nobody can tell from its file.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mien.lazy import lazy_names

if TYPE_CHECKING:
    from mien.evaluation.assessment import Against, Evaluation, assess, shared
    from mien.evaluation.external import ExternalModel, class_names
    from mien.evaluation.external_callable import open_callable
    from mien.evaluation.external_onnx import open_onnx
    from mien.evaluation.group_columns import read_groups
    from mien.evaluation.groups import GroupScore, by_group, largest_gap
    from mien.evaluation.metrics import Report, Robustness, score
    from mien.evaluation.model import Loaded, Model, open_model
    from mien.evaluation.opening import CALLABLE, as_model, open_models
    from mien.evaluation.scoring import Scored, evaluate

__all__ = [
    "CALLABLE",
    "Against",
    "Evaluation",
    "ExternalModel",
    "GroupScore",
    "Loaded",
    "Model",
    "Report",
    "Robustness",
    "Scored",
    "as_model",
    "assess",
    "by_group",
    "class_names",
    "evaluate",
    "largest_gap",
    "open_callable",
    "open_model",
    "open_models",
    "open_onnx",
    "read_groups",
    "score",
    "shared",
]

_PLACES = {
    "assessment": ("Against", "Evaluation", "assess", "shared"),
    "external": ("ExternalModel", "class_names"),
    "external_callable": ("open_callable",),
    "external_onnx": ("open_onnx",),
    "group_columns": ("read_groups",),
    "groups": ("GroupScore", "by_group", "largest_gap"),
    "metrics": ("Report", "Robustness", "score"),
    "opening": ("CALLABLE", "as_model", "open_models"),
    "model": ("Model", "Loaded", "open_model"),
    "scoring": ("Scored", "evaluate"),
}
_WITHOUT_TORCH = ("group_columns", "groups", "metrics")

__getattr__, __dir__ = lazy_names(
    __name__, _PLACES, needs={m: ("torch",) for m in _PLACES if m not in _WITHOUT_TORCH}, extra="train"
)
