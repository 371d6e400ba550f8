"""A small pool of threads that does work by turns: predictions before explanations, so many pixels at a time.

One piece of work is one picture or one face's explanation, so nobody waits for another's whole request. What nobody
waits for any more is not begun.
Leaves out: whose turn it is (``turns``), what the work is (``batching``), how many requests may wait (``concurrency``).
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, TypeVar

from mien.errors import ConfigError
from mien.web.memory import Trimmer
from mien.web.turns import Owner, Rotation

__all__ = ["Scheduler"]

T = TypeVar("T")

_LARGE = 4  # parts of all pixels under way, of which a large picture has more than one
_PATIENCE = 32  # times that work too large for what is free is passed over before all others wait for it
_EXPLAINS = 8  # while predictions wait, one piece of work in so many is an explanation, so that these end too


@dataclass(eq=False)
class _Work:
    """One piece of work; its future is cancelled when nobody waits for it. ``pixels`` is None until it is measured."""

    owner: Owner
    run: Callable[[], Any]
    measure: Callable[[], int] | None
    explains: bool
    pixels: int | None = None
    passed: int = 0
    done: Future[Any] = field(default_factory=Future)


class Scheduler:
    """A small pool of threads that takes work by turns.

    jobs    threads
    pixels  of all work under way; a larger piece is done alone
    """

    def __init__(self, jobs: int, pixels: int) -> None:
        if jobs < 1:
            raise ConfigError(f"jobs must be 1 or more, got {jobs}")
        self._pool = ThreadPoolExecutor(jobs, "mien-web")
        self._jobs, self._pixels = jobs, pixels
        self._lock = threading.Lock()  # of all that follows
        self._predicting: Rotation[_Work] = Rotation()
        self._explaining: Rotation[_Work] = Rotation()
        self._under_way: set[_Work] = set()
        self._owed: _Work | None = None  # what was passed over too often: until it fits, no other work begins
        self._since_explained = 0
        self._closed = False
        self._trim = Trimmer()

    async def do(
        self, owner: Owner, run: Callable[[], T], *, measure: Callable[[], int] | None = None, explains: bool = False
    ) -> T:
        """What ``run`` returns, in a thread, when its turn has come; cancel it to give it up.

        measure   its pixels, asked in a thread, too; what it raises is raised here. None: none worth counting
        explains  behind what does not
        """
        work = _Work(owner, run, measure, explains, pixels=None if measure else 0)
        with self._lock:
            if self._closed:
                raise RuntimeError("the server is ending")
            self._line(work).put(owner, work)
            self._pool.submit(self._serve)
        try:
            result: T = await asyncio.wrap_future(work.done)
        finally:
            del (
                work
            )  # an error's traceback holds this frame: no circle with its pictures, which waits for the collector
        return result

    def drop(self, owner: Owner) -> None:
        """Forget a request's work that has not begun."""
        with self._lock:
            dropped = self._predicting.drop(owner) + self._explaining.drop(owner)
            if self._owed in dropped:
                self._owed = None
                self._call()
        for work in dropped:
            work.done.cancel()

    def close(self) -> None:
        """Finish what runs, drop what has not begun."""
        with self._lock:
            self._closed = True
        self._pool.shutdown(cancel_futures=True)

    def _line(self, work: _Work) -> Rotation[_Work]:
        return self._explaining if work.explains else self._predicting

    def _serve(self) -> None:
        """A thread's part: work until nothing is left that may begin now. Whoever ends a piece looks for the next."""
        while (work := self._next()) is not None:
            if work.pixels is not None or self._measured(work):
                _run(work)
            with self._lock:
                self._under_way.discard(work)
                self._call()
            self._trim()

    def _next(self) -> _Work | None:
        with self._lock:
            if self._closed:
                return None
            lines = [self._predicting, self._explaining]
            if self._since_explained >= _EXPLAINS - 1:
                lines.reverse()
            for line in lines:
                if (work := line.take(self._fits)) is not None:
                    self._under_way.add(work)
                    self._owed = None if self._owed is work else self._owed
                    self._since_explained = 0 if work.explains else self._since_explained + bool(self._explaining)
                    return work
            return None

    def _measured(self, work: _Work) -> bool:
        """Measure it; False where that fails or where it is too large now, so that its turn comes again."""
        assert work.measure is not None
        try:
            pixels = work.measure()
        except Exception as error:
            _run(work, error)
            return False
        with self._lock:
            self._under_way.discard(work)
            work.pixels = pixels
            if self._fits(work):
                self._under_way.add(work)
                return True
            self._line(work).put(work.owner, work, again=True)
            return False

    def _fits(self, work: _Work) -> bool:
        """Whether it may begin beside what is under way; half of the threads, but one at least, may do what is long."""
        long = sum(self._is_long(other) for other in self._under_way)
        if self._is_long(work) and 2 * long >= max(self._jobs - 1, 1):
            return False
        if self._owed not in (None, work):
            return False
        used = sum(other.pixels or 0 for other in self._under_way)
        if not used or used + (work.pixels or 0) <= self._pixels:
            return True
        work.passed += not long  # what is long ends some time, and others need not wait for that
        if work.passed >= _PATIENCE:
            self._owed = work
        return False

    def _is_long(self, work: _Work) -> bool:
        """An explanation, or a large picture, which is searched at many places."""
        return work.explains or (work.pixels or 0) * _LARGE > self._pixels

    def _call(self) -> None:
        """Let other threads look, too, for what may begin since something has ended."""
        left = min(len(self._predicting) + len(self._explaining), self._jobs - 1)
        for _ in range(0 if self._closed else left):
            self._pool.submit(self._serve)


def _run(work: _Work, error: Exception | None = None) -> None:
    """Settle the work's future: by doing it, or with an error that has come up already."""
    if not work.done.set_running_or_notify_cancel():
        return
    try:
        if error is not None:
            raise error
        work.done.set_result(work.run())
    except BaseException as failure:
        work.done.set_exception(failure)
    finally:
        del work  # no circle of error, traceback, this frame and the work, which would keep pictures
