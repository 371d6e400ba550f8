"""How many photos a second the web API answers, and how long each waits, with many clients at once.

    python -m bench.web.serve            # writes results/bench_serve.json

Three servers on loopback, each a process of its own, all in one run and by turns, so that what else the machine does
falls on all alike:

    mien        `mien serve`: a pool of searching threads, faces of waiting requests share the network's runs
    no batches  the same, but each request has the network to itself
    plain       what one writes first: FastAPI, one Predictor for all, an endpoint that is not async

Two workloads: a photo of 640 x 480 with one face, where finding the face takes most of the time; and a face that is
cropped already (--detector none), where the network does. Clients are threads of this process with kept connections;
they share the processors with the servers. On a machine that does other work too, requests a second and waiting depend
on that work; the processor time a request (of the server alone, all its threads) is the steadier figure.
Leaves out: networks, TLS, more than one server process.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import os
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import fastapi
import numpy as np
import uvicorn

import mien
from bench.conditions import ROOT, conditions, save
from mien.images import read_image
from mien.preprocessing import crop_face
from mien.runtime import CenterFace
from mien.spec import ModelSpec

SERVERS = ("mien", "no batches", "plain")
WORKLOADS = {"photo": "centerface", "crop": "none"}


def plain(detector: str, port: int) -> None:
    """The obvious server: default arguments everywhere."""
    predictor = mien.Predictor(detector=detector)
    app = fastapi.FastAPI()

    @app.post("/v1/predict")
    def predict(files: fastapi.UploadFile) -> dict[str, object]:
        return predictor.predict(files.file.read()).to_dict()

    uvicorn.run(app, port=port, log_level="warning")


def ours(detector: str, port: int, together: int) -> None:
    """What ``mien serve`` runs, with a chosen size of batches."""
    from mien.web import Limits, create_app, listen, run

    predictor = mien.Predictor(detector=detector)  # as `mien serve` has it
    run(create_app(predictor, together=together), listen("127.0.0.1", port), Limits())


def form(picture: bytes) -> tuple[bytes, dict[str, str]]:
    head = b'--b\r\nContent-Disposition: form-data; name="files"; filename="a.jpg"\r\nContent-Type: image/jpeg\r\n\r\n'
    return head + picture + b"\r\n--b--\r\n", {"Content-Type": "multipart/form-data; boundary=b"}


def pictures() -> dict[str, bytes]:
    """One face in a photo of 640 x 480, and that face alone, both JPEG."""
    photo = cv2.resize(read_image(ROOT / "examples" / "astronaut.jpg", colour=True), (640, 640))[:480]
    found = CenterFace().detect(photo)
    assert len(found) == 1, found
    crop = crop_face(photo, found[0].box, ModelSpec("crop", ("a", "b"), size=96))
    return {name: cv2.imencode(".jpg", image)[1].tobytes() for name, image in (("photo", photo), ("crop", crop))}


@contextlib.contextmanager
def running(name: str, detector: str) -> Iterator[tuple[int, int]]:
    """Start a server in its own process; gives its port and process once it answers."""
    import socket

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-m", __spec__.name, "--child", name, "--detector", detector, "--port", str(port)]
    )
    try:
        for _ in range(600):
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            if process.poll() is not None:
                raise SystemExit(f"the server {name!r} ended by itself")
            time.sleep(0.1)
        yield port, process.pid
    finally:
        process.terminate()
        process.wait(30)


def load(port: int, picture: bytes, clients: int, seconds: float) -> tuple[list[float], float, int]:
    """Let clients ask for so long: each request's seconds, seconds in all, and answers that were not 200."""
    body, headers = form(picture)
    times: list[float] = []
    refused = [0]
    end = time.perf_counter() + seconds

    def client() -> None:
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=60)) as c:
            while (begun := time.perf_counter()) < end:
                c.request("POST", "/v1/predict", body, headers)
                r = c.getresponse()
                r.read()
                times.append(time.perf_counter() - begun)
                refused[0] += r.status != 200

    begun = time.perf_counter()
    threads = [threading.Thread(target=client) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return times, time.perf_counter() - begun, refused[0]


def processor_seconds(process: int) -> float | None:
    """What a process has used so far, on Linux."""
    try:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def batches(port: int) -> tuple[float, float]:
    """Pictures and runs of the network so far, from the server's own metrics."""
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=60)) as c:
        c.request("GET", "/metrics")
        found = dict(line.rsplit(" ", 1) for line in c.getresponse().read().decode().splitlines() if line[0] != "#")
    return float(found["mien_batch_pictures_sum"]), float(found["mien_batch_pictures_count"])


