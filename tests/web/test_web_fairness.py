"""Nobody keeps others out: slow senders, greedy clients and large pictures give way, and quick ones are answered."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("fastapi")
pytest.importorskip("uvicorn")
pytest.importorskip("python_multipart")
pytest.importorskip("prometheus_client")

from onnx_nets import write_net
from web_server import Held, form, picture, site

from mien import Predictor
from mien.web import Limits
from mien.web.concurrency import ConcurrencyLimiter, client_of
from mien.web.problems import Refusal
from mien.web.scheduling import Scheduler
from mien.web.turns import Owner, Rotation

HEAD = b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\n"


@pytest.fixture(scope="module")
def net(tmp_path_factory):
    return write_net(tmp_path_factory.mktemp("net") / "tiny.onnx")


# --- slow senders


@contextlib.contextmanager
def slow_senders(web, count, begun=b"Content-Length: 1000\r\n\r\nx"):
    with contextlib.ExitStack() as stack:
        for _ in range(count):
            raw = stack.enter_context(socket.create_connection((web.host, web.port), timeout=15))
            raw.sendall(HEAD + begun)
        time.sleep(0.2)
        yield


@pytest.mark.parametrize("begun", [b"", b"Content-Length: 1000\r\n\r\n", b"Content-Length: 1000\r\n\r\nx"])
def test_slow_senders_keep_nobody_out_whatever_limit_they_reach(net, begun):
    limits = Limits(waiting=2, arriving=3, connections=20)
    with site(Predictor(net, "none", threads=1), limits) as web, slow_senders(web, 30, begun):
        begin = time.monotonic()
        for i in range(5):
            assert web.predict(("a", picture(i))).status == 200
        assert time.monotonic() - begin < 5  # not the 30 seconds that a body may take


def test_a_body_that_stalls_gets_408_before_its_time_is_up(net):
    with site(Predictor(net, "none", threads=1), Limits(stall=0.2)) as web:
        with socket.create_connection((web.host, web.port), timeout=15) as raw:
            raw.sendall(HEAD + b"Content-Length: 1000\r\n\r\nx")
            assert b" 408 " in raw.recv(65536)
        web.until("mien_bodies_arriving", 0)


def test_memory_that_slow_bodies_hold_goes_to_who_is_quick(net):
    limits = Limits(held_bytes=200_000, bytes=150_000)
    with site(Predictor(net, "none", threads=1), limits) as web:
        with slow_senders(web, 3, b"Content-Length: 100000\r\n\r\n" + b"x" * 60_000):
            web.until("mien_held_bytes", 180_000)
            assert web.predict(("a", picture() + b"\0" * 60_000)).status == 200
        web.until("mien_held_bytes", 0)


def test_an_idle_connection_makes_room_for_a_new_one_and_is_closed_without_a_word(net):
    with site(Predictor(net, "none", threads=1), Limits(connections=2)) as web, contextlib.ExitStack() as stack:
        first, second = (
            stack.enter_context(socket.create_connection((web.host, web.port), timeout=15)) for _ in range(2)
        )
        time.sleep(0.1)
        assert web.ask("GET", "/healthz").status == 200
        assert first.recv(100) == b""
        second.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        assert b" 200 " in second.recv(100)


# --- who gives way


def run(work, limits):
    """``work(limiter, log)`` on an event loop; what the places in it came to is in the log."""
    log = {}

    async def main():
        limiter = ConcurrencyLimiter(limits)

        async def stay(name, client, size=0, arrived=True):
            try:
                with limiter.place(client) as place:
                    place.hold(size)
                    if arrived:
                        place.arrive()
                    log[name] = "in"
                    await anyio.sleep_forever()
            except Refusal as refusal:
                log[name] = refusal.status

        async with anyio.create_task_group() as group:
            for each in work:
                group.start_soon(lambda each=each: stay(*each))
                await anyio.sleep(0.01)
            group.cancel_scope.cancel()

    anyio.run(main)
    return log


def test_a_new_client_takes_the_newest_place_of_the_greediest():
    log = run([("a1", "a"), ("b1", "b"), ("a2", "a"), ("a3", "a"), ("c1", "c")], Limits(waiting=4))
    assert log == {"a1": "in", "b1": "in", "a2": "in", "a3": 503, "c1": "in"}


def test_a_greedy_client_takes_nothing_from_others():
    log = run([("a1", "a"), ("b1", "b"), ("a2", "a"), ("b2", "b")], Limits(waiting=2))
    assert log == {"a1": "in", "b1": "in", "a2": 503, "b2": 503}


def test_of_bodies_that_arrive_the_slowest_gives_way():
    slow = [("slow", "a", 10, False), ("quick", "a", 500_000, False), ("new", "a", 10, False)]
    assert run(slow, Limits(arriving=2)) == {"slow": 503, "quick": "in", "new": "in"}


def test_memory_is_taken_from_who_holds_most():
    log = run([("a1", "a", 60), ("a2", "a", 30), ("b1", "b", 20)], Limits(held_bytes=100))
    assert log == {"a1": "in", "a2": 503, "b1": "in"}
    log = run([("a1", "a", 20), ("b1", "b", 30), ("b2", "b", 60)], Limits(held_bytes=100))
    assert log == {"a1": "in", "b1": "in", "b2": 503}


@pytest.mark.parametrize(
    ("address", "client"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8::1", "2001:db8::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("unix", "unix"),
        ("x" * 1000, "x" * 100),
    ],
)
def test_a_client_is_an_address_or_the_network_of_one_household(address, client):
    assert client_of({"client": (address, 1)}) == client
    assert client_of({"client": None}) == client_of({}) == ""


# --- whose turn it is


def test_clients_take_turns_and_so_do_their_requests():
    line = Rotation()
    heavy, other, light = Owner("heavy"), Owner("heavy"), Owner("light")
    for i in range(3):
        line.put(heavy, f"heavy {i}")
    line.put(other, "other")
    line.put(light, "light")
    assert [line.take() for _ in range(5)] == ["heavy 0", "light", "other", "heavy 1", "heavy 2"]
    assert line.take() is None
    assert len(line) == 0


def test_who_is_new_goes_first_but_keeps_nobody_waiting_for_ever():
    line, heavy = Rotation(), Owner("a")
    for i in range(9):
        line.put(heavy, i)
    assert line.take() == 0
    taken = []
    for i in range(12):
        line.put(Owner("a"), f"new {i}")
        line.put(Owner(f"client {i}"), f"new client {i}")
        taken += [line.take(), line.take()]
    assert taken[0].startswith("new")
    assert [item for item in taken if isinstance(item, int)] == [1, 2, 3]


def test_what_does_not_fit_is_passed_over_and_what_is_dropped_is_gone():
    line = Rotation()
    first, second = Owner("a"), Owner("b")
    line.put(first, 5)
    line.put(second, 1)
    line.put(second, 2)
    assert line.take(lambda size: size < 3) == 1
    assert line.take() == 5
    assert line.drop(second) == [2]
    assert line.drop(second) == []
    assert len(line) == 0


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(["put", "put", "take", "again", "drop"]), st.integers(0, 5), st.integers(0, 3)))
)
def test_every_item_comes_out_once_in_the_order_of_its_request(steps):
    owners = [Owner(client) for client in "aabbcc"]
    line, held = Rotation(), {owner: deque() for owner in owners}
    for number, (step, who, small) in enumerate(steps):
        owner = owners[who]
        if step == "put":
            line.put(owner, (owner, number))
            held[owner].append(number)
        elif step == "drop":
            assert [n for _, n in line.drop(owner)] == list(held[owner])
            held[owner].clear()
        else:
            taken = line.take(lambda item, small=small: item[1] % 4 >= small)
            assert taken is not None or not any(n and n[0] % 4 >= small for n in held.values())
            if taken is not None:
                assert held[taken[0]].popleft() == taken[1]
                if step == "again":
                    line.put(*taken[:1], taken, again=True)
                    held[taken[0]].appendleft(taken[1])
        assert len(line) == sum(map(len, held.values()))


def scheduled(jobs, pixels, tasks):
    """Run tasks (name, pixels, explains) behind one that holds everything up; the order in which they began."""
    order, gate, begun = [], threading.Event(), threading.Event()
    under_way, most = set(), []
    lock = threading.Lock()

    def work(name, size):
        with lock:
            order.append(name)
            under_way.add((name, size))
            most.append(sum(size for _, size in under_way))
        time.sleep(0.01)
        with lock:
            under_way.discard((name, size))

    def block():
        begun.set()
        assert gate.wait(10)

    async def one(scheduler, name, size, explains):
        await scheduler.do(Owner("x"), lambda: work(name, size), measure=lambda: size, explains=explains)

    async def main():
        scheduler = Scheduler(jobs, pixels)
        async with anyio.create_task_group() as group:
            for _ in range(jobs):
                begun.clear()
                group.start_soon(scheduler.do, Owner("block"), block)
                await anyio.to_thread.run_sync(begun.wait)
            for name, size, explains in tasks:
                group.start_soon(one, scheduler, name, size, explains)
                await anyio.sleep(0.001)
            gate.set()
        scheduler.close()

    anyio.run(main)
    assert len(order) == len(tasks)
    return order, max(most)


def test_predictions_go_before_explanations_and_these_are_not_starved():
    explain = [("explain", 0, True)] * 3
    order, _ = scheduled(1, 100, explain + [("predict", 0, False)] * 16)
    assert order[0] == "predict"
    assert 0 < order.index("explain") < 10


def test_the_pixels_that_are_worked_on_at_a_time_are_bounded():
    sizes = [30, 60, 60, 90, 30, 30, 60, 10, 150]
    _, most = scheduled(4, 100, [(str(i), size, False) for i, size in enumerate(sizes)])
    assert most == 150  # alone, for it is larger than all
    _, most = scheduled(4, 100, [(str(i), size, False) for i, size in enumerate(sizes[:-1])])
    assert 60 <= most <= 100


def test_large_work_is_not_passed_over_for_ever():
    order, _ = scheduled(2, 100, [("first", 20, False), ("large", 100, False)] + [("small", 20, False)] * 80)
    assert order.index("large") < 60


def test_large_work_leaves_a_thread_to_the_others():
    """Large pictures one after the other: the second waits for the first, and nobody waits for both."""
    order, gate = [], threading.Event()

    def large(name):
        order.append(name)
        assert gate.wait(10)

    async def main():
        scheduler = Scheduler(2, 100)
        async with anyio.create_task_group() as group:
            for name in ("large", "larger"):
                do = partial(scheduler.do, measure=lambda: 40)
                group.start_soon(do, Owner("a"), partial(large, name))
            for i in range(60):  # more often than anything is passed over
                await scheduler.do(Owner("a"), partial(order.append, i), measure=lambda: 20)
            gate.set()
        scheduler.close()

    anyio.run(main)
    assert [name for name in order if isinstance(name, int)] == list(range(60))
    assert order[-1] in ("large", "larger")  # whichever was the second


def test_work_of_a_request_that_has_gone_is_never_begun():
    done = []

    async def main():
        scheduler, gate, begun = Scheduler(1, 100), threading.Event(), threading.Event()
        owner = Owner("a")

        def block():
            begun.set()
            assert gate.wait(10)

        async with anyio.create_task_group() as group:
            group.start_soon(scheduler.do, Owner("b"), block)
            await anyio.to_thread.run_sync(begun.wait)
            async with anyio.create_task_group() as request:
                for i in range(5):
                    request.start_soon(scheduler.do, owner, lambda i=i: done.append(i))
                await anyio.sleep(0.01)
                request.cancel_scope.cancel()
            scheduler.drop(owner)
            gate.set()
        assert await scheduler.do(owner, lambda: "still works") == "still works"
        scheduler.close()

    anyio.run(main)
    assert done == []


# --- in the server


def test_a_plain_request_overtakes_one_that_wants_everything_explained(net, monkeypatch):
    explained = []

    def slowly(face, predict):
        time.sleep(0.05)
        explained.append(face)
        import numpy as np

        return np.zeros((8, 8, 3), np.uint8)

    monkeypatch.setattr("mien.web.pictures.what_decided", slowly)
    heavy = [(str(i), picture(i)) for i in range(16)]
    with site(Predictor(net, "none", threads=1)) as web, ThreadPoolExecutor(4) as pool:
        running = [pool.submit(web.predict, *heavy, query="?pictures=all") for _ in range(4)]
        while not explained:
            time.sleep(0.01)
        assert web.predict(("plain", picture())).status == 200
        assert len(explained) < 32, "the plain one waited for half of 64 explanations"
        assert all(one.result().status == 200 for one in running)
        assert len(explained) == 64


def test_explanations_for_a_client_that_has_gone_are_not_made(net, monkeypatch):
    explained = []

    def slowly(face, predict):
        time.sleep(0.05)
        explained.append(face)
        raise AssertionError("nobody hears of it")

    monkeypatch.setattr("mien.web.pictures.what_decided", slowly)
    body, kind = form(*[(str(i), picture(i)) for i in range(16)])
    head = f"POST /v1/predict?pictures=all HTTP/1.1\r\nHost: localhost\r\nContent-Type: {kind}\r\n"
    with site(Predictor(net, "none", threads=1)) as web:
        with socket.create_connection((web.host, web.port), timeout=15) as raw:
            raw.sendall(head.encode() + f"Content-Length: {len(body)}\r\n\r\n".encode() + body)
            while not explained:
                time.sleep(0.01)
        web.until("mien_requests_waiting", 0)
        time.sleep(0.2)
        assert len(explained) <= 3


def test_a_bug_in_one_picture_does_not_spoil_the_others_of_its_request(net, monkeypatch, caplog):
    import mien.web.batching as batching

    whole = batching.decode

    def fails(data, where, **options):
        if data.startswith(b"\x89PNG") and b"bug" in data[-3:]:
            raise struct_error("unpack requires a buffer of 8 bytes")
        return whole(data, where, **options)

    from struct import error as struct_error

    monkeypatch.setattr(batching, "decode", fails)
    with site(Predictor(net, "none", threads=1)) as web:
        answer = web.predict(("good", picture()), ("bad", picture(1) + b"bug"))
        assert answer.status == 200
        assert [p["outcome"] for p in answer.json["photos"]] == ["faces", "unreadable"]
        assert "server's own log" in answer.json["photos"][1]["error"]
        assert web.predict(("bad", picture(1) + b"bug")).status == 500
    assert "unpack requires a buffer" in caplog.text


def test_a_greedy_client_behind_a_proxy_is_known_by_the_address_that_the_proxy_gives(net):
    held = Held(net, "none", threads=1)
    with site(held, Limits(waiting=3)) as web, ThreadPoolExecutor(4) as pool:
        held.gate.clear()
        greedy = [pool.submit(web.predict, ("g", picture()), **{"X-Forwarded-For": "192.0.2.1"}) for _ in range(3)]
        web.until("mien_requests_waiting", 3)
        other = pool.submit(web.predict, ("o", picture()), **{"X-Forwarded-For": "made-up, 192.0.2.2"})
        while not any(one.done() for one in greedy):
            time.sleep(0.01)
        held.gate.set()
        assert other.result().status == 200
        assert sorted(one.result().status for one in greedy) == [200, 200, 503]
