"""The page of ``mien serve`` in a real browser: photos, webcam, keyboard, screen reader, light, dark, phone width."""

from __future__ import annotations

import csv
import io
import itertools
import json
import time
from dataclasses import asdict
from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip("fastapi")
pytest.importorskip("uvicorn")
pytest.importorskip("python_multipart")
pytest.importorskip("prometheus_client")

from browsing import CONTRAST, UNNAMED, chromium, complaints, device, film, saved, served, until
from needs import needs_browser

from mien import Predictor
from mien.results.cells import csv_line
from mien.video import RULES
from mien.web.app import create_app

pytestmark = [pytest.mark.slow, needs_browser]

ASTRONAUT = Path(__file__).parents[2] / "examples" / "astronaut.jpg"
DONE = ".card:is([data-outcome=good], [data-outcome=bad], [data-outcome=none])"


class Page:
    """The page as a person has it: look, click, type."""

    def __init__(self, driver, address, folder):
        self.driver, self.address, self.folder = driver, address, folder

    def open(self):
        self.driver.get(self.address)
        until(lambda: self.run("return 'ready' in document.documentElement.dataset"), "the page")

    def run(self, script, *given):
        return self.driver.execute_script(script, *given)

    def imported(self, name, script):
        """What ``script`` returns, with one of the page's modules as ``module``."""
        return self.driver.execute_async_script(
            f"const done = arguments[1]; import(new URL(`page/${{arguments[0]}}`, document.baseURI).href)"
            f".then((module) => {{ {script} }}).then(done, (error) => done(String(error)))",
            name,
        )

    def all(self, selector):
        return self.driver.find_elements("css selector", selector)

    def one(self, selector):
        return self.driver.find_element("css selector", selector)

    def text(self, selector):
        return self.run("return document.querySelector(arguments[0]).textContent.trim()", selector)

    def click(self, selector):
        self.one(selector).click()

    def choose(self, *files):
        self.one("#files").send_keys("\n".join(map(str, files)))
        until(lambda: len(self.all(DONE)) == len(self.all(".card")) >= len(files), "the answers")

    def press(self, key):
        from selenium.webdriver import ActionChains

        ActionChains(self.driver).send_keys(key).perform()

    def values(self, within):
        """The per cents of a face's bars."""
        return [int(cell.split()[0]) for cell in self.run(
            "return [...document.querySelectorAll(arguments[0] + ' .value')].map((n) => n.textContent)", within
        )]  # fmt: skip

    def webcam(self):
        self.click("#tab-webcam")
        self.click("#cam-switch")
        until(lambda: self.all("#live-faces .face"), "a face on the webcam")

    def history(self):
        self.click("#history-csv")
        return list(csv.DictReader(io.StringIO(saved(self.folder, "mien-webcam.csv"))))


@pytest.fixture(scope="module")
def predictor():
    return Predictor(threads=1)


@pytest.fixture(scope="module")
def opened(tmp_path_factory, predictor):
    """One server and one browser for all tests."""
    folder = tmp_path_factory.mktemp("browser")
    with served(create_app(predictor)) as address, chromium(folder, film(ASTRONAUT, folder / "x.mjpeg")) as driver:
        yield Page(driver, address, folder)


@pytest.fixture
def page(opened):
    """A fresh page; the test fails where the browser complained in its console."""
    opened.open()
    yield opened
    device(opened.driver, 0)
    assert [line for line in complaints(opened.driver) if "422" not in line] == []  # the browser notes every refusal


