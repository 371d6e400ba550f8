"""Partitions on the processes of this machine, each with a predictor of its own, and what follows where one is killed.

Every worker is a pool of one process, so that it is known whose partition a death has cost: it is done again. One that
has cost two workers is done picture by picture, and a picture that kills its process twice is a row with that error.
Leaves out: what is done (``partition``).
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from mien.batch.answers import rows_of
from mien.batch.partition import Done, Job, alone, do_partition, partition_rows, write_partition
from mien.batch.plan import Partition
from mien.errors import MienError
from mien.faces import Photo

__all__ = ["run"]

_DEATHS = 2  # of workers by one partition, after which it is done picture by picture
_IN_A_ROW = 3  # pictures in a row that kill their process: then it is no picture's fault
_POLL = 0.5  # seconds between looks at how far the workers are

_job: Job
_ticks: Any
_slot: int


def run(
    job: Job, partitions: Sequence[Partition], workers: int, progress: Callable[[int], object] = lambda n: None
) -> Iterator[Done]:
    """Do all of them, each once, and say of each when its file is there.

    workers   processes; one more is started for each that dies
    progress  is told now and then how many pictures have been done in partitions that are not written yet

    MienError where workers die whatever they are given. Ending the iteration early kills them.
    """
    crew = _Crew(job, min(workers, len(partitions)))
    try:
        yield from crew.through(partitions, progress)
    finally:
        crew.kill()


class _Crew:
    """Pools of one process each. ``busy`` has what each is at, ``deaths`` how many a partition has cost."""

    def __init__(self, job: Job, workers: int) -> None:
        self.job = job
        self.context = multiprocessing.get_context("spawn")  # onnxruntime's threads do not survive a fork
        self.ticks = self.context.RawArray("q", workers)  # one number a worker, so that a lock dies with nobody
        self.pools = [self._pool(i) for i in range(workers)]
        self.busy: dict[Future[Done], tuple[int, Partition]] = {}
        self.deaths: dict[int, int] = {}

    def _pool(self, slot: int) -> ProcessPoolExecutor:
        return ProcessPoolExecutor(1, self.context, _start, (self.job, self.ticks, slot))

    def through(self, partitions: Sequence[Partition], progress: Callable[[int], object]) -> Iterator[Done]:
        waiting, free = list(reversed(partitions)), list(range(len(self.pools)))
        while waiting or self.busy:
            while waiting and free:
                slot, partition = free.pop(), waiting.pop()
                self.busy[self._submit(slot, partition)] = slot, partition
            ended, _ = wait(self.busy, timeout=_POLL, return_when=FIRST_COMPLETED)
            for future in ended:
                slot, partition = self.busy.pop(future)
                self.ticks[slot] = 0
                free.append(slot)
                if (done := self._result(future, slot, partition)) is None:
                    waiting.append(partition)
                else:
                    yield done
            progress(sum(self.ticks))

    def _submit(self, slot: int, partition: Partition) -> Future[Done]:
        try:
            return self.pools[slot].submit(_do, partition)
        except BrokenProcessPool:  # killed while it had nothing to do
            self._replace(slot)
            return self.pools[slot].submit(_do, partition)

    def _result(self, future: Future[Done], slot: int, partition: Partition) -> Done | None:
        """What came of a partition; None where its worker died and it is to be done again."""
        try:
            return future.result()
        except BrokenProcessPool:
            self._replace(slot)
        self.deaths[partition.number] = self.deaths.get(partition.number, 0) + 1
        return self._one_by_one(slot, partition) if self.deaths[partition.number] >= _DEATHS else None

    def _one_by_one(self, slot: int, partition: Partition) -> Done:
        rows, dead = list[Mapping[str, Any]](), 0
        for i in range(len(partition)):
            found = self._alone(slot, alone(partition, i)) or self._alone(slot, alone(partition, i))
            dead = 0 if found else dead + 1
            if dead == _IN_A_ROW:
                raise MienError(
                    f"workers die at whatever picture they are given, last at {_name(partition, i)}: most often for "
                    "want of memory; use fewer --workers, then --resume goes on"
                )
            photo = Photo(_name(partition, i), error="each process that looked at it died")
            rows += found or rows_of(iter([(photo, None)]), self.job.provenance)
        return write_partition(self.job, partition, rows)

    def _alone(self, slot: int, one: Partition) -> list[Mapping[str, Any]]:
        """The rows of one picture, none where it cost the worker."""
        try:
            return self.pools[slot].submit(_rows, one).result()
        except BrokenProcessPool:
            self._replace(slot)
            return []

    def _replace(self, slot: int) -> None:
        self.pools[slot].shutdown(wait=False)
        self.pools[slot] = self._pool(slot)

    def kill(self) -> None:
        """End them now: what was half done appears nowhere."""
        for pool in self.pools:
            for process in list((pool._processes or {}).values()):
                process.kill()
            pool.shutdown(wait=True, cancel_futures=True)


def _name(partition: Partition, i: int) -> str:
    return f"row {partition.first + i} of {partition.table}" if partition.table else partition.pictures[i]


def _start(job: Job, ticks: Any, slot: int) -> None:
    """A worker's beginning. Ctrl-C is for the parent; a worker whose parent has been killed ends too."""
    global _job, _ticks, _slot
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _job, _ticks, _slot = job, ticks, slot
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _do(partition: Partition) -> Done:
    def tick(n: int) -> None:
        _ticks[_slot] += n

    return do_partition(_job, partition, tick)


def _rows(partition: Partition) -> list[Mapping[str, Any]]:
    return partition_rows(_job, partition)
