"""Memory that large pictures took and that is free again goes back to the system.

glibc keeps freed blocks for each thread's next pictures; after some thousand large ones a server held gigabytes that
nothing used. Leaves out: what onnxruntime keeps itself (``runtime.detector`` asks it not to).
"""

from __future__ import annotations

import ctypes
import sys
import threading
import time

__all__ = ["Trimmer"]


class Trimmer:
    """Calls glibc's ``malloc_trim`` at most once in ``every`` seconds; does nothing on other C libraries.

    May be called from several threads at once.
    """

    def __init__(self, every: float = 1.0) -> None:
        self._every, self._last, self._lock = every, float("-inf"), threading.Lock()
        self._trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform.startswith("linux") else None

    def __call__(self) -> bool:
        """Whether memory was given back now."""
        if self._trim is None or time.monotonic() - self._last < self._every or not self._lock.acquire(blocking=False):
            return False
        try:
            self._trim(0)
            self._last = time.monotonic()
        finally:
            self._lock.release()
        return True
