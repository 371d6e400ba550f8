"""``mien serve`` with the built page: it hands the browser the model that it was started with."""

from __future__ import annotations

import json

import pytest

pytest.importorskip("fastapi")
pytest.importorskip("uvicorn")
pytest.importorskip("python_multipart")
pytest.importorskip("prometheus_client")

from onnx_nets import write_net
from web_server import site as served

from mien import Predictor
from mien.runtime import CenterFace


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """As much of the built page as the server hands out."""
    folder = tmp_path_factory.mktemp("dist")
    (folder / "models").mkdir()
    for name in ("mien.js", "ort.js", "sw.js", "ort.wasm", "models/centerface.onnx"):
        (folder / name).write_text(name, encoding="utf-8")
    (folder / "models" / "centerface.json").write_text('{"file": "centerface.onnx"}', encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def net(tmp_path_factory):
    return write_net(tmp_path_factory.mktemp("net") / "tiny.onnx")


def test_the_browser_gets_the_served_model_and_no_other_file(built, net):
    with served(Predictor(net, threads=1), site=built) as web:
        page = web.ask("GET", "/")
        assert b'data-engine="both"' in page.body
        assert "'wasm-unsafe-eval'" in page.headers["Content-Security-Policy"]
        [listed] = web.ask("GET", "/models/index.json").json
        about = web.ask("GET", f"/models/{listed['name']}.json").json
        model = web.ask("GET", f"/models/{about['file']}")
        assert model.body == net.read_bytes()
        assert (len(model.body), about["labels"]) == (listed["bytes"], list(web.predictor.spec.labels))
        assert json.loads(web.ask("GET", "/models/centerface.json").body) == {"file": "centerface.onnx"}
        script = "text/javascript"
        for path, kind in {"/mien.js": script, "/ort.js": script, "/ort.wasm": "application/wasm"}.items():
            answer = web.ask("GET", path)
            assert (answer.status, answer.headers["Content-Type"].split(";")[0]) == (200, kind)
        for path in ("/models/..%2Fmien.js", "/models/none.onnx", "/other.wasm", "/sw.js"):
            assert web.ask("GET", path).status == 404


@pytest.mark.parametrize("detector", ["none", CenterFace(size=320, threads=1)])
def test_what_a_browser_does_not_do_alike_stays_with_the_server(built, net, detector):
    with served(Predictor(net, detector, threads=1), site=built) as web:
        assert b'data-engine="server"' in web.ask("GET", "/").body
        assert web.ask("GET", "/models/index.json").status == 404
