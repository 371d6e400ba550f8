"""The mean answers of trained models about Training, as one file to distil from: results/teacher-NAME.npz.

    python bench/teacher.py NAME RUN [RUN ...] --data fer2013.csv --votes fer2013new.csv [--views 2]

Then: mien train RECIPE ... --target both --teacher results/teacher-NAME.npz. The file holds probabilities only, in the
order of the rows, and belongs to one fingerprint of the data.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from mien.data import read_faces, read_votes, train_val, with_votes
from mien.teachers import ask, save

RESULTS = Path(__file__).resolve().parents[1] / "results"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name")
    parser.add_argument("runs", nargs="+")
    parser.add_argument("--data", required=True)
    parser.add_argument("--votes", required=True)
    parser.add_argument("--views", type=int, default=2)
    a = parser.parse_args()
    train, _ = train_val(with_votes(read_faces(a.data), read_votes(a.votes), "both"))
    save(ask(a.runs, train, views=a.views), train, RESULTS / f"teacher-{a.name}.npz")


if __name__ == "__main__":
    main()
