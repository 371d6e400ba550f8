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
