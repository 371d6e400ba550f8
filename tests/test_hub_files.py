"""``hf://owner/name@revision``: fetched once from a hub (a small one, here), checked, offline from then on."""

from __future__ import annotations

import hashlib
import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from onnx_nets import write_net

from mien.errors import MissingExtra, ModelError
from mien.hub_files import hub_file
from mien.runtime import Predictor, find_head

hub = pytest.importorskip("huggingface_hub")


class Hub(BaseHTTPRequestHandler):
    """Answers as the hub does for the files of one model at the revision v1."""

    files: dict[str, bytes]
    asked: list[str]

    def do_HEAD(self):
        self.answer(body=False)

    def do_GET(self):
        self.answer(body=True)

    def answer(self, *, body):
        type(self).asked.append(self.path)
        repository, _, rest = self.path.lstrip("/").partition("/resolve/")
        revision, _, name = rest.partition("/")
        missing = (
            "RepoNotFound"
            if repository != "owner/name"
            else "RevisionNotFound"
            if revision not in ("v1", "c" * 40)
            else ""
        )
        data = self.files.get(name)
        code = 404 if missing or data is None else 200
        self.send_response(code)
        if code == 404:
            self.send_header("X-Error-Code", missing or "EntryNotFound")
            data = b""
        self.send_header("X-Repo-Commit", "c" * 40)
        self.send_header("ETag", f'"{hashlib.sha1(data).hexdigest()}"')
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if body:
            self.wfile.write(data)

    def log_message(self, *_):
        pass


@pytest.fixture
def fake_hub(tmp_path, monkeypatch):
    net = write_net(tmp_path / "net.onnx").read_bytes()
    config = {"files": {"model.onnx": {"sha256": hashlib.sha256(net).hexdigest()}}}
    handler = type(
        "Handler", (Hub,), {"files": {"model.onnx": net, "config.json": json.dumps(config).encode()}, "asked": []}
    )
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", address)
    monkeypatch.setattr(
        "huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", address + "/{repo_id}/resolve/{revision}/{filename}"
    )
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("huggingface_hub.file_download.HF_HUB_CACHE", str(tmp_path / "cache"), raising=False)
    monkeypatch.setattr("huggingface_hub.utils._http.time.sleep", lambda seconds: None)  # before it asks again
    yield handler, server
    server.shutdown()
    server.server_close()


def test_a_model_is_fetched_once_and_then_needs_no_network(fake_hub):
    handler, server = fake_hub
    assert Predictor("hf://owner/name@v1").spec.name == "tiny"
    assert find_head("hf://owner/name@v1:fer+")[1] == "fer+"
    asked = [path for path in handler.asked if path.startswith("/owner/name/")]
    assert {path.rpartition("/")[2] for path in asked} == {"config.json", "model.onnx"}
    assert len(asked) <= 4  # for each of both what it is, then the file
    server.shutdown()
    server.server_close()
    assert Predictor("hf://owner/name@v1").spec.name == "tiny"
    with pytest.raises(ModelError, match="there is no network"):
        Predictor("hf://owner/other@v1")


@pytest.mark.usefixtures("fake_hub")
def test_what_is_not_there_is_named():
    for address, words in [
        ("hf://owner/nothing@v1", "no such model, or no such revision"),
        ("hf://owner/name@v2", "no such model, or no such revision"),
        ("hf://name", "must be hf://owner/name"),
        ("hf://owner/name@v1/../x y", "must be hf://owner/name"),
    ]:
        with pytest.raises(ModelError, match=words):
            Predictor(address)
    with pytest.raises(ModelError, match=r"names no model\.safetensors"):
        hub_file("hf://owner/name@v1", "model.safetensors")


def test_a_file_that_is_not_what_the_config_names_is_refused(fake_hub):
    handler, _ = fake_hub
    handler.files["model.onnx"] += b"x"
    with pytest.raises(ModelError, match=r"is not the file that config\.json names"):
        Predictor("hf://owner/name@v1")


def test_without_the_extra_the_line_that_adds_it_is_said(monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(MissingExtra, match=r"\[hub\]"):
        Predictor("hf://owner/name@v1")