def test_a_photo_has_its_box_seven_bars_and_what_the_network_saw(page, predictor):
    [face] = predictor.predict(ASTRONAUT)
    page.choose(ASTRONAUT)
    assert page.text(".card h3") == "astronaut.jpg"
    assert page.text(".outcome") == "1 face"
    assert page.text(".face-head").replace("\xa0", " ") == f"1 face: {face.label} {face.confidence:.0%}".replace(
        "%", " %"
    )
    assert len(page.all(".bars tr")) == len(predictor.spec.labels) == 7
    assert abs(sum(page.values(".face")) - 100) <= 4  # each is rounded
    left, top = page.run("const b = document.querySelector('.box').style; return [b.left, b.top]")
    assert [float(left[:-1]), float(top[:-1])] == pytest.approx([face.box[0] / 5.12, face.box[1] / 5.12], abs=0.1)
    sizes = "return [...document.querySelectorAll('.tile:not([hidden]) img')].map((n) => n.naturalWidth)"
    assert until(lambda: all(page.run(sizes)) and page.run(sizes), "the crops")[0] == predictor.spec.size
    assert page.run("return document.querySelector('.picture img').alt") == "Photo astronaut.jpg, 1 face"
    until(lambda: face.label in page.text("#status"), "the answer to be read out")


def test_what_decided_is_shown_when_asked_for(page):
    page.choose(ASTRONAUT)
    tiles = "return [...document.querySelectorAll('.tile:not([hidden]) figcaption')].map((n) => n.textContent)"
    assert page.run(tiles) == ["what it saw", "where it looked"]
    page.click(".card button[aria-label^=Show]")
    until(lambda: page.run(tiles) == ["what it saw", "where it looked", "what decided"], "the occlusion map")
    assert page.text(".outcome") == "1 face"


def test_what_is_no_face_or_no_picture_is_said(page, tmp_path):
    broken, grey = tmp_path / "broken <b>name.jpg", tmp_path / "grey.png"
    broken.write_bytes(ASTRONAUT.read_bytes()[:900])
    cv2.imwrite(str(grey), np.full((120, 160, 3), 128, np.uint8))
    page.choose(broken, grey)
    assert [n.text for n in page.all(".card h3")] == ["broken <b>name.jpg", "grey.png"]  # a name is text, never a tag
    first, second = [n.text for n in page.all(".outcome")]
    assert first.startswith("cannot be read: ")
    assert "cut short" in first
    assert second == "no face was found"
    page.click(".card .remove")
    assert [n.text for n in page.all(".card h3")] == ["grey.png"]
    assert page.run("return document.activeElement.getAttribute('aria-label')") == "Remove grey.png"
    page.click("#photo-clear")
    assert not page.all(".card")
    assert not page.one("#photo-tools").is_displayed()


def test_results_are_saved_as_csv_and_json(page, predictor, tmp_path):
    trap = tmp_path / "=broken.jpg"
    trap.write_bytes(b"no picture")
    page.choose(ASTRONAUT, trap)
    [face] = predictor.predict(ASTRONAUT)
    page.click("#photo-csv")
    row, other = csv.DictReader(io.StringIO(saved(page.folder, "mien-photos.csv")))
    assert (row["photo"], row["face"], row["label"]) == ("astronaut.jpg", "1", face.label)
    assert [float(row[name]) for name in predictor.spec.labels] == pytest.approx(
        list(face.probabilities.values()), abs=1e-4
    )
    assert (other["photo"], other["outcome"], other["face"]) == ("'=broken.jpg", "unreadable", "0")  # no formula
    assert other["problems"]
    page.click("#photo-json")
    record = json.loads(saved(page.folder, "mien-photos.json"))
    assert record["model"] == predictor.spec.name
    [found] = record["photos"][0]["faces"]
    assert found["box"] == pytest.approx(face.box, abs=0.02)
    assert "crop" not in found


def test_the_page_and_the_command_write_the_same_cells(page):
    row = [
        "=1+1",
        "+1",
        "-1",
        "@a",
        "\tb",
        "\rc",
        "\nd",
        "'=e",
        "''-f",
        "'g",
        "h,i",
        'j"k',
        "l\nm",
        "",
        "ü 😀",
        0.5,
        -1,
        None,
    ]
    assert page.imported("dom.js", f"return module.csv([{json.dumps(row)}]);") == csv_line(row)


