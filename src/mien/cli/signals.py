"""SIGTERM, which a shutdown, a container and a scheduler send, stops a command as Ctrl-C does; its exit code is 143.

Leaves out: what is kept of the work, which each command says where it is stopped.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import typer

__all__ = ["term_stops"]

_STOPPED, _TERMINATED = 130, 143


@contextmanager
def term_stops() -> Iterator[None]:
    """While it lasts SIGTERM raises KeyboardInterrupt in this process, once; an exit code of 130 is then 143."""
    if threading.current_thread() is not threading.main_thread():  # only there can signals be taken
        yield
        return
    own, came = os.getpid(), list[int]()

    def stop(number: int, frame: Any) -> None:
        if os.getpid() != own:  # a forked child, which is ended by its parent
            os._exit(_TERMINATED)
        came.append(number)
        signal.signal(number, signal.SIG_DFL)  # whatever swallows the first one, the second ends it
        raise KeyboardInterrupt

    usual = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    except SystemExit as end:
        if came and end.code == _STOPPED:
            sys.exit(_TERMINATED)
        raise
    except Exception:
        if not came:
            raise
        typer.echo("stopped", err=True)  # what a library made of it, whose import was cut off
        sys.exit(_TERMINATED)
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL if usual is None else usual)  # None: one that is not Python's
