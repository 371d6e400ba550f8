"""FER+: the three rules row by row, the join, and the published numbers on the real file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from face_files import csv_of, faces

from mien.data import FaceDataset, read_faces, read_votes, with_votes
from mien.errors import ConfigError, DataError
from mien.labels import FER2013, FERPLUS

HEAD = "Usage,Image name,neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,unknown,NF\n"


def votes_file(folder: Path, rows: list[list[int]], usage: str = "Training") -> Path:
    lines = [f"{usage},fer{i:07}.png," + ",".join(map(str, r)) for i, r in enumerate(rows)]
    (folder / "votes.csv").write_text(HEAD + "\n".join(lines) + "\n")
    return folder / "votes.csv"


@pytest.mark.parametrize(
    ("row", "majority", "argmax", "soft"),
    [
        ([0, 10, 0, 0, 0, 0, 0, 0, 0, 0], "happy", "happy", {1: 10}),
        ([0, 5, 5, 0, 0, 0, 0, 0, 0, 0], None, "happy", {1: 5, 2: 5}),  # half is not more than half
        ([4, 3, 0, 0, 1, 1, 0, 1, 0, 0], "neutral", "neutral", {0: 4, 1: 3}),  # 4 of 7: the votes of one are dropped
        ([0, 0, 0, 0, 0, 0, 0, 0, 0, 10], None, None, None),
        ([4, 0, 0, 0, 0, 0, 0, 0, 6, 0], None, None, None),
        ([3, 0, 2, 0, 0, 0, 0, 0, 3, 2], None, "neutral", None),  # neutral comes first of equals
        ([0, 6, 0, 0, 0, 0, 0, 0, 2, 2], "happy", "happy", {1: 6}),
        ([2, 2, 2, 2, 2, 0, 0, 0, 0, 0], None, "neutral", None),  # too many classes
    ],
)
def test_rules_of_the_votes(
    tmp_path: Path, row: list[int], majority: str | None, argmax: str | None, soft: dict[int, int] | None
) -> None:
    ds = FaceDataset(np.zeros((1, 4, 4), np.uint8), FER2013.names, np.array([3]), split=np.array(["Training"]))
    votes = read_votes(votes_file(tmp_path, [row]))
    for target, want in (("majority", majority), ("argmax", argmax)):
        got = with_votes(ds, votes, target)  # type: ignore[arg-type]
        assert got.names == FERPLUS.names
        assert [FERPLUS.names[k] for k in got.labels] == ([want] if want else [])
    got = with_votes(ds, votes, "soft")
    assert [{i: v for i, v in enumerate(r) if v} for r in got.votes.tolist()] == ([soft] if soft else [])
    marked = with_votes(ds, votes)
    assert marked.not_face.tolist() == [row[9] == sum(row)]
    assert marked.fingerprint == ds.fingerprint
    assert marked.take([0]).not_face.shape == (1,)


def test_both_labellings_side_by_side(tmp_path: Path) -> None:
    rows = [[0, 9, 0, 0, 0, 0, 0, 1, 0, 0], [1, 1, 0, 0, 0, 0, 0, 0, 0, 0], [1, 0, 0, 0, 0, 0, 0, 0, 9, 0]]
    ds = replace(faces(3), labels=np.array([3, 6, 0]), split=np.array(["Training"] * 3))
    both = with_votes(ds, read_votes(votes_file(tmp_path, rows)), "both")
    assert both.second_names == FERPLUS.names
    assert both.second is not None
    assert both.labels is ds.labels
    # a vote of one goes where others remain, and stays where all are of one; "unknown" leaves zeros
    assert both.second.tolist() == [[0, 1, 0, 0, 0, 0, 0, 0], [0.5, 0.5, 0, 0, 0, 0, 0, 0], [0] * 8]
    assert both.fingerprint != ds.fingerprint
    part = both.take([1]).second
    assert part is not None
    assert part.shape == (1, 8)


def test_votes_that_do_not_fit(tmp_path: Path) -> None:
    ds = faces(3)
    with pytest.raises(DataError, match=r"votes.csv:3: Usage is 'Training', but row 1 of the faces has 'PublicTest'"):
        with_votes(ds, read_votes(votes_file(tmp_path, [[1] * 10] * 3)))
    with pytest.raises(DataError, match="has votes for 2 rows, but the faces have row 2"):
        with_votes(ds, read_votes(votes_file(tmp_path, [[1] * 10] * 2)))
    with pytest.raises(ConfigError, match="target must be"):
        with_votes(ds, read_votes(votes_file(tmp_path, [[1] * 10] * 3)), "best")  # type: ignore[arg-type]
    for body, message in (
        (HEAD + "Training,a.png,1,2\n", r"votes.csv:2: the row is 'Training,a.png,1,2'; it must hold ten votes"),
        (HEAD + "Training,a.png,1,2,3,4,5,6,7,8,9,-1\n", r"votes.csv:2"),
        (HEAD + "Training,a.png,1,2,3,4,5,6,7,8,9,nan\n", r"votes.csv:2"),
        ("emotion,pixels\n", "line 1 has no column 'usage'"),
        ("", "the file is empty"),
    ):
        (tmp_path / "votes.csv").write_text(body)
        with pytest.raises(DataError, match=message):
            read_votes(tmp_path / "votes.csv")


def test_votes_join_by_row_number_even_after_a_skipped_row(tmp_path: Path) -> None:
    ds = replace(faces(4, split=False), labels=np.array([6, 3, 0, 4]))
    lines = (
        csv_of(ds, "emotion,pixels")
        .decode()
        .replace("\n", ",Training\n")
        .replace("els,Training", "els,Usage")
        .splitlines()
    )
    lines[2] = "9,1,Training"
    (tmp_path / "a.csv").write_text("\n".join(lines))
    rows = [[0] * i + [10] + [0] * (9 - i) for i in (0, 1, 9, 3)]
    got = read_faces(tmp_path / "a.csv", votes=votes_file(tmp_path, rows), skip_bad=True)
    assert got.not_face.tolist() == [False, True, False]


@pytest.mark.slow
def test_real_votes_give_the_published_numbers(fer2013_path: Path, ferplus_path: Path) -> None:
    ds, votes = read_faces(fer2013_path), read_votes(ferplus_path)
    published = {"majority": (25_060, 3_199), "argmax": (28_389, 3_553)}
    for target, numbers in published.items():
        got = with_votes(ds, votes, target)  # type: ignore[arg-type]
        assert tuple(len(got.part(s)) for s in ("Training", "PublicTest")) == numbers
    marked = with_votes(ds, votes)
    assert [int(marked.part(s).not_face.sum()) for s in ("Training", "PublicTest")] == [150, 10]
    assert ds.part("Training").counts().tolist() == [3995, 436, 4097, 7215, 4830, 3171, 4965]
