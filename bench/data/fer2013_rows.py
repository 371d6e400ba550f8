"""Make the fingerprints of fer2013.csv that ship with mien, and measure how safely votes are joined to its faces.

    python -m bench.data.fer2013_rows fer2013.csv fer2013new.csv [--write] [--trials 200]

The CSV needs Training and PublicTest in their order; rows of PrivateTest are not looked at. ``--write`` writes
src/mien/data/fer2013_rows.npy. Measured are, with the faces known by their pixels and with faces made unknown (24 x 24
pixels): Training without one of its rows; random samples of Training in their order and in any order, numbered anew, as
a file of them would be; and such samples with the numbers of the full file. For each: how many were refused, how many
joined with every vote right, and how many with a wrong one. Writes results/votes.json.
"""

from __future__ import annotations

import argparse
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.conditions import RESULTS, ROOT, conditions, save
from mien.data import FaceDataset, FerPlusVotes, read_faces, read_votes
from mien.data.fer2013_rows import KNOWN_ROWS, fingerprint
from mien.data.votes_join import join_votes
from mien.errors import DataError
from mien.labels import FER2013, FERPLUS

SAMPLES = (5, 10, 30, 100, 300, 900, 3000)
TRAINING = 28_709


def agreement(faces: FaceDataset, votes: FerPlusVotes) -> dict[str, Any]:
    """How often the taggers' majority is the label, of the faces that have a majority, and how often by chance."""
    counts = votes.votes[: len(faces)]
    sure = counts.max(1) > votes.table[: len(faces)].sum(1) / 2
    own = np.array([FERPLUS.names.index(n) for n in FER2013.names])
    assert faces.labels is not None
    right = counts.argmax(1) == own[faces.labels]
    by_class = {n: round(float(right[sure & (faces.labels == k)].mean()), 3) for k, n in enumerate(FER2013.names)}
    share = np.bincount(counts[sure].argmax(1), minlength=8) / sure.sum()
    return {
        "n": int(sure.sum()),
        "all": round(float(right[sure].mean()), 4),
        "by chance": round(float(share[own[faces.labels[sure]]].mean()), 4),
        "by class": by_class,
    }


def outcome(faces: FaceDataset, votes: FerPlusVotes, truth: NDArray[np.int64], pictures: NDArray[np.int64]) -> str:
    """ "refused", "right", or "wrong" where a face got the votes of another picture; exact copies are one picture."""
    try:
        rows = join_votes(faces, votes)
    except DataError:
        return "refused"
    known = rows < len(pictures)
    return "right" if known.all() and (pictures[rows] == pictures[truth]).all() else "wrong"


def numbered_anew(faces: FaceDataset, index: NDArray[np.int64]) -> FaceDataset:
    """The rows at ``index`` as if a file held them alone."""
    return replace(faces.take(index), rows=np.arange(len(index)))


def trials(faces: FaceDataset, votes: FerPlusVotes, count: int) -> dict[str, Any]:
    """Outcomes of ``count`` joins of every kind."""
    rng = np.random.default_rng(0)
    _, pictures = np.unique([fingerprint(image) for image in faces.images], return_inverse=True)

    result: dict[str, Any] = {"whole file": outcome(faces, votes, np.arange(len(faces)), pictures)}
    disgust = np.flatnonzero(faces.labels != FER2013.names.index("disgust"))
    result["without disgust"] = outcome(numbered_anew(faces, disgust), votes, disgust, pictures)
    less = (np.delete(np.arange(TRAINING), rng.integers(TRAINING)) for _ in range(count))
    found = Counter(outcome(numbered_anew(faces, index), votes, index, pictures) for index in less)
    result["one row of Training taken out"] = dict(sorted(found.items()))
    for size in SAMPLES:
        kinds: dict[str, Counter[str]] = {}
        for _ in range(count):
            index = rng.choice(TRAINING, size, replace=False)
            ordered = np.sort(index)
            for kind, part, truth in (
                ("in order", numbered_anew(faces, ordered), ordered),
                ("in any order", numbered_anew(faces, index), index),
                ("with their own numbers", faces.take(ordered), ordered),
            ):
                kinds.setdefault(kind, Counter())[outcome(part, votes, truth, pictures)] += 1
        result |= {f"{size} rows {kind}": dict(sorted(seen.items())) for kind, seen in kinds.items()}
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("csv", type=Path)
    parser.add_argument("votes", type=Path)
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--trials", type=int, default=200)
    asked = parser.parse_args()
    faces, votes = read_faces(asked.csv).take(slice(0, KNOWN_ROWS)), read_votes(asked.votes)
    assert faces.splits == ("Training", "PublicTest")
    if asked.write:
        table = np.array([fingerprint(image) for image in faces.images], dtype=np.uint32)
        np.save(ROOT / "src" / "mien" / "data" / "fer2013_rows.npy", table)
    record = {
        "faces": faces.fingerprint,
        "votes": votes.fingerprint(KNOWN_ROWS),
        "agreement": agreement(faces, votes),
        "known by pixels": trials(faces, votes, asked.trials),
        "unknown pixels": trials(faces.resized(24), votes, asked.trials),
    }
    save(RESULTS / "votes.json", {**record, **conditions("numpy", trials=asked.trials)})


if __name__ == "__main__":
    main()
