"""Which names a server answers to and whose pages may post: rebinding, malformed headers, and a real proxy in front."""

from __future__ import annotations

import contextlib
import http.client
import json
import shutil
import socket
import subprocess
import time

import pytest

pytest.importorskip("fastapi")
pytest.importorskip("uvicorn")
pytest.importorskip("python_multipart")
pytest.importorskip("prometheus_client")

from needs import needs_nginx
from onnx_nets import write_net
from web_server import form, picture, site

from mien import Predictor
from mien.errors import ConfigError
from mien.web import AllowedHosts, listen
from mien.web.hosts import LOOPBACK, parse_host
from mien.web.sockets import address, hosts_for

SITE = "faces.example.org"


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return Predictor(write_net(tmp_path_factory.mktemp("net") / "tiny.onnx"), "none", threads=1)


@pytest.fixture(scope="module")
def web(tiny):
    with site(tiny) as running:
        yield running


# --- names


@pytest.mark.parametrize(
    ("value", "host"),
    [
        ("localhost", ("localhost", None)),
        ("LocalHost.:80", ("localhost", 80)),
        ("localhost:", ("localhost", None)),
        ("a-b.c_d.example:65535", ("a-b.c_d.example", 65535)),
        ("[::1]:8000", ("[::1]", 8000)),
        ("[0:0::1]", ("[::1]", None)),
        ("xn--bcher-kva.example", ("xn--bcher-kva.example", None)),
    ],
)
def test_a_host_is_a_name_and_perhaps_a_port(value, host):
    assert parse_host(value) == host


MALFORMED = ["[", "]", "[::1", "[::zz]", "a b", "localhost:0", "localhost:99999", "localhost:8o", "a:1:2"]
MALFORMED += [
    "user@localhost",
    "http://localhost",
    "localhost/",
    "localhost?",
    ".",
    ":80",
    "-" + "x" * 300,
    "ü",
    "a\tb",
]


@pytest.mark.parametrize("value", MALFORMED)
def test_what_is_no_host_is_refused(value):
    with pytest.raises(ValueError):  # noqa: PT011
        parse_host(value)


def test_names_are_added_as_they_are_typed():
    hosts = AllowedHosts().and_named(["Faces.Example.org", "box:8443", "[2001:db8::1]"])
    assert all(
        map(hosts.answers, ["faces.example.org", "faces.example.org:1", "box:8443", "[2001:db8:0::1]", "localhost"])
    )
    assert not any(map(hosts.answers, ["box", "box:80", "example.org", "evil.faces.example.org", "192.168.1.7"]))
    assert not hosts.answers("")
    assert AllowedHosts().and_named(["*"]).answers("evil.example")
    assert not AllowedHosts.of({"Box"}).answers("localhost")
    assert AllowedHosts.of({"Box"}).answers("box:1")
    assert AllowedHosts.of(None).answers("")


@pytest.mark.parametrize("name", ["https://faces.example.org", "faces.example.org/mien", "", "*.example.org", "a:b"])
def test_a_name_that_cannot_be_one_is_refused_with_the_rule(name):
    with pytest.raises(ConfigError, match=r"allow-host must be a name such as .*without https:// and path; got"):
        AllowedHosts().and_named([name])


@pytest.mark.parametrize(
    ("origin", "host", "may"),
    [
        ("http://localhost:8000", "localhost:8000", True),
        ("http://LOCALHOST", "localhost:80", True),
        ("https://localhost", "localhost", True),
        ("http://localhost:8001", "localhost:8000", False),
        ("http://127.0.0.1:8000", "localhost:8000", False),
        (f"https://{SITE}", SITE, True),
        (f"https://{SITE}", "127.0.0.1:8000", True),  # the proxy wrote its own Host
        (f"https://{SITE}:8443", SITE, True),  # the proxy left the port out
        ("https://evil.example", SITE, False),
        (f"https://{SITE}.evil.example", SITE, False),
        ("https://box:8443", "127.0.0.1:8000", True),
        ("https://box", "127.0.0.1:8000", False),
        *(
            (origin, "localhost", False)
            for origin in ("null", "", "http://[", "http://", "file://localhost", "localhost")
        ),
        ("http://localhost@evil.example", "localhost", False),
        ("http://localhost/", "localhost", False),
    ],
)
def test_pages_send_to_where_they_came_from_or_from_a_named_site(origin, host, may):
    assert AllowedHosts().and_named([SITE, "box:8443"]).may_send(origin, host) is may


class Bound:
    def __init__(self, host):
        self.host = host

    def getsockname(self):
        return (self.host, 80, 0, 0)[: 4 if ":" in self.host else 2]


@pytest.mark.parametrize(
    ("host", "url", "own"),
    [
        ("127.0.0.1", "http://127.0.0.1:80", "127.0.0.1"),
        ("127.0.0.9", "http://127.0.0.9:80", "127.0.0.9"),
        ("::1", "http://[::1]:80", "[::1]"),
        ("0.0.0.0", "http://127.0.0.1:80", None),
        ("::", "http://[::1]:80", None),
        ("192.168.1.7", "http://192.168.1.7:80", None),
        ("fe80::1%eth0", "http://[fe80::1%eth0]:80", None),
    ],
)
def test_a_server_in_a_network_answers_to_addresses_and_its_name_and_no_server_to_names_of_others(
    host, url, own, monkeypatch
):
    monkeypatch.setattr(socket, "gethostname", lambda: "Box")
    assert address(Bound(host)) == url
    hosts = hosts_for(Bound(host))
    assert hosts.answers("localhost:1")
    assert hosts.answers(own or "192.168.1.7")
    assert hosts.answers("box") == hosts.answers("box.local") == hosts.answers("[2001:db8::1]:80") == (own is None)
    assert not hosts.answers("rebound.example")


