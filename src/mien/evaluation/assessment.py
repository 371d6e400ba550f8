"""All that ``mien evaluate`` finds out: a report, another model on the same faces, groups, corrupted faces.

Leaves out: the arithmetic (``metrics``, ``significance``, ``homogeneity``), opening models (``opening``), and showing
(``cli``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.data import FaceDataset
from mien.data.duplicates import near_duplicates
from mien.errors import ConfigError
from mien.evaluation.groups import GroupScore, by_group, homogeneity
from mien.evaluation.homogeneity import Homogeneity
from mien.evaluation.metrics import Report, Robustness
from mien.evaluation.model import Model
from mien.evaluation.scoring import fitting, measure_robustness, scored
from mien.evaluation.significance import Paired, compare_pairs

__all__ = ["Against", "Evaluation", "assess", "shared"]


@dataclass(frozen=True)
class Against:
    """Another model on the same faces.

    report    its own
    paired    the first model (a) and this one (b), face by face
    clean     the same on the faces without a near-duplicate in Training; None where Training isn't known
    left_out  class -> labelled faces that neither report counts, because one of the two does not know the class
    """

    report: Report
    paired: Paired
    clean: Paired | None = None
    left_out: dict[str, int] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Plain lists, dicts and numbers, ready for JSON; :meth:`from_dict` reads them back."""
        return {
            "report": self.report.to_dict(),
            "paired": self.paired.to_dict(),
            "clean": self.clean.to_dict() if self.clean else None,
            "left_out": dict(self.left_out),
        }

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> Against:
        """Read what :meth:`to_dict` wrote; missing and unknown keys are errors."""
        if wrong := sorted(set(raw) ^ {f.name for f in fields(cls)}):
            raise ConfigError(
                f"against must have the keys clean, left_out, paired, report; missing or unknown: {wrong}"
            )
        clean = None if raw["clean"] is None else Paired.from_dict(raw["clean"])
        return cls(Report.from_dict(raw["report"]), Paired.from_dict(raw["paired"]), clean, dict(raw["left_out"]))


@dataclass(frozen=True)
class Evaluation:
    """A report, and what else was asked for.

    against     another model on the same faces
    group_by    the column that ``groups`` were made by, the largest group first; "" where none were asked for
    homogeneity  whether these groups differ; None where fewer than two can be compared
    robustness  accuracy on corrupted faces
    """

    report: Report
    against: Against | None = None
    group_by: str = ""
    groups: tuple[GroupScore, ...] = ()
    homogeneity: Homogeneity | None = None
    robustness: Robustness | None = None

    def to_dict(self) -> dict[str, Any]:
        """The report's keys, with ``against``, ``groups`` and ``robustness`` beside them where they were asked for.

        :meth:`from_dict` reads all of it back, and ``Report.from_dict`` the report.
        """
        raw = self.report.to_dict()
        if self.against:
            raw["against"] = self.against.to_dict()
        if self.group_by:
            test = self.homogeneity.to_dict() if self.homogeneity else None
            raw["groups"] = {"by": self.group_by, "scores": [g.to_dict() for g in self.groups], "homogeneity": test}
        if self.robustness:
            raw["robustness"] = self.robustness.to_dict()
        return raw

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> Evaluation:
        """Read what :meth:`to_dict` wrote; missing and unknown keys are errors."""
        # records of 0.1 hold no test of homogeneity
        groups = {"homogeneity": None, **raw.get("groups", {"by": "", "scores": []})}
        if wrong := sorted(set(groups) ^ {"by", "scores", "homogeneity"}):
            raise ConfigError(f"groups must have the keys by, homogeneity, scores; missing or unknown: {wrong}")
        return cls(
            report=Report.from_dict(raw),
            against=Against.from_dict(raw["against"]) if "against" in raw else None,
            group_by=groups["by"],
            groups=tuple(GroupScore.from_dict(g) for g in groups["scores"]),
            homogeneity=Homogeneity.from_dict(groups["homogeneity"]) if groups["homogeneity"] else None,
            robustness=Robustness.from_dict(raw["robustness"]) if "robustness" in raw else None,
        )


def assess(
    model: Model,
    faces: FaceDataset,
    *,
    train: FaceDataset | None = None,
    views: int = 1,
    against: Model | None = None,
    groups: Sequence[str] | None = None,
    group_by: str = "",
    corrupt: bool = False,
    on_pass: Callable[[int, int], None] | None = None,
) -> Evaluation:
    """Evaluate ``model`` on labelled ``faces`` of one split in every way that is asked for.

    train, views  as for :func:`mien.evaluation.evaluate`
    against       another model; both are evaluated on exactly the faces whose class both know, each
                  at its own size
    groups        which group each of ``faces`` belongs to, named by the column ``group_by``, see :func:`read_groups`
    corrupt       measure corrupted faces too; ``on_pass`` as for :func:`measure_robustness`
    """
    if groups is not None and len(groups) != len(faces):
        raise ConfigError(f"groups must name a group for each of the {len(faces):,} faces, got {len(groups):,}")
    kept, left_out = shared(faces, model, against) if against else (np.ones(len(faces), bool), {})
    if faces.labels is not None:
        kept = kept & (faces.labels >= 0)
    if not kept.all() or left_out:
        faces = _narrowed(faces.take(kept), left_out)
    fitting(model, faces)  # before the search for near-duplicates, which takes longest
    clean = None if train is None else ~near_duplicates(faces.images, train.images)
    one = scored(model, faces, clean=clean, views=views)
    found = Evaluation(one.report)
    if against:
        other = scored(against, faces, clean=clean, views=views)
        pairs = compare_pairs(one.right, other.right)
        inner = None if clean is None or not clean.any() else compare_pairs(one.right[clean], other.right[clean])
        found = replace(found, against=Against(other.report, pairs, inner, left_out))
    if groups is not None:
        names = [g for g, k in zip(groups, kept, strict=True) if k]
        assert one.faces.labels is not None
        scores = by_group(one.probabilities, one.faces.labels, names, model.labels)
        found = replace(found, group_by=group_by or "group", groups=tuple(scores), homogeneity=homogeneity(scores))
    if corrupt:
        found = replace(found, robustness=measure_robustness(model, faces, views=views, on_pass=on_pass))
    return found


def shared(faces: FaceDataset, *models: Model) -> tuple[NDArray[np.bool_], dict[str, int]]:
    """Which faces have a class that every one of ``models`` knows, bool ``(N,)``; and class -> faces, of the others.

    Faces without a label count as known. Raises ConfigError where no class is shared.
    """
    known = [all(name in m.labels for m in models) for name in faces.names]
    if not any(known):
        theirs = "; ".join(f"{m.name}: {', '.join(m.labels)}" for m in models)
        raise ConfigError(f"{faces.source}: its classes {', '.join(faces.names)} share none with all of {theirs}")
    counts = dict(zip(faces.names, faces.counts().tolist(), strict=True))
    left_out = {name: counts[name] for name, k in zip(faces.names, known, strict=True) if not k}
    if faces.labels is None:
        return np.ones(len(faces), bool), left_out
    return np.append(known, True)[faces.labels], left_out  # -1, no label, is the last


def _narrowed(faces: FaceDataset, left_out: Mapping[str, int]) -> FaceDataset:
    """``faces``, of which none has a class of ``left_out``, without these classes."""
    if not left_out or faces.labels is None:
        return faces
    names = tuple(n for n in faces.names if n not in left_out)
    table = np.array([names.index(n) if n in names else -1 for n in faces.names], dtype=np.int64)
    return replace(faces, names=names, labels=table[faces.labels], votes=None)
