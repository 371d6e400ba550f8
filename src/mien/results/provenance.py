"""Where answers come from: model, detector, settings and versions, by name and by hash; written beside every table.

Two runs with the same :attr:`Provenance.run` give the same answers for the same picture. A table's metadata lies in the
file where the format has a place for it (Parquet, JSON); for CSV and JSON lines, whose readers know none, in
``NAME.csv.json`` beside it. Leaves out: the tables (``writers``).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mien import __version__
from mien.files import sha256_of, write_text
from mien.results.schema import FORMAT
from mien.runtime.devices import CPU

if TYPE_CHECKING:
    from mien.runtime import Predictor

__all__ = ["Provenance", "provenance_of", "read_sidecar", "sidecar", "write_sidecar"]


@dataclass(frozen=True)
class Provenance:
    """What a table's metadata say of where its answers come from.

    model     its name, SHA-256, labels, scores and licence
    detector  its name, size, threshold and the SHA-256 of its file, as far as it has them
    settings  of the run, where they decide an answer
    provider  what ran the network, see ``mien.runtime.devices``
    """

    model: Mapping[str, Any]
    detector: Mapping[str, Any]
    settings: Mapping[str, Any] = field(default_factory=dict)
    provider: str = CPU

    @property
    def run(self) -> str:
        """A short name for all that decides an answer: ``r`` and twelve hexadecimal digits."""
        return "r" + hashlib.sha256(json.dumps(_flat(self.to_dict()), sort_keys=True).encode()).hexdigest()[:12]

    @property
    def labels(self) -> list[str]:
        """The model's."""
        return list(self.model["labels"])

    def to_dict(self) -> dict[str, Any]:
        """In types that ``json.dumps`` takes, without the run's name."""
        told = {"format": FORMAT, "mien": __version__, "model": dict(self.model), "detector": dict(self.detector)}
        return {**told, "settings": dict(self.settings), "provider": self.provider}

    def differences(self, other: Mapping[str, Any]) -> list[str]:
        """What of the metadata ``other`` decides an answer and is not so here: ``the detector size 320, not 640``."""
        now, then = _flat(self.to_dict()), _flat(other)
        return [
            f"the {name} {_short(then.get(name))}, not {_short(now.get(name))}"
            for name in dict.fromkeys([*now, *then])
            if now.get(name) != then.get(name)
        ]


def provenance_of(predictor: Predictor, detector: str, settings: Mapping[str, Any] | None = None) -> Provenance:
    """The provenance of a predictor's answers; ``detector`` is the name by which its detector was asked for."""
    spec, finder = predictor.spec, predictor.detector
    model = {"name": spec.name, "sha256": sha256_of(predictor.model_path), "labels": list(spec.labels)}
    size = (finder.size or "auto") if hasattr(finder, "size") else None  # its None: chosen by the picture
    about = {"size": size, "threshold": getattr(finder, "threshold", None)}
    file = getattr(finder, "path", None)
    known = {"name": detector, **about, "sha256": sha256_of(file) if file else None}
    kept = ("accuracy", "accuracy_ci95", "n")  # all of a model's scores are in its file and its card
    scores = {split: {k: s[k] for k in kept if k in s} for split, s in spec.scores.items() if isinstance(s, dict)}
    return Provenance(
        {**model, "scores": scores, "licence": spec.licence},
        {name: value for name, value in known.items() if value is not None},
        dict(settings or {}),
        predictor.provider,
    )


def sidecar(path: Path) -> Path:
    """Where the metadata of a CSV or JSON lines file lie: ``faces.csv`` -> ``faces.csv.json``."""
    return path.with_name(f"{path.name}.json")


def write_sidecar(path: Path, metadata: Mapping[str, Any]) -> None:
    """Write the metadata of the table at ``path`` beside it."""
    write_text(sidecar(path), json.dumps(metadata, indent=1, ensure_ascii=False) + "\n")


def read_sidecar(path: Path) -> dict[str, Any] | None:
    """The metadata beside the table at ``path``, None where there are none that can be read."""
    try:
        found = json.loads(sidecar(path).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def _flat(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """What decides an answer, by names that a reader knows."""
    model, detector, settings = (dict(metadata.get(k) or {}) for k in ("model", "detector", "settings"))
    return {
        "table format": metadata.get("format"),
        "version of mien": metadata.get("mien"),
        "model": model.get("name"),
        "labels": model.get("labels"),
        "model's SHA-256": model.get("sha256"),
        **{f"detector {name}": value for name, value in detector.items()},
        **settings,
        **({} if metadata.get("provider", CPU) == CPU else {"provider": metadata["provider"]}),
    }


def _short(value: Any) -> str:
    text = "none" if value is None else ", ".join(value) if isinstance(value, list) else str(value)
    return f"{text[:12]}..." if len(text) == 64 else text
