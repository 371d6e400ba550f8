"""What ``mien explain`` works on: an exported file on onnxruntime or a run's weights in torch, and labelled faces.

Only weights have gradients, so only they come with Grad-CAM. Leaves out: the command itself (``explain``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from mien.data import FaceDataset
    from mien.explain.face import Answer, GradCam
    from mien.runtime.classifier import Outputs
    from mien.spec import ModelSpec

__all__ = ["Opened", "labelled", "open_explained"]


@dataclass(frozen=True, eq=False)
class Opened:
    """A model that can be explained; ``gradcam`` is None for an exported file, ``path`` for a run's weights."""

    spec: ModelSpec
    answer: Answer
    gradcam: GradCam | None = None
    path: Path | None = None

    @property
    def warps_input(self) -> bool:
        """Whether its transformer, if it has one, warps pixels and not features."""
        return bool(self.spec.model.get("transformer", "input") != "feature")


def open_explained(model: str | None, threads: int = 0, device: str = "cpu") -> Opened:
    """A shipped name, an ``.onnx`` file, a run's folder or a ``model.safetensors``; None for the default model."""
    from mien.runtime import Classifier, find_head, find_weights

    if model is not None and find_weights(model)[0]:
        return _weights(model)
    path, head = find_head(model)
    exported = Classifier(path, labels=head, threads=threads or None, device=device)
    return Opened(exported.spec, exported, path=path)


def labelled(
    faces: FaceDataset, labels: tuple[str, ...], split: str | None, limit: int | None, seed: int
) -> FaceDataset:
    """The labelled faces of one split, counted in the order of ``labels``; at most ``limit`` a class, drawn by seed."""
    import numpy as np

    from mien.errors import ConfigError

    if split is None and len(faces.splits) > 1:
        raise ConfigError(f"--split is needed where there are several, one of {', '.join(faces.splits)}")
    part = faces.part(split) if split is not None else faces
    if part.labels is None or not (part.labels >= 0).any():
        raise ConfigError(f"{faces.source}: holds no labelled faces to explain")
    part = part.take(part.labels >= 0)
    assert part.labels is not None
    if missing := [name for name in part.names if name not in labels]:
        raise ConfigError(f"{faces.source}: the model has no class {', '.join(missing)}, only {', '.join(labels)}")
    number = np.array([labels.index(name) for name in part.names], np.int64)
    relabelled = number[part.labels]
    part = replace(part, names=labels, labels=relabelled, votes=None)
    if limit is None:
        return part
    drawn = np.random.default_rng(seed).permutation(len(part))
    of_class = relabelled[drawn]
    kept = [drawn[of_class == k][:limit] for k in range(len(labels))]
    return part.take(np.sort(np.concatenate(kept)))


def _weights(model: str) -> Opened:
    from mien.errors import ModelError, need

    need("torch", "train")
    import numpy as np
    import torch

    from mien.evaluation.model import open_model
    from mien.explain import gradcam
    from mien.models import outputs
    from mien.preprocessing import channels_first, normalise
    from mien.runtime.classifier import Outputs

    loaded = open_model(model)
    network, spec = loaded.forward, loaded.spec
    if not isinstance(network, torch.nn.Module):
        raise ModelError(f"{model}: only a network can be explained")

    def tensor(faces: NDArray[np.uint8]) -> torch.Tensor:
        found: torch.Tensor = normalise(torch.from_numpy(channels_first(faces).astype(np.float32)), spec)
        return found

    @torch.no_grad()
    def answer(faces: NDArray[np.uint8]) -> Outputs:
        out = outputs(network, tensor(faces))
        probabilities = torch.softmax(out.logits.double() / spec.temperature, 1).float().numpy()
        theta, attention = (None if part is None else part.numpy() for part in (out.theta, out.attention))
        return Outputs(probabilities, theta, attention)

    def cam(faces: NDArray[np.uint8], targets: Sequence[int]) -> NDArray[np.float32]:
        return gradcam(network, tensor(faces), targets)

    return Opened(spec, answer, cam)
