"""Whether `mien serve` is as quick and as small after ten thousand hostile requests as before.

    python -m bench.web.hostile          # some minutes; writes results/bench_hostile.json

One server as a user starts it, on loopback, in a process of its own. First four plain clients at a time warm it up, and
one asks it, photo after photo; then many clients at once send what nobody should (``hostile_requests``), while one
plain client goes on asking; then it is asked plainly again. Its resident memory is read before, after, and at its
highest.
Leaves out: networks, other machines; it attacks nothing but the server that it started.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import statistics
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

import mien
from bench.conditions import RESULTS, ROOT, conditions, save
from bench.web.hostile_requests import KINDS, Outcome, Request, formats, make, send

__all__ = ["main"]

_QUIET = 60  # plain requests before and after
_CLIENTS = 4  # at a time, well-behaved ones, before anything is measured
_SLOW = {"slow body"}  # these wait for themselves, so they get threads of their own


@contextlib.contextmanager
def serving() -> Iterator[tuple[int, int]]:
    """`mien serve`: its port and process."""
    command = [sys.executable, "-m", "mien", "serve", "--port", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stderr is not None
    said: list[str] = []
    listener = threading.Thread(target=lambda: said.extend(process.stderr or ()), daemon=True)
    listener.start()
    try:
        yield int(process.stdout.readline().strip().rpartition(":")[2]), process.pid
    finally:
        process.terminate()
        process.wait(60)
        listener.join(5)
        failures = [line for line in said if "Traceback" in line or "Error" in line]
        print(f"{len(said)} lines on stderr, {len(failures)} of them of failures", *failures[:20], file=sys.stderr)


def memory(process: int, field: str = "VmRSS") -> int:
    """MB of resident memory, now or (VmHWM) at its highest; Linux."""
    for line in Path(f"/proc/{process}/status").read_text().splitlines():
        if line.startswith(field):
            return round(int(line.split()[1]) / 1024)
    raise OSError(f"/proc/{process}/status has no {field}")


def plain(port: int, photo: bytes) -> Outcome:
    """One photo, as a well-behaved client sends it."""
    begun, status = time.perf_counter(), 0
    with contextlib.suppress(OSError), contextlib.closing(_connection(port)) as c:
        c.request("POST", "/v1/predict", photo, {"Content-Type": "image/jpeg"})
        answer = c.getresponse()
        answer.read()
        status = answer.status
    return Outcome("plain", status, time.perf_counter() - begun)


def _connection(port: int) -> http.client.HTTPConnection:
    return http.client.HTTPConnection("127.0.0.1", port, timeout=60)


def summary(outcomes: list[Outcome]) -> dict[str, object]:
    """Statuses and seconds."""
    p50, p95 = np.percentile([o.seconds for o in outcomes], [50, 95])
    most = max(o.seconds for o in outcomes)
    statuses = Counter(str(o.status or "closed") for o in outcomes)
    return {
        "requests": len(outcomes),
        "statuses": dict(sorted(statuses.items())),
        "ms_p50": round(1000 * p50, 1),
        "ms_p95": round(1000 * p95, 1),
        "ms_most": round(1000 * most, 1),
    }


def attack(port: int, requests: list[Request], clients: int, seconds: float) -> list[Outcome]:
    """Send them all, by so many clients at a time, for so long at most."""
    end = time.monotonic() + seconds
    outcomes: list[Outcome] = []

    def one(request: Request) -> None:
        if time.monotonic() < end:
            outcomes.append(send(request, port))

    with ThreadPoolExecutor(clients) as quick, ThreadPoolExecutor(64) as slow:
        for request in requests:
            (slow if request.kind in _SLOW else quick).submit(one, request)
    return outcomes


def measure(count: int, clients: int, seconds: float) -> dict[str, object]:
    """Quiet, attack, quiet again."""
    photo = (ROOT / "examples" / "astronaut.jpg").read_bytes()
    pictures = formats(photo)
    requests = [make(seed, pictures) for seed in range(count)]
    with serving() as (port, process):
        with ThreadPoolExecutor(_CLIENTS) as pool:  # a server at work, not one that has just begun
            list(pool.map(lambda _: plain(port, photo), range(40)))
        before, stood = [plain(port, photo) for _ in range(_QUIET)], memory(process)
        if {outcome.status for outcome in before} != {200}:
            raise SystemExit(f"the server does not answer plain requests: {summary(before)['statuses']}")
        meanwhile: list[Outcome] = []
        over = threading.Event()

        def ask_on() -> None:
            while not over.wait(0.5):
                meanwhile.append(plain(port, photo))

        asking = threading.Thread(target=ask_on)
        asking.start()
        begun = time.monotonic()
        hostile = attack(port, requests, clients, seconds)
        took = time.monotonic() - begun
        over.set()
        asking.join()
        at_once = memory(process)
        time.sleep(3)
        after = [plain(port, photo) for _ in range(_QUIET)]
        found = {
            "before": stood,
            "at_once_after": at_once,
            "after": memory(process),
            "highest": memory(process, "VmHWM"),
        }
    ratio = statistics.median(o.seconds for o in after) / statistics.median(o.seconds for o in before)
    return {
        "hostile_seconds": round(took, 1),
        "clients": clients,
        "plain_before": summary(before),
        "plain_meanwhile": summary(meanwhile),
        "plain_after": summary(after),
        "after_over_before": round(ratio, 2),
        "resident_mb": {**found, "grown": found["after"] - found["before"]},
        "hostile": {kind: summary(own) for kind in KINDS if (own := [o for o in hostile if o.kind == kind])},
    }


def main() -> None:
    """Measure and write the record."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--clients", type=int, default=24, help="hostile requests at a time, beside slow ones")
    parser.add_argument("--seconds", type=float, default=1500.0, help="after which no more are sent")
    parser.add_argument("--out", type=Path, default=RESULTS / "bench_hostile.json")
    given = parser.parse_args()
    record = {"model": mien.Predictor().spec.name, **measure(given.count, given.clients, given.seconds)}
    save(given.out, {**record, "conditions": conditions("onnxruntime", "fastapi", "uvicorn", "pillow")})


if __name__ == "__main__":
    main()
