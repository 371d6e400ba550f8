"""What a reading gives: faces, and what could not be read or was passed over, counted and named.

A bad row or picture is an error, or, on request, skipped. Leaves out: how to find problems. Every reader of this
package reports them here, so none is lost silently.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from mien.data.dataset import FaceDataset
from mien.errors import DataError
from mien.picture_files import PassedOver

__all__ = ["Problem", "Problems", "Reading"]


@dataclass(frozen=True)
class Problem:
    """One row, picture or end of a file that could not be read.

    ``where`` is ``file``, ``file:line``, or ``file:row N`` for a Parquet file, counted from 0.
    """

    where: str
    message: str

    def __str__(self) -> str:
        return f"{self.where}: {self.message}"


@dataclass
class Problems:
    """Collects problems where ``skip`` is true; raises the first as :class:`DataError` where it is not."""

    skip: bool = False
    found: list[Problem] = field(default_factory=list)

    def report(self, message: str, where: str) -> None:
        """Note one problem, or raise it."""
        if not self.skip:
            raise DataError(message, where)
        self.found.append(Problem(where, message))

    def nothing_left(self, where: str) -> DataError:
        """The error for a source of which no row could be read."""
        if not self.found:
            return DataError("holds no faces: there are no rows", where)
        return DataError(f"no row could be read, {len(self.found):,} skipped; the first: {self.found[0]}", where)


@dataclass(frozen=True)
class Reading:
    """A data set, and what a user should know of how it was read.

    skipped  rows and pictures that could not be read
    notes    what the reader chose, took for something or left out, as sentences
    passed   files and links of a folder or archive that are no faces, by kind
    """

    dataset: FaceDataset
    skipped: tuple[Problem, ...] = ()
    notes: tuple[str, ...] = ()
    passed: PassedOver = field(default_factory=PassedOver)
