"""A model that mien did not make, brought into the form that everything here scores.

Leaves out: where its predictions come from (``external_callable``, ``external_onnx``).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from mien.errors import ConfigError
from mien.labels import LABEL_SETS, match
from mien.models.inference import test_time_views

__all__ = ["BLOCK", "ExternalModel", "class_names"]

BLOCK = 256  # faces handed over at a time: bounds memory


@dataclass(frozen=True, eq=False)
class ExternalModel:
    """A model that mien did not make; it is a :class:`mien.evaluation.Model`.

    function  probabilities float64 ``(n, K)`` for grey faces uint8 ``(n, H, W)``, ``n`` at most ``BLOCK``, and the
              place of the first one among all, for messages
    notes     words and figures for the conditions of a report; complete once it has predicted
    """

    name: str
    labels: tuple[str, ...]
    size: int | None
    file: str
    function: Callable[[NDArray[np.uint8], int], NDArray[np.float64]]
    notes: dict[str, Any] = field(default_factory=dict)

    def predict(self, images: NDArray[np.uint8], *, views: int = 1) -> NDArray[np.float64]:
        """Probabilities ``(N, K)`` for grey faces uint8 ``(N, H, W)``, the mean over 1..10 test-time views."""
        if not 1 <= views <= 10:
            raise ConfigError(f"views must lie in 1..10, got {views}")
        if not len(images):
            raise ConfigError("images must hold at least one image, got none")
        return np.concatenate([self._block(images[i : i + BLOCK], i, views) for i in range(0, len(images), BLOCK)])

    def _block(self, images: NDArray[np.uint8], first: int, views: int) -> NDArray[np.float64]:
        turned = [np.array(images)]  # a copy: what is handed to strangers may be written to
        if views > 1:  # shifts and mirrors move whole grey values, so that floats carry them unchanged
            grey = torch.from_numpy(np.ascontiguousarray(images))[:, None].float()
            turned = [v[:, 0].numpy().astype(np.uint8) for v in test_time_views(grey, views)]
        return np.asarray(np.mean([self.function(view, first) for view in turned], axis=0), dtype=np.float64)


def class_names(labels: str | Sequence[str]) -> tuple[str, ...]:
    """``"fer2013"``, ``"ferplus"``, ``"anger,joy,..."`` or a list of names -> class names as data sets spell them.

    Raises ConfigError where there are fewer than two or two are the same.
    """
    words = labels.split(",") if isinstance(labels, str) else list(labels)
    if len(words) == 1 and words[0].strip().lower() in LABEL_SETS:
        return LABEL_SETS[words[0].strip().lower()].names
    names = match([str(w).strip() for w in words])
    if len(names) < 2 or "" in names or len(set(names)) < len(names):
        raise ConfigError(
            f"labels must name two or more different classes in output order, such as angry,disgust,fear, or be one of "
            f"{', '.join(LABEL_SETS)}; got {','.join(map(str, words))!r}"
        )
    return names
