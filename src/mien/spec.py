"""What travels with weights: labels, normalisation, heads, calibration, scores and terms.

A :class:`ModelSpec` lies as JSON in the metadata of ``model.safetensors`` and of every ONNX file, so that weights are
never separated from what they mean. Leaves out: making an input of a photo (``preprocessing``) and reading weights
(``models.weights``).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

from mien.errors import ModelError

__all__ = ["FORMAT", "SPEC_KEY", "Crop", "Head", "ModelSpec", "Scale"]

#: A mean or a deviation on the 0..1 scale: a number, or one for each channel.
Scale = float | tuple[float, ...]

#: Key of the spec in the metadata of safetensors and ONNX files.
SPEC_KEY = "mien"
#: Version of the spec that this mien writes; it reads this one and all before it.
FORMAT = 2
#: What the numbers of a head are: shares of one whole, independent probabilities, or plain values.
KINDS = ("classification", "multilabel", "regression")


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
class Head:
    """One of several heads on a network's trunk.

    name         by which it is asked for: ``Predictor(labels=NAME)``, ``mien evaluate MODEL:NAME``
    labels       names of its numbers, in output order
    output       its output in an ONNX file, logits or values ``(N, K)``
    kind         ``classification`` (softmax), ``multilabel`` (a sigmoid each, such as action units) or ``regression``
                 (as they are, such as valence)
    temperature, calibration, scores   as in :class:`ModelSpec`, for this head alone
    """

    name: str
    labels: tuple[str, ...]
    output: str
    kind: str = "classification"
    temperature: float = 1.0
    calibration: dict[str, Any] = field(default_factory=dict)
    scores: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ModelError(f"the kind of head {self.name!r} must be one of {', '.join(KINDS)}, got {self.kind!r}")


@dataclass(frozen=True)
class ModelSpec:
    """Everything needed to use, evaluate and cite a set of weights.

    labels      class names in output order
    size        side of the square input in pixels
    channels    1 for grey faces, 3 for RGB
    mean, std   of the training images, on the 0..1 scale; three each, of R, G and B, in colour
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
    heads       what each head says alone, where the file holds several; ``labels``, ``calibration`` and ``scores``
                above are those of the answer that is given by default
    answer      how that answer comes from the heads: ``heads`` (their names), ``weights``, ``shift`` (of each class's
                log probability) and what others are worth (see ``evaluation.heads``); empty where there is one head
    format      of this record, see ``FORMAT``
    """

    name: str
    labels: tuple[str, ...]
    size: int = 48
    channels: int = 1
    mean: Scale = 0.5
    std: Scale = 0.25
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
    heads: tuple[Head, ...] = ()
    answer: dict[str, Any] = field(default_factory=dict)
    format: int = FORMAT

    def __post_init__(self) -> None:
        if self.channels not in (1, 3):
            raise ModelError(f"channels of {self.name} must be 1 (grey) or 3 (RGB), got {self.channels}")
        wrong = [v for v in (self.mean, self.std) if isinstance(v, tuple) and len(v) != self.channels]
        if wrong:
            raise ModelError(f"mean and std of {self.name} must be one number, or {self.channels}, got {wrong[0]}")

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one face, uint8: ``(size, size)`` grey or ``(size, size, 3)`` RGB."""
        return (self.size, self.size, 3) if self.channels == 3 else (self.size, self.size)

    def head(self, name: str) -> Head:
        """The head of that name (``ferplus`` and ``fer+`` are one); ModelError names those there are."""
        found = {h.name: h for h in self.heads}
        wanted = name.lower().replace("ferplus", "fer+") if isinstance(name, str) else name
        if not isinstance(wanted, str) or wanted not in found:
            there = ", ".join(found) or "one answer only"
            raise ModelError(f"labels must name a head of {self.name}, which has {there}; got {name!r}")
        return found[wanted]

    def of_head(self, name: str) -> ModelSpec:
        """The spec of one head alone: its labels, calibration and scores; a classification, or ModelError."""
        h = self.head(name)
        if h.kind != "classification":
            raise ModelError(f"labels must name a head that tells classes apart; {h.name} of {self.name} is {h.kind}")
        return replace(
            self,
            name=f"{self.name}:{h.name}",
            labels=h.labels,
            temperature=h.temperature,
            calibration=h.calibration,
            scores=h.scores,
            heads=(),
            answer={},
        )

    def to_json(self) -> str:
        """The spec as one line of JSON with sorted keys."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str | None, where: str) -> ModelSpec:
        """Read a spec; ``where`` names the file in errors. Unknown keys are errors: they belong to a newer mien."""
        if not text:
            raise ModelError(f"{where}: holds no mien spec; train it with `mien train` or export it with `mien export`")
        try:
            raw: Mapping[str, Any] = {"format": 1, **json.loads(text)}
            unknown = sorted(set(raw) - {f.name for f in fields(cls)})
            if unknown or raw["format"] > FORMAT:
                what = f"unknown keys {unknown}" if unknown else f"format {raw['format']}, where {FORMAT} is known"
                raise ModelError(f"{where}: spec has {what}; a newer mien wrote it: upgrade mien")
            heads = tuple(Head(**{**h, "labels": tuple(h["labels"])}) for h in raw.get("heads", ()))
            made = {"labels": tuple(raw["labels"]), "crop": Crop(**raw.get("crop", {})), "heads": heads}
            made |= {k: tuple(raw[k]) for k in ("mean", "std") if isinstance(raw.get(k), list)}
            return cls(**{**raw, **made, "format": FORMAT})
        except (json.JSONDecodeError, KeyError, TypeError) as error:
            raise ModelError(f"{where}: the spec cannot be read ({error}); export the model again") from error