def test_photos_can_be_dropped_and_pasted_and_large_ones_are_refused(page):
    limit = json.loads(page.run(
        "const r = new XMLHttpRequest(); r.open('GET', 'v1/model', false); r.send(); return r.responseText"
    ))["limits"]["bytes"]  # fmt: skip
    page.run(
        """const carry = new DataTransfer();
        carry.items.add(new File([new Uint8Array(arguments[0] + 1)], "vast.png", { type: "image/png" }));
        dispatchEvent(new DragEvent("drop", { dataTransfer: carry, bubbles: true, cancelable: true }));""",
        limit,
    )
    until(lambda: len(page.all(DONE)) == 1, "the drop")
    assert page.text(".outcome").startswith("too large: ")
    page.run(
        """const carry = new DataTransfer();
        carry.items.add(new File(["no picture"], "note.png", { type: "image/png" }));
        dispatchEvent(new ClipboardEvent("paste", { clipboardData: carry, bubbles: true }));"""
    )
    until(lambda: len(page.all(DONE)) == 2, "the paste")
    assert page.text(".card .outcome").startswith("cannot be read: ")


def test_a_busy_server_is_asked_again_and_a_lost_one_is_named(page):
    page.run(
        """const real = window.fetch; let calls = 0;
        window.fetch = (...given) => ++calls > 1 ? real(...given)
          : Promise.resolve(new Response("{}", { status: 503, headers: { "Retry-After": "1" } }));
        window.said = []; new MutationObserver(() => window.said.push(document.querySelector(".outcome")?.textContent))
          .observe(document.querySelector("#cards"), { subtree: true, childList: true, characterData: true });"""
    )
    page.choose(ASTRONAUT)
    assert page.text(".outcome") == "1 face"
    assert "the server is busy, trying again in 1 s" in page.run("return window.said")
    page.run("window.kept = window.fetch; window.fetch = () => Promise.reject(new TypeError('gone'))")
    page.choose(ASTRONAUT)
    assert "does not answer" in page.text(".card .outcome")
    page.run("window.fetch = window.kept")
    page.click(".card button[aria-label^=Try]")
    until(lambda: page.text(".card .outcome") == "1 face", "the second try")


def test_the_webcam_shows_faces_moving_bars_and_a_growing_timeline(page, predictor):
    ink = """const c = new OffscreenCanvas(600, 200).getContext("2d", { willReadFrequently: true });
        c.drawImage(document.querySelector("#history"), 0, 0, 600, 200);
        const d = c.getImageData(0, 0, 600, 200).data;
        let n = 0; for (let i = 0; i < d.length; i += 4)
          if (d[i + 3] > 200 && Math.max(d[i], d[i+1], d[i+2]) - Math.min(d[i], d[i+1], d[i+2]) > 60) n++;
        return n;"""
    fills = "return [...document.querySelectorAll('#live-faces .fill')].map((n) => n.style.transform).join()"
    page.webcam()
    before, first = page.run(ink), page.run(fills)
    assert len(page.all("#live-faces .face")[0].find_elements("css selector", ".bars tr")) == 7
    until(lambda: page.run(fills) != first, "the bars to move")
    until(lambda: page.run(ink) > before + 500, "the timeline to grow")
    until(lambda: page.all("#live-faces .tile img[src^='data:']"), "the crops")
    until(lambda: "frames a second" in page.text("#cam-rate"), "the rate")
    assert page.all("#stage .box .tag")
    assert "happy" in page.text("#history-shares")

    until(lambda: page.one("#history-csv").is_enabled(), "the history")
    rows = until(lambda: (found := page.history())[7:] and found, "eight answers")
    times = [float(row["time"]) for row in rows]
    assert times == sorted(times)
    assert all(sum(float(row[name]) for name in predictor.spec.labels) == pytest.approx(1, abs=1e-3) for row in rows)
    boxes = np.array([[float(row[k]) for k in ("left", "top", "right", "bottom")] for row in rows])
    assert (boxes[:, 2] > boxes[:, 0]).all()
    assert boxes.std(axis=0).max() > 1  # the face in the film moves
    assert {row["face"] for row in rows} >= {"1"}

    page.click("#cam-pause")
    assert page.text("#cam-pause") == "Go on"
    time.sleep(1)  # the answer that is on its way
    held = len(page.history())
    place = "const b = document.querySelector('.box').style; return [b.left, b.width].map(parseFloat)"
    left, width = page.run(place)
    page.click("#cam-mirror")
    assert page.run(place) == pytest.approx([100 - left - width, width], abs=0.01)
    time.sleep(0.5)
    assert len(page.history()) == held
    page.click("#cam-pause")
    until(lambda: len(page.history()) > held, "frames after the pause")

    page.click("#tab-photos")  # leaving switches the webcam off and keeps the history
    page.click("#tab-webcam")
    assert page.text("#cam-switch") == "Switch the webcam on"
    assert page.run("return document.querySelector('#video').srcObject") is None
    assert page.one("#history-csv").is_enabled()


