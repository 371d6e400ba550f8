"""Which rows train and which choose: official parts where a data set has them, a careful random split elsewhere.

Test parts are never touched here: where a data set has only a training and a test part, the validation part is cut from
the training part. Where it is known who is on the pictures, nobody is on both sides. Leaves out: folds of images, and
joining parts.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from mien.data.dataset import FaceDataset
from mien.data.duplicates import digests
from mien.errors import ConfigError
from mien.wording import counted

__all__ = [
    "copy_groups",
    "describe_split",
    "leave_one_subject_out",
    "official_parts",
    "split_rank",
    "split_train_val",
    "subject_folds",
    "train_val",
    "two_parts",
]

_TRAIN = ("training", "train")
_VALIDATION = ("publictest", "validation", "valid", "val", "dev", "development")  # the earlier is taken first
_TEST = ("privatetest", "test", "testing")
_OWN = ("Training", "validation")  # what the parts of a split made here are called
_log = logging.getLogger(__name__)


def split_rank(name: str) -> int:
    """0 for the name of a training part, 1 validation, 2 test, 3 anything else."""
    word = name.strip().lower()
    return next((i for i, words in enumerate((_TRAIN, _VALIDATION, _TEST)) if word in words), 3)


def train_val(
    ds: FaceDataset, *, val_split: str | None = None, fraction: float = 0.1, seed: int = 0
) -> tuple[FaceDataset, FaceDataset]:
    """Training and validation rows of any data set: its official parts, or else a split of its training rows.

    A data set without splits is split as a whole; one with a training part but no validation part has that part split,
    and its other parts left alone. Raises :class:`ConfigError` where splits exist but none is known as training.
    """
    if val_split is not None or any(split_rank(s) == 1 for s in ds.splits):
        return official_parts(ds, val_split)
    if ds.splits in ((), ("",)):
        return split_train_val(ds, fraction, seed)
    part = _training(ds)
    left = [s for s in ds.splits if s != part]
    _log.info("validation is cut from %s; not used: %s", part, ", ".join(left) or "nothing")
    return split_train_val(ds.part(part), fraction, seed)


def official_parts(ds: FaceDataset, val_split: str | None = None) -> tuple[FaceDataset, FaceDataset]:
    """The part named Training or train, and the one to choose on: ``val_split``, or PublicTest, validation, val or dev.

    PrivateTest and test are taken only where ``val_split`` names them. Raises :class:`ConfigError` with the names that
    exist where one of the two is missing.
    """
    part = _training(ds)
    if val_split is None:
        known = sorted((s for s in ds.splits if split_rank(s) == 1), key=lambda s: _VALIDATION.index(s.strip().lower()))
        if not known:
            raise ConfigError(
                f"no split for validation: it must be PublicTest, validation, valid, val or dev; {_have(ds)}"
            )
        val_split = known[0]
    elif val_split == part:
        raise ConfigError(f"val_split must differ from the training part, got {val_split!r}; {_have(ds)}")
    elif split_rank(val_split) == 2:
        _log.warning("choices are made on the test part %s: a score on it is no test any more", val_split)
    return ds.part(part), ds.part(val_split)


def _training(ds: FaceDataset) -> str:
    found = [s for s in ds.splits if split_rank(s) == 0]
    if len(found) != 1:
        raise ConfigError(f"exactly one split must be named Training or train; {_have(ds)}")
    return found[0]


def _have(ds: FaceDataset) -> str:
    return "the data have " + (", ".join(repr(s) for s in ds.splits) or "no split")


def split_train_val(ds: FaceDataset, fraction: float = 0.1, seed: int = 0) -> tuple[FaceDataset, FaceDataset]:
    """Split at random, by class, into "Training" and "validation"; both keep the order of the rows.

    fraction  share of each class that goes to validation, in 0..1 without the ends; met to the nearest image where no
              copies or subjects stand in the way
    seed      the same seed gives the same split

    Exact copies of an image stay on one side, and so do all pictures of a subject where subjects are known.
    """
    if not 0 < fraction < 1:
        raise ConfigError(f"fraction must lie between 0 and 1, got {fraction}")
    groups = copy_groups(ds)
    count = int(groups.max()) + 1 if len(groups) else 0
    if count < 2:
        raise ConfigError(f"cannot split {len(ds):,} images: they must hold at least two different faces or subjects")
    chosen = _choose(_table(ds, groups, count), fraction, np.random.default_rng(seed))
    held = chosen[groups]
    return two_parts(ds, ~held, held)


def two_parts(ds: FaceDataset, train: NDArray[np.bool_], val: NDArray[np.bool_]) -> tuple[FaceDataset, FaceDataset]:
    """The rows of ``train`` as "Training" and those of ``val`` as "validation", bool ``(N,)`` each."""
    parts = zip((ds.take(train), ds.take(val)), _OWN, strict=True)
    first, second = (replace(part, split=np.full(len(part), name)) for part, name in parts)
    return first, second


def _table(ds: FaceDataset, groups: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """Images per group and class, rows without a label as one more class; int64 ``(groups, K + 1)``."""
    labels = np.full(len(ds), -1, dtype=np.int64) if ds.labels is None else ds.labels
    table = np.zeros((count, len(ds.names) + 1), dtype=np.int64)
    np.add.at(table, (groups, labels), 1)  # -1 counts in the last column
    return table


def _choose(table: NDArray[np.int64], fraction: float, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Groups for validation: in random order, each one that brings the counts nearer to their targets."""
    missing = table.sum(0) * fraction
    chosen = np.zeros(len(table), dtype=bool)
    for g in rng.permutation(len(table)):
        group = table[g]
        if group @ (2 * missing - group) > 0:  # the squared distance to the targets shrinks
            missing = missing - group
            chosen[g] = True
    if not chosen.any():  # few, large groups: the smallest, so that there is a validation part at all
        chosen[table.sum(1).argmin()] = True
    if chosen.all():
        chosen[table.sum(1).argmin()] = False
    return chosen


