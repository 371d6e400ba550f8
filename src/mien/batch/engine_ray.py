"""Partitions as tasks on ray: on this machine, or on the cluster to which ``RAY_ADDRESS`` leads.

ray gives the partition of a worker that died to another. Leaves out: what is done (``partition``).
"""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import Any

from mien.batch.partition import Done, Job, do_partition
from mien.batch.plan import Partition
from mien.errors import MienError, need

__all__ = ["run"]

_AGAIN = 3  # times that ray does the partition of a worker that died


def run(
    job: Job, partitions: Sequence[Partition], workers: int, progress: Callable[[int], object] = lambda n: None
) -> Iterator[Done]:
    """As ``engine_local.run``; a partition that kills four workers ends the run."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is told to anybody, unless the user says so
    ray = need("ray", "ray")
    started = not ray.is_initialized()
    if started:
        cores = None if os.environ.get("RAY_ADDRESS") else workers
        try:
            ray.init(num_cpus=cores, include_dashboard=False, log_to_driver=False, logging_level="error")
        except Exception as error:  # what keeps ray from starting comes as a plain one
            raise MienError(f"ray cannot start: {error}") from error
    try:
        task = ray.remote(max_retries=_AGAIN, num_cpus=1)(_do)
        shared = ray.put(pickle.dumps(job))
        waiting, running = list(reversed(partitions)), list[Any]()
        while waiting or running:
            while waiting and len(running) < 2 * workers:  # one more each than they are at
                running.append(task.remote(shared, waiting.pop()))
            ended, running = ray.wait(running, num_returns=1)
            yield from ray.get(ended)
    except ray.exceptions.RayTaskError as error:
        raise MienError(f"ray: a partition failed: {error.cause}; --resume goes on") from error
    except ray.exceptions.RayError as error:
        raise MienError(f"ray ended: {error}; what is written is kept, and --resume goes on") from error
    finally:
        if started:
            ray.shutdown()


def _do(job: bytes, partition: Partition) -> Done:
    return do_partition(_opened(job), partition)


@lru_cache(maxsize=1)
def _opened(job: bytes) -> Job:
    """A worker's job, whose models are opened once and not for each partition."""
    opened: Job = pickle.loads(job)
    return opened