# --- over the wire


def raw(port, head):
    with socket.create_connection(("127.0.0.1", port), timeout=15) as wire:
        wire.sendall(head)
        data = b""
        with contextlib.suppress(ConnectionResetError):
            while more := wire.recv(65536):
                data += more
    head, _, body = data.partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body)


@pytest.mark.parametrize("host", [m for m in MALFORMED if m.isascii()] + ["ü", "", "localhost, localhost"])
def test_a_malformed_host_is_a_clear_refusal(web, host):
    line = b"Host: " + host.encode("latin-1") + b"\r\n"
    status, problem = raw(web.port, b"GET /healthz HTTP/1.1\r\n" + line + b"Connection: close\r\n\r\n")
    assert status == (400 if host else 421)
    assert problem["status"] == status


ODD = [
    "[",
    "http://[",
    "http://[::1",
    "http://a:b:c",
    "null",
    "",
    "\xff\xfe",
    "%00",
    "http://\xe4",
    "x" * 5000,
    "//",
    ";=",
    "=;=,",
]
ODD += [
    "multipart/form-data; boundary*=utf-8''%ff",
    'multipart/form-data; boundary="\\',
    "multipart/form-data; boundary=\xff",
]
ODD += [
    "multipart/form-data; charset=nonsense; boundary=x",
    "image/",
    "image/png; q=\xff",
    "/",
    "-1",
    "1e3",
    "0x10",
    "٣" * 0 + "9" * 19,
]


@pytest.mark.parametrize(
    "name", ["Origin", "Referer", "Content-Type", "Content-Length", "Transfer-Encoding", "X-Forwarded-For"]
)
@pytest.mark.parametrize("value", ODD, ids=range(len(ODD)))
def test_no_value_of_a_header_is_a_failure_of_ours(web, name, value):
    lines = {"Host": "localhost", "Content-Type": "image/png", "Content-Length": "3", "Connection": "close"}
    if name == "Transfer-Encoding":
        del lines["Content-Length"]
    lines[name] = value
    head = "".join(f"{key}: {text}\r\n" for key, text in lines.items())
    status, problem = raw(web.port, b"POST /v1/predict HTTP/1.1\r\n" + head.encode("latin-1") + b"\r\nabc")
    assert 400 <= status < 500
    assert problem["status"] == status
    assert problem["detail"]


def test_the_command_refuses_what_is_no_name_and_says_so():
    from typer.testing import CliRunner

    from mien.cli import app

    answer = CliRunner().invoke(app, ["serve", "--port", "0", "--allow-host", "https://x.example"])
    assert answer.exit_code != 0
    assert "allow-host must be a name" in str(answer.exception)


# --- behind nginx

CONFIG = """
daemon off;
master_process off;
pid {folder}/pid;
error_log {folder}/error.log;
events {{ }}
http {{
    access_log off;
    {temporary}
    server {{
        listen 127.0.0.1:{kept};
        location / {{
            proxy_pass http://127.0.0.1:{port};
            proxy_set_header Host $host;
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
        }}
    }}
    server {{
        listen 127.0.0.1:{rewritten};
        location / {{ proxy_pass http://127.0.0.1:{port}; }}
    }}
}}
"""


def free_port():
    with listen("127.0.0.1", 0) as opened:
        return opened.getsockname()[1]


@contextlib.contextmanager
def nginx(folder, port):
    """nginx in front of a port, as any user: gives the ports that keep the Host and that rewrite it."""
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    temporary = " ".join(f"{kind}_temp_path {folder}/{kind};" for kind in kinds)
    kept, rewritten = free_port(), free_port()
    config = folder / "nginx.conf"
    config.write_text(CONFIG.format(folder=folder, temporary=temporary, kept=kept, rewritten=rewritten, port=port))
    program = shutil.which("nginx") or "/usr/sbin/nginx"
    process = subprocess.Popen([program, "-p", str(folder), "-c", str(config), "-e", str(folder / "error.log")])
    try:
        for at in (kept, rewritten):
            end = time.monotonic() + 15
            while True:
                assert process.poll() is None, (folder / "error.log").read_text()
                assert time.monotonic() < end
                with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", at), timeout=1):
                    break
                time.sleep(0.02)
        yield kept, rewritten
    finally:
        process.terminate()
        process.wait(15)


def asked(port, **headers):
    """The status of a prediction that the site's own page asks for, through the proxy."""
    body, kind = form(("a", picture()))
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=20)) as c:
        c.request("POST", "/v1/predict", body, {"Content-Type": kind, "Host": SITE, **headers})
        return c.getresponse().status


@needs_nginx
def test_behind_nginx_the_page_works_once_its_name_is_allowed(tiny, tmp_path):
    own = f"https://{SITE}"
    for named, wanted in {(): (421, 421, 200, 403), (SITE,): (200, 200, 200, 200)}.items():
        folder = tmp_path / str(len(named))
        folder.mkdir()
        with site(tiny, hosts=AllowedHosts(LOOPBACK).and_named(named)) as web, nginx(folder, web.port) as ports:
            kept, rewritten = ports
            found = (asked(kept), asked(kept, Origin=own), asked(rewritten), asked(rewritten, Origin=own))
            assert found == wanted
            assert asked(kept, Origin="https://evil.example") in (403, 421)
            assert asked(kept, Host="evil.example") == 421
            assert asked(rewritten, Origin="https://evil.example") == 403
