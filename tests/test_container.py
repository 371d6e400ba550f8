"""The container and what stands around it: what can be held without a docker daemon."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from typer.main import get_command

from mien.cli import app

yaml = pytest.importorskip("yaml")
ROOT = Path(__file__).parents[1]
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
COMPOSE = yaml.safe_load((ROOT / "examples" / "docker" / "compose.yaml").read_text(encoding="utf-8"))


def instructions(name: str) -> list[str]:
    joined = DOCKERFILE.replace("\\\n", " ")
    return re.findall(rf"^{name} +(.*)$", joined, re.MULTILINE)


def parses(words: list[str]) -> None:
    """The command line takes these words."""
    name, *rest = words
    get_command(app).commands[name].make_context(name, rest).close()


def test_it_runs_as_nobody_and_its_command_is_one_of_mien():
    last = DOCKERFILE.rpartition("\nFROM ")[2]
    assert re.search(r"^USER [1-9]\d*$", last, re.MULTILINE)
    assert json.loads(instructions("ENTRYPOINT")[-1]) == ["mien"]
    parses(json.loads(instructions("CMD")[-1]))


def test_its_health_check_asks_the_port_that_serve_listens_on():
    (check,) = instructions("HEALTHCHECK")
    command = json.loads(check.partition("CMD ")[2])
    port = next(p.default for p in get_command(app).commands["serve"].params if p.name == "port")
    assert f":{port}/healthz" in command[-1]
    assert instructions("EXPOSE") == [str(port)]
    done = subprocess.run([sys.executable, *command[1:]], capture_output=True, text=True, check=False)
    assert done.returncode == 1  # nobody is there: the check must fail, and be valid Python
    assert "URLError" in done.stderr


def test_nothing_reaches_mien_but_the_proxy_and_nothing_is_written():
    service, proxy = COMPOSE["services"]["mien"], COMPOSE["services"]["nginx"]
    assert "ports" not in service
    assert (service["read_only"], service["cap_drop"], service["tmpfs"]) == (True, ["ALL"], ["/tmp"])
    assert COMPOSE["networks"]["inside"] == {"internal": True}
    parses([word.replace("${MIEN_HOST:-", "").rstrip("}") for word in service["command"]])
    for volume in proxy["volumes"]:
        assert volume.endswith(":ro")
    conf = (ROOT / "examples" / "docker" / "nginx.conf").read_text(encoding="utf-8")
    assert "auth_basic_user_file /etc/nginx/users;" in conf
    assert "proxy_request_buffering off;" in conf


def test_issue_forms_are_whole():
    forms = sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml"))
    assert len(forms) == 3
    for form in forms:
        found = yaml.safe_load(form.read_text(encoding="utf-8"))
        assert {"name", "description", "body"} <= set(found)
        assert len({part["id"] for part in found["body"]}) == len(found["body"])
