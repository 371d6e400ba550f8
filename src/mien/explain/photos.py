"""From a photo to explained faces: find, crop, explain. The network is any ``answer``, exported or torch.

Leaves out: what explaining means (``mien.explain``), and drawing (``explained_face``, ``explained_classes``).
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray

from mien.explain.face import Answer, Explanation, GradCam, explain_face
from mien.faces import Detection
from mien.preprocessing import crop_face, raise_contrast, to_crop
from mien.runtime.detector import Detector
from mien.runtime.predictor import detect
from mien.spec import ModelSpec

__all__ = ["explain_photo", "landmarks_in_crop"]


def explain_photo(
    photo: NDArray[np.uint8],
    answer: Answer,
    spec: ModelSpec,
    detector: Detector,
    *,
    methods: Collection[str] = ("window", "attention", "occlusion"),
    size: int = 8,
    stride: int = 4,
    gradcam: GradCam | None = None,
    orders: int = 0,
    seed: int = 0,
) -> list[Explanation]:
    """Every face of pixels uint8 ``(H, W, 3)`` BGR, the surest detection first; for the rest see ``explain_face``."""
    return [
        explain_face(
            answer,
            raise_contrast(crop_face(photo, found.box, spec, found.turn)),
            spec.labels,
            methods=methods,
            size=size,
            stride=stride,
            gradcam=gradcam,
            landmarks=landmarks_in_crop(found, spec),
            orders=orders,
            seed=seed,
        )
        for found in detect(detector, photo, spec)
    ]


def landmarks_in_crop(found: Detection, spec: ModelSpec) -> NDArray[np.float32] | None:
    """A detection's landmarks in pixels of the crop, ``(5, 2)``, 0..size from edge to edge; None where it has none."""
    return None if found.landmarks is None else to_crop(found.landmarks, found.box, spec, found.turn)
