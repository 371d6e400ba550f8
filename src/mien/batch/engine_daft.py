"""Partitions on daft: on this machine, or on the cluster of the runner that is set (``DAFT_RUNNER=ray``).

daft maps a column of partitions over processes that keep their predictor. Leaves out: what is done (``partition``).
"""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from mien.batch.partition import Done, Job, do_partition
from mien.batch.plan import Partition
from mien.errors import MienError, need

__all__ = ["run"]


def run(
    job: Job, partitions: Sequence[Partition], workers: int, progress: Callable[[int], object] = lambda n: None
) -> Iterator[Done]:
    """As ``engine_local.run``; a worker that dies ends the run, after which --resume goes on."""
    os.environ.setdefault("DAFT_ANALYTICS_ENABLED", "0")  # nothing is told to anybody, unless the user says so
    daft = need("daft", "daft")

    @daft.cls(max_concurrency=workers, use_process=True)
    class Worker:
        def __init__(self, job: Job) -> None:
            self.job = job

        @daft.method.batch(return_dtype=daft.DataType.binary(), batch_size=1)  # type: ignore[untyped-decorator]
        def do(self, column: Any) -> list[bytes]:
            return [pickle.dumps(do_partition(self.job, pickle.loads(partition))) for partition in column]

    # bytes, since daft imports whatever else is installed (torch, pandas) before it looks at Python's objects
    plan = daft.from_pydict({"partition": [pickle.dumps(partition) for partition in partitions]})
    answers = plan.select(Worker(job).do(daft.col("partition")).alias("done"))
    try:
        for row in answers.iter_rows():
            yield pickle.loads(row["done"])
    except MienError:
        raise
    except Exception as error:  # daft's errors are of many kinds, also of what a worker raised
        raise MienError(f"daft ended: {error}; what is written is kept, and --resume goes on") from error