def copy_groups(ds: FaceDataset) -> NDArray[np.int64]:
    """int64 ``(N,)``: one number a group of rows that share pixels or a known subject, directly or through others."""
    parent: dict[object, object] = {}

    def root(x: object) -> object:
        while parent.setdefault(x, x) != x:
            parent[x] = parent[parent[x]]
            x = parent[x]
        return x

    pixels = digests(ds.images)
    if ds.subject is not None:
        for face, person in zip(pixels, ds.subject.tolist(), strict=True):
            if person:
                parent[root(face)] = root((person,))
    number: dict[object, int] = {}
    return np.array([number.setdefault(root(face), len(number)) for face in pixels], dtype=np.int64)


def leave_one_subject_out(ds: FaceDataset) -> Iterator[tuple[str, FaceDataset, FaceDataset]]:
    """For each subject in alphabetical order: who, all others as "Training", the subject as "validation".

    Rows whose subject is unknown ("") always train. Exact copies of a held-out face are dropped from training, and how
    many is logged. All parts of ``ds`` take part: give one part of it to keep the others for testing.
    Raises :class:`ConfigError` at once for fewer than two subjects, and later where the drop leaves nothing to train.
    """
    return ((who, *two_parts(ds, train, held)) for who, train, held in subject_folds(ds))


def subject_folds(ds: FaceDataset) -> Iterator[tuple[str, NDArray[np.bool_], NDArray[np.bool_]]]:
    """The folds of :func:`leave_one_subject_out` as rows: who, those that train and those held out, bool ``(N,)``."""
    people = sorted(_people(ds))
    if len(people) < 2:
        raise ConfigError(
            f"leave one subject out needs at least two subjects, the data name {len(people)}; read data that say who "
            "is on each picture (FERG, CK+, JAFFE, an export or Parquet with subjects), or split with split_train_val"
        )
    if any(split_rank(s) == 2 for s in ds.splits) and len(ds.splits) > 1:
        _log.warning("the parts %s are joined, a test part among them", ", ".join(ds.splits))
    return _each_subject(ds, people)


def _each_subject(ds: FaceDataset, people: list[str]) -> Iterator[tuple[str, NDArray[np.bool_], NDArray[np.bool_]]]:
    number: dict[bytes, int] = {}
    faces = np.array([number.setdefault(d, len(number)) for d in digests(ds.images)], dtype=np.int64)
    for who in people:
        held = np.asarray(ds.subject == who, dtype=np.bool_)
        copies = np.asarray(np.isin(faces, faces[held]) & ~held, dtype=np.bool_)
        if copies.any():
            _log.info("%d exact copies of faces of %s are dropped from training", int(copies.sum()), who)
        train = ~held & ~copies
        if not train.any():
            raise ConfigError(f"nothing is left to train on where {who!r} is held out: all other faces are copies")
        yield who, train, held


def _people(ds: FaceDataset) -> set[str]:
    return set() if ds.subject is None else set(ds.subject.tolist()) - {""}


def describe_split(train: FaceDataset, val: FaceDataset) -> str:
    """A part of a sentence on how two parts were split, from the parts themselves, for reports.

    Whether people or exact copies are on both sides is counted, never believed. Parts that keep the names of the data
    set are called official. Without identities, "Training" and "validation" are called a random split only where their
    rows lie among each other, as :func:`split_train_val` leaves them.
    """
    both = len(set(digests(train.images)) & set(digests(val.images)))
    copies = f"; {counted(both, 'exact copy', 'exact copies')} on both sides" if both else ""
    names = tuple(" + ".join(s or "''" for s in ds.splits) or "''" for ds in (train, val))
    people = _people(train) | _people(val)
    if names == _OWN and people:
        return _independence(train, val) + copies
    if names == _OWN and not both and _interleaved(train, val):
        return "random split by class, copies kept together (identities unknown)"
    kind = "parts" if names == _OWN or "''" in names else "official parts"
    known = f", {_independence(train, val)}" if people else " (identities unknown)"
    return f"{kind} {names[0]} and {names[1]}{known}{copies}"


def _independence(train: FaceDataset, val: FaceDataset) -> str:
    a, b = _people(train), _people(val)
    unknown = sum(len(ds) if ds.subject is None else int((ds.subject == "").sum()) for ds in (train, val))
    blind = f", {counted(unknown, 'face')} of unknown people" if unknown else ""
    if a & b:
        return f"NOT subject-independent: {counted(len(a & b), 'person', 'people')} on both sides{blind}"
    known = "subject-independent as far as known" if unknown else "subject-independent"
    return f"{known}: {counted(len(a), 'person', 'people')} to train, {len(b)} to evaluate{blind}"


def _interleaved(train: FaceDataset, val: FaceDataset) -> bool:
    """Whether rows of one source lie among each other, with none in both."""
    assert train.rows is not None
    assert val.rows is not None
    a, b = train.rows, val.rows
    if train.source != val.source or not len(a) or not len(b) or len(np.intersect1d(a, b)):
        return False
    return bool(a.min() < b.max() and b.min() < a.max())
