"""The server under bad manners and load: slow, greedy, vanishing and many clients; it answers clearly and lives on."""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

pytest.importorskip("fastapi")
pytest.importorskip("uvicorn")
pytest.importorskip("python_multipart")
pytest.importorskip("prometheus_client")

from onnx_nets import write_net
from web_server import Held, form, picture, site

from mien import Predictor
from mien.errors import ConfigError, MissingExtra
from mien.web import Limits, listen

HURRIED = Limits(seconds=0.4, bytes=200_000, request_bytes=300_000)
HEAD = b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\n"


@pytest.fixture(scope="module")
def net(tmp_path_factory):
    return write_net(tmp_path_factory.mktemp("net") / "tiny.onnx")


@pytest.fixture(scope="module")
def hurried(net):
    with site(Predictor(net, "none", threads=1), HURRIED) as web:
        yield web


@contextlib.contextmanager
def wire(web):
    with socket.create_connection((web.host, web.port), timeout=15) as raw:
        yield raw


def heard(raw):
    """Everything until the server closes: status, and the problem in the body."""
    data = b""
    with contextlib.suppress(ConnectionResetError):
        while more := raw.recv(65536):
            data += more
    if not data:
        return None, None
    head, _, body = data.partition(b"\r\n\r\n")
    assert b"application/problem+json" in head
    return int(head.split()[1]), json.loads(body)


def alive(web):
    assert web.predict(("a", picture())).status == 200
    web.until("mien_requests_waiting", 0)
    web.until("mien_held_bytes", 0)


# --- slow


@pytest.mark.parametrize(
    "head",
    [
        b"Content-Type: image/png\r\nContent-Length: 1000\r\n\r\n",
        b"Content-Type: image/png\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"Content-Type: multipart/form-data; boundary=edge\r\nContent-Length: 99\r\n\r\n",
    ],
)
def test_a_body_that_does_not_arrive_in_time_gets_408(hurried, head):
    with wire(hurried) as raw:
        raw.sendall(HEAD + head)
        status, problem = heard(raw)
    assert (status, problem["status"]) == (408, 408)
    assert "0.4 seconds" in problem["detail"]
    alive(hurried)


def test_a_body_that_trickles_gets_408(hurried):
    with wire(hurried) as raw:
        raw.sendall(HEAD + b"Content-Type: image/png\r\nContent-Length: 100000\r\n\r\n")
        with contextlib.suppress(OSError):
            for _ in range(12):  # each byte is in time, the whole is not
                raw.sendall(b"x")
                time.sleep(0.05)
        assert heard(raw)[0] == 408
    alive(hurried)


def test_a_head_that_does_not_end_gets_408(hurried):
    with wire(hurried) as raw:
        raw.sendall(HEAD)
        status, problem = heard(raw)
    assert status == 408
    assert "head" in problem["detail"]


def test_a_second_head_on_the_same_connection_has_the_same_time(hurried):
    with wire(hurried) as raw:
        raw.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\nGET /healthz HTTP/1.1\r\n")
        data = b""
        while more := raw.recv(65536):
            data += more
    assert data.count(b"HTTP/1.1 200 OK") == 1
    assert b"HTTP/1.1 408" in data


def test_a_connection_that_says_nothing_is_closed(hurried):
    with wire(hurried) as raw:
        assert heard(raw) == (None, None)


def test_a_client_that_does_not_take_its_answer_is_dropped(net):
    body, kind = form(*((str(i), picture(i)) for i in range(8)))
    head = HEAD.replace(b"/v1/predict", b"/v1/predict?pictures=all") + f"Content-Type: {kind}\r\n".encode()
    with site(Predictor(net, "none", threads=1), HURRIED, buffer=8192) as web:
        with socket.socket() as raw:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            raw.settimeout(15)
            raw.connect((web.host, web.port))
            raw.sendall(head + f"Content-Length: {len(body)}\r\n\r\n".encode() + body)
            web.until("mien_photos_total", 8)
            end = time.monotonic() + 10
            while len(web.uvicorn.server_state.connections) > 0 and time.monotonic() < end:
                time.sleep(0.02)  # not a byte is read
            assert not web.uvicorn.server_state.connections
        alive(web)


# --- greedy


def test_a_length_that_is_too_large_is_refused_before_a_byte_of_it_is_sent(hurried):
    with wire(hurried) as raw:
        raw.sendall(HEAD + b"Content-Type: image/png\r\nContent-Length: 999999999999\r\nExpect: 100-continue\r\n\r\n")
        status, problem = heard(raw)
    assert status == 413
    assert "200,000" in problem["detail"]
    alive(hurried)