def test_a_face_keeps_its_number_and_answers_are_smoothed(page):
    rules = {**asdict(RULES), "set_threshold": None, "set_share": 0.9}
    numbers, smooth, candidates = page.imported(
        "tracks.js",
        f"const tracks = new module.Tracks(['a', 'b'], {json.dumps(rules)});"
        """
        const face = (x, p) => ({ box: [x, 0, x + 100, 100], score: 0.9, usable: true,
          probabilities: { a: p, b: 1 - p }, prediction_set: [p > 0.5 ? "a" : "b"] });
        const numbers = (time, ...at) => tracks.follow(at.map((x) => face(x, 1)), time).map((f) => f.number);
        const all = [numbers(0, 0, 300), numbers(0.2, 340, 60), // both moved, listed the other way
          numbers(0.4, 100), numbers(0.9, 360, 130), // one was missed
          numbers(1, 1000), numbers(1.2), numbers(1.4), numbers(2.5, 140)]; // far away; away for too long
        const [step] = tracks.follow([face(140, 0)], 2.8);
        return [all, step.smooth, step.prediction_set];""",
    )
    assert numbers == [[1, 2], [2, 1], [1], [2, 1], [3], [], [], [4]]
    assert smooth == pytest.approx([np.exp(-1), 1 - np.exp(-1)])  # one time constant after the step
    assert candidates == ["b", "a"]  # 63 % and 37 %


def test_the_history_is_bounded(page):
    count, first, last, means = page.imported(
        "timeline.js",
        """const line = new module.Timeline(document.querySelector("#history"), ["a", "b"]);
        const face = { number: 1, rawLabel: "a", raw: [1, 0], smooth: [0.75, 0.25], box: [0, 0, 1, 1], usable: true };
        for (let i = 0; i < module.Timeline.limit + 10; i++) line.push(i / 20, [face]);
        return [line.rows.length, line.rows[0].time, line.rows.at(-1).time, line.means(1)];""",
    )
    assert 59_000 < count <= 60_000
    assert first > 0
    assert last == pytest.approx(60_009 / 20)
    assert means == pytest.approx([0.75, 0.25])


@pytest.mark.parametrize(
    ("name", "words"),
    [("NotAllowedError", "did not allow"), ("NotFoundError", "No webcam"), ("NotReadableError", "Another")],
)
def test_why_the_webcam_does_not_start_is_said(page, name, words):
    page.run(f"navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException('', '{name}'))")
    page.click("#tab-webcam")
    page.click("#cam-switch")
    until(lambda: words in page.text("#cam-trouble"), "the reason")
    assert page.text("#cam-switch") == "Switch the webcam on"


