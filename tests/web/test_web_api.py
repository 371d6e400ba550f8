"""The web API: answers, refusals, headers and batches, over real sockets on loopback."""

from __future__ import annotations

import base64
import logging
import re
import struct
import tempfile
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip("fastapi")
pytest.importorskip("uvicorn")
pytest.importorskip("python_multipart")
pytest.importorskip("prometheus_client")

from onnx_nets import write_net
from web_server import Held, eventually, form, picture, site

from mien import Predictor, __version__
from mien.errors import ConfigError, DataError
from mien.web import Limits, create_app

LIMITS = Limits(files=4, bytes=300_000, request_bytes=700_000, pixels=250_000, explained=2)


@pytest.fixture(scope="module")
def net(tmp_path_factory):
    return write_net(tmp_path_factory.mktemp("net") / "tiny.onnx")


@pytest.fixture(scope="module")
def tiny(net):
    return Predictor(net, "none", threads=1)


@pytest.fixture(scope="module")
def web(tiny):
    with site(tiny, LIMITS) as running:
        yield running


def pixels_of(uri):
    head, _, data = uri.partition(",")
    assert head == "data:image/png;base64"
    return cv2.imdecode(np.frombuffer(base64.b64decode(data), np.uint8), cv2.IMREAD_UNCHANGED)


