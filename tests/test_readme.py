"""What the README shows must run: its Python, and the commands and flags that it names."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from typer.main import get_command

from mien.cli import app

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
PYTHON = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
LINES = [line for block in re.findall(r"```console\n(.*?)```", TEXT, re.DOTALL) for line in block.splitlines()]
COMMANDS = [c for line in LINES for c in re.findall(r"mien [^#&]+", line.partition("#")[0])]


def test_the_first_snippet_answers(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    exec(PYTHON[0], {})
    assert capsys.readouterr().out.startswith("happy")


def test_the_training_snippet_trains() -> None:
    code = PYTHON[1].replace('"fer2013.csv"', '"synthetic:140"')
    code = code.replace('load_recipe("deep-emotion-2019")', 'load_recipe("deep-emotion-2019").override(epochs=1)')
    names: dict[str, object] = {}
    exec(code, names)
    assert len(names["history"]) == 1  # type: ignore[arg-type]


def test_the_classical_snippet_learns(capsys: pytest.CaptureFixture[str]) -> None:
    exec(PYTHON[2].replace('"fer2013.csv"', '"synthetic:280"'), {})
    assert float(capsys.readouterr().out) > 0.3  # of seven classes


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


@pytest.mark.parametrize("link", re.findall(r"\]\((?!http)([^)#]+)\)", TEXT))
def test_links_lead_to_files(link: str) -> None:
    assert (ROOT / link).exists()
