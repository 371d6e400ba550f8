"""What a model says of itself to a page: the same for the server's page and for a page that runs the model itself.

Leaves out: who asks (``mien.web``) and files (``models``).
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from mien import __version__
from mien.labels import colour
from mien.preprocessing import CONTRAST
from mien.reporting.card import INTENDED, LIMITS
from mien.runtime import accuracy_line
from mien.runtime.prediction_set import PLAIN_SHARE
from mien.runtime.quality import HEAD
from mien.runtime.quality import LIMITS as QUALITY
from mien.spec import ModelSpec
from mien.video import RULES

__all__ = ["about", "running"]


def about(spec: ModelSpec) -> dict[str, Any]:
    """Name, labels and their colours, accuracy, the rules by which faces are followed, and intended use."""
    colours = {label: colour(label) for labels in (spec.labels, *(h.labels for h in spec.heads)) for label in labels}
    return {
        "name": spec.name,
        "labels": list(spec.labels),
        "colours": colours,
        "accuracy": accuracy_line(spec),
        "mien": __version__,
        "following": {
            **asdict(RULES),
            "set_threshold": spec.calibration.get("threshold"),
            "set_share": PLAIN_SHARE,
        },
        "intended_use": f"{INTENDED[1]} {LIMITS[1]}",
    }


def running(spec: ModelSpec) -> dict[str, Any]:
    """:func:`about`, and all that is needed to run the model: how its input is made, what its outputs mean.

    The shape is ``Spec`` of ``js/src/types.ts``, less the file's own name, size and digest.
    """
    heads = [
        {
            "name": h.name,
            "labels": list(h.labels),
            "output": h.output,
            "kind": h.kind,
            "temperature": h.temperature,
            "threshold": h.calibration.get("threshold"),
        }
        for h in spec.heads
    ]
    return {
        **about(spec),
        "size": spec.size,
        "channels": spec.channels,
        "mean": spec.mean,
        "std": spec.std,
        "crop": asdict(spec.crop),
        "temperature": spec.temperature,
        "threshold": spec.calibration.get("threshold"),
        "heads": heads,
        "quality": {"limits": QUALITY, "head": HEAD.tolist()},
        "contrast": dict(CONTRAST._asdict()),
        "licence": spec.licence,
    }
