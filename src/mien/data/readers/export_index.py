"""The index of ``mien data images``: what lies where in an export, so that it reads back to the same data set.

Leaves out: writing it (``save_images``) and decoding the pictures (``pictures``).
"""

from __future__ import annotations

import csv
import io
import json
from pathlib import PurePosixPath

from mien.data.readers.pictures import Plan
from mien.errors import DataError

__all__ = ["INDEX", "plan_index"]

INDEX = "index"  # index.csv and index.json


def plan_index(table: bytes, record: bytes, folder: str, where: str) -> tuple[Plan, str, bool]:
    """The plan of ``index.csv`` and ``index.json``, the fingerprint of the data set that they were written from, and
    whether that was in colour.
    """
    try:
        head = json.loads(record)
        names, labelled = tuple(str(n) for n in head["names"]), bool(head["labelled"])
        rows = list(csv.DictReader(io.StringIO(table.decode("utf-8"), newline=""), strict=True))
        labels = tuple(int(r["label"]) for r in rows)
        subject = tuple(r["subject"] for r in rows) if head["subjects"] else None
        votes = tuple(tuple(float(v) for v in r["votes"].split()) for r in rows) if head["votes"] else None
        files = tuple(str(PurePosixPath(folder) / r["path"]) for r in rows)
        split = tuple(r["split"] for r in rows)
        plan = Plan(
            files, names, labels if labelled else None, split, tuple(int(r["row"]) for r in rows), subject, votes
        )
        return plan, str(head["fingerprint"]), bool(head.get("colour"))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, csv.Error) as error:
        raise DataError(
            f"index.csv or index.json is damaged ({type(error).__name__}: {error}); delete both to read the folders by "
            "their names, or write them again with mien data images",
            where,
        ) from error
