"""Work ahead of whoever asks: the items of an iterator come from a thread of their own, through a short queue.

NumPy, OpenCV, onnxruntime and FFmpeg let other threads run while they compute, so that stages chained in this way use
several cores, in memory that does not grow.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, Generic, TypeVar

__all__ = ["Prefetch", "blocks"]

T = TypeVar("T")

_TURN = 0.5  # seconds between looks around while waiting, so that Ctrl-C comes through on every system
_LEAVE = 1.0  # seconds that a thread has to end; one that hangs in a camera lets it go when that answers


def blocks(items: Iterator[T], together: Callable[[], int]) -> Iterator[list[T]]:
    """Lists of so many items, asked after each; the last is shorter, also where an error follows it."""
    block: list[T] = []
    try:
        for item in items:
            block.append(item)
            if len(block) >= together():
                yield block
                block = []
    except Exception:
        if block:
            yield block
        raise
    if block:
        yield block


class Prefetch(Generic[T]):
    """An iterator whose items another thread makes ahead of time; errors come through in their turn.

    depth  how many wait for whoever asks, asked for each
    spare  items that may be passed over when they are too many, the oldest first, as a live camera needs it
    """

    def __init__(
        self, items: Iterator[T], depth: Callable[[], int], *, spare: Callable[[T], bool] = lambda item: False
    ) -> None:
        self._items, self._depth, self._spare = items, depth, spare
        self._queue: deque[tuple[str, Any]] = deque()
        self._changed = threading.Condition()
        self._stopped = False
        self._thread: threading.Thread | None = None

    def __iter__(self) -> Iterator[T]:
        return self

    def __next__(self) -> T:
        if self._stopped:
            raise StopIteration
        if self._thread is None:
            self._thread = threading.Thread(target=self._fill, daemon=True)
            self._thread.start()
        kind, item = self._get()
        if kind == "item":
            return item  # type: ignore[no-any-return]
        self.stop()
        if kind == "error":
            raise item
        raise StopIteration

    def stop(self) -> None:
        """Let the thread end, and whoever waits for an item; what is in the queue is dropped."""
        with self._changed:
            self._stopped = True
            self._queue.clear()
            self._changed.notify_all()

    def join(self, deadline: float) -> None:
        """Wait for the thread, until the monotonic clock shows ``deadline`` at the latest."""
        if self._thread is not None:
            self._thread.join(max(0.0, deadline - time.monotonic()))

    def close(self, *before: Prefetch[Any]) -> None:
        """Stop this thread and those that it lives on, and wait for them, but not long."""
        stages, deadline = (*before, self), time.monotonic() + _LEAVE
        for stage in stages:
            stage.stop()
        for stage in stages:
            stage.join(deadline)

    def _get(self) -> tuple[str, Any]:
        with self._changed:
            while not self._queue:
                if self._stopped:
                    return "end", None
                self._changed.wait(_TURN)
            entry = self._queue.popleft()
            self._changed.notify_all()
            return entry

    def _fill(self) -> None:
        try:
            for item in self._items:
                if not self._put(("item", item)):
                    break
            else:
                self._put(("end", None))
        except BaseException as error:  # it belongs to whoever asks next
            self._put(("error", error))
        finally:
            close = getattr(self._items, "close", None)
            if close is not None:
                close()

    def _put(self, entry: tuple[str, Any]) -> bool:
        with self._changed:
            while not self._stopped and entry[0] == "item" and len(self._queue) >= self._depth():
                old = next((e for e in self._queue if self._spare(e[1])), None)
                if old is not None:
                    self._queue.remove(old)
                else:
                    self._changed.wait(_TURN)
            if not self._stopped:
                self._queue.append(entry)
                self._changed.notify_all()
            return not self._stopped