def test_light_and_dark_follow_the_system_and_the_button_and_can_be_read(page):
    ground = "return getComputedStyle(document.body).backgroundColor"
    page.choose(ASTRONAUT)
    for system in ("light", "dark"):
        feature = {"name": "prefers-color-scheme", "value": system}
        page.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
        first = page.run(ground)
        assert page.run(CONTRAST) == []
        until(lambda: page.one("#theme").get_attribute("aria-pressed") == str(system == "dark").lower(), system)  # noqa: B023
        page.click("#theme")
        assert page.run(ground) != first
        assert page.run(CONTRAST) == []
        page.click("#tab-webcam")
        assert page.run(CONTRAST) == []
        page.click("#tab-photos")
        page.click("#theme")
        page.run("delete document.documentElement.dataset.theme")


def test_everything_can_be_reached_and_used_by_keyboard(page):
    from selenium.webdriver.common.keys import Keys

    page.choose(ASTRONAUT)
    page.run("document.activeElement.blur(); window.getSelection().removeAllRanges(); scrollTo(0, 0)")
    page.driver.execute_cdp_cmd("Input.dispatchMouseEvent", {"type": "mousePressed", "x": 2, "y": 2, "button": "left"})
    seen = []
    while "plain remove" not in seen and len(seen) < 15:
        page.press(Keys.TAB)
        here = "const n = document.activeElement; return n.id || n.className || n.tagName.toLowerCase()"
        seen.append(page.run(here))
        target = "const n = document.activeElement; return getComputedStyle(n.closest('.drop') ?? n).outlineStyle"
        assert page.run(target) != "none" or seen[-1] == "body", f"{seen[-1]} has the focus and does not show it"
    wanted = [
        "skip",
        "theme",
        "summary",
        "tab-photos",
        "files",
        "photo-csv",
        "photo-json",
        "photo-clear",
        "plain remove",
    ]
    assert [s for s in seen if s in wanted] == wanted

    page.run("document.querySelector('#tab-photos').focus()")
    page.press(Keys.ARROW_RIGHT)
    assert page.one("#webcam").is_displayed()
    assert page.run("return document.activeElement.id") == "tab-webcam"
    page.press(Keys.TAB)
    page.press(Keys.ENTER)
    until(lambda: page.all("#live-faces .face"), "a face on the webcam")


@pytest.mark.parametrize("width", [375, 320])
def test_a_phone_needs_no_sideways_scrolling(page, width):
    device(page.driver, width)
    over = "return document.documentElement.scrollWidth - document.documentElement.clientWidth"
    page.choose(ASTRONAUT)
    assert page.run(over) <= 0
    page.webcam()
    assert page.run(over) <= 0


def test_a_screen_reader_finds_names_headings_and_landmarks(page):
    page.choose(ASTRONAUT)
    assert page.run("return document.documentElement.lang") == "en"
    assert page.run(UNNAMED) == []
    page.webcam()
    assert page.run(UNNAMED) == []
    levels = page.run("return [...document.querySelectorAll('h1, h2, h3, h4')].map((n) => Number(n.tagName[1]))")
    assert levels[0] == 1
    assert all(b - a <= 1 for a, b in itertools.pairwise(levels))
    ids = page.run("return [...document.querySelectorAll('[id]')].map((n) => n.id)")
    assert len(ids) == len(set(ids))
    assert page.one("#status").get_attribute("aria-live") == "polite"
    assert page.all("header") and page.all("main")  # noqa: PT018


def test_nothing_is_kept_and_nothing_comes_from_elsewhere(page):
    page.choose(ASTRONAUT)
    page.click("#theme")
    page.webcam()
    assert "nothing is kept" in page.text("#promise")
    assert "stay on this computer" in page.text("#promise")
    assert page.run("return [localStorage.length, sessionStorage.length, document.cookie]") == [0, 0, ""]
    loaded = page.run("return performance.getEntriesByType('resource').map((entry) => entry.name)")
    assert loaded
    assert not [name for name in loaded if not name.startswith((page.address, "blob:", "data:"))]
