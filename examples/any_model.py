"""Score any function as a model, on the same faces and by the same rules as mien's own:

    mien evaluate --callable examples.any_model:predict --data synthetic:200 --split validation

Put your library's call in place of ``one``. What it returns may be probabilities, class numbers, class names, or one
dictionary a face with probabilities or percentages, as here and as deepface and FER return them.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mien import Predictor

PREDICTOR = Predictor("mien-nano", detector=None)


def one(face: np.ndarray) -> dict[str, Any]:
    """What a library says of one grey face, uint8 ``(H, W)``."""
    labels, (shares,) = PREDICTOR.spec.labels, PREDICTOR.predict_crops(face[None])
    return {"dominant_emotion": labels[shares.argmax()], "emotion": dict(zip(labels, 100 * shares, strict=True))}


def predict(faces: np.ndarray) -> list[dict[str, Any]]:
    """One dictionary for each of N grey faces, uint8 ``(N, H, W)``."""
    return [one(face) for face in faces]
