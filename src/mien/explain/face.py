"""Everything that can be said about one face, in one record of arrays: :func:`explain_face`.

Leaves out: finding the face and drawing the record (``runtime``).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from mien.errors import ConfigError
from mien.explain.faithfulness import Faithfulness, faithfulness
from mien.explain.occlusion import occlusion
from mien.preprocessing import grey_of
from mien.runtime.attention_window import laid_back, warped, window

__all__ = ["METHODS", "Answer", "Explanation", "GradCam", "Look", "explain_face"]

#: What :func:`explain_face` can be asked for.
METHODS = ("window", "attention", "occlusion", "gradcam")


class Look(Protocol):
    """What a network says about N faces, as ``mien.runtime.Classifier`` gives it.

    probabilities  ``(N, K)``
    theta          ``(N, 2, 3)``, where its spatial transformer looked, see ``looking``; None for a net without one
    attention      ``(N, h, w)``, weights over positions in the transformer's output; None for a net without
    """

    @property
    def probabilities(self) -> NDArray[np.float32]: ...
    @property
    def theta(self) -> NDArray[np.float32] | None: ...
    @property
    def attention(self) -> NDArray[np.float32] | None: ...


#: Faces uint8 ``(N, S, S)`` grey, or ``(N, S, S, 3)`` RGB -> :class:`Look`.
Answer = Callable[[NDArray[np.uint8]], Look]

#: Faces uint8 ``(N, S, S)`` and the number of each one's class -> Grad-CAM ``(N, h, w)`` in the transformer's output.
GradCam = Callable[[NDArray[np.uint8], Sequence[int]], NDArray[np.float32]]


@dataclass(frozen=True, eq=False)
class Explanation:
    """One face and what its answer rests on.

    crop           uint8 ``(S, S)`` grey, or ``(S, S, 3)`` RGB: all that the network saw
    labels         class names in the order of ``probabilities``, float32 ``(K,)``
    target         number of the class that is explained
    theta, window  see ``looking``: ``(2, 3)``, and the corners ``(4, 2)`` in the crop's pixels; None without
    view           float32 ``(S, S)``, 0..255: the crop in grey, seen through the window; None without
    maps           by name, float32 ``(S, S)`` on the crop's pixels. ``attention``: in units of an even share, 0 outside
                   the window; ``occlusion``: drop of the class's probability; ``gradcam``: 0 to 1, the largest
    raw            ``attention`` and ``gradcam`` as the network gave them, on its own coarse grid
    landmarks      ``(5, 2)`` in the crop's pixels, from a detector; None where there is none
    faithfulness   of the maps; None where nobody asked
    """

    crop: NDArray[np.uint8]
    labels: tuple[str, ...]
    probabilities: NDArray[np.float32]
    target: int
    theta: NDArray[np.float32] | None = None
    window: NDArray[np.float32] | None = None
    view: NDArray[np.float32] | None = None
    maps: dict[str, NDArray[np.float32]] = field(default_factory=dict)
    raw: dict[str, NDArray[np.float32]] = field(default_factory=dict)
    landmarks: NDArray[np.float32] | None = None
    faithfulness: Faithfulness | None = None

    @property
    def label(self) -> str:
        """The class that is explained."""
        return self.labels[self.target]

    def arrays(self) -> dict[str, NDArray[np.generic]]:
        """All of it by key, for ``np.savez``; a part that is None has no key.

        ``crop``, ``labels``, ``probabilities``, ``target``, ``theta``, ``window``, ``view``, ``landmarks``;
        ``attention``, ``occlusion``, ``gradcam`` (the maps) and ``raw_attention``, ``raw_gradcam``; of the check
        ``shares (T,)`` and, for each map and the control ``centre``, ``deletion_NAME`` and ``insertion_NAME (T,)``,
        with ``deletion_random`` and ``insertion_random (R, T)``.
        """
        plain = ("crop", "probabilities", "theta", "window", "view", "landmarks")
        found = {name: np.asarray(getattr(self, name)) for name in plain if getattr(self, name) is not None}
        found |= {"labels": np.array(self.labels), "target": np.array(self.target)}
        found |= self.maps | {f"raw_{name}": values for name, values in self.raw.items()}
        if self.faithfulness is not None:
            for name, c in {**self.faithfulness.maps, "centre": self.faithfulness.centre}.items():
                found |= {f"deletion_{name}": c.deletion, f"insertion_{name}": c.insertion}
            random = self.faithfulness.random
            found["shares"] = random[0].shares
            found["deletion_random"] = np.stack([c.deletion for c in random])
            found["insertion_random"] = np.stack([c.insertion for c in random])
        return found


def explain_face(
    answer: Answer,
    crop: NDArray[np.uint8],
    labels: Sequence[str],
    *,
    methods: Collection[str] = ("window", "attention", "occlusion"),
    target: int | None = None,
    size: int = 8,
    stride: int = 4,
    gradcam: GradCam | None = None,
    landmarks: NDArray[np.float32] | None = None,
    orders: int = 0,
    seed: int = 0,
) -> Explanation:
    """Explain the answer for one face.

    answer   faces -> :class:`Look`: a ``mien.runtime.Classifier``, or any function like it
    crop     uint8 ``(S, S)``, or ``(S, S, 3)`` RGB, as the network wants it; ``labels`` name its outputs
    methods  of ``window``, ``attention``, ``occlusion``, ``gradcam``; what the network does not have is left out
    target   number of the class to explain; None for the most probable one
    size, stride  of the occlusion, see :func:`~mien.explain.occlusion`
    gradcam  for the method of that name: see :data:`GradCam`; None leaves it out
    orders   random orders to check the maps against, see :func:`~mien.explain.faithfulness`; 0 for no
             check; there is none without a map either
    """
    if unknown := sorted(set(methods) - set(METHODS)):
        raise ConfigError(f"methods must be of {', '.join(METHODS)}, got {', '.join(unknown)}")
    look = answer(crop[None])
    probabilities = np.asarray(look.probabilities[0], np.float32)
    best = int(probabilities.argmax()) if target is None else target
    theta = None if look.theta is None else look.theta[0]

    def predict(faces: NDArray[np.uint8]) -> NDArray[np.floating]:
        return answer(faces).probabilities

    maps, raw = {}, {}
    if "attention" in methods and look.attention is not None:
        raw["attention"] = look.attention[0]
        maps["attention"] = laid_back(raw["attention"] * raw["attention"].size, theta, len(crop))
    if "occlusion" in methods:
        maps["occlusion"] = occlusion(predict, crop, size, stride, target=best)
    if "gradcam" in methods and gradcam is not None:
        raw["gradcam"] = gradcam(crop[None], [best])[0]
        maps["gradcam"] = laid_back(raw["gradcam"] / (raw["gradcam"].max() or 1), theta, len(crop))
    looked = theta is not None and "window" in methods
    return Explanation(
        crop=crop,
        labels=tuple(labels),
        probabilities=probabilities,
        target=best,
        theta=theta if looked else None,
        window=window(theta, len(crop)) if looked and theta is not None else None,
        view=warped(grey_of(crop), theta) if looked and theta is not None else None,
        maps=maps,
        raw=raw,
        landmarks=landmarks,
        faithfulness=faithfulness(predict, crop, maps, orders=orders, target=best, seed=seed)
        if orders and maps
        else None,
    )
