"""The pages of ``docs/``: examples in Python run, commands whose output is shown print it; and the site's parts."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import cv2
import pytest
from typer.testing import CliRunner

from mien.cli import app
from mien.errors import DataError

pytest.importorskip("torch")

ROOT = Path(__file__).parents[1]
PAGES = sorted((ROOT / "docs").glob("*.md"))
ELSEWHERE = ("make_classical", "load_recipe")  # tests/test_readme.py runs these and looks at what they say
EXAMPLES = [
    pytest.param(code, id=f"{page.stem}-{number}")
    for page in PAGES
    for number, code in enumerate(re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL))
    if not any(word in code for word in ELSEWHERE)
]
SHOWN = [
    pytest.param(command, output, id=page.stem)
    for page in PAGES
    for block in re.findall(r"```console\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    for command, output in re.findall(r"^\$ mien (.*)\n((?:(?!\$ ).+\n)+)", block, re.MULTILINE)
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """What the examples name: a photo, a face crop, a film, and a clone's examples."""
    made = tmp_path_factory.mktemp("examples")
    photo = ROOT / "examples" / "astronaut.jpg"
    (made / "examples").mkdir()
    shutil.copy(photo, made / "examples")
    shutil.copy(photo, made / "photo.jpg")
    pixels = cv2.imread(str(photo))
    cv2.imwrite(str(made / "crop.png"), pixels[30:190, 150:310])
    film = cv2.VideoWriter(str(made / "talk.mp4"), cv2.VideoWriter_fourcc(*"mp4v"), 25, (512, 512))
    for _ in range(3):
        film.write(pixels)
    film.release()
    made_table = CliRunner().invoke(app, ["video", str(made / "talk.mp4"), "--out", str(made / "talk.csv")])
    assert made_table.exit_code == 0, made_table.output
    return made


@pytest.mark.parametrize("code", EXAMPLES)
def test_an_example_runs(code, folder, monkeypatch):
    monkeypatch.chdir(folder)
    pixels = cv2.imread("photo.jpg")
    frames = [(0.04 * i, pixels) for i in range(2)]
    given = {"my_frames": lambda: frames, "pixels_of_25_frames_a_second": [pixels]}
    namespace = {"__name__": "example", **given}
    exec(code.replace('"fer2013.csv"', '"synthetic:140"').replace('"person": 3', '"person": 1'), namespace)
    if "smiles" in namespace:  # the loop of a maker, whose camera is a film

        class Camera:
            left = [pixels] * 3

            def read(self):
                return (True, self.left.pop()) if self.left else (False, None)

        assert list(namespace["smiles"](Camera())) == [True] * 3


def without_places(line: str) -> str:
    """A line without the pixels of a face, which move a little with each detector."""
    return re.sub(r"\d+", "#", line.rstrip()) if "at left" in line else line.rstrip()


@pytest.mark.parametrize(("command", "output"), SHOWN)
def test_a_command_prints_what_its_page_shows(command, output, folder, monkeypatch):
    monkeypatch.chdir(folder)
    result = CliRunner().invoke(app, shlex.split(command, comments=True), env={"COLUMNS": "120"})
    assert result.exit_code == 0
    said, shown = ([without_places(line) for line in text.splitlines()] for text in (result.stdout, output))
    assert said == shown


def test_all_ways_to_give_a_picture_are_the_same_face(folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    exec(next(p.values[0] for p in EXAMPLES if p.id == "developers-1"), {})
    assert capsys.readouterr().out == "{'happy'}\n"


def test_there_are_examples_to_run():
    assert len(EXAMPLES) >= 10
    assert len(SHOWN) >= 1


def test_docstrings_become_markdown():
    from docs.site.docstrings import to_markdown

    text = """Says *what* it is.

    one   the first, ``(N, K)``
          and more
    other see :class:`~mien.runtime.Predictor`

    As in:

        from mien import x

        x(1)
    """
    assert to_markdown(text) == (
        "Says \\*what\\* it is.\n\n"
        "- **one**: the first, `(N, K)` and more\n- **other**: see `mien.runtime.Predictor`\n\n"
        "As in:\n\n```python\nfrom mien import x\n\nx(1)\n```"
    )


def test_every_public_name_has_words_and_every_package_a_page():
    pytest.importorskip("sphinx")
    import mien
    from docs.site.reference import MODULES, Reference

    reference = Reference()
    text = "\n".join(reference.page(module) for module in MODULES)
    assert reference.missing == []
    assert all(f" {name}" in text for name in mien.__all__ if name != "__version__")
    packages = {p.parent.name for p in (ROOT / "src" / "mien").glob("*/__init__.py")} - {"cli"}
    assert packages <= {module.split(".")[1] for module in MODULES[1:]}


def test_what_has_no_docstring_is_named(monkeypatch):
    pytest.importorskip("sphinx")
    from docs.site.reference import Reference

    monkeypatch.setattr(DataError, "__doc__", None)
    reference = Reference()
    reference.page("mien.errors")
    assert reference.missing == ["mien.errors.DataError"]


def test_the_page_of_commands_has_each_with_its_options():
    from docs.site.commands import commands_page

    text = commands_page()
    for words in ("## mien predict", "## mien data audit", "| `--out OUT` |", "$ mien doctor --json", "--draw FILE"):
        assert words.replace("--out OUT", "--out FILE") in text
    assert "--save" not in text


def test_a_page_that_asks_another_host_is_found(tmp_path):
    pytest.importorskip("sphinx")
    pytest.importorskip("matplotlib")
    from docs.site.build import foreign

    (tmp_path / "a.html").write_text('<a href="https://example.org">a link</a><img src="x.png">')
    (tmp_path / "b.html").write_text('<script async src="https://example.org/x.js"></script>')
    (tmp_path / "c.css").write_text("@font-face { src: url(//example.org/f.woff) }")
    assert sorted(f.name for f in foreign(tmp_path)) == ["b.html", "c.css"]
