"""Faces as arrays: one checked record, the sources that end in it, a generator of stylised faces, and an audit."""

from mien.data.dataset import FaceDataset
from mien.data.readers.problems import Reading
from mien.data.readers.votes_table import FerPlusVotes, read_votes
from mien.data.sources import read_faces, read_source
from mien.data.splits import (
    describe_split,
    leave_one_subject_out,
    official_parts,
    split_rank,
    split_train_val,
    train_val,
)
from mien.data.votes import with_votes

__all__ = [
    "FaceDataset",
    "FerPlusVotes",
    "Reading",
    "describe_split",
    "leave_one_subject_out",
    "official_parts",
    "read_faces",
    "read_source",
    "read_votes",
    "split_rank",
    "split_train_val",
    "train_val",
    "with_votes",
]
