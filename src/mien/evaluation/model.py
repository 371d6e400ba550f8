"""What can be scored: anything that predicts (:class:`Model`), and files of ours, opened (:class:`Loaded`).

Leaves out: models of others (``external``), and one word for all of them (``opening``).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mien.models.heads import classifier, side_by_side, with_head
from mien.models.inference import predict
from mien.models.weights import load_model
from mien.runtime import find_head, find_weights, open_session
from mien.spec import SPEC_KEY, ModelSpec

__all__ = ["Loaded", "Model", "open_model", "together"]


class Model(Protocol):
    """Anything that can be scored.

    name    for tables and conditions
    labels  its class names, in output order
    size    side in pixels of the faces that it takes; None where it takes any
    file    where it came from; may be empty

    An attribute ``channels`` of 3 asks for faces ``(N, H, W, 3)`` RGB instead of grey ones. An attribute ``notes``,
    words or numbers by name, is added to the conditions of its report where there is one.
    """

    @property
    def name(self) -> str: ...
    @property
    def labels(self) -> tuple[str, ...]: ...
    @property
    def size(self) -> int | None: ...
    @property
    def file(self) -> str: ...

    def predict(self, images: NDArray[np.uint8], *, views: int = 1) -> NDArray[np.float64]:
        """Probabilities ``(N, K)`` for faces uint8 ``(N, H, W)``, the mean over 1..10 test-time views."""
        ...


@dataclass(frozen=True, eq=False)
class Loaded:
    """A model to score: ``forward`` maps normalised float ``(N, C, S, S)`` to logits ``(N, K)``."""

    forward: Callable[[Tensor], Tensor]
    spec: ModelSpec
    file: str

    @property
    def name(self) -> str:
        """As its spec says."""
        return self.spec.name

    @property
    def labels(self) -> tuple[str, ...]:
        """Class names in output order."""
        return self.spec.labels

    @property
    def size(self) -> int:
        """Side of its square input in pixels."""
        return self.spec.size

    @property
    def channels(self) -> int:
        """1 for grey faces, 3 for colour."""
        return self.spec.channels

    def predict(self, images: NDArray[np.uint8], *, views: int = 1) -> NDArray[np.float64]:
        """Probabilities ``(N, K)`` for faces uint8 ``(N, S, S)``, or ``(N, S, S, 3)`` RGB where ``channels`` is 3, the
        mean over test-time views.
        """
        spec = self.spec
        return predict(
            self.forward, images, mean=spec.mean, std=spec.std, views=views, temperature=self.temperature(views)
        )

    def temperature(self, views: int) -> float:
        """What logits are divided by before softmax: as it was fitted for the largest number of views up to these."""
        one: float = self.spec.calibration.get("temperature", self.spec.temperature)
        own: float = self._calibration(views).get("temperature", one)
        return self.spec.temperature * own / one  # an exported graph has divided by that of one view already

    def threshold(self, views: int) -> float | None:
        """The smallest probability in a prediction set, as it was fitted for these views; None where it was not."""
        return self._calibration(views).get("threshold")

    def _calibration(self, views: int) -> dict[str, Any]:
        """The figures of the largest number of views up to these that somebody calibrated."""
        fitted: dict[str, dict[str, Any]] = self.spec.calibration.get("views", {})
        known = [v for v in fitted if int(v) <= views]
        return fitted[max(known, key=int)] if known else self.spec.calibration


def open_model(model: str | Path) -> Loaded:
    """A run's folder, a ``model.safetensors``, an ``.onnx`` file or the name of a shipped model; ``MODEL:HEAD`` is one
    head of it alone, such as ``mien-small:fer+``.
    """
    weights, head = find_weights(model)
    if weights:
        network, spec = load_model(weights, head)
        return Loaded(network, spec, str(weights))
    file, head = find_head(model)
    session = open_session(file)
    whole = ModelSpec.from_json(session.get_modelmeta().custom_metadata_map.get(SPEC_KEY), str(file))
    spec, output = (whole, "logits") if head is None else (whole.of_head(head), whole.head(head).output)
    return Loaded(_Outputs(session, (output,)), spec, str(file))


def together(heads: Sequence[Loaded]) -> Callable[[Tensor], Tensor]:
    """The logits of several heads of one file side by side, ``(N, sum of K)``, for the work of one."""
    forwards = [h.forward for h in heads]
    if len(forwards) == 1:
        return forwards[0]
    networks = [f for f in forwards if isinstance(f, nn.Module)]
    if networks:
        return with_head(networks[0], side_by_side([classifier(n) for n in networks]))
    answers = [f for f in forwards if isinstance(f, _Outputs)]
    return _Outputs(answers[0].session, tuple(name for a in answers for name in a.names))


@dataclass(frozen=True)
class _Outputs:
    """Outputs of an ONNX file by name, side by side."""

    session: Any
    names: tuple[str, ...]

    def __call__(self, x: Tensor) -> Tensor:
        said = self.session.run(list(self.names), {"faces": x.numpy()})
        return torch.cat([torch.from_numpy(own) for own in said], 1)
