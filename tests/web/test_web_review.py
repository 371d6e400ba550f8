"""The review of ``mien serve --video``: its API, the film in pieces, and its page in a real browser."""

from __future__ import annotations

import json
import time

import pytest

pytest.importorskip("fastapi")
pytest.importorskip("uvicorn")
pytest.importorskip("python_multipart")
pytest.importorskip("prometheus_client")

from browsing import CONTRAST, UNNAMED, chromium, complaints, device, served, until
from needs import needs_browser
from onnx_nets import write_net
from review_files import SHOWN, recorded_table
from video_files import square, write_av, write_cv
from web_server import site

from mien import Predictor
from mien.data import read_faces
from mien.errors import DataError
from mien.files import sha256_of
from mien.study import Review
from mien.web import ranges
from mien.web.app import create_app
from mien.web.ranges import piece_of

JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def predictor(tmp_path_factory):
    return Predictor(write_net(tmp_path_factory.mktemp("nets") / "tiny.onnx"), detector="none", threads=1)


def film(folder, suffix=".mp4"):
    """A film of two stretches with a face and nobody between, and its table."""
    pictures = [square(i) for i in range(len(SHOWN))]
    path = folder / f"talk{suffix}"
    if suffix == ".mp4":
        pytest.importorskip("av")
        write_av(path, pictures, [i / 10 for i in range(len(SHOWN))])
    else:
        write_cv(path, pictures, rate=10)
    recorded_table(folder / "talk.csv", SHOWN, sha256_of(path))
    return path


@pytest.fixture
def desk(tmp_path, predictor):
    review = Review(film(tmp_path, ".avi"), tmp_path / "talk.csv")
    with site(predictor, review=review) as found:
        yield found, tmp_path


def post(desk, path, **body):
    answer = desk.ask("POST", f"/v1/review/{path}", json.dumps(body), JSON)
    return answer.status, answer.json


def state(desk):
    return desk.ask("GET", "/v1/review").json


def written(desk, folder):
    """The bytes of the corrected table and of its segments."""
    assert post(desk, "table")[0] == 200
    end = time.monotonic() + 20
    while not (job := desk.ask("GET", "/v1/review/job").json)["done"]:
        assert time.monotonic() < end
        time.sleep(0.02)
    assert job["error"] == ""
    return [(folder / name).read_bytes() for name in ("talk-corrected.csv", "talk-corrected-segments.csv")]


def test_a_merge_changes_table_and_segments_and_undo_restores_them_byte_for_byte(desk):
    server, folder = desk
    before = written(server, folder)
    assert before[0] == (folder / "talk.csv").read_bytes()
    status, now = post(server, "corrections", after=0, correction={"do": "merge", "person": 2, "into": 1})
    assert (status, [p["number"] for p in now["persons"]], {s["track"] for s in now["segments"]}) == (200, [1], {1})
    merged = written(server, folder)
    assert merged[0] != before[0]
    assert merged[1] != before[1]
    status, now = post(server, "undo", after=now["after"])
    assert (status, [p["number"] for p in now["persons"]], now["redo"]) == (200, [1, 2], True)
    assert written(server, folder) == before
    assert post(server, "redo", after=now["after"])[0] == 200
    assert written(server, folder)[1] == merged[1]


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ({"after": 7, "correction": {"do": "exclude", "person": 1}}, 409, "in another window"),
        ({"after": 0, "correction": {"do": "exclude", "person": 9}}, 422, "no person 9"),
        ({"after": 0, "correction": {"do": "fly"}}, 422, "do must be one of"),
        ({"after": 0, "correction": {"do": []}}, 422, "do must be one of"),
        ({"after": 0, "correction": {"do": "event", "start": 0, "name": "\ud800"}}, 422, "name must be text"),
        ({"after": 0}, 422, "do must be one of"),
        ({"correction": {"do": "exclude", "person": 1}}, 422, "after must be"),
    ],
)
def test_what_cannot_be_done_is_a_problem_and_changes_nothing(desk, body, status, words):
    server, folder = desk
    answer = server.ask("POST", "/v1/review/corrections", json.dumps(body), JSON)
    assert (answer.status, answer.headers["Content-Type"]) == (status, "application/problem+json")
    assert words in answer.json["detail"]
    assert not (folder / "talk-corrections.jsonl").exists()


