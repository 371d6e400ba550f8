"""What a data set holds, in numbers: images per class and split, and what a user should know before training on it.

Leaves out: near-duplicates, label errors and other slow questions (``audit``), and printing.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace

import numpy as np

from mien.data.dataset import FaceDataset
from mien.data.duplicates import even
from mien.data.splits import copy_groups
from mien.wording import counted

__all__ = ["Summary", "summarise"]

_IMBALANCE = 5.0  # largest class over smallest, from which the ratio is worth a warning


@dataclass(frozen=True)
class Summary:
    """Counts of one data set; ``counts[split][name]`` are images, and ``warnings`` are whole sentences."""

    source: str
    images: int
    size: tuple[int, int]
    channels: int
    fingerprint: str
    counts: dict[str, dict[str, int]]
    unlabelled: dict[str, int]
    constant: int
    copies: int
    not_face: int | None
    warnings: tuple[str, ...]


def summarise(ds: FaceDataset) -> Summary:
    """Count ``ds``: per class and split, constant images, exact copies within and across splits, class imbalance."""
    constant = int(even(ds.images).sum())
    groups = copy_groups(replace(ds, subject=None))
    parts = {s: ds.part(s) for s in ds.splits}
    unlabelled = {s: int(len(p) - p.counts().sum()) for s, p in parts.items()}
    return Summary(
        source=ds.source,
        images=len(ds),
        size=ds.size,
        channels=ds.channels,
        fingerprint=ds.fingerprint,
        counts={s: dict(zip(ds.names, p.counts().tolist(), strict=True)) for s, p in parts.items()},
        unlabelled=unlabelled,
        constant=constant,
        copies=len(ds) - len(set(groups.tolist())),
        not_face=None if ds.not_face is None else int(ds.not_face.sum()),
        warnings=(*_sentences(ds, constant, sum(unlabelled.values())), *_across(ds, groups.tolist())),
    )


def _sentences(ds: FaceDataset, constant: int, unlabelled: int) -> list[str]:
    found = []
    if constant:
        found.append(f"{counted(constant, 'image')} of one even grey, which shows nothing")
    if ds.not_face is not None and ds.not_face.any():
        found.append(f"{counted(int(ds.not_face.sum()), 'image')} without a face, by all taggers of FER+")
    if ds.labels is None:
        found.append("no image has a label")
    elif unlabelled:
        found.append(f"{counted(unlabelled, 'image')} without a label")
    counts = ds.counts()
    if empty := [n for n, c in zip(ds.names, counts.tolist(), strict=True) if c == 0 and counts.any()]:
        found.append(f"no image is labelled {', '.join(empty)}")
    if (some := counts[counts > 0]).size and (ratio := some.max() / some.min()) >= _IMBALANCE:
        most, least = (
            ds.names[int(counts.argmax())],
            ds.names[int(np.where(counts > 0, counts, counts.max() + 1).argmin())],
        )
        found.append(f"classes are uneven: {most} has {ratio:.1f} times as many images as {least}")
    return found


def _across(ds: FaceDataset, groups: list[int]) -> list[str]:
    """One sentence for each split whose images have exact copies in an earlier one."""
    assert ds.split is not None
    split = ds.split.tolist()
    where: dict[int, set[str]] = {}
    for g, s in zip(groups, split, strict=True):
        where.setdefault(g, set()).add(s)
    order = {s: i for i, s in enumerate(ds.splits)}
    pairs = Counter((s, t) for g, s in zip(groups, split, strict=True) for t in where[g] if order[t] < order[s])
    size = Counter(split)
    return [
        f"{n:,} of the {size[s]:,} images in {s or '(no split)'} have an exact copy in {t or '(no split)'}: "
        f"a score there is partly recall"
        for (s, t), n in pairs.items()
    ]
