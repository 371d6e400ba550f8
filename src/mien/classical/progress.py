"""Work on many faces, in blocks and in parallel, and say how far it is.

``in_blocks`` runs one function over blocks of faces, here or in joblib's processes, and gives the parts in the order of
the faces: the result doesn't depend on ``n_jobs``. ``report_progress`` hands each step to a callback; without it
nothing is said. Leaves out: what is done with the faces, and drawing a bar (the caller does).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar

import joblib

__all__ = ["BLOCK", "Report", "in_blocks", "report_progress", "tell"]

#: Faces in a block: bounds what one process holds (34 MB of SIFT descriptors at 1,024 a face).
BLOCK = 256

#: Called with the name of a step, how much of it is done, and how much there is.
Report = Callable[[str, int, int], None]

_report: ContextVar[Report | None] = ContextVar("mien_classical_progress", default=None)

Part = TypeVar("Part")


@contextmanager
def report_progress(callback: Report) -> Iterator[None]:
    """Within this block, ``callback(step, done, total)`` hears of each step: ``done`` is 0 first and ``total`` last.

    Steps are "hog", "lbp", "haar", "sample", "vocabulary" and "words" for features, "svm", "local svm" and "mlp" for
    classifiers; a forest says nothing. Holds for the calling thread: a parallel grid search isn't heard.
    """
    token = _report.set(callback)
    try:
        yield
    finally:
        _report.reset(token)


def tell(step: str, done: int, total: int) -> None:
    """Say to whoever listens that ``done`` of ``total`` is done in ``step``."""
    report = _report.get()
    if report is not None:
        report(step, done, total)


def in_blocks(
    work: Callable[..., Part], faces: Any, *more: Any, step: str, n_jobs: int | None = 1, block: int | None = None
) -> list[Part]:
    """``work`` on each block of ``faces``, in ``n_jobs`` processes (as joblib counts them).

    ``block`` is the number of rows in one, :data:`BLOCK` where it isn't given.
    ``more`` are arrays of as many rows, of which ``work`` gets the same block. ``work`` must be a function of a module,
    or a ``partial`` of one, so that another process can find it.
    """
    total = int(faces.shape[0])
    step_size = block or BLOCK
    slices = [slice(i, min(i + step_size, total)) for i in range(0, total, step_size)]
    tell(step, 0, total)
    tasks = (joblib.delayed(work)(faces[s], *(m[s] for m in more)) for s in slices)
    parts: list[Part] = []
    for where, part in zip(slices, joblib.Parallel(n_jobs=n_jobs, return_as="generator")(tasks), strict=True):
        parts.append(part)
        tell(step, where.stop, total)
    return parts