def compare(workload: str, picture: bytes, clients: int, rounds: int, seconds: float) -> dict[str, object]:
    """All servers by turns under the same load."""
    out: dict[str, object] = {}
    with contextlib.ExitStack() as stack:
        started = {name: stack.enter_context(running(name, WORKLOADS[workload])) for name in SERVERS}
        ports = {name: port for name, (port, _) in started.items()}
        for port in ports.values():
            load(port, picture, 2, 1.0)  # warm
        rates: dict[str, list[float]] = {name: [] for name in SERVERS}
        times: dict[str, list[float]] = {name: [] for name in SERVERS}
        refused = dict.fromkeys(SERVERS, 0)
        used = {name: processor_seconds(process) for name, (_, process) in started.items()}
        before = {name: batches(ports[name]) for name in SERVERS if name != "plain"}
        for number in range(rounds):
            for name in SERVERS[number % 3 :] + SERVERS[: number % 3]:
                each, took, bad = load(ports[name], picture, clients, seconds)
                rates[name].append(len(each) / took)
                times[name] += each
                refused[name] += bad
        for name in SERVERS:
            p50, p95 = np.percentile(times[name], [50, 95]) * 1000
            now, then = processor_seconds(started[name][1]), used[name]
            record: dict[str, object] = {
                "requests_per_s": round(statistics.median(rates[name]), 1),
                "requests_per_s_by_round": [round(r, 1) for r in rates[name]],
                "ms_p50": round(float(p50), 1),
                "ms_p95": round(float(p95), 1),
                "processor_ms_a_request": None
                if now is None or then is None
                else round(1000 * (now - then) / len(times[name]), 2),
                "requests": len(times[name]),
                "not_200": refused[name],
            }
            if name in before:
                pictures_sent, runs = (a - b for a, b in zip(batches(ports[name]), before[name], strict=True))
                record["pictures_per_run_of_the_network"] = round(pictures_sent / runs, 2)
            out[name] = record
        pairs = {"mien_over_plain": "plain", "mien_over_no_batches": "no batches"}
        for key, other in pairs.items():
            ratios = [a / b for a, b in zip(rates["mien"], rates[other], strict=True)]
            out[key] = {"median": round(statistics.median(ratios), 2), "by_round": [round(r, 2) for r in ratios]}
    return out


def main() -> None:
    """Start the servers, load them by turns, write the record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 8, 32])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4.0, help="of load for each server in each round")
    parser.add_argument("--out", type=Path, default=ROOT / "results" / "bench_serve.json")
    parser.add_argument("--child", choices=SERVERS, help=argparse.SUPPRESS)
    parser.add_argument("--detector", help=argparse.SUPPRESS)
    parser.add_argument("--port", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child == "plain":
        return plain(given.detector, given.port)
    if given.child:
        return ours(given.detector, given.port, 32 if given.child == "mien" else 1)
    sent = pictures()
    results = {}
    for workload in WORKLOADS:
        for clients in given.clients:
            key = f"{workload}, {clients} clients"
            print(key, file=sys.stderr)
            results[key] = compare(workload, sent[workload], clients, given.rounds, given.seconds)
    record = {
        "model": mien.Predictor().spec.name,
        "pictures": {"photo": "astronaut.jpg at 640 x 480, one face, JPEG", "crop": "its face, 96 x 96, JPEG"},
        "results": results,
        "conditions": conditions(
            *("onnxruntime", "fastapi", "uvicorn"), rounds=given.rounds, seconds_a_server_a_round=given.seconds
        ),
    }
    save(given.out, record)
    return None


if __name__ == "__main__":
    main()
