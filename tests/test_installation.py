"""The line that adds an extra is the one that works: it names the clone, wheel or address that mien came from."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest

from mien import installation
from mien.errors import MissingExtra, need
from mien.installation import pip_line


class _Installed:
    """What an installer left beside the package."""

    def __init__(self, origin: str | None) -> None:
        self.origin = origin

    def read_text(self, name: str) -> str | None:
        assert name == "direct_url.json"
        return self.origin


@pytest.fixture
def came_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Makes mien one that lies in site-packages and was installed from ``origin``."""
    monkeypatch.setattr(installation, "__file__", str(tmp_path / "lib" / "site-packages" / "mien" / "installation.py"))

    def set_origin(origin: object) -> None:
        text = origin if origin is None or isinstance(origin, str) else json.dumps(origin)
        monkeypatch.setattr(installation.metadata, "distribution", lambda name: _Installed(text))

    return set_origin


def test_code_that_runs_from_a_clone_names_the_clone(tmp_path, monkeypatch):
    clone = tmp_path / "my clone"
    (clone / "src" / "mien").mkdir(parents=True)
    (clone / "pyproject.toml").touch()
    monkeypatch.setattr(installation, "__file__", str(clone / "src" / "mien" / "installation.py"))
    assert shlex.split(pip_line("web")) == ["pip", "install", "-e", f"{clone}[web]"]


@pytest.mark.parametrize("name", ["mien-0.2.0-py3-none-any.whl", "a clone"])
def test_a_file_or_folder_is_named_as_long_as_it_is_there(came_from, tmp_path, name):
    file = tmp_path / name
    file.touch()
    came_from({"url": file.as_uri(), "archive_info": {}})
    assert shlex.split(pip_line("web")) == ["pip", "install", f"{file}[web]"]
    file.unlink()
    assert shlex.split(pip_line("web"))[-1] == f"{Path('PATH', 'TO', name)}[web]"


def test_an_address_is_named_and_a_password_is_not(came_from):
    came_from({"url": "https://example.org/mien.git", "vcs_info": {"vcs": "git", "commit_id": "0" * 40}})
    assert shlex.split(pip_line("web"))[-1] == "mien[web] @ git+https://example.org/mien.git"
    came_from({"url": "https://example.org/mien-0.2.0-py3-none-any.whl", "archive_info": {}})
    assert shlex.split(pip_line("web"))[-1] == "mien[web] @ https://example.org/mien-0.2.0-py3-none-any.whl"
    came_from({"url": "https://me:secret@example.org/mien.whl", "archive_info": {}})
    assert "secret" not in pip_line("web")


@pytest.mark.parametrize("origin", [None, "{", "{}", "[]", {"url": "what://is/this"}, {"url": ""}])
def test_an_index_or_something_unreadable_leaves_the_name(came_from, origin):
    came_from(origin)
    assert pip_line("web") == "pip install 'mien[web]'"


def test_code_that_nobody_installed_leaves_the_name(came_from, monkeypatch):
    def nobody(name: str) -> None:
        raise installation.metadata.PackageNotFoundError(name)

    came_from(None)
    monkeypatch.setattr(installation.metadata, "distribution", nobody)
    assert pip_line("web") == "pip install 'mien[web]'"


def test_the_error_has_that_line():
    with pytest.raises(MissingExtra, match=r"needs no_such_module, .*: pip install ") as error:
        need("no_such_module", "web")
    assert str(error.value).endswith(pip_line("web"))


def test_the_photo_is_looked_for_in_both_places(tmp_path, monkeypatch):
    found = installation.example_photo()
    assert found is not None
    assert found.read_bytes() == (Path(__file__).parents[1] / "examples" / "astronaut.jpg").read_bytes()
    package = tmp_path / "site" / "mien"
    monkeypatch.setattr(installation, "__file__", str(package / "installation.py"))
    assert installation.example_photo() is None
    (package / "assets").mkdir(parents=True)
    (package / "assets" / "astronaut.jpg").write_bytes(b"x")
    assert installation.example_photo() == package / "assets" / "astronaut.jpg"


def test_requirements_are_told_by_extra_with_what_is_missing(monkeypatch):
    named = ["numpy>=1.26", "nosuch-thing>=2; extra == 'web'", "mien[web]; extra == 'all'"]
    older = ["tomli>=2; python_version < '3.10' and extra == 'train'", 'six; extra == "train"']
    monkeypatch.setattr(installation.metadata, "requires", lambda name: named + older)
    found = installation.requirements()
    assert set(found) == {"", "web", "train"}
    assert found[""]["numpy"][0].isdigit()
    assert found["web"] == {"nosuch-thing": None}
    assert set(found["train"]) == {"six"}
