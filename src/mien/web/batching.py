"""From uploads to photos: each picture is searched when its turn comes, and faces that wait share the network's runs.

There is no waiting for company: one thread runs the network for all whose faces lie there, at once. Alone, a request
goes straight through; the more there are, the larger the batches.
Leaves out: whose turn it is (``turns``), who may wait (``concurrency``).
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

import cv2

from mien.errors import ConfigError, DataError
from mien.faces import Face, Photo
from mien.images import decode, dimensions
from mien.runtime import Found, Predictor
from mien.web.limits import Limits
from mien.web.metrics import Metrics
from mien.web.scheduling import Scheduler
from mien.web.turns import Owner, Rotation
from mien.web.uploads import Upload

__all__ = ["Batcher"]

T = TypeVar("T")

_LOG = logging.getLogger("mien.web")
_FACES = 32  # in one run of the network, unless one picture has more: bounds how long others wait for it


@dataclass(frozen=True, eq=False)
class _Waiting:
    """One picture's faces before the network; ``faces`` is cancelled when its client has gone."""

    found: Found
    faces: Future[tuple[Face, ...]] = field(default_factory=Future)


class Batcher:
    """Answers uploads with one predictor, for as many requests at a time as come.

    jobs      threads: pictures that are decoded and searched at a time
    together  pictures whose faces go through the network in one run, at most
    """

    def __init__(self, predictor: Predictor, metrics: Metrics, limits: Limits, *, jobs: int, together: int) -> None:
        if jobs < 1 or together < 1:
            raise ConfigError(f"jobs and together must be 1 or more, got {jobs} and {together}")
        self._predictor, self._metrics, self._limits, self._together = predictor, metrics, limits, together
        self._scheduler = Scheduler(jobs, limits.work_pixels)
        self._network = ThreadPoolExecutor(1, "mien-web-network")
        self._lock = threading.Lock()
        self._waiting: Rotation[_Waiting] = Rotation()

    async def photos(self, owner: Owner, uploads: Sequence[Upload]) -> list[Photo]:
        """One photo for each upload, in order; one that cannot be read has ``error``. Cancel it to give it up.

        A failure of ours is one picture's ``error`` too, unless it is that of all: then it is raised.
        """
        found = await asyncio.gather(*(self._photo(owner, upload) for upload in uploads), return_exceptions=True)
        failures = [result for result in found if isinstance(result, BaseException)]
        if len(failures) == len(found):
            raise failures[0]
        photos = [
            _failed(upload, result) if isinstance(result, BaseException) else result
            for upload, result in zip(uploads, found, strict=True)
        ]
        for photo in photos:
            self._metrics.photo(photo)
        return photos

    async def in_thread(self, owner: Owner, work: Callable[[], T], *, explains: bool = False) -> T:
        """Other work on pictures, when its turn comes; see :meth:`Scheduler.do`."""
        return await self._scheduler.do(owner, work, explains=explains)

    def drop(self, owner: Owner) -> None:
        """Forget what a request still waits for: it has ended, or its client has gone."""
        self._scheduler.drop(owner)
        with self._lock:
            dropped = self._waiting.drop(owner)
        for waiting in dropped:
            waiting.faces.cancel()

    def close(self) -> None:
        """Finish what runs, drop what has not begun."""
        self._scheduler.close()
        self._network.shutdown(cancel_futures=True)

    async def _photo(self, owner: Owner, upload: Upload) -> Photo:
        try:
            found = await self._scheduler.do(
                owner, partial(self._find, upload.data), measure=partial(self._measure, upload.data)
            )
        except DataError as error:
            return Photo(upload.name, error=error.message)
        faces = await self._answered(owner, found) if len(found.detections) else ()
        return Photo(upload.name, faces, found.width, found.height)

    async def _answered(self, owner: Owner, found: Found) -> tuple[Face, ...]:
        waiting = _Waiting(found)
        with self._lock:
            self._waiting.put(owner, waiting)
        self._network.submit(self._run_network)
        return await asyncio.wrap_future(waiting.faces)

    def _measure(self, data: bytes) -> int:
        width, height = dimensions(data)
        if width * height > self._limits.pixels:
            raise DataError(f"{width} x {height} pixels are over the limit of {self._limits.pixels:,}; make it smaller")
        return width * height

    def _find(self, data: bytes) -> Found:
        try:
            return self._predictor.find(decode(data, "", colour=True, max_pixels=self._limits.pixels))
        except (cv2.error, MemoryError) as error:  # a shape that OpenCV cannot resize, such as 1 x 100,000
            raise DataError("a picture of this shape cannot be searched for faces") from error

    def _run_network(self) -> None:
        """The network thread's part, once for each picture that was appended; most find their picture answered."""
        with self._lock:
            batch = self._next_batch()
        batch = [waiting for waiting in batch if waiting.faces.set_running_or_notify_cancel()]
        if batch:
            self._answer(batch)

    def _next_batch(self) -> list[_Waiting]:
        batch: list[_Waiting] = []
        faces = 0
        while len(batch) < self._together:
            room = _FACES - faces
            waiting = self._waiting.take(lambda w: not batch or len(w.found.detections) <= room)  # noqa: B023
            if waiting is None:
                break
            batch.append(waiting)
            faces += len(waiting.found.detections)
        return batch

    def _answer(self, batch: Sequence[_Waiting]) -> None:
        try:
            answers = self._predictor.classify([waiting.found for waiting in batch])
        except Exception as error:
            if len(batch) == 1:
                batch[0].faces.set_exception(error)
                return
            for one in batch:  # one picture must not spoil the answers of the others
                self._answer([one])
            return
        self._metrics.batch(len(batch))
        for waiting, faces in zip(batch, answers, strict=True):
            waiting.faces.set_result(faces)


def _failed(upload: Upload, error: BaseException) -> Photo:
    """The entry of a picture that a bug of ours spoilt, beside others that were answered."""
    _LOG.error("mien failed on one picture of a request", exc_info=error)
    return Photo(upload.name, error="mien failed on this picture; the server's own log says where")