def test_bodies_are_small_json_objects_of_this_page(desk):
    server, _ = desk

    def ask(body, **headers):
        return server.ask("POST", "/v1/review/undo", body, {**JSON, **headers}).status

    assert ask("[]") == ask("{") == ask("[" * 60_000) == 422
    assert ask("x" * 70_000) == 413
    assert ask("{}", **{"Content-Type": "text/plain"}) == 415
    assert ask("{}", Origin="http://elsewhere.example") == 403
    assert server.ask("POST", "/v1/review/other", "{}", JSON).status == 404


def test_the_film_comes_in_pieces(desk, monkeypatch):
    server, folder = desk
    data = (folder / "talk.avi").read_bytes()

    def ask(**headers):
        return server.ask("GET", "/v1/review/video", headers=headers)

    whole = ask()
    assert (whole.status, whole.body, whole.headers["Accept-Ranges"]) == (200, data, "bytes")
    part = ask(Range="bytes=10-19")
    assert (part.status, part.body) == (206, data[10:20])
    assert part.headers["Content-Range"] == f"bytes 10-19/{len(data)}"
    assert ask(Range="bytes=-5").body == data[-5:]
    monkeypatch.setattr(ranges, "PIECE", 100)
    assert ask(Range="bytes=7-").body == data[7:107]  # the player asks for the rest
    assert ask(Range=f"bytes={len(data)}-").status == 416
    assert ask(Range="bytes=5-9", **{"If-Range": '"old"'}).status == 200
    assert ask(Range="bytes=5-9", **{"If-Range": part.headers["ETag"]}).status == 206
    assert [piece_of(*r, 10) for r in (("5", "2"), ("", "0"), ("", "99"))] == [None, None, (0, 9)]
    (folder / "talk.avi").unlink()
    assert ask().status == 404


def test_a_table_of_another_film_is_refused(tmp_path):
    path = film(tmp_path, ".avi")
    path.write_bytes(path.read_bytes() + b"more")
    with pytest.raises(DataError, match="another film"):
        Review(path, tmp_path / "talk.csv")


class Page:
    def __init__(self, driver, address):
        self.driver, self.address = driver, address

    def open(self):
        self.driver.get(f"{self.address}review")
        until(lambda: self.run("return 'ready' in document.documentElement.dataset"), "the page")
        self.run("document.querySelector('#lanes').focus()")

    def run(self, script):
        return self.driver.execute_script(script)

    def text(self, selector):
        return self.run(f"return document.querySelector('{selector}').innerText.trim()")

    def press(self, *keys):
        from selenium.webdriver import ActionChains

        ActionChains(self.driver).send_keys(*keys).perform()

    def chord(self, held, key):
        from selenium.webdriver import ActionChains

        ActionChains(self.driver).key_down(held).send_keys(key).key_up(held).perform()

    def click(self, selector):
        self.driver.find_element("css selector", selector).click()

    def persons(self):
        return self.run("return [...document.querySelectorAll('#persons b')].map((n) => n.textContent)")

    def segments(self):
        return self.run("return [...document.querySelectorAll('#segments button')].map((n) => n.textContent)")

    def write(self, what):
        self.run("document.querySelector('#written').textContent = ''")
        self.click(f"#write-{what}")
        until(lambda: self.text("#written").startswith("Written"), f"the {what}")

    def moved(self, shown):
        until(lambda: shown in self.text("#clock"), shown)


@pytest.fixture(scope="module")
def opened(tmp_path_factory, predictor):
    folder = tmp_path_factory.mktemp("review")
    review = Review(film(folder), folder / "talk.csv")
    with served(create_app(predictor, review=review)) as address, chromium(folder, folder / "no") as driver:
        yield Page(driver, address), folder


@pytest.fixture
def page(opened):
    """A fresh page of the film without corrections; the browser may not have complained."""
    found, folder = opened
    found.open()
    yield found, folder
    device(found.driver, 0)
    while found.run("return !document.querySelector('#undo').disabled"):
        was = found.text("#saved")
        found.click("#undo")
        until(lambda was=was: found.text("#saved") != was, "the undo")
    assert [line for line in complaints(found.driver) if "422" not in line] == []


