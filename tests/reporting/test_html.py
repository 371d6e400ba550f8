"""report: one page, complete, escaped, that loads nothing."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser

import cv2
import numpy as np
import pytest

from mien.data.dataset import FaceDataset
from mien.errors import ConfigError, OutputError
from mien.evaluation.metrics import score
from mien.reporting.card import INTENDED, LIMITS
from mien.reporting.html import Face, Photo, write_report
from mien.spec import ModelSpec

NAMES = ("angry", "happy", "sad")
VOID = {"meta", "img", "line", "polyline", "circle", "br", "link", "input"}


class Page(HTMLParser):
    """Collects tags and attributes, and fails on tags that don't nest."""

    def __init__(self, html):
        super().__init__()
        self.open, self.tags, self.attributes, self.words = [], [], [], []
        self.feed(html)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, name, value) for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, name, value) for name, value in attrs]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)


def _picture(ending=".png"):
    return cv2.imencode(ending, np.full((8, 8, 3), 90, np.uint8))[1].tobytes()


@pytest.fixture
def content():
    labels = np.arange(60, dtype=np.int64) % 3
    p = 0.8 * np.eye(3)[np.where(np.arange(60) < 45, labels, (labels + 1) % 3)] + 0.2 / 3
    report = score(
        p, labels, NAMES, clean=np.arange(60) > 5, split="PrivateTest", conditions={"views": 1, "device": "cpu"}
    )
    keys = ("train_loss", "train_accuracy", "val_loss", "val_accuracy", "images_per_second", "theta_spread", "lr")
    history = [{"epoch": e, **dict.fromkeys(keys, 0.1 * e)} for e in (1, 2, 3)]
    face = Face({"angry": 0.1, "happy": 0.7, "sad": 0.2}, {"the face": _picture(), "where it looked": _picture()})
    images = np.random.default_rng(0).integers(0, 255, (60, 8, 8)).astype(np.uint8)
    return {
        "title": "A run",
        "intro": "an intro",
        "history": history,
        "reports": [report, replace(report, conditions={"views": 10})],
        "photos": [Photo(_picture(".jpg"), "a photo", (face,))],
        "samples": FaceDataset(images, NAMES, labels=labels, source="synthetic(n=60)"),
        "spec": ModelSpec("net", NAMES, model={"name": "deep-emotion-2019"}, versions={"torch": "9.9"}),
        "notes": ["a note"],
        "commands": ["mien demo --out x"],
    }


def test_page_is_complete(tmp_path, content):
    path = write_report(tmp_path / "new" / "report.html", **content)
    html = path.read_text(encoding="utf-8")
    text = " ".join(Page(html).words)
    for words in (
        "A run",
        "an intro",
        "a note",
        "mien demo --out x",
        "75.00 %",
        "62.8 to 84.2",
        "72.22 %",
        "a photo",
        "70%",
    ):
        assert words in text, words
    for words in ("PrivateTest", "9.9", "no picture of a person", "Every epoch", *INTENDED, *LIMITS):
        assert words in text, words
    assert [p.name for p in path.parent.iterdir()] == ["report.html"]
    assert "$" not in text


def test_page_loads_nothing_and_runs_nothing(tmp_path, content):
    page = Page(write_report(tmp_path / "r.html", **content).read_text(encoding="utf-8"))
    assert not {"script", "link", "iframe", "object"} & set(page.tags)
    addresses = [value for _, name, value in page.attributes if name in ("src", "href", "srcset", "action")]
    assert len(addresses) == 3 + len(NAMES)  # photo, face, where it looked, one strip a class
    assert all(re.match(r"data:image/(png|jpeg);base64,", a) for a in addresses)
    assert not [name for _, name, _ in page.attributes if name.startswith("on")]


def test_confusion_counts_are_on_the_page(tmp_path, content):
    html = write_report(tmp_path / "r.html", **content).read_text(encoding="utf-8")
    cells = re.findall(r"rgba\(var\(--blue\),[\d.]+\)\">([\d,]+)</td>", html)
    assert [int(c) for c in cells] == [15, 5, 0, 0, 15, 5, 5, 0, 15]


def test_everything_is_escaped(tmp_path):
    evil = "<script>alert(1)</script>\"'&"
    names = (evil, "b")
    report = score(np.eye(2), np.array([0, 1]), names, split=evil, conditions={evil: evil})
    images = np.zeros((2, 8, 8), np.uint8)
    path = write_report(
        tmp_path / "r.html",
        title=evil,
        intro=evil,
        reports=[report],
        photos=[Photo(_picture(), evil, (Face({evil: 1.0}, {evil: _picture()}),))],
        samples=FaceDataset(images, names, labels=np.array([0, 1]), source=evil),
        spec=ModelSpec(evil, names, versions={evil: evil}),
        notes=[evil],
        commands=[evil],
    )
    page = Page(path.read_text(encoding="utf-8"))
    assert "script" not in page.tags
    assert evil in page.words
    assert {value for tag, name, value in page.attributes if (tag, name) == ("img", "alt")} == {evil, "b"}


def test_parts_without_content_are_left_out(tmp_path):
    html = write_report(tmp_path / "r.html", title="t").read_text(encoding="utf-8")
    assert re.findall(r"<h2>(.*?)</h2>", html) == ["Use and limits"]


def test_photo_without_a_face_says_so(tmp_path):
    html = write_report(tmp_path / "r.html", title="t", photos=[Photo(_picture(), "c")]).read_text(encoding="utf-8")
    assert "No face was found." in html


@pytest.mark.parametrize("value", [0.0, 0.5, 1e-6, 123.4, float("nan")])
def test_flat_and_missing_lines_are_drawn(tmp_path, value):
    history = [{"epoch": 1, "train_loss": value, "train_accuracy": value, "val_loss": None, "val_accuracy": None}]
    html = write_report(tmp_path / "r.html", title="t", history=history * 2).read_text(encoding="utf-8")
    assert "nan," not in html.replace("nan, ", "")
    assert html.count("<svg") == (0 if value != value else 2)


def test_ticks_are_round_and_enclose_the_line(tmp_path, content):
    content["history"] = [
        {**h, "train_accuracy": 0.2 + 0.1 * h["epoch"], "val_accuracy": 0.31} for h in content["history"]
    ]
    html = write_report(tmp_path / "r.html", **content).read_text(encoding="utf-8")
    labels = [float(t) for t in re.findall(r'text-anchor="end">([\d.]+)</text>', html.split("<svg")[2])]
    assert labels == [30, 35, 40, 45, 50]


def test_errors_name_what_is_wrong(tmp_path):
    with pytest.raises(ConfigError, match="PNG, JPEG or SVG"):
        write_report(tmp_path / "r.html", title="t", photos=[Photo(b"GIF89a", "c")])
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputError, match="cannot be written"):
        write_report(tmp_path / "file" / "r.html", title="t")
