"""onnxruntime is opened quietly: nothing is written beside, nothing is sent, and the environment stays as it was."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from onnx_nets import write_net

OPEN = """
import os, sys
from mien.runtime import open_session
session = open_session(sys.argv[1], 1)
import numpy as np
session.run(None, {"faces": np.zeros((1, 1, 48, 48), np.float32)})
print([name for name in os.environ if "TELEMETRY" in name])
"""


def in_a_fresh_home(code: str, net: Path, home: Path, **more: str) -> tuple[str, list[str]]:
    """What ``code`` prints in a new interpreter whose home and cache are ``home``, and the files it leaves there."""
    home.mkdir()
    names = ("HOME", "XDG_CACHE_HOME", "LOCALAPPDATA")
    taken = {k: v for k, v in os.environ.items() if not k.startswith("ORT_")}
    env = {**taken, **dict.fromkeys(names, str(home)), "PYTHONDONTWRITEBYTECODE": "1", **more}
    run = subprocess.run([sys.executable, "-c", code, str(net)], env=env, capture_output=True, text=True, check=True)
    return run.stdout.strip(), sorted(str(f.relative_to(home)) for f in home.rglob("*") if f.is_file())


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_net(tmp_path_factory.mktemp("nets") / "tiny.onnx")


def test_a_prediction_leaves_no_file_and_the_environment_as_it_was(net: Path, tmp_path: Path) -> None:
    said, left = in_a_fresh_home(OPEN, net, tmp_path / "home")
    assert said == "[]"
    assert left == []


def test_who_asks_for_telemetry_in_the_environment_is_heard(net: Path, tmp_path: Path) -> None:
    """And so the test above can fail: what it looks for is there where nobody switches it off."""
    _, left = in_a_fresh_home(OPEN, net, tmp_path / "home", ORT_DISABLE_TELEMETRY="0")
    if not left:
        pytest.skip("this onnxruntime has no telemetry, or sees that it runs in CI")
    assert any("deviceid" in name for name in left)
