"""What holds for every command: examples that work, help that flows, completion in the shell; and ``mien doctor``."""

from __future__ import annotations

import importlib
import json
import os
import re
import shlex
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from typer.core import TyperArgument
from typer.main import get_command
from typer.testing import CliRunner

from mien.cli import app
from mien.cli.commands import _PANEL_OF, examples_of
from mien.cli.json_option import todays_words


def commands(group: Any = None, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    """``("data audit", command)`` of every command that is shown."""
    for name, command in (group or get_command(app)).commands.items():
        if getattr(command, "commands", None):
            yield from commands(command, (*path, name))
        elif not command.hidden:
            yield " ".join((*path, name)), command


ALL = dict(commands())
DOCTOR = importlib.import_module("mien.cli.doctor")


def test_no_list_of_options_is_longer_than_twelve_and_every_panel_has_options():
    named = set[str]()
    for name, command in ALL.items():
        command.make_context(name, ["--help"], resilient_parsing=True).close()
        panels = Counter(p.rich_help_panel for p in command.params if not isinstance(p, TyperArgument) and not p.hidden)
        assert max(panels.values(), default=0) <= 12, name
        named |= {p.name for p in command.params}
    assert set(_PANEL_OF) <= named


def test_there_are_all_commands_and_one_name_of_before():
    assert {"predict", "explain", "doctor", "data audit"} <= set(ALL)
    assert "inspect" not in ALL
    assert "inspect" in get_command(app).commands


@pytest.mark.parametrize("name", ALL)
def test_a_command_shows_examples_that_its_parser_takes(name):
    examples = examples_of(ALL[name].epilog)
    assert examples
    for example in examples:
        words = shlex.split(example)
        assert words[: 1 + len(name.split())] == ["mien", *name.split()]
        ALL[name].make_context(name, words[1 + len(name.split()) :]).close()  # raises for a flag or value that is none
    shown = re.sub(r"\s+", " ", CliRunner().invoke(app, [*name.split(), "--help"], env={"COLUMNS": "80"}).stdout)
    assert f"$ {examples[0][:60]}" in shown
    assert "<bool>" not in shown, "a flag takes no value"
    for argument in (p for p in ALL[name].params if isinstance(p, TyperArgument)):
        assert argument.metavar.isupper()
        assert f" {argument.metavar} " in shown


@pytest.mark.parametrize("name", ALL)
def test_each_flag_has_one_meaning(name):
    """``--out``: where results go. ``--draw``: the pictures that were given, with what was found marked in them."""
    helps = {flag: (p.help or "").lower() for p in ALL[name].params for flag in p.opts if not p.hidden}
    assert "--save" not in helps
    assert "marked" in helps.get("--draw", "marked")
    assert "marked" not in helps.get("--out", "")


def complete(shell: str, *words: str) -> list[str]:
    """What the shell is told when the last of ``words`` is to be completed, by the script that mien installs."""
    at = {"bash": {"COMP_WORDS": " ".join(words), "COMP_CWORD": str(len(words) - 1)}}
    told = at.get(shell, {"_TYPER_COMPLETE_ARGS": " ".join(words), "_TYPER_COMPLETE_FISH_ACTION": "get-args"})
    env = {**os.environ, **told, "_MIEN_COMPLETE": f"complete_{shell}"}
    code = "import sys; sys.argv[0] = 'mien'; from mien.cli import main; main()"
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=False)
    return done.stdout.split()


def test_bash_completes_commands_flags_and_values():
    assert complete("bash", "mien", "ex") == ["explain", "export"]
    assert complete("bash", "mien", "predict", "--dr") == ["--draw"]
    assert complete("bash", "mien", "predict", "--model", "mien-n") == ["mien-nano"]
    assert complete("bash", "mien", "data", "") == ["info", "audit", "pack", "images", "study"]
    assert complete("bash", "mien", "predict", "--sa") == []


def test_the_other_shells_are_told_the_same():
    assert "export" in " ".join(complete("zsh", "mien", "ex"))
    assert any(line.startswith("export") for line in complete("fish", "mien", "ex"))


def test_doctor_tries_a_photo_and_says_what_each_extra_lacks(monkeypatch):
    monkeypatch.setattr(DOCTOR, "requirements", lambda: {"": {"numpy": "2"}, "web": {"nosuch": None}})
    result = CliRunner().invoke(app, ["doctor"])
    assert result.exit_code == 0
    for words in ("Python ", "CPU is used", "mien-small (default)", "lacks nosuch: pip install", "happy 9"):
        assert words in result.stdout
    document = json.loads(CliRunner().invoke(app, ["doctor", "--json"]).stdout)
    assert document["photo"]["ms"]["next"] > 0
    assert document["processors"]["usable"] >= 1


def test_doctor_fails_where_the_photo_has_no_answer(monkeypatch):
    monkeypatch.setattr("mien.runtime.Predictor", lambda: 1 / 0)
    result = CliRunner().invoke(app, ["doctor"])
    assert result.exit_code == 1
    assert "ZeroDivisionError" in result.stdout
    monkeypatch.setattr(DOCTOR, "example_photo", lambda: None)
    assert "came without its photo" in CliRunner().invoke(app, ["doctor"]).stdout


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (["--json", "a.json"], ["--out", "a.json"]),
        (["--json=a.txt"], ["--out", "a.txt"]),
        (["--json", "-"], ["--json"]),
        (["--json", "runs/a"], ["--json", "runs/a"]),
        (["runs/a", "--json"], ["runs/a", "--json"]),
        (["--json", "--data", "x"], ["--json", "--data", "x"]),
    ],
)
def test_json_with_a_file_is_out_for_one_release_and_says_so(old, new, capsys):
    assert list(todays_words(old)) == new
    assert bool(capsys.readouterr().err) == (old != new)
