"""Micro-batching: pictures are searched in a small thread pool, and the faces of all who wait share the network's runs.

There is no waiting for company. The thread that has found faces runs the network at once, for all whose faces lie
there, unless another thread is at it: then that one takes them along next. Alone, a request goes straight through; the
more there are, the larger the batches.
Leaves out: who may wait (``admission``).
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TypeVar

import cv2

from mien.errors import ConfigError, DataError
from mien.faces import Photo
from mien.images import decode, dimensions
from mien.runtime import Found, Predictor
from mien.web.metrics import Metrics
from mien.web.uploads import Upload

__all__ = ["Batcher"]

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class _Ticket:
    """One picture on its way; ``photo`` is cancelled when its client has gone."""

    upload: Upload
    photo: Future[Photo] = field(default_factory=Future)

    def settle(self, photo: Photo) -> None:
        if self.photo.set_running_or_notify_cancel():
            self.photo.set_result(photo)

    def fail(self, error: Exception) -> None:
        if self.photo.set_running_or_notify_cancel():
            self.photo.set_exception(error)


class Batcher:
    """Answers uploads with one predictor, for as many requests at a time as come.

    jobs      threads: pictures that are decoded and searched at a time
    together  pictures whose faces go through the network in one run, at most
    pixels    of one picture, at most
    """

    def __init__(self, predictor: Predictor, metrics: Metrics, *, jobs: int, together: int, pixels: int) -> None:
        if jobs < 1 or together < 1:
            raise ConfigError(f"jobs and together must be 1 or more, got {jobs} and {together}")
        self._predictor, self._metrics, self._together, self._pixels = predictor, metrics, together, pixels
        self._pool = ThreadPoolExecutor(jobs, "mien-web")
        self._waiting: deque[tuple[_Ticket, Found]] = deque()
        self._network = threading.Lock()  # held by the thread that runs it

    async def photos(self, uploads: Sequence[Upload]) -> list[Photo]:
        """One photo for each upload, in order; one that cannot be read has ``error``. Cancel it to give it up."""
        photos = await asyncio.gather(*(self._photo(upload) for upload in uploads))
        for photo in photos:
            self._metrics.photo(photo)
        return list(photos)

    async def in_thread(self, work: Callable[[], T]) -> T:
        """Other work on pictures, in the same small pool."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, work)

    def close(self) -> None:
        """Finish what runs, drop what has not begun."""
        self._pool.shutdown(cancel_futures=True)

    async def _photo(self, upload: Upload) -> Photo:
        ticket = _Ticket(upload)
        self._pool.submit(self._work, ticket)
        return await asyncio.wrap_future(ticket.photo)

    def _work(self, ticket: _Ticket) -> None:
        """A pool thread's part: search the picture, then see to the network."""
        if ticket.photo.cancelled():
            return
        name = ticket.upload.name
        try:
            found = self._find_or_say(ticket.upload.data)
        except Exception as error:
            ticket.fail(error)
            return
        if isinstance(found, str):
            ticket.settle(Photo(name, error=found))
        elif not len(found.detections):
            ticket.settle(Photo(name, (), found.width, found.height))
        else:
            self._waiting.append((ticket, found))
            self._see_to_network()

    def _find_or_say(self, data: bytes) -> Found | str:
        """The faces of a picture, or what is wrong with it."""
        try:
            width, height = dimensions(data)
            if width * height > self._pixels:
                return f"{width} x {height} pixels are over the limit of {self._pixels:,}; make it smaller"
            return self._predictor.find(decode(data, "", colour=True))
        except DataError as error:
            return error.message
        except (cv2.error, MemoryError):  # a shape that OpenCV cannot resize, such as 1 x 40,000,000
            return f"{width} x {height} pixels cannot be searched for faces"

    def _see_to_network(self) -> None:
        """Run it while faces wait, unless another thread does.

        What is appended before this is never forgotten: whoever holds the lock looks again after letting go of it.
        """
        while self._waiting and self._network.acquire(blocking=False):
            try:
                if batch := self._next():
                    self._answer(batch)
            finally:
                self._network.release()

    def _next(self) -> list[tuple[_Ticket, Found]]:
        """The next batch, without those whose client has gone."""
        batch: list[tuple[_Ticket, Found]] = []
        while self._waiting and len(batch) < self._together:
            ticket, found = self._waiting.popleft()
            if not ticket.photo.cancelled():
                batch.append((ticket, found))
        return batch

    def _answer(self, batch: Sequence[tuple[_Ticket, Found]]) -> None:
        try:
            answers = self._predictor.classify([found for _, found in batch])
        except Exception as error:
            if len(batch) == 1:
                batch[0][0].fail(error)
                return
            for one in batch:  # one picture must not spoil the answers of the others
                self._answer([one])
            return
        self._metrics.batch(len(batch))
        for (ticket, found), faces in zip(batch, answers, strict=True):
            ticket.settle(Photo(ticket.upload.name, faces, found.width, found.height))
