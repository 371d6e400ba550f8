"""What travels with weights, and the one way an image becomes a network's input.

A :class:`ModelSpec` lies as JSON in the metadata of ``model.safetensors`` and of every ONNX file, so that weights are
never separated from their labels, normalisation, scores and terms. Training, export and prediction share
:func:`normalise`; everything that starts from a photo shares :func:`preprocess`.
Leaves out: finding faces (``runtime``) and reading weights (``checkpoint``).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from mien.errors import ModelError

__all__ = ["SPEC_KEY", "Crop", "ModelSpec"]

#: Key of the spec in the metadata of safetensors and ONNX files.
SPEC_KEY = "mien"


@dataclass(frozen=True)
class Crop:
    """How a detector's box becomes the square that the network was trained on, in units of the box.

    The square's centre is the box's centre moved by ``(dx * width, dy * height)``; its side is
    ``scale * sqrt(width * height)``.
    """

    scale: float = 1.12
    dx: float = 0.0
    dy: float = -0.01


@dataclass(frozen=True)
class ModelSpec:
    """Everything needed to use, judge and cite a set of weights.

    labels      class names in output order
    size        side of the square input in pixels
    mean, std   of the training images, on the 0..1 scale
    model       name and keyword arguments for ``create_model``
    crop        from a detector's box to the network's square
    temperature logits are still to be divided by it before softmax; 1 where a file's graph does so itself
    calibration what ``calibration.calibrate`` found, empty where nobody calibrated: ``threshold``, the smallest
                probability of a candidate; ``temperature`` as it was fitted, also where the graph divides by it;
                ``coverage_target`` and what was measured (see ``calibration.Calibration``), with the ``split``,
                ``fingerprint`` and ``n`` rows of the data it was fitted on; ``rows``, "clean" or "all"; ``views``, the
                same for other numbers of test-time views, by number
    precision   of the weights: "float32", or "int8" for a quantized ONNX file
    scores      split -> figures as ``mien evaluate`` writes them
    recipe, data, versions, licence: where the weights come from and what may be done with them
    """

    name: str
    labels: tuple[str, ...]
    size: int = 48
    channels: int = 1
    mean: float = 0.5
    std: float = 0.25
    model: dict[str, Any] = field(default_factory=dict)
    crop: Crop = field(default_factory=Crop)
    temperature: float = 1.0
    calibration: dict[str, Any] = field(default_factory=dict)
    precision: str = "float32"
    scores: dict[str, Any] = field(default_factory=dict)
    recipe: dict[str, Any] = field(default_factory=dict)
    data: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    licence: str = ""

    def to_json(self) -> str:
        """The spec as one line of JSON with sorted keys."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str | None, where: str) -> ModelSpec:
        """Read a spec; ``where`` names the file in errors. Unknown keys are errors: they belong to a newer mien."""
        if not text:
            raise ModelError(f"{where}: holds no mien spec; train it with `mien train` or export it with `mien export`")
        try:
            raw: Mapping[str, Any] = json.loads(text)
            unknown = sorted(set(raw) - {f.name for f in fields(cls)})
            if unknown:
                raise ModelError(f"{where}: spec has unknown keys {unknown}; a newer mien wrote it: upgrade mien")
            return cls(**{**raw, "labels": tuple(raw["labels"]), "crop": Crop(**raw.get("crop", {}))})
        except (json.JSONDecodeError, KeyError, TypeError) as error:
            raise ModelError(f"{where}: the spec cannot be read ({error}); export the model again") from error
