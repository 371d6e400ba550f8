"""A real server on a free loopback port, a predictor that can be held up, and a plain client, for the tests."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from email.message import Message
from typing import Any

import cv2
import numpy as np

from mien.faces import Face
from mien.runtime import Found, Predictor
from mien.web import Limits, create_app, listen
from mien.web.serving import server
from mien.web.sockets import hosts_for


class Held(Predictor):
    """A predictor whose network waits while ``gate`` is closed, and that notes how many pictures came together."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.gate = threading.Event()
        self.gate.set()
        self.entered = threading.Semaphore(0)
        self.batches: list[int] = []
        self.found = 0

    def find(self, *args: Any, **kwargs: Any) -> Found:
        found = super().find(*args, **kwargs)
        self.found += 1
        return found

    def classify(self, found: Sequence[Found]) -> list[tuple[Face, ...]]:
        self.entered.release()
        assert self.gate.wait(20)
        self.batches.append(len(found))
        return super().classify(found)


@dataclass
class Answer:
    status: int
    headers: Message
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def eventually(now: Callable[[], Any], value: Any, name: str = "it") -> None:
    """Wait until ``now()`` is ``value``; fail after ten seconds. A server counts and logs after it has answered."""
    end = time.monotonic() + 10
    while (found := now()) != value:
        assert time.monotonic() < end, f"{name} is {found}, not {value}"
        time.sleep(0.01)


@dataclass
class Site:
    """One running server."""

    host: str
    port: int
    predictor: Predictor
    uvicorn: Any
    thread: threading.Thread = field(repr=False, default=None)  # type: ignore[assignment]

    def connection(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(self.host, self.port, timeout=20)

    def ask(self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None, **kw: Any) -> Answer:
        with contextlib.closing(self.connection()) as c:
            c.request(method, path, body, headers or {}, **kw)
            r = c.getresponse()
            return Answer(r.status, r.headers, r.read())

    def predict(self, *files: tuple[str, bytes], query: str = "", **headers: str) -> Answer:
        body, kind = form(*files)
        return self.ask("POST", f"/v1/predict{query}", body, {"Content-Type": kind, **headers})

    def metric(self, name: str) -> float:
        lines = self.ask("GET", "/metrics").body.decode().splitlines()
        return sum(float(line.split()[-1]) for line in lines if line.split("{")[0].split(" ")[0] == name)

    def until(self, name: str, value: float) -> None:
        """Wait until a metric has a value; fail after ten seconds."""
        eventually(lambda: self.metric(name), value, name)


@contextlib.contextmanager
def site(predictor: Predictor, limits: Limits | None = None, buffer: int = 0, **options: Any) -> Iterator[Site]:
    """Serve in a thread; at the end the server must stop by itself. ``buffer``: bytes the system holds of an answer."""
    limits = limits or Limits()
    opened = listen("127.0.0.1", 0)
    if buffer:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, buffer)
    app = create_app(predictor, limits, **{"hosts": hosts_for(opened), "jobs": 2, **options})
    running = server(app, limits)
    thread = threading.Thread(target=running.run, kwargs={"sockets": [opened]})
    found = Site(*opened.getsockname()[:2], predictor, running, thread)
    thread.start()
    try:
        yield found
    finally:
        running.should_exit = True
        thread.join(20)
        opened.close()
        assert not thread.is_alive(), "the server does not end"


def form(*files: tuple[str, bytes], part: str = "files") -> tuple[bytes, str]:
    """A multipart body and its Content-Type."""
    out = b""
    for name, data in files:
        head = f'Content-Disposition: form-data; name="{part}"; filename="{name}"\r\n'
        out += b"--edge\r\n" + head.encode("utf-8", "surrogateescape") + b"\r\n" + data + b"\r\n"
    return out + b"--edge--\r\n", "multipart/form-data; boundary=edge"


def picture(seed: int = 0, height: int = 60, width: int = 80, kind: str = ".png") -> bytes:
    """A picture of noise in blocks, encoded."""
    blocks = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return bytes(cv2.imencode(kind, cv2.resize(blocks, (width, height), interpolation=cv2.INTER_NEAREST))[1])
