"""What the README and the pages in docs/ show must run: Python, and the commands and flags that they name."""

from __future__ import annotations

import re
from pathlib import Path

import cv2
import pytest
from typer.main import get_command

from mien.cli import app

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
PAGES = [README, *sorted((ROOT / "docs").glob("*.md"))]
TEXTS = {page.name: page.read_text(encoding="utf-8") for page in PAGES}
PYTHON = [code for text in TEXTS.values() for code in re.findall(r"```python\n(.*?)```", text, re.DOTALL)]
BLOCKS = [block for text in TEXTS.values() for block in re.findall(r"```console\n(.*?)```", text, re.DOTALL)]
LINES = [line for block in BLOCKS for line in block.splitlines()]
LINKS = [(page.parent, link) for page in PAGES for link in re.findall(r"\]\((?!http)([^)#]+)\)", TEXTS[page.name])]
COMMANDS = [c for line in LINES for c in re.findall(r"mien [^#&]+", line.partition("#")[0])]


# a figure that somebody measured: in prose it comes by a marker, or beside its source
FIGURE = re.compile(
    r"\d[\d,.]*(?: to \d[\d,.]*)? ?"
    r"(?:%(?! (?:percentile )?interval)|(?:ms|points?|[kMG]B|times (?:as|faster|slower))\b)"
    r"|\d[\d,.]* (?:faces|frames|images|photos|requests)(?:/s| a second)"
)
SOURCE = re.compile(r"results/|\b(?:19|20)\d\d\)|[A-Z][a-z]+ (?:et al\. )?(?:19|20)\d\d")
#: What stands in prose without either: what was chosen, what follows by arithmetic, and the size of somebody's file.
CHOSEN = {
    "README.md": ("7 MB", "90 %", "85 %"),
    "browser.md": ("27 MB",),
    "models.md": ("90 %", "85 %"),
    "scale.md": ("128 MB", "10 ms", "2.3 kB", "1 GB"),
    "study.md": ("5 %", "0.7 points"),
}


def typed_figures(text: str) -> list[str]:
    """Figures in the prose of a page that have no source: outside of code and of what is written from results/."""
    text = re.sub(r"```.*?```|<!-- ([^/:]+): written by.*?<!-- /\1 -->", "", text, flags=re.DOTALL)
    paragraphs = re.split(r"\n\s*\n|\n(?=- )", text)
    return [m[0] for p in paragraphs if not SOURCE.search(p) for m in FIGURE.finditer(p)]


def snippet(word: str) -> str:
    """The first Python example that holds ``word``."""
    return next(code for code in PYTHON if word in code)


def test_the_first_snippet_answers(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    exec(PYTHON[0], {})
    assert capsys.readouterr().out.startswith("happy")


def test_the_training_snippet_trains(tmp_path: Path) -> None:
    code = snippet("load_recipe").replace('"fer2013.csv"', '"synthetic:140"')
    code = code.replace('load_recipe("deep-emotion-2019")', 'load_recipe("deep-emotion-2019").override(epochs=1)')
    code = code.replace("mine.onnx", str(tmp_path / "mine.onnx"))
    exec(code, {})
    assert (tmp_path / "mine.onnx").is_file()


def test_the_classical_snippet_learns(capsys: pytest.CaptureFixture[str]) -> None:
    exec(snippet("make_classical").replace('"fer2013.csv"', '"synthetic:280"'), {})
    assert float(capsys.readouterr().out) > 0.3  # of seven classes


def test_the_video_snippet_tells_times_and_outcomes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    face = cv2.imread(str(ROOT / "examples" / "astronaut.jpg"))
    video = cv2.VideoWriter(str(tmp_path / "talk.mp4"), cv2.VideoWriter_fourcc(*"mp4v"), 25, (512, 512))
    for _ in range(3):
        video.write(face)
    video.release()
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "broken.jpg").write_bytes(b"no picture")
    monkeypatch.chdir(tmp_path)
    exec(snippet("predict_video"), {})
    lines = capsys.readouterr().out.splitlines()
    assert lines[:3] == [f"{t} [(1, 'happy')]" for t in (0.0, 0.04, 0.08)]
    assert "broken.jpg unreadable" in lines[3]


def test_the_batch_snippet_answers(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    exec(snippet("predict_batch"), {})
    assert capsys.readouterr().out == "[{'photo': 'astronaut', 'label': 'happy'}]\n"


def test_there_are_commands() -> None:
    assert len(COMMANDS) >= 7


@pytest.mark.parametrize("words", COMMANDS)
def test_commands_and_flags_exist(words: str) -> None:
    command = get_command(app)
    for word in words.split()[1:]:
        if word in getattr(command, "commands", {}):
            command = command.commands[word]
        elif word.startswith("--"):
            assert word in [flag for p in command.params for flag in p.opts], f"{words}: no {word}"
    assert not getattr(command, "commands", None), f"{words}: names no command"


@pytest.mark.parametrize(("folder", "link"), LINKS)
def test_links_lead_to_files(folder: Path, link: str) -> None:
    assert (folder / link).exists()
    assert folder == ROOT or (folder / link).resolve().is_relative_to(ROOT / "docs")  # the site holds nothing else


def test_every_page_is_in_the_readme() -> None:
    assert {f"docs/{page.name}" for page in PAGES[1:]} <= {link for folder, link in LINKS if folder == ROOT}


def test_the_readme_is_short() -> None:
    assert len(README.read_text(encoding="utf-8").splitlines()) <= 150


# the log tells what was measured while it was tried; the other two are made whole from results/
@pytest.mark.parametrize("page", [p.name for p in PAGES if p.stem not in ("log", "ablations", "results")])
def test_no_measured_figure_is_typed_by_hand(page: str) -> None:
    found = [figure for figure in typed_figures(TEXTS[page]) if figure not in CHOSEN.get(page, ())]
    assert not found, (
        f"{page} says {', '.join(found)}: write it by a marker from results/ (bench/reporting/tables.py), or name "
        "the file in results/ or the publication in the same paragraph; what is no measurement goes into CHOSEN here"
    )


def test_a_typed_figure_is_found_and_one_with_a_source_is_not() -> None:
    marked = "<!-- x: written by bench/reporting/tables.py -->\n\n91 %\n\n<!-- /x -->"
    assert typed_figures(f"It reaches 71.2 % in 3 ms.\n\n{marked}") == ["71.2 %", "3 ms"]
    assert typed_figures("People reach 65 % (Goodfellow et al. 2013), we 70 % (`results/a.json`).") == []
    assert typed_figures("A 95 % interval; 12 faces/s") == ["12 faces/s"]