@pytest.mark.parametrize("kind", [b"image/png", b"multipart/form-data; boundary=edge"])
def test_chunks_are_counted_while_they_come(hurried, kind):
    with wire(hurried) as raw:
        raw.sendall(HEAD + b"Content-Type: " + kind + b"\r\nTransfer-Encoding: chunked\r\n\r\n")
        part = form(("a", b""))[0].removesuffix(b"\r\n--edge--\r\n")
        raw.sendall(b"%x\r\n%s\r\n" % (len(part), part))
        sent = 0
        with contextlib.suppress(OSError):
            while sent < 50_000_000:  # no end in sight
                raw.sendall(b"2000\r\n" + b"x" * 0x2000 + b"\r\n")
                sent += 0x2000
                raw.setblocking(False)
                with contextlib.suppress(BlockingIOError):
                    if raw.recv(1, socket.MSG_PEEK):
                        break  # the answer is there
                raw.settimeout(15)
        raw.settimeout(15)
        assert heard(raw)[0] == 413
    assert sent < 50_000_000
    alive(hurried)


def test_who_sends_all_before_listening_still_hears_the_refusal(hurried):
    answer = hurried.ask("POST", "/v1/predict", b"x" * 5_000_000, {"Content-Type": "image/png"})
    assert answer.status == 413
    assert answer.headers["Connection"] == "close"


def test_what_all_requests_hold_together_has_a_limit(net):
    held = Held(net, "none", threads=1)
    data = picture(height=300, width=300) + b"\0" * 50_000
    with site(held, Limits(held_bytes=80_000)) as web, ThreadPoolExecutor(2) as pool:
        held.gate.clear()
        first = pool.submit(web.predict, ("a", data))
        assert held.entered.acquire(timeout=10)
        answer = web.predict(("b", data))
        assert (answer.status, answer.headers["Retry-After"]) == (503, "1")
        held.gate.set()
        assert first.result().status == 200
        alive(web)


# --- vanishing


def test_a_client_that_leaves_while_sending_frees_what_it_held(net):
    with site(Predictor(net, "none", threads=1), Limits(waiting=1)) as web:
        with wire(web) as raw:
            raw.sendall(HEAD + b"Content-Type: image/png\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n5\r\nha")
            web.until("mien_bodies_arriving", 1)
            assert web.predict(("a", picture())).status == 200  # it holds nobody's place
        web.until("mien_bodies_arriving", 0)
        alive(web)


