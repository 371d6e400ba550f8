"""A few hundred of the bench's hostile requests: each is answered or closed, none fails inside, nothing is kept."""

from __future__ import annotations

import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

pytest.importorskip("fastapi")
pytest.importorskip("uvicorn")
pytest.importorskip("python_multipart")
pytest.importorskip("prometheus_client")

from onnx_nets import write_net
from web_server import picture, site

from bench.web.hostile_requests import KINDS, formats, make, send
from mien import Predictor
from mien.web import Limits

ASTRONAUT = Path(__file__).parents[2] / "examples" / "astronaut.jpg"


def resident():
    """MB, 0 where nobody says."""
    lines = Path("/proc/self/status").read_text().splitlines() if sys.platform == "linux" else []
    return sum(int(line.split()[1]) // 1024 for line in lines if line.startswith("VmRSS"))


def test_hostile_requests_leave_the_server_as_it_was(tmp_path, caplog):
    pictures = formats(ASTRONAUT.read_bytes())
    requests = [make(seed, pictures) for seed in range(10_000, 10_300)]
    requests = [request for request in requests if request.kind not in ("slow body", "bomb")]  # these take their time
    assert {request.kind for request in requests} == set(KINDS) - {"slow body", "bomb"}
    predictor = Predictor(write_net(tmp_path / "tiny.onnx"), "none", threads=1)
    with site(predictor, Limits(pixels=1_000_000)) as web, ThreadPoolExecutor(8) as pool:
        assert web.predict(("a", picture())).status == 200
        stood = resident()
        outcomes = list(pool.map(lambda request: send(request, web.port), requests))
        web.until("mien_requests_waiting", 0)
        web.until("mien_bodies_arriving", 0)
        web.until("mien_held_bytes", 0)
        assert web.predict(("a", picture())).status == 200
        assert resident() - stood < 100
    statuses = Counter(
        outcome.status for outcome, request in zip(outcomes, requests, strict=True) if not request.leaves
    )
    assert set(statuses) <= {200, 400, 403, 404, 405, 413, 415, 421, 422, 503}
    assert statuses[200] > 20
    assert statuses[422] > 50
    assert not [record for record in caplog.records if record.exc_info]