def bomb(width, height):
    """A PNG of a few bytes that claims so many pixels."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(b"\0" * 1000)) + chunk(b"IEND", b"")


# --- answers


def test_answers_are_those_of_the_predictor_in_the_order_of_the_files(web, tiny):
    files = [(f"{i}.png", picture(i)) for i in range(4)]
    answer = web.predict(*files)
    assert answer.status == 200
    assert answer.json["model"] == "tiny"
    assert answer.json["seconds"] >= 0
    wanted = [{**tiny.predict(data).to_dict(), "photo": name} for name, data in files]
    assert answer.json["photos"] == wanted
    assert len({str(w["faces"][0]["probabilities"]) for w in wanted}) == 4


def test_one_picture_as_the_body(web, tiny):
    data = picture(3, kind=".jpg")
    answer = web.ask("POST", "/v1/predict", data, {"Content-Type": "image/jpeg"})
    assert answer.status == 200
    assert answer.json["photos"] == [tiny.predict(data).to_dict()]


@pytest.mark.parametrize("name", ["Größe 😀.png", "a/../b.png", "<b>.png", "x" * 300, ""])
def test_a_name_comes_back_as_it_was_sent_up_to_255_characters(web, name):
    assert web.predict((name, picture())).json["photos"][0]["photo"] == name[:255]


def test_a_name_that_is_no_text_comes_back_with_replacement_characters(web):
    assert web.predict(("\udcff.png", picture())).json["photos"][0]["photo"] == "�.png"


def test_small_pictures_come_on_demand(web, tiny):
    data = picture(5)
    face = tiny.predict(data)[0]
    plain, true, everything = (
        web.predict(("a", data), query=q).json["photos"][0]["faces"][0] for q in ("", "?pictures=true", "?pictures=all")
    )
    assert not {"crop", "looked", "decided"} & set(plain)
    assert "decided" not in true
    np.testing.assert_array_equal(pixels_of(true["crop"]), face.crop)
    assert pixels_of(true["looked"]).shape == (168, 168, 3)
    assert pixels_of(everything["decided"]).shape == (168, 168, 3)
    assert {k: v for k, v in everything.items() if k not in ("crop", "looked", "decided")} == plain


def test_only_the_first_faces_get_an_occlusion_map(web):
    photos = web.predict(*((str(i), picture(i)) for i in range(3)), query="?pictures=all").json["photos"]
    assert [p["faces"][0]["decided"] is not None for p in photos] == [True, True, False]


def test_a_net_without_a_window_has_no_picture_of_it(tmp_path):
    with site(Predictor(write_net(tmp_path / "plain.onnx", theta=None), "none", threads=1)) as web:
        face = web.predict(("a", picture()), query="?pictures=true").json["photos"][0]["faces"][0]
    assert face["looked"] is None
    assert face["attention_window"] is None
    assert face["crop"]


def test_a_photo_without_a_face_is_an_answer(net):
    class Blind:
        def detect(self, image):
            return []

    with site(Predictor(net, Blind(), threads=1)) as web:
        photo = web.predict(("a", picture()), query="?pictures=all").json["photos"][0]
    assert photo == {"photo": "a", "outcome": "no face", "width": 80, "height": 60, "faces": []}


def test_a_bad_file_does_not_spoil_the_good_ones(web):
    photos = web.predict(("good", picture()), ("text", b"hello"), ("empty", b""), ("cut", picture()[:60])).json[
        "photos"
    ]
    assert [p["outcome"] == "unreadable" for p in photos] == [False, True, True, True]
    assert all(p["error"] for p in photos[1:])


def test_what_can_be_asked_beside_predictions(web, tiny):
    model = web.ask("GET", "/v1/model").json
    assert model["name"] == "tiny"
    assert model["labels"] == list(tiny.spec.labels)
    assert list(model["colours"]) == model["labels"]
    assert "63.1 % on PublicTest" in model["accuracy"]
    assert model["mien"] == __version__
    assert model["limits"] == {"files": 4, "bytes": 300_000, "pixels": 250_000}
    assert "Not for decisions about people" in model["intended_use"]
    assert web.ask("GET", "/healthz").json == {"status": "ok", "model": "tiny"}


# --- refusals


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "empty"),
        (b"\xff\xd8\xff", "header is damaged"),
        (picture(kind=".jpg")[:40], "damaged"),
        (bomb(60_000, 60_000), "over the limit of 250,000"),
        (bomb(501, 500), "over the limit of 250,000"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "not a picture"),
    ],
)
def test_where_no_file_can_be_read_the_answer_is_422_and_names_each(web, data, words):
    answer = web.predict(("a", data))
    assert answer.status == 422
    assert words in answer.json["detail"]
    assert answer.json["photos"] == [{"photo": "a", "outcome": "unreadable", "error": answer.json["detail"]}]
    two = web.predict(("a", data), ("b", data))
    assert (two.status, [p["photo"] for p in two.json["photos"]]) == (422, ["a", "b"])
    assert "none of the 2 files" in two.json["detail"]


@pytest.mark.parametrize(("height", "width"), [(1, 250_000), (250_000, 1), (1, 1)])
def test_a_picture_of_an_absurd_shape_is_no_failure(height, width, net):
    with site(Predictor(net, threads=1), LIMITS) as web:  # with the detector
        answer = web.predict(("a", bytes(cv2.imencode(".png", np.zeros((height, width), np.uint8))[1])))
    assert answer.status in (200, 422)


BIG = form(*[("a", b"x" * 299_000)] * 3)[0]
FORM = "multipart/form-data; boundary=edge"
REFUSALS = {
    "no path": ("GET", "/nope", None, {}, 404, "openapi.json"),
    "docs from elsewhere": ("GET", "/docs", None, {}, 404, ""),
    "no method": ("GET", "/v1/predict", None, {}, 405, "GET"),
    "no method on the page": ("DELETE", "/", None, {}, 405, "DELETE"),
    "no type": ("POST", "/v1/predict", b"x", {}, 415, "multipart/form-data"),
    "json": ("POST", "/v1/predict", b"{}", {"Content-Type": "application/json"}, 415, "image/"),
    "no boundary": ("POST", "/v1/predict", b"x", {"Content-Type": "multipart/form-data"}, 400, "boundary"),
    "not a form": ("POST", "/v1/predict", b"nonsense", {"Content-Type": FORM}, 400, "damaged"),
    "cut form": ("POST", "/v1/predict", form(("a", picture()))[0][:-30], {"Content-Type": FORM}, 400, "cut short"),
    "nothing": ("POST", "/v1/predict", b"", {"Content-Type": FORM}, 400, "cut short"),
    "other part": ("POST", "/v1/predict", form(("a", b""), part="photo")[0], {"Content-Type": FORM}, 422, "'photo'"),
    "bad flag": ("POST", "/v1/predict?pictures=maybe", b"", {"Content-Type": "image/png"}, 422, "pictures"),
    "too many": ("POST", "/v1/predict", form(*[("a", b"")] * 5)[0], {"Content-Type": FORM}, 413, "more than 4"),
    "large file": ("POST", "/v1/predict", form(("a", b"x" * 300_001))[0], {"Content-Type": FORM}, 413, "'a'"),
    "large form": (
        "POST",
        "/v1/predict",
        BIG,
        {"Content-Type": FORM},
        413,
        "700,000",
    ),
    "large body": ("POST", "/v1/predict", b"x" * 300_001, {"Content-Type": "image/png"}, 413, "300,000"),
    "rebinding": ("GET", "/", None, {"Host": "evil.example:80"}, 421, "localhost"),
    "other site": (
        "POST",
        "/v1/predict",
        b"",
        {"Content-Type": "image/png", "Origin": "https://evil.example"},
        403,
        "",
    ),
    "no origin": ("POST", "/v1/predict", b"", {"Content-Type": "image/png", "Origin": "null"}, 403, "other sites"),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_each_refusal_is_a_problem_that_says_why(web, case):
    method, path, body, headers, status, words = REFUSALS[case]
    answer = web.ask(method, path, body, headers)
    assert answer.status == status
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json["type"] == "about:blank"
    assert answer.json["status"] == status
    assert answer.json["title"]
    assert words in answer.json["detail"]


def test_a_form_without_parts_is_refused(web):
    answer = web.ask("POST", "/v1/predict", b"--edge--\r\n", {"Content-Type": FORM})
    assert answer.status in (400, 422)  # older versions of python-multipart do not take it for a form
    assert answer.json["detail"]


def test_a_failure_of_ours_is_a_problem_too_and_the_server_lives_on(net, caplog):
    class Broken:
        def detect(self, image):
            raise RuntimeError("a bug")

    with site(Predictor(net, Broken(), threads=1)) as web:
        answer = web.predict(("a", picture()))
        assert (answer.status, answer.json["status"]) == (500, 500)
        assert "a bug" not in answer.body.decode()
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert web.ask("GET", "/healthz").status == 200
        web.until("mien_requests_waiting", 0)
    assert "a bug" in caplog.text  # with its traceback, for those who run the server


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:1", "127.0.0.1:99", "[::1]:8000", "[::1]"])
def test_this_machine_may_ask_by_any_of_its_names(web, host):
    assert web.ask("GET", "/healthz", headers={"Host": host}).status == 200


def test_the_page_itself_may_post_and_another_port_may_not(web):
    own, other = f"http://127.0.0.1:{web.port}", f"http://127.0.0.1:{web.port + 1}"
    assert web.predict(("a", picture()), Origin=own).status == 200
    assert web.predict(("a", picture()), Origin=other).status == 403


def test_a_server_for_others_answers_to_any_name(tiny):
    with site(tiny, hosts=None) as web:
        assert web.ask("GET", "/healthz", headers={"Host": "box.lan"}).status == 200


@pytest.mark.parametrize(("name", "value"), [("files", 0), ("waiting", 0), ("seconds", 0), ("pixels", 10**9)])
def test_limits_say_what_is_wrong(name, value):
    with pytest.raises(ConfigError, match=f"limit {name} must be .*got"):
        Limits(**{name: value})


def test_the_documentation_has_the_limits_as_they_are():
    text = (Path(__file__).parents[2] / "docs" / "web.md").read_text(encoding="utf-8")
    written = re.findall(r"^\| `(\w+)`: [^|]* \| (\d+) \|", text, re.MULTILINE)
    assert written == [(name, str(int(value))) for name, value in asdict(Limits()).items()]


def test_jobs_must_be_one_or_more(tiny):
    with pytest.raises(ConfigError, match="jobs and together"):
        create_app(tiny, together=0)


# --- the page and the headers


def test_the_page_is_served_with_headers_that_keep_it_to_itself(web):
    page = web.ask("GET", "/")
    assert page.status == 200
    assert page.headers["Content-Type"] == "text/html; charset=utf-8"
    assert "default-src 'self'" in page.headers["Content-Security-Policy"]
    for header, value in {"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"}.items():
        assert page.headers[header] == value
    assert "camera=(self)" in page.headers["Permissions-Policy"]
    assert "Access-Control-Allow-Origin" not in page.headers
    named = set(re.findall(rb'(?:src|href)="(page/[^"]+)"', page.body))
    assert b"page/app.js" in named
    for path in named:
        assert web.ask("GET", "/" + path.decode()).status == 200
    script = web.ask("GET", "/page/app.js")
    assert script.headers["Content-Type"] == "text/javascript; charset=utf-8"


def test_answers_are_not_to_be_stored(web):
    assert web.ask("GET", "/v1/model").headers["Cache-Control"] == "no-store"
    assert web.predict(("a", picture())).headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("name", ["../app.py", "..%2Fapp.py", "%2e%2e/app.py", "none.js", "", "app.js/", "%00"])
def test_no_name_leads_out_of_the_page_folder(web, name):
    assert web.ask("GET", f"/page/{name}").status == 404


def test_head_is_get_without_the_body(web):
    head, get = (web.ask(method, "/healthz") for method in ("HEAD", "GET"))
    assert (head.status, head.body) == (200, b"")
    assert head.headers["Content-Length"] == get.headers["Content-Length"]


# --- nothing is kept, things are counted


def test_uploads_never_touch_the_disk(tiny, monkeypatch):
    def never(*args, **kwargs):
        raise AssertionError("a temporary file")

    for name in ("TemporaryFile", "NamedTemporaryFile", "SpooledTemporaryFile", "mkstemp"):
        monkeypatch.setattr(tempfile, name, never)
    noise = np.random.default_rng(0).integers(0, 256, (1500, 1500, 3), dtype=np.uint8)
    data = bytes(cv2.imencode(".bmp", noise)[1])
    assert len(data) > 6_000_000  # beyond what form parsers keep in memory by themselves
    with site(tiny) as web:
        assert web.predict(("a", data), ("b", data)).status == 200


def logged(caplog):
    return [re.sub(r"\d+ ms", "N ms", r.getMessage()) for r in caplog.records if r.name == "mien.web"]


def test_the_log_has_method_path_status_and_time_only(web, caplog):
    with caplog.at_level(logging.INFO):
        web.predict(("secret.png", picture()), query="?pictures=true")
        web.ask("GET", "/a%0Ab?secret=1")
        eventually(lambda: len(logged(caplog)), 2)
    assert logged(caplog) == ["POST /v1/predict 200 N ms", "GET /a%0Ab 404 N ms"]
    assert "secret" not in caplog.text


def test_requests_photos_and_faces_are_counted(tiny):
    with site(tiny) as web:
        web.predict(("a", picture()), ("b", b""))
        web.ask("GET", "/made/up/by/a/client")
        unknown = 'mien_requests_total{route="other",status="404"} 1.0'
        eventually(lambda: unknown in web.ask("GET", "/metrics").body.decode(), True, unknown)
        text = web.ask("GET", "/metrics").body.decode()
        assert 'mien_requests_total{route="/v1/predict",status="200"} 1.0' in text
        assert "made" not in text
        assert 'mien_photos_total{outcome="unreadable"} 1.0' in text
        assert web.metric("mien_faces_total") == 1
        web.until("mien_held_bytes", 0)


# --- batches


def test_requests_that_wait_share_one_run_of_the_network(net):
    held = Held(net, "none", threads=1)
    with site(held) as web, ThreadPoolExecutor(8) as pool:
        held.gate.clear()
        first = pool.submit(web.predict, ("first", picture(99)))
        assert held.entered.acquire(timeout=10)
        others = [pool.submit(web.predict, (str(i), picture(i))) for i in range(6)]
        web.until("mien_requests_waiting", 7)
        end_of_search(held, 7)
        held.gate.set()
        answers = [other.result().json["photos"][0] for other in others]
        assert first.result().status == 200
        assert held.batches == [1, 6]
        web.until("mien_batch_pictures_sum", 7)
        web.until("mien_batch_pictures_count", 2)
    plain = Predictor(net, "none", threads=1)
    for i, answer in enumerate(answers):  # each got its own
        wanted = plain.predict(picture(i))[0]
        assert answer["photo"] == str(i)
        assert answer["faces"][0]["label"] == wanted.label
        assert answer["faces"][0]["probabilities"] == pytest.approx(wanted.probabilities, abs=1e-5)


def end_of_search(held, count):
    """Until so many pictures have been searched; a moment later their faces wait for the network."""
    end = time.monotonic() + 10
    while held.found < count:
        assert time.monotonic() < end
        time.sleep(0.01)
    time.sleep(0.1)


def test_a_batch_has_a_limit(net):
    held = Held(net, "none", threads=1)
    with site(held, together=2) as web:
        assert web.predict(*((str(i), picture(i)) for i in range(5))).status == 200
    assert sum(held.batches) == 5
    assert max(held.batches) <= 2


def test_one_picture_that_breaks_the_network_does_not_spoil_the_others(net):
    class Touchy(Held):
        def classify(self, found):
            if any(f.width == 13 for f in found):
                self.entered.release()
                raise DataError("unlucky")
            return super().classify(found)

    held = Touchy(net, "none", threads=1)
    with site(held) as web, ThreadPoolExecutor(4) as pool:
        held.gate.clear()
        pool.submit(web.predict, ("first", picture()))
        assert held.entered.acquire(timeout=10)
        good = pool.submit(web.predict, ("good", picture()))
        bad = pool.submit(web.predict, ("bad", picture(width=13)))
        end_of_search(held, 3)
        held.gate.set()
        assert good.result().status == 200
        assert bad.result().status == 500
        assert web.ask("GET", "/healthz").status == 200
