"""How good a model is, ours or anybody's: scores with their conditions, calibration, groups, pairs, corruptions.

Whether somebody else's model has seen the faces that it is scored on nobody can tell from its file.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

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
    "Against": "assessment",
    "Evaluation": "assessment",
    "assess": "assessment",
    "shared": "assessment",
    "ExternalModel": "external",
    "class_names": "external",
    "open_callable": "external_callable",
    "open_onnx": "external_onnx",
    "read_groups": "group_columns",
    "GroupScore": "groups",
    "by_group": "groups",
    "largest_gap": "groups",
    "Report": "metrics",
    "Robustness": "metrics",
    "score": "metrics",
    "CALLABLE": "opening",
    "as_model": "opening",
    "open_models": "opening",
    "Model": "model",
    "Loaded": "model",
    "Scored": "scoring",
    "evaluate": "scoring",
    "open_model": "model",
}


def __getattr__(name: str) -> Any:
    """Import what is asked for on first use (PEP 562): only some of it needs torch."""
    if name in _PLACES:
        return getattr(importlib.import_module(f"{__name__}.{_PLACES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