@pytest.mark.slow
@needs_browser
def test_in_the_browser_a_merge_changes_the_files_and_undo_restores_them_byte_for_byte(page):
    page, folder = page
    names = ("talk-corrected.csv", "talk-corrected-segments.csv")
    page.write("table")
    before = [(folder / name).read_bytes() for name in names]
    assert page.persons() == ["person 1", "person 2"]
    page.run("document.querySelector('#lanes').focus()")
    page.press("g")
    until(lambda: page.persons() == ["person 2"], "the merge")
    assert page.segments() == ["person 2: happy, 0.00 s to 1.00 s", "person 2: sad, 1.30 s to 2.30 s"]
    page.write("table")
    assert [(folder / name).read_bytes() for name in names] != before
    page.run("document.querySelector('#lanes').focus()")
    page.chord("\ue009", "z")  # Ctrl
    until(lambda: page.persons() == ["person 1", "person 2"], "the undo")
    page.write("table")
    assert [(folder / name).read_bytes() for name in names] == before


@pytest.mark.slow
@needs_browser
def test_in_the_browser_all_is_done_with_keys_and_read_out(page):
    from selenium.webdriver import Keys

    page, folder = page
    until(lambda: page.run("return document.querySelector('#film').readyState >= 2"), "the film")
    page.press(Keys.HOME)
    page.moved("0.00 s of")
    assert page.text("#boxes") == "1 happy"
    page.press("i", ".", ".", ".", "o")
    page.moved("0.30 s of")
    assert page.run("return document.querySelector('#lanes').ariaValueText").startswith("0.30 s, person 1: happy 80")
    page.press("3")
    until(lambda: page.segments()[0] == "person 1: sad, 0.00 s to 0.40 s", "the label")
    assert "Person 1: sad." in page.text("#status")
    page.press("]", "s")  # the next segment begins at 0.4 s
    until(lambda: "person 3" in page.persons(), "the split")
    page.press("x")
    until(lambda: "excluded" in page.text("#persons"), "the exclusion")
    page.press("m", "b", "e", "l", "l", Keys.ENTER)
    until(lambda: "bell at 0.40 s" in page.text("#log"), "the event")
    page.write("faces")
    assert "2 sad" in page.text("#written")
    faces = read_faces(folder / "talk-faces")
    assert [faces.names[k] for k in faces.labels.tolist()] == ["sad", "sad"]
    lines = (folder / "talk-corrections.jsonl").read_text().splitlines()
    assert [json.loads(line)["do"] for line in lines[-4:]] == ["label", "split", "exclude", "event"]
    page.click("#keys") if page.run("return document.querySelector('.keys').open") else page.click(".keys summary")
    page.run("document.querySelector('#keys').click(); document.querySelector('#lanes').focus()")
    page.press("x")
    time.sleep(0.3)
    assert "counts again" not in page.text("#log")  # single keys are switched off


@pytest.mark.slow
@needs_browser
def test_the_review_can_be_read_in_both_themes_and_on_a_phone(page):
    page, _ = page
    page.press("3")  # without a stretch it is the segment of the moment
    until(lambda: "shows sad" in page.text("#log"), "the label")
    for system in ("light", "dark"):
        feature = {"name": "prefers-color-scheme", "value": system}
        page.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
        assert page.run(CONTRAST) == []
    assert page.run(UNNAMED) == []
    ids = page.run("return [...document.querySelectorAll('[id]')].map((n) => n.id)")
    assert len(ids) == len(set(ids))
    for width in (375, 320):
        device(page.driver, width)
        over = "return document.documentElement.scrollWidth - document.documentElement.clientWidth"
        assert page.run(over) <= 0


@pytest.mark.slow
@needs_browser
def test_a_film_that_no_browser_plays_gets_a_copy(tmp_path, predictor):
    pytest.importorskip("av")
    review = Review(film(tmp_path, ".avi"), tmp_path / "talk.csv")
    with served(create_app(predictor, review=review)) as address, chromium(tmp_path, tmp_path / "no") as driver:
        page = Page(driver, address)
        page.open()
        until(lambda: not page.run("return document.querySelector('#unplayable').hidden"), "what is wrong")
        assert "cannot play talk.avi" in page.text("#unplayable-words")
        page.click("#make-copy")
        until(lambda: page.run("return document.querySelector('#film').videoWidth") == 160, "the copy")
        assert (tmp_path / "talk-preview.mp4").exists()
        assert page.run("return document.activeElement.id") == "play"
        page.run("document.querySelector('#lanes').focus()")
        page.press("\ue010")  # End
        until(
            lambda: abs(page.run("return document.querySelector('#film').currentTime") - 2.2) < 0.02, "the last frame"
        )
