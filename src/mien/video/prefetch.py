"""Work ahead of whoever asks: the items of an iterator come from a thread of their own, through a short queue.

NumPy, OpenCV, onnxruntime and FFmpeg let other threads run while they compute, so that stages chained in this way use
several cores, in memory that does not grow.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from queue import Empty, Full, Queue
from typing import Any, Generic, TypeVar

__all__ = ["Prefetch", "blocks"]

T = TypeVar("T")


def blocks(items: Iterator[T], together: int) -> Iterator[list[T]]:
    """Lists of so many items; the last is shorter, also where an error follows it."""
    block: list[T] = []
    try:
        for item in items:
            block.append(item)
            if len(block) == together:
                yield block
                block = []
    except Exception:
        if block:
            yield block
        raise
    if block:
        yield block


class Prefetch(Generic[T]):
    """An iterator whose items another thread makes ahead of time, at most ``depth``; errors come through in their turn.

    newest  where nobody asks, let the oldest item go, as a live camera needs it, instead of waiting
    """

    def __init__(self, items: Iterator[T], depth: int, *, newest: bool = False) -> None:
        self._items, self._newest = items, newest
        self._queue: Queue[tuple[str, Any]] = Queue(depth)
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def __iter__(self) -> Iterator[T]:
        return self

    def __next__(self) -> T:
        if self._stop.is_set():
            raise StopIteration
        if self._thread is None:
            self._thread = threading.Thread(target=self._fill, daemon=True)
            self._thread.start()
        kind, item = self._get()
        if kind == "item":
            return item  # type: ignore[no-any-return]
        self._stop.set()
        if kind == "error":
            raise item
        raise StopIteration

    def close(self) -> None:
        """Stop the thread; what is in the queue is dropped."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(timeout=5)  # one that hangs in a camera ends with the program

    def _get(self) -> tuple[str, Any]:
        while True:
            try:
                return self._queue.get(timeout=0.5)
            except Empty:
                if self._stop.is_set():
                    return "end", None

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
        hurry = self._newest and entry[0] == "item"
        while not self._stop.is_set():
            try:
                self._queue.put(entry, block=not hurry, timeout=0.1)
                return True
            except Full:
                if hurry:
                    self._drop_oldest()
        return False

    def _drop_oldest(self) -> None:
        try:
            self._queue.get_nowait()
        except Empty:
            return
