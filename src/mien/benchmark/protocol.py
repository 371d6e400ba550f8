"""Which faces train and which are held out, decided once for all methods of a comparison.

Leaves out: the splits themselves (``data.splits``).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

from mien.data import FaceDataset, describe_split, train_val
from mien.data.splits import subject_folds, two_parts
from mien.errors import ConfigError

__all__ = ["PROTOCOLS", "Fold", "Protocol", "make_protocol"]

#: The names of the protocols.
PROTOCOLS = ("split", "leave-one-subject-out")


@dataclass(frozen=True, eq=False)
class Fold:
    """One training part and the part that is held out; ``parts`` makes the two anew, so that folds cost no memory."""

    name: str
    parts: Callable[[], tuple[FaceDataset, FaceDataset]]


@dataclass(frozen=True, eq=False)
class Protocol:
    """Every row of ``faces`` is labelled and belongs to a fold; ``about`` says in words how they were split."""

    faces: FaceDataset
    kind: str
    about: str
    seed: int
    val_split: str | None = None

    def folds(self) -> list[Fold]:
        """The folds, in an order that does not change."""
        if self.kind == "leave-one-subject-out":
            return [
                Fold(subject, partial(two_parts, self.faces, train, held))
                for subject, train, held in subject_folds(self.faces)
            ]
        return [Fold("", partial(train_val, self.faces, val_split=self.val_split, seed=self.seed))]


def make_protocol(faces: FaceDataset, kind: str = "split", *, val_split: str | None = None, seed: int = 0) -> Protocol:
    """The protocol for labelled ``faces``.

    kind       "split": the official parts where there are any, else a split by people where they are known, else at
               random by class; "leave-one-subject-out": one fold a person, over all parts together (a test part among
               them is logged as a warning, see ``data.leave_one_subject_out``)
    val_split  the part to evaluate on, instead of PublicTest or validation

    Rows without a label are left out. Raises :class:`ConfigError` where a fold would be empty or people are unknown.
    """
    if kind not in PROTOCOLS:
        raise ConfigError(f"protocol must be one of {', '.join(PROTOCOLS)}, got {kind!r}")
    if faces.labels is None or not (faces.labels >= 0).any():
        raise ConfigError(f"{faces.source}: methods learn from labels, and no face has one")
    faces = faces.take(faces.labels >= 0)
    if kind == "leave-one-subject-out":
        people = sorted(set([] if faces.subject is None else faces.subject.tolist()) - {""})
        if len(people) < 2:
            raise ConfigError(
                f"{faces.source}: leave-one-subject-out needs two people or more, and {len(people)} are known; "
                "use the protocol split"
            )
        return Protocol(faces, kind, f"leave one subject out, {len(people)} people", seed)
    train, val = train_val(faces, val_split=val_split, seed=seed)
    kept = Protocol(faces, kind, describe_split(train, val), seed, val_split)
    if set(faces.splits) - set(train.splits) - set(val.splits) and set(val.splits) <= set(faces.splits):
        return replace(kept, faces=faces.part(*train.splits, *val.splits))  # other parts stay out of sight
    return kept