def test_a_client_that_leaves_while_waiting_frees_its_place_and_is_not_answered(net):
    held = Held(net, "none", threads=1)
    body, kind = form(("a", picture()))
    with site(held, Limits(waiting=2)) as web, ThreadPoolExecutor(2) as pool:
        held.gate.clear()
        first = pool.submit(web.predict, ("first", picture()))
        assert held.entered.acquire(timeout=10)
        with wire(web) as raw:
            raw.sendall(HEAD + f"Content-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
            while held.found < 2:
                time.sleep(0.01)
            assert web.predict(("b", picture())).status == 503
        web.until("mien_requests_waiting", 1)
        held.gate.set()
        assert first.result().status == 200
        alive(web)
        assert held.batches == [1, 1]  # the first, and alive's: nothing for the one who left
        assert 'status="499"' in web.ask("GET", "/metrics").body.decode()


# --- many


def test_a_burst_beyond_the_places_gets_503_at_once_and_the_others_their_answers(net):
    held = Held(net, "none", threads=1)
    with site(held, Limits(waiting=3)) as web, ThreadPoolExecutor(10) as pool:
        held.gate.clear()
        admitted = [pool.submit(web.predict, (str(i), picture(i))) for i in range(3)]
        web.until("mien_requests_waiting", 3)
        refused = list(pool.map(lambda i: web.predict((str(i), picture(i))), range(7)))  # while the gate is closed
        assert {r.status for r in refused} == {503}
        assert {r.headers["Retry-After"] for r in refused} == {"1"}
        assert all("waiting" in r.json["detail"] for r in refused)
        assert web.ask("GET", "/healthz").status == 200  # those who watch it are not turned away
        held.gate.set()
        assert [a.result().json["photos"][0]["photo"] for a in admitted] == ["0", "1", "2"]
        alive(web)


def test_under_load_every_answer_is_right_or_503(net):
    """Sixteen clients, kept connections, good, bad and greedy requests mixed."""
    wanted = {i: Predictor(net, "none", threads=1).predict(picture(i))[0].label for i in range(8)}
    with site(Predictor(net, "none", threads=1), Limits(waiting=6, bytes=100_000)) as web:

        def client(number):
            counts = {"right": 0, "busy": 0, "refused": 0}
            with contextlib.closing(web.connection()) as c:
                for step in range(12):
                    seed = (number + step) % 8
                    data = b"x" * 100_001 if step % 5 == 4 else b"junk" if step % 5 == 3 else picture(seed)
                    body, kind = form(("a", data))
                    c.request("POST", "/v1/predict", body, {"Content-Type": kind})
                    r = c.getresponse()
                    answer = json.loads(r.read())
                    if r.status == 200:
                        assert answer["photos"][0]["faces"][0]["label"] == wanted[seed]
                        counts["right"] += 1
                    else:
                        assert r.status == 503 or r.status == {4: 413, 3: 422}[step % 5]
                        counts["busy" if r.status == 503 else "refused"] += 1
            return counts

        with ThreadPoolExecutor(16) as pool:
            counts = list(pool.map(client, range(16)))
        assert sum(sum(c.values()) for c in counts) == 16 * 12
        assert sum(c["right"] for c in counts) > 0
        web.until("mien_faces_total", sum(c["right"] for c in counts))
        alive(web)


def test_connections_have_a_limit(net):
    held = Held(net, "none", threads=1)
    with site(held, Limits(connections=3)) as web, ThreadPoolExecutor(3) as pool:
        held.gate.clear()
        busy = [pool.submit(web.predict, (str(i), picture(i))) for i in range(3)]
        while held.found < 3:
            time.sleep(0.01)
        with wire(web) as raw:
            status, problem = heard(raw)
        assert status == 503
        assert "connections" in problem["detail"]
        held.gate.set()
        assert [one.result().status for one in busy] == [200] * 3
        alive(web)


@pytest.mark.parametrize(
    "data",
    [
        b"\x16\x03\x01\x02\x00\x01\x00",
        b"GET\r\n\r\n",
        b"\0" * 100,
        b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 200_000,
    ],
)
def test_what_is_not_http_gets_400(hurried, data):
    with wire(hurried) as raw:
        raw.sendall(data)
        status, _ = heard(raw)
    assert status == 400
    alive(hurried)


# --- beginning and end


def test_what_has_begun_is_finished_when_the_server_ends(net):
    held = Held(net, "none", threads=1)
    with ThreadPoolExecutor(1) as pool, site(held) as web:
        held.gate.clear()
        running = pool.submit(web.predict, ("a", picture()))
        assert held.entered.acquire(timeout=10)
        web.uvicorn.should_exit = True
        time.sleep(0.4)
        with pytest.raises(OSError, match=r"refused|reset"):
            web.ask("GET", "/healthz")
        held.gate.set()
        assert running.result().status == 200


def test_a_taken_port_and_other_hopeless_addresses_say_what_to_do():
    with listen("127.0.0.1", 0) as opened:
        port = opened.getsockname()[1]
        with pytest.raises(ConfigError, match=f"port {port} on 127.0.0.1 is taken: .*--port"):
            listen("127.0.0.1", port)
    with pytest.raises(ConfigError, match=r"port must be 0\.\.65535"):
        listen("127.0.0.1", 65536)
    with pytest.raises(ConfigError, match="try --host 127"):
        listen("192.0.2.1", 0)  # an address for documentation, nobody's
    with pytest.raises(ConfigError, match="no address"):
        listen("no such host", 0)


@pytest.mark.parametrize("module", ["fastapi", "uvicorn", "python_multipart", "prometheus_client"])
def test_a_missing_package_yields_the_line_that_installs_it(module, monkeypatch):
    for name in [n for n in sys.modules if n == "mien.web" or n.startswith("mien.web.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingExtra, match=rf"{module}.*pip install .*\[web\]"):
        importlib.import_module("mien.web")


def test_a_port_is_tried_before_anything_slow_is_imported():
    check = """
import socket, sys
from typer.testing import CliRunner
from mien.cli import app
with socket.socket() as taken:
    taken.bind(("127.0.0.1", 0))
    taken.listen()
    answer = CliRunner().invoke(app, ["serve", "--port", str(taken.getsockname()[1])])
assert "is taken" in str(answer.exception), answer.output
print(sorted({"fastapi", "uvicorn", "cv2", "numpy", "onnxruntime"} & set(sys.modules)))
"""
    run = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


def command(*flags, **options):
    return subprocess.Popen(
        [sys.executable, "-c", "from mien.cli import main; main()", "serve", *flags],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


@pytest.mark.skipif(sys.platform == "win32", reason="sends SIGINT")
def test_the_command_prints_its_address_and_ends_with_control_c(net):
    process = command(
        "--port", "0", "--model", os.fspath(net), "--detector", "none", "--log", "--allow-host", "a.example"
    )
    guard = threading.Timer(60, process.kill)
    guard.start()
    try:
        line = process.stdout.readline().strip()
        assert line.startswith("http://127.0.0.1:")
        port = int(line.rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port), timeout=20) as raw:
            raw.sendall(b"GET /healthz HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n")
            data = b""
            while more := raw.recv(65536):
                data += more
        assert b'{"status":"ok","model":"tiny"}' in data
        second = command("--port", str(port), "--model", os.fspath(net))
        _, words = second.communicate(timeout=60)
        assert second.returncode == 2
        assert f"port {port} on 127.0.0.1 is taken" in words
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    finally:
        guard.cancel()
        process.kill()
    assert process.returncode == 0
    assert out == ""
    assert "GET /healthz 200" in err
    assert "Traceback" not in err
