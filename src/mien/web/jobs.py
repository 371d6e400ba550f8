"""One long piece of work at a time, in a thread of its own, with how far it is; asked for by a page again and again.

Leaves out: what is done.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from mien.errors import MienError
from mien.web.problems import Refusal

__all__ = ["Jobs"]

_LOG = logging.getLogger("mien.web")


@dataclass
class _Job:
    """What is told of a job: its name, 0..1, whether it has ended, what came of it, and what went wrong."""

    name: str
    share: float = 0.0
    done: bool = False
    result: Any = None
    error: str = ""


class Jobs:
    """Runs what it is given; the last job's outcome stays until the next begins."""

    def __init__(self) -> None:
        self._job: _Job | None = None
        self._lock = threading.Lock()

    def start(self, name: str, work: Callable[[Callable[[float], None]], Any]) -> None:
        """Begin ``work``, which gets a function for the share that is done; 409 while another one runs."""
        with self._lock:
            if self._job is not None and not self._job.done:
                raise Refusal(409, f"{self._job.name} is still at work: wait until it has ended")
            self._job = job = _Job(name)
        threading.Thread(target=self._run, args=(job, work), daemon=True).start()

    def told(self) -> dict[str, Any] | None:
        """The present job, or the last one, ready for JSON."""
        return None if self._job is None else asdict(self._job)

    def _run(self, job: _Job, work: Callable[[Callable[[float], None]], Any]) -> None:
        def progress(share: float) -> None:
            job.share = round(share, 3)

        try:
            job.result = work(progress)
        except MienError as error:
            job.error = str(error)
        except Exception:
            _LOG.exception("%s failed", job.name)
            job.error = "something failed that should not; the server's log says what"
        job.done = True
